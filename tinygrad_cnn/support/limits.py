"""Bounds on what a file may make a reader allocate: what its header claims is held against the bytes that are there."""

from __future__ import annotations

#: A compressed file may always grow to this many bytes.
FREE = 256 << 20
#: Beyond that, a file may grow to this many times its size. Weights and pictures compress by a factor of 2 to 20.
RATIO = 64
#: NumPy's arrays have at most so many dimensions.
DIMENSIONS = 64


def most(stored: int) -> int:
    """The bytes that a compressed file of `stored` bytes may unpack to."""
    return max(FREE, RATIO * stored)
