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

from ..geometry import Ints, Pairs
from ..layout import Array, channels_to_last
from . import sweep
from .jit import njit
from .native import Task, address
from .plans import WORTH_A_THREAD
from .sweep import FLOAT, PANEL, PANEL_BYTES, strip
from .vector import LANES, ROWS, integers, load_float, store_float

# How many times more work than needed the padded image must cause before this pays, and images at a time.
WASTE, TOGETHER = 1.15, 2 * ROWS


def suits(x: Ints, w: Ints, out: Ints, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> bool:
    """Whether this applies and pays: images enough for the tile, and much to leave out."""
    if groups != 1 or any(s != 1 for s in (*stride, *dilation)) or x[1] < 8 or w[0] < 4 or x[0] < ROWS - 2:
        return False
    waste = 1.2 if out[1] < ROWS // 2 else 1.0  # the tile of a sweep is a row; shorter ones leave it idle
    waste *= -(-w[0] // LANES) * LANES / (-(-w[0] // PANEL) * PANEL)  # which knows half panels
    for i in (0, 1):
        low, k = padding[i][0], w[2 + i]
        inside = sum(max(0, min(k, x[2 + i] + low - j) - max(0, low - j)) for j in range(out[i]))
        waste *= k * out[i] / max(1, inside)
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
    taps = np.array(
        [u * w.strides[2] + v * w.strides[3] for u, v in product(range(k_h), range(k_w))], np.int64
    )
    weights = np.empty(panels * len(taps) * c * PANEL, np.float32)
    entries: tuple[int, ...] = (
        address(w), w.strides[0], w.strides[1], address(taps), len(taps), c, o, address(weights),
    )  # fmt: skip
    sweep.pack.run(entries, panels, max(1, 200_000 * panels // w.size))
    groups = max(1, n // TOGETHER)
    entries = (
        n, groups, rows.strides[0], address(rows), rows.strides[1], height, width, c, padding[0][0], padding[1][0],
        k_h, k_w, address(weights), o, address(y), y.strides[0], y.strides[2], y.strides[3], y.shape[2], y.shape[3],
    )  # fmt: skip
    work = n * y.shape[3] * k_h * k_w * c * o
    correlate_rows.run(entries, groups * y.shape[2], max(1, groups * WORTH_A_THREAD // work))


@Task
def correlate_rows(table, first, last):
    """Output rows of groups of images, see `correlate_row`: (images, groups, bytes per image, source, bytes per row,
    H, W, channels, low padding, kernel, weights, outputs, target, its image, row and pixel steps, out H, out W)."""
    t = integers(table)
    n, image, groups = t[0], t[2], t[1]
    start = np.zeros(1, np.int64)
    scratch = np.empty(2 * TOGETHER * PANEL, np.float32)  # images of the largest group
    for unit in range(first, last):
        group, i = unit // t[18], unit % t[18]
        low, high = n * group // groups, n * (group + 1) // groups
        correlate_row(
            i, high - low, t[3] + low * image, image, t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13],
            t[14] + low * t[15], t[15], t[16], t[17], t[19], start.ctypes.data, scratch.ctypes.data,
        )  # fmt: skip
    start[0] = 0  # alive to here, like scratch: the loops know them by address only
    scratch[0] = 0


@njit(nogil=True, cache=True)
def correlate_row(
    i, images, source, image, row, height, width, channels, low_h, low_w, k_h, k_w, weights, outputs, target,
    target_image, target_row, target_pixel, out_w, table, scratch,
):  # fmt: skip
    """Output row i of some images. The taps of one kernel row are neighbours in the image and in the weights:
    one run."""
    pixel = channels * FLOAT
    u_low, u_high = max(0, low_h - i), min(k_h, height + low_h - i)
    for panel in range((outputs + PANEL - 1) // PANEL):
        lanes = min(PANEL, outputs - panel * PANEL)
        packed = weights + panel * k_h * k_w * channels * PANEL_BYTES
        for j in range(out_w):
            v_low, v_high = max(0, low_w - j), min(k_w, width + low_w - j)
            at = target + i * target_row + j * target_pixel + panel * PANEL_BYTES
            none = u_low >= u_high or v_low >= v_high
            to, step = (at, target_image) if lanes == PANEL else (scratch, PANEL_BYTES)
            for u in range(u_low, u_low if none else u_high):
                strip(
                    images, source + (i + u - low_h) * row + (j + v_low - low_w) * pixel, image, FLOAT, table, 1,
                    (v_high - v_low) * channels, packed + (u * k_w + v_low) * channels * PANEL_BYTES, to, step, PANEL,
                    u > u_low, scratch,
                )  # fmt: skip
            if none or lanes < PANEL:
                for n in range(images):
                    for lane in range(0, lanes * FLOAT, FLOAT):
                        value = np.float32(0) if none else load_float(scratch + n * PANEL_BYTES + lane)
                        store_float(at + n * target_image + lane, value)
