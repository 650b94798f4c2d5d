"""Corten: text embeddings on the CPU, in this process, without torch.

from corten import Encoder

encoder = Encoder("sentence-transformers/all-MiniLM-L6-v2")  # a hub id or a folder
vectors = encoder.encode(["A sentence.", "Another one."])  # numpy float32 [2, 384]
"""

from corten._native import DeviceError, InternalError, ModelFileError, __version__, cpu_info
from corten.encoder import Encoder
from corten.quantization import quantize_embeddings
from corten.sparse_embeddings import SparseEmbeddings

__all__ = [
    "DeviceError",
    "Encoder",
    "InternalError",
    "ModelFileError",
    "SparseEmbeddings",
    "__version__",
    "cpu_info",
    "quantize_embeddings",
]
