"""`tg.linalg`: norms, products and linear systems under PyTorch's names."""

from tinygrad_cnn.ops.linalg import chain_matmul as multi_dot_of
from tinygrad_cnn.ops.linalg import cross, matmul, matrix_norm
from tinygrad_cnn.ops.linalg import linalg_norm as norm
from tinygrad_cnn.ops.matrix import det, matrix_power, slogdet, solve
from tinygrad_cnn.ops.matrix import inverse as inv
from tinygrad_cnn.ops.reduce import vector_norm


def multi_dot(tensors: object) -> object:
    """The product of several matrices."""
    return multi_dot_of(*tensors)  # type: ignore[misc]


__all__ = [
    "cross", "det", "inv", "matmul", "matrix_norm", "matrix_power", "multi_dot", "norm", "slogdet", "solve",
    "vector_norm",
]  # fmt: skip
