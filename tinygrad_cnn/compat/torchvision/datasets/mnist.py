"""MNIST and the sets in its format, from ``root/MNIST/raw`` (or the folder itself), by `tinygrad_cnn.datasets`."""

from __future__ import annotations

import os

import tinygrad_cnn as tg
from tinygrad_cnn import datasets
from tinygrad_cnn.compat.torchvision.datasets.vision import Change, ImagesInMemory

__all__ = ["KMNIST", "MNIST", "FashionMNIST"]


class MNIST(ImagesInMemory):
    """60,000 (train=True) or 10,000 digits, served as PIL images of mode L with their labels.

    The four IDX files are looked for in root/MNIST/raw and in root, plain or as .gz; with `download`, what is missing
    is fetched into the former. `data` is a tensor (N, 28, 28) of uint8, `targets` one of int64. Raises DataError when a
    file is missing, damaged, or not what its name says.
    """

    _reader: type[datasets.MNIST] = datasets.MNIST
    classes = [
        f"{k} - {name}"
        for k, name in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    ]  # fmt: skip

    def __init__(
        self, root: str | os.PathLike[str], train: bool = True, transform: Change | None = None,
        target_transform: Change | None = None, download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        assert self.root is not None
        read = self._reader(self.root, train, download=download)
        self.data, self.targets = tg.from_numpy(read.data), tg.from_numpy(read.targets)

    @property
    def raw_folder(self) -> str:
        """Where downloaded files lie."""
        return os.path.join(str(self.root), type(self).__name__, "raw")

    @property
    def processed_folder(self) -> str:
        """Where older versions of torchvision kept tensors; nothing is there."""
        return os.path.join(str(self.root), type(self).__name__, "processed")


class FashionMNIST(MNIST):
    """Zalando's pictures of clothes, in root/FashionMNIST/raw; everything else is as for `MNIST`."""

    _reader = datasets.FashionMNIST
    classes = list(datasets.FashionMNIST.classes)


class KMNIST(MNIST):
    """Ten characters of cursive Japanese (Clanuwat et al. 2018), in root/KMNIST/raw; the rest is as for `MNIST`."""

    _reader = datasets.KMNIST
    classes = list(datasets.KMNIST.classes)
