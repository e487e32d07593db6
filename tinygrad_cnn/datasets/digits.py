"""The digits inside the package: a small balanced subset of MNIST, so that a first training needs no network.

The files beside (`digits_data/`) are written by tools/make_digits.py; ATTRIBUTION.md there says whose they
are.
"""

from __future__ import annotations

from pathlib import Path

from tinygrad_cnn.datasets.base import ArrayDataset, Transform
from tinygrad_cnn.datasets.mnist import read_images_and_labels

__all__ = ["Digits"]

_FOLDER = Path(__file__).with_name("digits_data")


class Digits(ArrayDataset):
    """5,000 (train=True) or 1,000 real handwritten digits of 28×28, as many of each class.

    They come from MNIST's own two parts. An item is (float32 (1, 28, 28) in [0, 1], int). MNIST by LeCun,
    Bottou, Bengio and Haffner (Proc. IEEE 86, 1998), CC BY-SA 3.0.
    """

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        self.train = train
        part = "train" if train else "t10k"
        data, targets = read_images_and_labels(
            _FOLDER / f"{part}-images-idx3-ubyte.gz",
            _FOLDER / f"{part}-labels-idx1-ubyte.gz",
            size=(28, 28),
            classes=10,
        )
        super().__init__(data, targets, tuple("0123456789"), transform, target_transform)
