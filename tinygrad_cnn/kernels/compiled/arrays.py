"""How arrays reach compiled loops: as addresses, so that each loop is compiled once, whatever the layout and
the flags."""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import carray

from ..layout import Array
from .jit import njit
from .vector import doubles, floats, short_integers

# Numbers a thread should have to touch before it gets a share: a few microseconds of a plain pass.
WORTH_A_THREAD = 16_000


def ours(*arrays: Array) -> bool:
    """Float32, and not empty: what the loops are compiled for."""
    return all(a.dtype == np.float32 and a.size for a in arrays)


def grain(units: int, numbers: int) -> int:
    """Units per shard, so that a shard is worth a thread."""
    return max(1, min(units, units * WORTH_A_THREAD // max(1, numbers)))


def dense(x: Array) -> bool:
    """Whether x fills its memory without gaps, in some order of its axes."""
    if x.flags.c_contiguous or x.flags.f_contiguous:
        return True
    expected = x.itemsize
    for stride, size in sorted(_order(x)):
        if stride != expected:
            return False
        expected *= size
    return True


def alike(x: Array, *others: Array) -> bool:
    """Whether all arrays lie in memory in the same order, without gaps: then passes need not know the
    shape."""
    return dense(x) and all(o.strides == x.strides or (dense(o) and _order(o) == _order(x)) for o in others)


def like(x: Array, other: Array) -> Array:
    """`other` in the memory order of x: itself, or a copy."""
    if alike(x, other):
        return other
    copy = np.empty_like(x)
    copy[...] = other
    return copy


def _order(x: Array) -> list[tuple[int, int]]:
    return [(s, n) for s, n in zip(x.strides, x.shape) if n > 1]


@njit(nogil=True, cache=True)
def view(address, count):
    """The `count` float32 at an address."""
    return carray(floats(address), count)


@njit(nogil=True, cache=True)
def view_integers(address, count):
    """The `count` int32 at an address."""
    return carray(short_integers(address), count)


@njit(nogil=True, cache=True)
def view_doubles(address, count):
    """The `count` float64 at an address."""
    return carray(doubles(address), count)
