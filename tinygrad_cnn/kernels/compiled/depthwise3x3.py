"""Depthwise correlation with 3x3 kernels at stride 1, the usual kind: a window slides along a row in registers.

Each new pixel costs three loads instead of nine; the nine weights (or the nine sums of their gradient) stay in
registers for a whole row. Rows and columns outside the image are zeros. Called by `depthwise`, whose tables they share.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from .jit import njit
from .tiles import FLOAT, VECTOR_BYTES
from .vector import fma, load, prefetch, splat, store


@njit(nogil=True, cache=True)
def three_rows(n, top, height, width, pixel, source, zeros):
    """Where the three rows of a window lie; those outside the image are read from `zeros`."""
    base, row = source + n * height * width * pixel, width * pixel
    first = base + top * row if 0 <= top < height else zeros
    second = base + (top + 1) * row if 0 <= top + 1 < height else zeros
    third = base + (top + 2) * row if 0 <= top + 2 < height else zeros
    return first, second, third


@njit(nogil=True, cache=True)
def column_of(p, q, r, column, width, pixel, c):
    """One column of a window's three rows; zeros outside the image."""
    if 0 <= column < width:
        here = c + column * pixel
        prefetch(r + width * pixel + here)  # the next row: a walk in steps is not foreseen
        return load(p + here), load(q + here), load(r + here)
    zero = splat(np.float32(0))
    return zero, zero, zero


@njit(nogil=True, cache=True)
def forward(
    first, last, channels, height, width, out_height, out_width, low_h, low_w, source, packed, target, zeros
):
    """Images [first, last)."""
    pixel = channels * FLOAT
    for n in range(first, last):
        for i in range(out_height):
            p, q, r = three_rows(n, i - low_h, height, width, pixel, source, zeros)
            out = target + (n * out_height + i) * out_width * pixel
            for c in range(0, pixel, VECTOR_BYTES):
                at = packed + c
                w0, w1, w2 = load(at), load(at + pixel), load(at + 2 * pixel)
                w3, w4, w5 = load(at + 3 * pixel), load(at + 4 * pixel), load(at + 5 * pixel)
                w6, w7, w8 = load(at + 6 * pixel), load(at + 7 * pixel), load(at + 8 * pixel)
                a0, a1, a2 = column_of(p, q, r, -low_w, width, pixel, c)
                b0, b1, b2 = column_of(p, q, r, 1 - low_w, width, pixel, c)
                for j in range(out_width):
                    d0, d1, d2 = column_of(p, q, r, j + 2 - low_w, width, pixel, c)
                    x = fma(a0, w0, fma(b0, w1, d0 * w2))
                    y = fma(a1, w3, fma(b1, w4, d1 * w5))
                    z = fma(a2, w6, fma(b2, w7, d2 * w8))
                    store(out + j * pixel + c, (x + y) + z)
                    a0, a1, a2 = b0, b1, b2
                    b0, b1, b2 = d0, d1, d2


@njit(nogil=True, cache=True)
def weights(
    first, last, channels, height, width, out_height, out_width, low_h, low_w, source, upstream, sums, zeros
):
    """Adds images [first, last) to sums (9, channels)."""
    pixel = channels * FLOAT
    for n in range(first, last):
        for i in range(out_height):
            p, q, r = three_rows(n, i - low_h, height, width, pixel, source, zeros)
            up = upstream + (n * out_height + i) * out_width * pixel
            for c in range(0, pixel, VECTOR_BYTES):
                at = sums + c
                w0, w1, w2 = load(at), load(at + pixel), load(at + 2 * pixel)
                w3, w4, w5 = load(at + 3 * pixel), load(at + 4 * pixel), load(at + 5 * pixel)
                w6, w7, w8 = load(at + 6 * pixel), load(at + 7 * pixel), load(at + 8 * pixel)
                a0, a1, a2 = column_of(p, q, r, -low_w, width, pixel, c)
                b0, b1, b2 = column_of(p, q, r, 1 - low_w, width, pixel, c)
                for j in range(out_width):
                    d0, d1, d2 = column_of(p, q, r, j + 2 - low_w, width, pixel, c)
                    prefetch(up + (out_width + j) * pixel + c)
                    g = load(up + j * pixel + c)
                    w0, w1, w2 = fma(a0, g, w0), fma(b0, g, w1), fma(d0, g, w2)
                    w3, w4, w5 = fma(a1, g, w3), fma(b1, g, w4), fma(d1, g, w5)
                    w6, w7, w8 = fma(a2, g, w6), fma(b2, g, w7), fma(d2, g, w8)
                    a0, a1, a2 = b0, b1, b2
                    b0, b1, b2 = d0, d1, d2
                store(at, w0)
                store(at + pixel, w1)
                store(at + 2 * pixel, w2)
                store(at + 3 * pixel, w3)
                store(at + 4 * pixel, w4)
                store(at + 5 * pixel, w5)
                store(at + 6 * pixel, w6)
                store(at + 7 * pixel, w7)
                store(at + 8 * pixel, w8)
