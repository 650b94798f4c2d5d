"""The CUDA build of corten's native module, `corten_cuda._native`, which corten loads where a GPU is asked for.

Importing this package alone loads nothing.
"""
