"""`tg.linalg`: norms, products, linear systems and decompositions under PyTorch's names."""

from tinygrad_cnn.ops.decompose import eigh, eigvalsh, lstsq, matrix_rank, pinv, svdvals
from tinygrad_cnn.ops.decompose import linalg_cholesky as cholesky
from tinygrad_cnn.ops.decompose import linalg_qr as qr
from tinygrad_cnn.ops.decompose import linalg_svd as svd
from tinygrad_cnn.ops.linalg import chain_matmul as multi_dot_of
from tinygrad_cnn.ops.linalg import cross, matmul
from tinygrad_cnn.ops.matrix import det, matrix_power, slogdet, solve
from tinygrad_cnn.ops.matrix import inverse as inv
from tinygrad_cnn.ops.norm import linalg_norm as norm
from tinygrad_cnn.ops.norm import matrix_norm
from tinygrad_cnn.ops.reduce import vector_norm


def multi_dot(tensors: object) -> object:
    """The product of several matrices."""
    return multi_dot_of(*tensors)  # type: ignore[misc]


__all__ = [
    "cholesky", "cross", "det", "eigh", "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "vector_norm",
]  # fmt: skip
