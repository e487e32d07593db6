"""A few images at a time, channels-last with zeros around them: the description of what the sweeps read."""

from __future__ import annotations

import numpy as np

from ..layout import Array
from . import sweep

# A block of this size stays in the second-level cache beside a panel of weights.
BLOCK_BYTES = 1 << 19


class Block:
    """Float32 x (N, C, H, W) padded to `size` with `low` zeros before (negative: cut), a block of images at
    a time.

    `pixel`, `row` and `image` are the steps in bytes of what is read: x itself where it already looks like
    that.
    """

    def __init__(self, x: Array, low: list[int], size: list[int]) -> None:
        height, width = x.shape[2:]
        self.x, self.shape = x, (size[0], size[1], x.shape[1])
        skip = [max(0, -low[0]), max(0, -low[1])]
        low = [max(0, low[0]), max(0, low[1])]
        inside = [max(0, min(n - s, all_ - lo)) for n, s, all_, lo in zip((height, width), skip, size, low)]
        self.pixel, self.row = x.shape[1] * sweep.FLOAT, size[1] * x.shape[1] * sweep.FLOAT
        self.image = size[0] * self.row
        steps = zip(x.strides[1:], (sweep.FLOAT, self.row, self.pixel), x.shape[1:])
        self.direct = inside == list(size) and all(a == b or n == 1 for a, b, n in steps)
        self.images = max(1, BLOCK_BYTES // max(1, self.image))
        self.begin = skip[0] * x.strides[2] + skip[1] * x.strides[3]
        self.fields = (*inside, x.shape[1]), low[0] * self.row + low[1] * self.pixel

    def table(self, most: int) -> tuple[Array, Array | None]:
        """The table `block` of `sweep` and the memory it points to; one per shard, for blocks of up to
        `most` images."""
        images = min(self.images, max(1, most))
        padded = None if self.direct else np.zeros((images, *self.shape), np.float32)
        x, (inside, first) = self.x, self.fields
        address = 0 if padded is None else padded.ctypes.data
        entries = (
            images, self.begin, x.strides[0], x.strides[2], x.strides[3], x.strides[1], *inside, address,
            first, self.image, self.row, self.pixel,
        )  # fmt: skip
        return np.array(entries, np.int64), padded
