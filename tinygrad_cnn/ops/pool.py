"""Pooling and resampling: linear maps of each channel's plane.

Maximum pooling chooses, and is linear once its choice is recorded: its local gradient is the visible
selection `indices`. Average pooling, adaptive pooling and interpolation are linear as they stand; the last
two are one small matrix per spatial dimension (`resample`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.op import Multilinear
from tinygrad_cnn.ops import pooled

Ints = tuple[int, ...]
ndarray = np.ndarray

# --- choosing ---------------------------------------------------------------------------------------


def _max_pool(x: ndarray, *, indices: ndarray | None = None, **geometry: Any) -> tuple[ndarray, ndarray]:
    if indices is not None:
        return kernels.take_windows(x, indices), indices
    return kernels.max_pool(x, **geometry)


max_pool = Multilinear(
    "max_pool", _max_pool,
    lambda g, x, *, indices, **_geometry: (
        pooled.below_pool(g, x, indices) or scatter_windows(g, indices=indices, shape=tuple(x.shape))
    ),
    choice=("indices",), formula="max over each window of x", local=("1 at the chosen positions, else 0",),
    doc="Maximum of each window of x (N, C, *spatial); params kernel, stride, padding, dilation, ceil_mode.",
)  # fmt: skip


def _adaptive_max_pool(x: ndarray, *, size: Ints, indices: ndarray | None = None) -> tuple[ndarray, ndarray]:
    if indices is None:
        indices = np.empty((*x.shape[:2], *size), np.int32)
        spatial = x.shape[2:]
        cells = [adaptive_windows(n, m) for n, m in zip(spatial, size, strict=True)]
        for at in np.ndindex(*size):
            windows = [window[i] for window, i in zip(cells, at, strict=True)]
            part = x[:, :, *[slice(low, high) for low, high in windows]]
            best = np.unravel_index(part.reshape(*x.shape[:2], prod(part.shape[2:])).argmax(axis=2), part.shape[2:])
            inside = [b + low for b, (low, _high) in zip(best, windows, strict=True)]
            indices[:, :, *at] = np.ravel_multi_index(inside, spatial)
    return kernels.take_windows(x, indices), indices


adaptive_max_pool = Multilinear(
    "adaptive_max_pool", _adaptive_max_pool,
    lambda g, x, *, indices, **_size: scatter_windows(g, indices=indices, shape=tuple(x.shape)),
    choice=("indices",), formula="max over each cell of a `size` grid", local=("1 at the chosen positions, else 0",),
    doc="Maximum of each cell when the plane is divided into `size` cells, which may overlap by one.",
)  # fmt: skip


def adaptive_windows(n: int, m: int) -> list[tuple[int, int]]:
    """Where the m cells of n positions begin and end: floor(i·n/m) to ceil((i+1)·n/m)."""
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


take_windows = Multilinear(
    "take_windows", lambda x, *, indices: kernels.take_windows(x, indices),
    lambda g, x, *, indices: scatter_windows(g, indices=indices, shape=tuple(x.shape)),
    selection=True, formula="x[n, c].ravel()[indices[n, c]]", local=("1 at the chosen positions, else 0",),
)  # fmt: skip

scatter_windows: Multilinear = Multilinear(
    "scatter_windows", lambda g, *, indices, shape: kernels.scatter_windows(g, indices, shape=shape),
    lambda u, _g, *, indices, **_shape: take_windows(u, indices=indices),
    formula="zeros of `shape` with x added at the indices", local=("u at the indices",),
)  # fmt: skip


def _max_unpool(x: ndarray, *, indices: ndarray, shape: Ints) -> ndarray:
    # Written, not added: where windows overlapped and chose the same position, the last one wins (as in PyTorch).
    plane = int(np.prod(shape[2:], dtype=np.int64))
    if indices.size and not 0 <= indices.min() <= indices.max() < plane:
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise IndexError(f"max_unpool expected indices 0 to {plane - 1} for output planes {shape[2:]}, got {wrong}")
    out = np.zeros((*x.shape[:2], plane), x.dtype)
    flat = (*x.shape[:2], prod(x.shape[2:]))
    np.put_along_axis(
        out, indices.reshape(flat).astype(np.int64), x.reshape(flat), axis=2
    )
    return out.reshape(shape)


max_unpool = Multilinear(
    "max_unpool", _max_unpool, lambda g, _x, *, indices, **_shape: take_windows(g, indices=indices),
    formula="zeros of `shape` with x at the indices", local=("g at the indices",),
    doc="The partial inverse of `max_pool`: x goes back to where the maxima were.",
)  # fmt: skip

#: One matrix per trailing dimension; None leaves it as it is.
Matrices: TypeAlias = tuple[ndarray | None, ...]

# --- averaging --------------------------------------------------------------------------------------

avg_pool = Multilinear(
    "avg_pool", kernels.avg_pool,
    lambda g, x, **geometry: avg_pool_input(g, shape=tuple(x.shape), **geometry),
    formula="mean over each window of x", local=("g / window size, spread over the window",),
    doc="Average of each window of x (N, C, *spatial).",
)  # fmt: skip

avg_pool_input: Multilinear = Multilinear(
    "avg_pool_input", kernels.avg_pool_input,
    lambda u, _g, *, shape, **geometry: avg_pool(u, **geometry),
    formula="x / window size, spread over each window", local=("mean of u over each window",),
)  # fmt: skip


def _resample(x: ndarray, *, matrices: Matrices) -> ndarray:
    spatial = len(matrices)
    for k, matrix in enumerate(matrices):
        if matrix is not None:
            axis = x.ndim - spatial + k
            rows, weights = np.moveaxis(x, axis, -1), matrix.astype(x.dtype)
            with np.errstate(invalid="ignore"):
                y = np.matmul(rows, weights.T)
            if not np.isfinite(y).all():
                y = _weighted(rows, weights)
            x = np.moveaxis(y, -1, axis)
    return x


def _weighted(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """rows @ matrix.T where a weight of 0 means that the entry is not looked at: a nan or inf stays in its windows."""
    seen = matrix != 0
    order = np.argsort(~seen, axis=1, kind="stable")
    y = np.zeros((*rows.shape[:-1], len(matrix)), rows.dtype)
    for k in range(int(seen.sum(1).max(initial=0))):
        at = order[:, k]
        weight = matrix[np.arange(len(matrix)), at]
        y += np.where(weight != 0, rows[..., at] * weight, 0)
    return y


def _transposed(matrices: Matrices) -> Matrices:
    return tuple(None if matrix is None else matrix.T for matrix in matrices)


resample: Multilinear = Multilinear(
    "resample", _resample,
    lambda g, _x, *, matrices: resample(g, matrices=_transposed(matrices)),
    formula="A · x along each spatial dimension", local=("Aᵀ · g along each spatial dimension",),
    doc="One matrix (out, in) per trailing dimension of x (None: leave it): separable resampling.",
)  # fmt: skip


def _repeat(x: ndarray, *, factors: Ints) -> ndarray:
    for k, factor in enumerate(factors):
        if factor != 1:
            x = np.repeat(x, factor, axis=x.ndim - len(factors) + k)
    return x


def _block_sum(x: ndarray, *, factors: Ints) -> ndarray:
    lead = x.ndim - len(factors)
    blocks: list[int] = []
    for n, factor in zip(x.shape[lead:], factors, strict=True):
        blocks += [n // factor, factor]
    return x.reshape(*x.shape[:lead], *blocks).sum(axis=tuple(range(lead + 1, lead + 2 * len(factors), 2)))


nearest_upsample = Multilinear(
    "nearest_upsample", _repeat, lambda g, _x, **factors: block_sum(g, **factors),
    selection=True, formula="each entry repeated `factors` times", local=("g summed over each block",),
)  # fmt: skip
block_sum: Multilinear = Multilinear(
    "block_sum", _block_sum, lambda g, _x, **factors: nearest_upsample(g, **factors),
    formula="x summed over each block of `factors`", local=("g repeated over each block",),
)  # fmt: skip

# --- the matrices of resampling ---------------------------------------------------------------------


def adaptive_average_matrix(n: int, m: int) -> np.ndarray:
    """(m, n): row i averages cell i of `adaptive_windows`."""
    matrix = np.zeros((m, n))
    for i, (low, high) in enumerate(adaptive_windows(n, m)):
        matrix[i, low:high] = 1 / (high - low)
    return matrix


def interpolation_matrix(
    n: int, m: int, mode: str, *, align_corners: bool = False, scale: float | None = None, antialias: bool = False
) -> np.ndarray:
    """(m, n): row i holds the weights of the inputs from which output i is interpolated.

    `mode` is nearest, nearest-exact, linear or cubic; `scale` the factor the caller gave (else m / n), which
    PyTorch uses for the positions; `antialias` stretches the filter over all inputs that an output stands for.
    """
    matrix = np.zeros((m, n))
    rows = np.arange(m)
    step = 1 / scale if scale else n / m
    if antialias:
        if align_corners:
            step = (n - 1) / (m - 1) if m > 1 else 0.0
        return _stretched_filter(n, m, step, mode)
    if mode in ("nearest", "nearest-exact"):
        # float32 as in PyTorch: at such products rounding decides which neighbour is nearest
        shifted = (rows + 0.5) if mode == "nearest-exact" else rows
        source = np.floor(shifted.astype(np.float32) * np.float32(step)).astype(np.int64)
        matrix[rows, np.minimum(source, n - 1)] = 1
        return matrix
    if align_corners:
        position = rows * ((n - 1) / (m - 1) if m > 1 else 0.0)
    else:
        position = (rows + 0.5) * step - 0.5
    weigh: Callable[[np.ndarray], list[tuple[int, np.ndarray]]] = linear_weights
    if mode == "linear":
        position = np.maximum(position, 0)
    else:
        weigh = cubic_weights
    base = np.floor(position).astype(np.int64)
    for offset, weight in weigh(position - base):
        np.add.at(matrix, (rows, np.clip(base + offset, 0, n - 1)), weight)
    return matrix


def _stretched_filter(n: int, m: int, step: float, mode: str) -> np.ndarray:
    """Pillow's resampling: the filter as wide as the step between outputs, cut off at the borders, its sum 1."""
    wide = max(step, 1.0)
    reach = (1 if mode == "linear" else 2) * wide
    centre = (step * (np.arange(m) + 0.5))[:, None]
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    behind = np.minimum((centre + reach + 0.5).astype(np.int64), n)
    places = np.arange(n)
    t = np.abs((places - centre + 0.5) / wide)
    if mode == "linear":
        weights = np.maximum(1 - t, 0)
    else:  # Keys' cubic, here with a = -1/2
        near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
        weights = np.where(t < 1, near, np.where(t < 2, far, 0))
    weights = np.where((places >= first) & (places < behind), weights, 0)
    return weights / weights.sum(1, keepdims=True)


def linear_weights(t: ndarray) -> list[tuple[int, ndarray]]:
    return [(0, 1 - t), (1, t)]


def cubic_weights(t: ndarray, a: float = -0.75) -> list[tuple[int, ndarray]]:
    """Keys' cubic convolution (1981) with a = -0.75, as PyTorch and OpenCV use it."""
    near = lambda s: ((a + 2) * s - (a + 3)) * s * s + 1
    far = lambda s: ((a * s - 5 * a) * s + 8 * a) * s - 4 * a
    return [(-1, far(t + 1)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))]


__all__ = [
    "adaptive_average_matrix", "adaptive_max_pool", "adaptive_windows", "avg_pool", "avg_pool_input", "block_sum",
    "cubic_weights", "interpolation_matrix", "linear_weights", "max_pool", "max_unpool", "nearest_upsample", "resample",
    "scatter_windows", "take_windows",
]  # fmt: skip
