"""Corten: text embeddings and search over sparse vectors on the CPU, in this process, without torch.

from corten import Encoder

encoder = Encoder("sentence-transformers/all-MiniLM-L6-v2")  # a hub id or a folder
vectors = encoder.encode(["A sentence.", "Another one."])  # numpy float32 [2, 384]
"""

from corten._native import DeviceError, IndexFileError, InternalError, ModelFileError, __version__, cpu_info
from corten.encoder import Encoder
from corten.quantization import quantize_embeddings
from corten.sparse_embeddings import SparseEmbeddings
from corten.sparse_index import SparseIndex, TermMatch

__all__ = [
    "DeviceError",
    "Encoder",
    "IndexFileError",
    "InternalError",
    "ModelFileError",
    "SparseEmbeddings",
    "SparseIndex",
    "TermMatch",
    "__version__",
    "cpu_info",
    "quantize_embeddings",
]
