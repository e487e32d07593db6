"""Memory layouts: which arrays are channels-last, and how to get an array in the layout a kernel wants.

Shapes are always (N, C, *spatial). *Channels-last* means that in memory the channels of one pixel are
neighbours (N, *spatial, C), which turns lowering, pooling, bias and normalisation into long contiguous runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Orders of axes by the number of dimensions: np.moveaxis works them out anew each time, for longer than a small
# kernel takes.
_TO_LAST = [(0, *range(2, n), 1)[:n] for n in range(33)]
_FROM_LAST = [(0, n - 1, *range(1, n - 1))[:n] for n in range(33)]


def empty_channels_last(shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialised array of shape (N, C, *spatial) whose memory is (N, *spatial, C)."""
    return np.empty((shape[0], *shape[2:], shape[1]), dtype).transpose(_FROM_LAST[len(shape)])


def zeros_channels_last(shape: tuple[int, ...], dtype: Any) -> Array:
    """As `empty_channels_last`, filled with zeros."""
    return np.zeros((shape[0], *shape[2:], shape[1]), dtype).transpose(_FROM_LAST[len(shape)])


def rows(x: Array) -> Array:
    """x (N, C, *spatial) as a C-contiguous (N, *spatial, C); no copy where x is channels-last already."""
    return np.ascontiguousarray(channels_to_last(x))


def channels_to_last(x: Array) -> Array:
    """x (N, C, *spatial) seen as (N, *spatial, C)."""
    return x.transpose(_TO_LAST[x.ndim])


def is_channels_last(x: Array) -> bool:
    """True where (N, *spatial, C) is the order of x in memory, without gaps."""
    return x.ndim > 2 and x.transpose(_TO_LAST[x.ndim]).flags.c_contiguous


def accumulator(dtype: Any) -> np.dtype[Any]:
    """The dtype sums are kept in: float32 for float16, else the dtype itself, in this machine's order of bytes."""
    dtype = np.dtype(dtype).newbyteorder("=")
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def per_channel(v: Array, ndim: int) -> Array:
    """v (C,) shaped so that it broadcasts over x (N, C, *spatial)."""
    return v.reshape(-1, *(1,) * (ndim - 2))
