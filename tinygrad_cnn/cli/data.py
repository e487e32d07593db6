"""The data of a run: a known data set, or pictures of the user's in a folder of classes or named by a table.

What is found out about pictures when a run begins (size, channels, classes, normalisation) goes into its
configuration, from which `evaluate`, `predict` and `graph` take it again.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import datasets, models
from tinygrad_cnn.cli.runs import Config
from tinygrad_cnn.datasets.image_files import ImageFiles, ImageFolder, ImageTable
from tinygrad_cnn.datasets.pictures import picture_shape, read_picture
from tinygrad_cnn.datasets.transforms import Normalize
from tinygrad_cnn.support.errors import DataError, UsageError
from tinygrad_cnn.training.checkpoint import load_weights

__all__ = ["Parts", "build_model", "is_path", "load_parts", "load_trained", "network_input", "settle"]

#: Share of the pictures that is the test part where a folder has none.
TEST = 0.2
_TEST_FOLDERS = ("test", "val", "valid", "validation")
#: Pictures of one size up to here keep it; others are scaled to `_SIDE`.
_KEPT, _SIDE = 128, 64


@dataclass(frozen=True)
class Parts:
    """The data sets to train on and to test on."""

    train: Any
    test: Any


def is_path(data: str) -> bool:
    """Whether ``--data`` names a folder or a table rather than a known data set."""
    return data not in datasets.NAMES and (
        any(mark in data for mark in {os.sep, "/"}) or data.lower().endswith(".csv") or Path(data).is_dir()
    )


def load_parts(config: Config, data_dir: str | None = None) -> Parts:
    """The data of the run; `data_dir` is where they are now, if they have moved. DataError when they are not there."""
    place = data_dir or config.data_dir
    if config.task != "classify":
        return Parts(datasets.ScatteredDigits(config.task), datasets.ScatteredDigits(config.task, train=False))
    if config.classes is None:
        return Parts(*datasets.load(config.data, place))
    parts = _pictures(Path(str(place)), config.classes)
    for part in (parts.train, parts.test):
        part.size, part.channels = _pair(config.size or [_SIDE, _SIDE]), config.channels or 3
        part.transform = Normalize(config.mean or [0.0], config.std or [1.0])
    return parts


def settle(config: Config, size: tuple[int, int] | None, channels: int | None) -> Config:
    """The configuration of a new run on pictures, with all that they are.

    Every picture is read once: for the mean and the deviation of the training part, and so that a damaged file
    stops the run before it starts. DataError names the files that cannot be read.
    """
    parts = _pictures(Path(str(config.data_dir)), None)
    train, test = parts.train, parts.test
    shapes = [_shape(path) for path, _label in train.samples]
    bad = [path for (path, _label), shape in zip(train.samples, shapes) if shape is None]
    known = [shape for shape in shapes if shape is not None]
    if known:
        channels = channels or max(shape[2] for shape in known)
        size = size or _usual_size(config.model, {shape[:2] for shape in known})
    for part in (train, test):
        part.size, part.channels = size, channels or 3
    total, squares, count = np.zeros(channels or 3), np.zeros(channels or 3), 0
    if not bad:
        for i, (path, _label) in enumerate(train.samples):
            try:
                pixels = train.pixels(i).astype(np.float64) / 255
            except DataError:
                bad.append(path)
                continue
            total += pixels.sum((1, 2))
            squares += (pixels * pixels).sum((1, 2))
            count += pixels[0].size
    bad += [path for path, _why in test.unreadable()]
    if bad:
        listed = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        raise DataError(f"{len(bad)} pictures cannot be read: {listed}; repair or remove them")
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean * mean, 1e-6))
    height, width = train.size or (_SIDE, _SIDE)
    return replace(
        config, size=[height, width], channels=train.channels, classes=list(train.classes),
        mean=[round(float(m), 6) for m in mean], std=[round(float(s), 6) for s in std],
    )  # fmt: skip


def load_trained(run: str | os.PathLike[str]) -> tuple[Any, Config, dict[str, Any]]:
    """(network with its best weights, configuration, record of their epoch) of the run folder `run`."""
    config = Config.load(Path(run))
    model = build_model(config)
    record = load_weights(model, run)
    model.eval()
    return model, config, record


def build_model(config: Config) -> Any:
    """The run's network with fresh weights, made for its pictures' classes and channels."""
    if config.classes is None:
        return models.create(config.model)
    channels, (height, width) = config.channels or 3, _pair(config.size or [_SIDE, _SIDE])
    options = {"num_classes": len(config.classes), "in_channels": channels, "inputs": channels * height * width}
    known = inspect.signature(models.entry(config.model).build).parameters
    return models.create(config.model, **{name: value for name, value in options.items() if name in known})


def network_input(config: Config, path: str) -> Any:
    """The picture in a file as the run's network wants it, float32 (C, H, W). DataError when it cannot be read."""
    if config.classes is None:
        if models.entry(config.model).input_size != (1, 28, 28):
            raise UsageError(f"the run learned {config.data}, which are no images")
        return datasets.read_handwriting(path, config.data)
    pixels = read_picture(path, config.channels or 3, _pair(config.size or [_SIDE, _SIDE]))
    values = np.divide(pixels.transpose(2, 0, 1), 255, dtype=np.float32)
    return Normalize(config.mean or [0.0], config.std or [1.0])(values)


def _pictures(place: Path, classes: list[str] | None) -> Parts:
    if place.suffix.lower() == ".csv":
        return Parts(*ImageTable(place, classes=classes).split(TEST))
    if not place.exists():
        raise DataError(f"there is no folder {place}; known data sets: {', '.join(datasets.NAMES)}")
    if (place / "train").is_dir():
        for name in _TEST_FOLDERS:
            if (place / name).is_dir():
                train: ImageFiles = ImageFolder(place / "train", classes=classes)
                return Parts(train, ImageFolder(place / name, classes=train.classes, allow_empty=True))
    found = ImageFolder(place, classes=classes)
    if len(found.classes) < 2:
        raise DataError(
            f"{place} holds one class folder, {found.classes[0]!r}: expected a folder for each of two classes or more"
        )
    return Parts(*found.split(TEST))


def _shape(path: str) -> tuple[int, int, int] | None:
    try:
        return picture_shape(path)
    except DataError:
        return None


def _usual_size(model: str, sizes: set[tuple[int, int]]) -> tuple[int, int]:
    """The size that the network is made for; of one that takes any, the pictures' own if they share a small one."""
    wanted = models.entry(model).input_size
    if model != "image-cnn":
        if len(wanted) != 3:
            raise UsageError(f"the model {model!r} takes inputs of shape {wanted}, which are no images")
        return wanted[1], wanted[2]
    (first, *others) = sizes
    return first if not others and min(first) >= 8 and max(first) <= _KEPT else (_SIDE, _SIDE)


def _pair(size: Sequence[int]) -> tuple[int, int]:
    return size[0], size[1]
