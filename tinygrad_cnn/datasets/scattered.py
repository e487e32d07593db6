"""Digits scattered over a canvas, made from the packaged ones: pixel labels for segmentation, boxes for detection."""

from __future__ import annotations

import operator
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.datasets.base import Transform
from tinygrad_cnn.datasets.digits import Digits

__all__ = ["ScatteredDigits"]

#: Ink brighter than this share of the full brightness belongs to a digit.
INK = 0.4
_TRIES = 30


class ScatteredDigits:
    """Canvases with a few handwritten digits each, which do not touch; the same for the same arguments on every
    machine.

    task      "segment": a target is int64 (H, W), 0 for the background and d + 1 for the ink of digit d.
              "detect": a target is float32 (most, 5), a row (left, top, right, bottom, digit) per digit in pixels,
              the right and bottom edges outside, and rows of -1 behind them
    train     made of the 5,000 training digits or the 1,000 test digits
    count     canvases; 2,000 or 500 unless given
    size      side of the canvas;  most: of half as many to so many digits on each, as far as there is room

    A sample is (float32 (1, size, size) in [0, 1], target). Raises ValueError for another task, and sizes that
    cannot be.
    """

    def __init__(
        self, task: str = "segment", train: bool = True, count: int | None = None, *, size: int = 64, most: int = 6,
        seed: int = 0, transform: Transform | None = None,
    ) -> None:  # fmt: skip
        if task not in ("segment", "detect"):
            raise ValueError(f"ScatteredDigits expected the task 'segment' or 'detect', got {task!r}")
        count = (2000 if train else 500) if count is None else count
        if count < 1 or size < 28 or most < 1:
            raise ValueError(
                f"ScatteredDigits expected count and most from 1 up and size from 28 up, got {count}, {most} and {size}"
            )
        self.task = task
        self.train = train
        self.transform = transform
        digits = Digits(train=train)
        self.classes = (("background", *digits.classes) if task == "segment" else digits.classes)
        self.data = np.zeros((count, size, size), np.uint8)
        self.labels = np.zeros((count, size, size), np.uint8)
        self.boxes = np.full((count, most, 5), -1, np.float32)
        cut = [_ink(picture) for picture in digits.data]
        rng = np.random.default_rng([seed, int(train)])
        for i in range(count):
            self._fill(i, cut, digits.targets, rng)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: SupportsIndex) -> tuple[object, npt.NDArray[np.generic]]:
        """Sample `index` as (image, target); negative ones count from the end. IndexError outside the set."""
        i = operator.index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"ScatteredDigits has {len(self)} samples, got index {i}")
        image = np.divide(self.data[i][None], 255, dtype=np.float32)
        return image if self.transform is None else self.transform(image), self._targets(i)

    def arrays(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.generic]]:
        """All images (N, 1, size, size) and all targets, before any transform."""
        return np.divide(self.data[:, None], 255, dtype=np.float32), self._targets(slice(None))

    def _targets(self, which: int | slice) -> npt.NDArray[np.generic]:
        return self.labels[which].astype(np.int64) if self.task == "segment" else self.boxes[which].copy()

    def _fill(
        self, i: int, cut: list[npt.NDArray[np.uint8]], targets: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        """Put digits onto canvas i; one that finds no free place is left out, but for the first."""
        canvas, labels, boxes = self.data[i], self.labels[i], self.boxes[i]
        taken = np.zeros(canvas.shape, bool)
        placed = 0
        for _digit in range(int(rng.integers((len(boxes) + 1) // 2, len(boxes) + 1))):
            k = int(rng.integers(len(cut)))
            ink = cut[k]
            height, width = ink.shape
            for _try in range(_TRIES):
                top = int(rng.integers(canvas.shape[0] - height + 1))
                left = int(rng.integers(canvas.shape[1] - width + 1))
                place = slice(top, top + height), slice(left, left + width)
                if taken[place].any():
                    continue
                taken[max(top - 1, 0) : top + height + 1, max(left - 1, 0) : left + width + 1] = True
                canvas[place] = ink
                labels[place][ink > 255 * INK] = targets[k] + 1
                boxes[placed] = left, top, left + width, top + height, targets[k]
                placed += 1
                break

    def __repr__(self) -> str:
        side = self.data.shape[1]
        return f"ScatteredDigits({len(self):,} canvases of {side} × {side}, to {self.task})"


def _ink(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The part of a digit that its ink fills."""
    rows, columns = (np.flatnonzero((picture > 255 * INK).any(axis)) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
