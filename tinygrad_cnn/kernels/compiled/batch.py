"""Correlations whose register tile goes over the images of a batch, one output pixel at a time.

A sweep over the padded image (`sweep`) multiplies with the zeros of the padding. Where that is as wide as the kernel,
as in the input gradient of a convolution without padding, most products may be such (5x5 from 8x8 back to 12x12: 2.25
times more than needed), and rows shorter than the tile leave part of it idle. Here every pixel takes just the taps that
lie inside the image, and the rows of the tile are images. Stride and dilation are 1, one group, float32. Called by
`conv`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

from itertools import product

import numpy as np
from numba import njit

from .. import threads
from ..geometry import Ints, Pairs
from ..layout import Array, channels_to_last
from . import sweep
from .native import Task, address
from .sweep import FLOAT, PANEL, PANEL_BYTES, strip
from .vector import ROWS, integers, store_float

# How many times more work than needed the padded image must cause before this pays.
WASTE = 1.25


def suits(x: Ints, w: Ints, out: Ints, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> bool:
    """Whether this applies and pays: images enough for the tile, and much to leave out."""
    if groups != 1 or any(s != 1 for s in (*stride, *dilation)) or min(x[1], w[0]) < PANEL // 2:
        return False
    if x[0] < ROWS * threads.get_num_threads() - ROWS // 4:
        return False
    waste = ROWS / out[3] if out[3] < ROWS else 1.0
    for i in (0, 1):
        low, k = padding[i][0], w[2 + i]
        inside = sum(max(0, min(k, x[2 + i] + low - j) - max(0, low - j)) for j in range(out[2 + i]))
        waste *= k * out[2 + i] / max(1, inside)
    return waste >= WASTE


def correlate(x: Array, w: Array, y: Array, padding: Pairs) -> None:
    """Writes the correlation of x with w (any strides) into channels-last y; padding may be negative
    (cuts)."""
    n, c, height, width = x.shape
    o, k_h, k_w = w.shape[0], w.shape[2], w.shape[3]
    rows = channels_to_last(x)
    if not rows.flags.c_contiguous:
        rows = np.ascontiguousarray(rows)
    panels = -(-o // PANEL)
    taps = np.array([u * w.strides[2] + v * w.strides[3] for u, v in product(range(k_h), range(k_w))], np.int64)
    weights = np.empty(panels * len(taps) * c * PANEL, np.float32)
    entries: tuple[int, ...] = (
        address(w), w.strides[0], w.strides[1], address(taps), len(taps), c, o, address(weights),
    )  # fmt: skip
    sweep.pack.run(entries, panels, max(1, 200_000 * panels // w.size))
    entries = (
        address(rows), *rows.strides[:2], height, width, c, padding[0][0], padding[1][0], k_h, k_w, address(weights),
        o, address(y), y.strides[0], y.strides[2], y.strides[3], y.shape[2], y.shape[3],
    )  # fmt: skip
    correlate_pixels.run(entries, n, ROWS // 2)


@Task
def correlate_pixels(table, first, last):
    """Images of `correlate_batch`: (source, its image and row steps, H, W, channels, low padding, kernel, weights,
    outputs, target, its image, row and pixel steps, out H, out W)."""
    t = integers(table)
    start = np.zeros(1, np.int64)
    scratch = np.empty(ROWS * PANEL, np.float32)
    correlate_batch(
        last - first, t[0] + first * t[1], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11],
        t[12] + first * t[13], t[13], t[14], t[15], t[16], t[17], start.ctypes.data, scratch.ctypes.data,
    )  # fmt: skip
    start[0] = 0  # alive to here, like scratch: the loops know them by address only
    scratch[0] = 0


@njit(nogil=True, cache=True)
def correlate_batch(
    images, source, image, row, height, width, channels, low_h, low_w, k_h, k_w, weights, outputs, target,
    target_image, target_row, target_pixel, out_h, out_w, table, scratch,
):  # fmt: skip
    """All output pixels of some images. The taps of one kernel row are neighbours in the image and in the
    weights: one run."""
    pixel = channels * FLOAT
    for panel in range((outputs + PANEL - 1) // PANEL):
        lanes = min(PANEL, outputs - panel * PANEL)
        packed = weights + panel * k_h * k_w * channels * PANEL_BYTES
        for i in range(out_h):
            u_low, u_high = max(0, low_h - i), min(k_h, height + low_h - i)
            for j in range(out_w):
                v_low, v_high = max(0, low_w - j), min(k_w, width + low_w - j)
                at = target + i * target_row + j * target_pixel + panel * PANEL_BYTES
                if u_low >= u_high or v_low >= v_high:
                    for n in range(images):
                        for lane in range(lanes):
                            store_float(at + n * target_image + lane * FLOAT, np.float32(0))
                    continue
                for u in range(u_low, u_high):
                    strip(
                        images, source + (i + u - low_h) * row + (j + v_low - low_w) * pixel, image, FLOAT, table, 1,
                        (v_high - v_low) * channels, packed + (u * k_w + v_low) * channels * PANEL_BYTES, at,
                        target_image, lanes, u > u_low, scratch,
                    )  # fmt: skip
