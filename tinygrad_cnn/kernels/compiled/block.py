"""A few images at a time, channels-last with zeros around them: the description of what the sweeps read."""

from __future__ import annotations

from ..geometry import Ints
from .tiles import FLOAT

# A block of this size stays in the second-level cache beside a panel of weights.
BLOCK_BYTES = 1 << 19


class Block:
    """Float32 x (N, C, H, W) of this shape and these steps, padded to `size` with `low` zeros before (negative:
    cut), a block of images at a time.

    `pixel`, `row` and `image` are the steps in bytes of what is read: x itself where it already looks like
    that.
    """

    def __init__(self, shape: Ints, steps: Ints, low: list[int], size: list[int]) -> None:
        channels, height, width = shape[1:]
        self.steps = steps
        skip = [max(0, -low[0]), max(0, -low[1])]
        low = [max(0, low[0]), max(0, low[1])]
        inside = [max(0, min(n - s, all_ - lo)) for n, s, all_, lo in zip((height, width), skip, size, low)]
        self.pixel, self.row = channels * FLOAT, size[1] * channels * FLOAT
        self.image = size[0] * self.row
        pairs = zip(steps[1:], (FLOAT, self.row, self.pixel), shape[1:])
        self.direct = inside == list(size) and all(a == b or n == 1 for a, b, n in pairs)
        self.images = max(1, BLOCK_BYTES // max(1, self.image))
        self.begin = skip[0] * steps[2] + skip[1] * steps[3]
        self.fields = (*inside, channels), low[0] * self.row + low[1] * self.pixel

    def entries(self) -> tuple[int, ...]:
        """The table `block` of `sweep`; each shard puts the address of its own padded memory where it says 1."""
        steps, (inside, first) = self.steps, self.fields
        return (
            self.images, self.begin, steps[0], steps[2], steps[3], steps[1], *inside,
            int(not self.direct), first, self.image, self.row, self.pixel,
        )  # fmt: skip
