"""How arrays reach compiled loops: flat, contiguous, writable in type, so that each loop is compiled once per dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layout import Array

# Numbers a thread should have to touch before it is worth waking: some 50 microseconds of a plain pass.
WORTH_A_THREAD = 50_000


def ours(*arrays: Array) -> bool:
    """Float32 or float64, all the same, and not empty: what the loops are compiled for."""
    dtype = arrays[0].dtype
    return dtype in _FLOATS and all(a.dtype == dtype and a.size for a in arrays)


def flat(x: Array) -> Array:
    """The memory of x, which has no gaps, as one dimension in memory order.

    Numba compiles a second time for read-only arrays; the loops never write to their inputs, so the flag is left out.
    """
    line = x.ravel(order="K") if not (x.flags.c_contiguous) else x.reshape(-1)
    if line.flags.writeable:
        return line
    return np.asarray(_Memory(line))


def grain(units: int, numbers: int) -> int:
    """Units per shard, so that a shard is worth a thread."""
    return max(1, min(units, units * WORTH_A_THREAD // max(1, numbers)))


def dense(x: Array) -> bool:
    """Whether x fills its memory without gaps, in some order of its axes."""
    expected = x.itemsize
    for stride, size in sorted((s, n) for s, n in zip(x.strides, x.shape) if n > 1):
        if stride != expected:
            return False
        expected *= size
    return True


def alike(x: Array, *others: Array) -> bool:
    """Whether all arrays lie in memory in the same order, without gaps: then passes need not know the shape."""
    return dense(x) and all(o.strides == x.strides or (dense(o) and _order(o) == _order(x)) for o in others)


def _order(x: Array) -> list[tuple[int, int]]:
    return [(s, n) for s, n in zip(x.strides, x.shape) if n > 1]


class _Memory:
    """Presents an array's memory without its read-only flag, and keeps it alive."""

    def __init__(self, x: Array) -> None:
        self.owner = x
        self.__array_interface__: dict[str, Any] = {
            "data": (x.ctypes.data, False), "shape": x.shape, "typestr": x.dtype.str, "version": 3,
        }  # fmt: skip


_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
