"""Data sets: digits inside the package, MNIST and Fashion-MNIST from files, MNIST-1D generated, own pictures.

Pictures of one's own lie in folders of classes (`ImageFolder`) or are named by a table (`ImageTable`); an
`ImageDataGenerator` augments them.

Each published set serves `(input, label)` pairs to `utils.data.DataLoader` and everything at once by `arrays()`; `load`
finds one by the name the command line uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tinygrad_cnn.datasets import transforms
from tinygrad_cnn.datasets.base import ArrayDataset
from tinygrad_cnn.datasets.digits import Digits
from tinygrad_cnn.datasets.handwriting import read_handwriting
from tinygrad_cnn.datasets.image_files import ImageFiles, ImageFolder, ImageTable
from tinygrad_cnn.datasets.image_generator import ImageDataGenerator
from tinygrad_cnn.datasets.mnist import KMNIST, MNIST, FashionMNIST
from tinygrad_cnn.datasets.mnist1d import MNIST1D, make_mnist1d
from tinygrad_cnn.datasets.pictures import read_picture
from tinygrad_cnn.datasets.scattered import ScatteredDigits
from tinygrad_cnn.support.errors import DataError

#: Its lines are shown as where nodes were made: they are written as users write theirs (see `autograd.provenance`).
__user_code__ = True

__all__ = [
    "KMNIST",
    "MNIST",
    "MNIST1D",
    "NAMES",
    "ArrayDataset",
    "Digits",
    "FashionMNIST",
    "ImageDataGenerator",
    "ImageFiles",
    "ImageFolder",
    "ImageTable",
    "ScatteredDigits",
    "load",
    "make_mnist1d",
    "read_handwriting",
    "read_picture",
    "transforms",
]

_BUILT_IN: dict[str, Callable[..., ArrayDataset]] = {"digits": Digits, "mnist1d": MNIST1D}
_FROM_FILES: dict[str, type[MNIST]] = {"mnist": MNIST, "fashion-mnist": FashionMNIST}

#: The names that `load` (and the command line's `--data`) knows.
NAMES: tuple[str, ...] = ("digits", "mnist", "fashion-mnist", "mnist1d")


def load(name: str, root: str | os.PathLike[str] | None = None) -> tuple[ArrayDataset, ArrayDataset]:
    """The training and the test part of the data set `name`, one of NAMES.

    `root` is the folder of IDX files for "mnist" and "fashion-mnist"; the others read none.
    Raises DataError for an unknown name, a root that is missing or would not be read, and files that are missing or
    damaged.
    """
    if name in _BUILT_IN:
        if root is not None:
            raise DataError(
                f"the data set {name!r} reads no files, so the folder {os.fspath(root)!r} would be ignored: leave "
                f"--data-dir (root= in Python) out, or name one of {', '.join(_FROM_FILES)} with --data"
            )
        return _BUILT_IN[name](train=True), _BUILT_IN[name](train=False)
    if name not in _FROM_FILES:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(NAMES)}")
    kind = _FROM_FILES[name]
    if root is None:
        raise DataError(
            f"the data set {name!r} is read from files: name their folder with --data-dir (root= "
            f"in Python); it holds "
            f"{', '.join(kind.files())}, plain or .gz. The data set 'digits' needs no files"
        )
    return kind(root, train=True), kind(root, train=False)
