"""`tg.linalg`: norms and products under PyTorch's names."""

from tinygrad_cnn.ops.linalg import chain_matmul as multi_dot_of
from tinygrad_cnn.ops.linalg import cross, matmul, matrix_norm
from tinygrad_cnn.ops.linalg import linalg_norm as norm
from tinygrad_cnn.ops.reduce import vector_norm


def multi_dot(tensors: object) -> object:
    """The product of several matrices."""
    return multi_dot_of(*tensors)  # type: ignore[misc]


__all__ = ["cross", "matmul", "matrix_norm", "multi_dot", "norm", "vector_norm"]
