"""From planes to channels-last memory, in blocks that are transposed in registers.

Kernels want the channels of a pixel side by side. Networks stay in that layout from the first convolution on; what
comes from outside, or from other ops, is brought into it here, several times faster than NumPy copies it.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from ..layout import Array, channels_to_last, empty_channels_last
from .arrays import grain
from .native import Task, address
from .tiles import FLOAT
from .vector import LANES, integers, load_float, store_float, transpose

# Pixels of a unit of work: four cache lines of each plane.
PIXELS = 64


def channels_last(x: Array) -> Array:
    """Float32 x (N, C, H, W), copied to channels-last memory if it is a stack of LANES planes or more; else x."""
    if x.ndim != 4 or x.shape[1] < LANES or x.strides[1] == FLOAT:
        return x
    n, c, height, width = x.shape
    if x.strides[3] != FLOAT or x.strides[2] != width * FLOAT or height * width < LANES:
        return x
    y = empty_channels_last(x.shape, x.dtype)
    pixels = height * width
    units = n * -(-pixels // PIXELS)
    planes.run((address(x), x.strides[0], x.strides[1], address(y), c, pixels), units, grain(units, x.size))
    return y


def rows(x: Array) -> Array:
    """Float32 x (N, C, *spatial) as a C-contiguous (N, *spatial, C); no copy where x is channels-last already."""
    return np.ascontiguousarray(channels_to_last(channels_last(x)))


@Task
def planes(table, first, last):
    """(x, its image and channel steps, y, C, pixels): units of PIXELS pixels, all channels."""
    t = integers(table)
    image_step, plane, c, pixels = t[1], t[2], t[4], t[5]
    units = (pixels + PIXELS - 1) // PIXELS
    whole = c // LANES * LANES
    row = c * FLOAT
    for unit in range(first, last):
        n, low = unit // units, unit % units * PIXELS
        high = min(low + PIXELS, pixels)
        blocks = low + (high - low) // LANES * LANES
        source, target = t[0] + n * image_step, t[3] + n * pixels * row
        for k in range(0, whole, LANES):
            for p in range(low, blocks, LANES):
                transpose(source + k * plane + p * FLOAT, plane, target + p * row + k * FLOAT, row)
        for k in range(c):
            for p in range(blocks if k < whole else low, high):
                store_float(target + p * row + k * FLOAT, load_float(source + k * plane + p * FLOAT))
