"""CIFAR-10 and CIFAR-100 from their published batches, which are pickles: read by a list of what they may name.

Nothing of a batch is run. The reader of weights (`io.weights_pickle`) takes it apart, with NumPy's arrays of bytes
added to what it knows.
"""

from __future__ import annotations

import math
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.compat.torchvision.datasets.vision import Change, ImagesInMemory
from tinygrad_cnn.datasets.download import fetch
from tinygrad_cnn.io.weights_pickle import KNOWN, Function, Refused, Trusted, read
from tinygrad_cnn.support.errors import DataError

__all__ = ["CIFAR10", "CIFAR100", "read_batch"]

#: A published batch has 31 MB; CIFAR-100's training part, one file, 155 MB.
_MOST = 1 << 28


class CIFAR10(ImagesInMemory):
    """50,000 (train=True) or 10,000 pictures of 32×32 in ten classes, served as PIL images with their labels.

    The batches lie in root/cifar-10-batches-py, as the published archive holds them; with `download`, the archive is
    fetched, checked, and unpacked there. `data` is an array (N, 32, 32, 3) of uint8, `targets` a list. Raises DataError
    when a batch is missing, damaged, or holds anything but pixels and labels. Source: Krizhevsky, Learning multiple
    layers of features from tiny images (2009).
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [f"data_batch_{k}" for k in range(1, 6)]
    test_list = ["test_batch"]
    _meta, _names, _labels = "batches.meta", "label_names", "labels"

    def __init__(
        self, root: str | os.PathLike[str], train: bool = True, transform: Change | None = None,
        target_transform: Change | None = None, download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        folder = Path(str(self.root)) / self.base_folder
        files = [folder / name for name in (self.train_list if train else self.test_list)]
        if download and not all(path.is_file() for path in (*files, folder / self._meta)):
            self._download()
        names = _read(folder / self._meta, type(self).__name__).get(self._names)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{folder / self._meta}: expected a list of names under {self._names!r}")
        self.classes = names
        pixels, self.targets = [], []
        for path in files:
            images, labels = read_batch(path, self._labels, len(names), type(self).__name__)
            pixels.append(images)
            self.targets += labels
        self.data = np.concatenate(pixels)

    def _download(self) -> None:
        root = Path(str(self.root))
        fetch(self.filename, self.tgz_md5, [self.url[: -len(self.filename)]], root)
        with tarfile.open(root / self.filename) as archive:
            archive.extractall(root, filter="data")


class CIFAR100(CIFAR10):
    """As `CIFAR10`, with a hundred classes, in root/cifar-100-python."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = ["train"]
    test_list = ["test"]
    _meta, _names, _labels = "meta", "fine_label_names", "fine_labels"


def read_batch(path: Path, labels: str, classes: int, name: str = "CIFAR") -> tuple[np.ndarray, list[int]]:
    """The pixels (N, 32, 32, 3) and the labels of a batch; its entry `labels` holds the latter, below `classes`.

    Raises DataError, naming the file, for all that is no such batch.
    """
    batch = _read(path, name)
    pixels, answers = batch.get("data"), batch.get(labels)
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != 3072:
        got = f"an array {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataError(f"{path}: expected pixels (N, 3072) under 'data', got {got}")
    if not isinstance(answers, list) or not all(type(one) is int and 0 <= one < classes for one in answers):
        raise DataError(f"{path}: expected a list of labels from 0 to {classes - 1} under {labels!r}")
    if len(answers) != len(pixels):
        raise DataError(
            f"{path}: {len(pixels):,} pictures and {len(answers):,} labels do not belong together"
        )
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), answers


class _Dtype:
    """Stands for `numpy.dtype` in a batch: bytes are all that it may be."""

    def __init__(self, code: object, *_options: object) -> None:
        if code not in ("u1", "|u1"):
            raise Refused(f"its array has the type {code!r:.30}, and pixels are u1")

    def __setstate__(self, state: object) -> None:
        """The byte order, which bytes have not."""


class _Array:
    """Stands for `numpy.ndarray` in a batch until its state is there."""

    value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise ValueError("no state of an array")
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or type(shape) is not tuple:
            raise ValueError("an array without a type or a shape")
        if not all(type(n) is int and 0 <= n < 1 << 31 for n in shape) or len(shape) > 4:
            raise ValueError(f"an array of shape {shape!r:.60}")
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(data, bytes) or len(data) != math.prod(shape):
            raise ValueError(f"an array of shape {shape} does not go with its bytes")
        self.value = np.frombuffer(data, np.uint8).reshape(shape, order="F" if fortran else "C")


_KNOWN = {
    "_codecs.encode": KNOWN["_codecs.encode"],
    "numpy.ndarray": Trusted(_Array),
    "numpy.dtype": Trusted(_Dtype),
    **{
        f"numpy.{core}.multiarray._reconstruct": Function(lambda *_args: _Array())
        for core in ("core", "_core")
    },
}


def _read(path: Path, name: str) -> dict[Any, Any]:
    try:
        size = path.stat().st_size
        if size > _MOST:
            raise DataError(f"{path} has {size:,} bytes; a batch of {name} has at most {_MOST:,}")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"{name}: there is no {path}; unpack the published archive ({CIFAR10.url} and its like) there, or pass "
            "download=True"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        found = read(content, _KNOWN, _no_storage)
    except Refused as error:
        raise DataError(f"{path} is no batch of {name}: {error}. Nothing of it was run") from error
    except Exception as error:
        raise DataError(
            f"{path} cannot be read: it is truncated, damaged or no batch of {name} ({type(error).__name__})"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected a batch of {name}, a dictionary, got {type(found).__name__}")
    values = {str(key, "latin1") if isinstance(key, bytes) else key: value for key, value in found.items()}
    return {key: value.value if isinstance(value, _Array) else value for key, value in values.items()}


def _no_storage(_persistent: object) -> None:
    raise Refused("it refers to things outside of itself")
