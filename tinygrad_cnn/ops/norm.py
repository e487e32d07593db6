"""Norms of vectors and of matrices, of which some need singular values; `reduce.vector_norm` has the p-norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import ArrayT, Dims, DType
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.ops.common import axes_of
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.decompose import svdvals
from tinygrad_cnn.ops.elementwise import cast
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.extreme import amax, amin
from tinygrad_cnn.ops.reduce import sum, vector_norm
from tinygrad_cnn.ops.shape import movedim, reshape


@public(method=True)
def norm(input: ArrayT, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: DType = None) -> ArrayT:
    """The p-norm over `dim`; 'fro' (the default) is p = 2 over all of it, 'nuc' a matrix's nuclear norm."""
    if p == "nuc":
        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


def linalg_norm(
    A: ArrayT, ord: Any = None, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None
) -> ArrayT:
    """A vector norm over one dimension (or all, flattened, without `ord`); a matrix norm over two.

    `matrix_norm` lists the matrix norms.
    """
    ndim = np.ndim(unwrap(A))
    if dim is None and ord is not None and ndim == 2:
        dim = (0, 1)
    if dim is None or isinstance(dim, (int, np.integer)) or len(dim) == 1:
        return vector_norm(A, 2 if ord in (None, "fro") else ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, "fro" if ord is None else ord, dim, keepdim, dtype=dtype)


def matrix_norm(
    A: ArrayT, ord: Any = "fro", dim: Dims = (-2, -1), keepdim: bool = False, *, dtype: DType = None
) -> ArrayT:
    """A norm of the matrices in the two dimensions `dim`.

    'fro' is √Σ x², 1 the largest column sum and ∞ the largest row sum of absolute values, 2 the largest singular value,
    'nuc' the sum of all singular values; a minus sign (-1, -2, -∞) takes the smallest. Raises ValueError for another
    `ord`, and where `dim` is not two dimensions.
    """
    ndim = np.ndim(unwrap(A))
    axes = axes_of(dim, ndim) or ()
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ShapeError(f"matrix_norm expected two different dimensions, got dim={dim!r} for {ndim} dimensions")
    if ord == "fro":
        return vector_norm(A, 2, axes, keepdim, dtype=dtype)
    if dtype is not None:
        A = cast(A, dtype)
    if ord in ("nuc", 2, -2):
        values = svdvals(movedim(A, axes, (-2, -1)))
        y = sum(values, -1) if ord == "nuc" else (amax if ord > 0 else amin)(values, -1)
        if not keepdim:
            return y
        shape = np.shape(unwrap(A))
        return reshape(y, tuple(1 if axis in axes else n for axis, n in enumerate(shape)))
    if ord not in (1, -1, np.inf, -np.inf):
        raise ShapeError(f"matrix_norm expected ord 'fro', 'nuc', ±1, ±2 or ±inf, got {ord!r}")
    inner, over = axes if abs(ord) == 1 else axes[::-1]
    total = vector_norm(A, 1, inner, True)
    y = (amax if ord > 0 else amin)(total, over, True)
    return y if keepdim else sum(y, axes)


implements(np.linalg.norm)(lambda x, ord=None, axis=None, keepdims=False: linalg_norm(x, ord, axis, bool(keepdims)))
