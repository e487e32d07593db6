"""A picture of anybody's as networks for MNIST know pictures: grey, bright on dark, centred, 28×28.

MNIST's own recipe (yann.lecun.com): the ink scaled to fit 20×20, its centre of mass in the middle of 28×28.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tinygrad_cnn.datasets.pictures import decode, on_white, unit_values
from tinygrad_cnn.support.errors import DataError
from tinygrad_cnn.support.extras import require

__all__ = ["read_handwriting"]

Array = np.ndarray[Any, Any]

_DRAFT = 1024
#: Side of the square that the ink fills: digits leave a border, Fashion-MNIST's clothes do not.
_INK = {"fashion-mnist": 28}
_SIDE = 28
#: Below this share of the brightest pixel it is background.
_FAINT = 0.15


def read_handwriting(path: str | os.PathLike[str], data: str = "mnist") -> Array:
    """The picture in `path`, of any size and mode, as float32 (1, 28, 28) in [0, 1].

    `data` is the data set it shall look like: "fashion-mnist" has clothes without a border, all others digits.
    A 28×28 picture that already is bright on dark stays as it is. Raises DataError when the file is missing,
    no picture, or blank; MissingExtraError without Pillow.
    """
    grey = _to_bright_on_dark(_grey(path), path)
    if grey.shape == (_SIDE, _SIDE) and _border(grey) < _FAINT:
        return grey[None]
    return _centred(grey, _INK.get(data, 20), path)[None]


def _grey(path: str | os.PathLike[str]) -> Array:
    """(H, W) float32 in [0, 1]; what is transparent becomes white paper."""

    def convert(picture: Any) -> Array:
        if picture.mode.startswith("I") or picture.mode == "F":
            return unit_values(picture)
        return np.asarray(on_white(picture).convert("L"), np.float32) / 255

    return decode(path, convert, ("L", (_DRAFT, _DRAFT)))


def _to_bright_on_dark(grey: Array, path: Any) -> Array:
    low, high = float(grey.min()), float(grey.max())
    if high - low < 0.05:
        raise DataError(f"{path} is blank: all its pixels are alike")
    if _border(grey) > (low + high) / 2:
        grey = 1 - grey
    grey = grey - np.median(grey) if _border(grey) > 0 else grey  # paper is seldom quite white
    return np.clip(grey / grey.max(), 0, 1).astype(np.float32)


def _border(grey: Array) -> float:
    """The usual brightness along the edge: the background's."""
    return float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))


def _centred(grey: Array, ink_side: int, path: Any) -> Array:
    image_module = require("PIL.Image", extra="images", purpose="reading images")
    rows, columns = (np.flatnonzero((grey > _FAINT).any(axis)) for axis in (1, 0))
    if not rows.size:
        raise DataError(f"{path} is blank: no pixel stands out from its background")
    ink = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = ink_side / max(ink.shape)
    size = [max(1, round(n * scale)) for n in ink.shape]
    # A box averages all the pixels it shrinks; other filters leave thin strokes out.
    how = image_module.Resampling.BOX if scale < 1 else image_module.Resampling.BILINEAR
    small = image_module.fromarray(np.uint8(ink * 255)).resize((size[1], size[0]), how)
    ink = np.asarray(small, np.float32) / 255
    weight = ink.sum()
    canvas = np.zeros((_SIDE, _SIDE), np.float32)
    places = []
    for axis, n in enumerate(ink.shape):
        middle = (ink.sum(1 - axis) * (np.arange(n) + 0.5)).sum() / weight if ink_side < _SIDE else n / 2
        places.append(int(np.clip(round(_SIDE / 2 - middle), 0, _SIDE - n)))
    top, left = places
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas / canvas.max()
