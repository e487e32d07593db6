"""What every data set here is: all its samples in two arrays, served one by one as PyTorch's data sets are.

A sample is `(input, label)`. Whoever wants speed takes everything at once with `arrays()`. The data loader
only needs `len()` and `[]`; this file imports nothing of the engine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.support.errors import DataError

__all__ = ["ArrayDataset"]

Transform = Callable[[Any], Any]


class ArrayDataset:
    """Samples held in memory.

    data      uint8 images (N, H, W), served as float32 (1, H, W) in [0, 1],
              or float signals (N, L), served as float32 (1, L) unchanged
    targets   int64 (N,), each a position in `classes`
    transform, target_transform   called on every input and label that `[]` hands out
    """

    def __init__(
        self,
        data: npt.NDArray[Any],
        targets: npt.ArrayLike,
        classes: Sequence[str],
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        self.data = data
        self.targets: npt.NDArray[np.int64] = np.asarray(targets, np.int64)
        self.classes = tuple(classes)
        self.transform = transform
        self.target_transform = target_transform
        name = type(self).__name__
        if self.targets.shape != data.shape[:1]:
            raise DataError(
                f"{name} expected one label per sample, got data {data.shape} and labels {self.targets.shape}"
            )
        if self.targets.size and not 0 <= self.targets.min() <= self.targets.max() < len(self.classes):
            raise DataError(
                f"{name} expected labels from 0 to {len(self.classes) - 1}, "
                f"got {self.targets.min()} to {self.targets.max()}"
            )

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, Any]:
        """Sample `index` as (input, label); negative ones count from the end. IndexError outside the set."""
        i = operator.index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} samples, got index {i}")
        value: Any = _as_input(self.data[i])
        label: Any = int(self.targets[i])
        if self.transform is not None:
            value = self.transform(value)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return value, label

    def arrays(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """All inputs, (N, 1, H, W) or (N, 1, L) in float32, and all labels (N,), before any transform.

        Both are the caller's own: writing into them changes nothing here. Images take 4 bytes a pixel this
        way, 188 MB for 60,000 of 28×28.
        """
        return _as_input(self.data, axis=1), self.targets.copy()

    def __repr__(self) -> str:
        shape = " × ".join(str(n) for n in self.data.shape[1:])
        return f"{type(self).__name__}({len(self):,} samples of {shape}, {len(self.classes)} classes)"


def _as_input(raw: npt.NDArray[Any], axis: int = 0) -> npt.NDArray[np.float32]:
    """Pixels become float32 in [0, 1]; a channel axis of length 1 is added. Always a fresh array."""
    if raw.dtype == np.uint8:
        return np.divide(np.expand_dims(raw, axis), 255, dtype=np.float32)
    return np.expand_dims(raw.astype(np.float32), axis)
