"""Noise in the shape of a data set, for trying a training out."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.compat.torchvision.datasets.vision import Change, VisionDataset
from tinygrad_cnn.compat.torchvision.transforms.functional import to_pil_image

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """`size` images (C, H, W) of noise with random labels; sample i is the same each time.

    `random_offset` is added to the number of a sample: another offset gives other noise.
    """

    def __init__(
        self, size: int = 1000, image_size: tuple[int, ...] = (3, 224, 224), num_classes: int = 10,
        transform: Change | None = None, target_transform: Change | None = None, random_offset: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(None, transform=transform, target_transform=target_transform)
        self.size, self.image_size = size, image_size
        self.num_classes, self.random_offset = num_classes, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """(image, label) of sample `index`, after the transforms. IndexError outside the set."""
        if not 0 <= index < len(self):
            raise IndexError(f"FakeData has {len(self)} samples, got index {index}")
        rng = np.random.default_rng(index + self.random_offset)
        noise = tg.from_numpy(rng.integers(0, 256, self.image_size, dtype=np.uint8))
        return self._served(to_pil_image(noise), int(rng.integers(self.num_classes)))

    def __len__(self) -> int:
        return self.size
