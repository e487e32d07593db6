"""A few images at a time, channels-last with zeros around them: the description of what the sweeps read."""

from __future__ import annotations

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

    def entries(self) -> tuple[int, ...]:
        """The table `block` of `sweep`; each shard puts the address of its own padded memory where it says 1."""
        x, (inside, first) = self.x, self.fields
        return (
            self.images, self.begin, x.strides[0], x.strides[2], x.strides[3], x.strides[1], *inside,
            int(not self.direct), first, self.image, self.row, self.pixel,
        )  # fmt: skip
