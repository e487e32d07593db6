"""MNIST and Fashion-MNIST from a folder of IDX files: found, checked, and handed on as an `ArrayDataset`.

Where the files come from (a folder of the user's, or `download`) is decided here; their format is `idx`'s
matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.datasets.base import ArrayDataset, Transform
from tinygrad_cnn.datasets.download import fetch_all
from tinygrad_cnn.datasets.idx import read_idx
from tinygrad_cnn.support.errors import DataError

__all__ = ["KMNIST", "MNIST", "FashionMNIST", "read_images_and_labels"]


class MNIST(ArrayDataset):
    """The 60,000 (train=True) or 10,000 handwritten digits of LeCun, Bottou, Bengio and Haffner.

    Source: Gradient-based learning applied to document recognition, Proc. IEEE 86(11), 1998.

    root       the folder that holds the IDX files, plain or `.gz`; as in torchvision they may also be in
               root/MNIST/raw
    transform, target_transform   called on each image (float32 (1, 28, 28) in [0, 1]) and label (int)
    download   fetch what is missing into root/MNIST/raw first; each file is checked against its published MD5

    Any valid pair of IDX files is accepted, so that a subset or a look-alike set works as well. Raises
    DataError when a file is missing, damaged, or not what its name says.
    """

    classes: tuple[str, ...] = tuple("0123456789")
    mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    #: MD5 of each file's uncompressed content, as published. The `.gz` files differ by who compressed them.
    md5: dict[str, str] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        self.root = Path(root)
        self.train = train
        if download:
            self._download()
        part = "train" if train else "t10k"
        folders = self._folders()
        images = _find(f"{part}-images-idx3-ubyte", folders, type(self).__name__)
        labels = _find(f"{part}-labels-idx1-ubyte", folders, type(self).__name__)
        data, targets = read_images_and_labels(images, labels, size=(28, 28), classes=len(self.classes))
        super().__init__(data, targets, self.classes, transform, target_transform)

    @classmethod
    def files(cls) -> tuple[str, ...]:
        """The names of the four files, without `.gz`."""
        return tuple(cls.md5)

    def _folders(self) -> tuple[Path, Path]:
        return self.root, self.root / type(self).__name__ / "raw"

    def _download(self) -> None:
        folders = self._folders()
        missing = [name for name in self.files() if _existing(name, folders) is None]
        fetch_all({name: self.md5[name] for name in missing}, self.mirrors, folders[-1])


class FashionMNIST(MNIST):
    """Zalando's 60,000 (train=True) or 10,000 pictures of clothes, in MNIST's format.

    Source: Xiao, Rasul, Vollgraf, arXiv:1708.07747. Arguments, item shapes and errors are MNIST's; the second
    folder looked into is root/FashionMNIST/raw.
    """

    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    md5 = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }


class KMNIST(MNIST):
    """Kuzushiji-MNIST: 60,000 (train=True) or 10,000 characters of cursive Japanese, in MNIST's format.

    Source: Clanuwat et al., arXiv:1812.01718. Arguments, item shapes and errors are MNIST's; the second folder looked
    into is root/KMNIST/raw.
    """

    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    md5 = {  # of the .gz files, which alone are published
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    }


def read_images_and_labels(
    images: Path, labels: Path, *, size: tuple[int, int], classes: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A pair of IDX files as uint8 images (N, H, W) and int64 labels (N,), checked against each other.

    Raises DataError naming the file, what it should hold and what it holds.
    """
    pixels = _read(images, f"uint8 images of shape (N, {size[0]}, {size[1]})", lambda a: a.shape[1:] == size)
    answers = _read(labels, "uint8 labels of shape (N,)", lambda a: a.ndim == 1)
    if len(pixels) != len(answers):
        raise DataError(
            f"{images} holds {len(pixels):,} images but {labels} holds {len(answers):,} labels; they belong "
            "to different sets, or one is incomplete"
        )
    if len(answers) == 0:
        raise DataError(f"{images}: expected at least one image, got none")
    if answers.max() >= classes:
        where = int(np.argmax(answers >= classes))
        raise DataError(
            f"{labels}: expected labels from 0 to {classes - 1}, got {answers[where]} at position {where}"
        )
    return pixels, answers.astype(np.int64)


def _read(path: Path, expected: str, fits: Any) -> npt.NDArray[np.uint8]:
    array = read_idx(path)
    if array.dtype != np.uint8 or array.ndim < 1 or not fits(array):
        raise DataError(
            f"{path}: expected {expected}, got {array.dtype} of shape {array.shape}; is it the right file?"
        )
    return array


def _existing(name: str, folders: Iterable[Path]) -> Path | None:
    # Some collections write the dot before "idx3" as an ending of its own.
    for spelling in (name, name.replace("-idx", ".idx")):
        for folder in folders:
            for path in (folder / spelling, folder / f"{spelling}.gz"):
                if path.is_file():
                    return path
    return None


def _find(name: str, folders: tuple[Path, Path], set_name: str) -> Path:
    found = _existing(name, folders)
    if found is None:
        root = folders[0]
        state = "there is no such folder" if not root.is_dir() else f"looked in {root} and {folders[1]}"
        raise DataError(
            f"{set_name}: {name} or {name}.gz was not found in '{root}' ({state}); put the four IDX files "
            f"({', '.join(MNIST.files())}) there, or pass download=True"
        )
    return found
