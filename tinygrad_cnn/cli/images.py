"""A picture of anybody's as the network knows pictures: grey, bright on dark, centred, 28×28.

MNIST's own recipe (yann.lecun.com): the ink scaled to fit 20×20, its centre of mass in the middle of 28×28.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from tinygrad_cnn.support.errors import DataError, MissingExtraError
from tinygrad_cnn.support.extras import require

__all__ = ["read_image"]

Array = np.ndarray[Any, Any]

#: What `predict` reads.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_MOST_PIXELS = 40_000_000
_DRAFT = 1024
#: Side of the square that the ink fills: digits leave a border, Fashion-MNIST's clothes do not.
_INK = {"fashion-mnist": 28}
_SIDE = 28
#: Below this share of the brightest pixel it is background.
_FAINT = 0.15


def read_image(path: str | os.PathLike[str], data: str) -> Array:
    """The picture in `path`, of any size and mode, as float32 (1, 28, 28) in [0, 1].

    A 28×28 picture that already is bright on dark stays as it is. Raises DataError when the file is missing,
    no picture, or blank; MissingExtraError without Pillow.
    """
    grey = _to_bright_on_dark(_grey(path), path)
    if grey.shape == (_SIDE, _SIDE) and _border(grey) < _FAINT:
        return grey[None]
    return _centred(grey, _INK.get(data, 20), path)[None]


def _grey(path: str | os.PathLike[str]) -> Array:
    """(H, W) float32 in [0, 1]; what is transparent becomes white paper."""
    image_module = require("PIL.Image", extra="images", purpose="reading images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is checked here
            picture = image_module.open(path, formats=FORMATS)
        with picture:
            picture.draft("L", (_DRAFT, _DRAFT))  # a large JPEG is decoded at a fraction of its size
            if picture.size[0] * picture.size[1] > _MOST_PIXELS:
                raise DataError(
                    f"{path} has {picture.size[0]} × {picture.size[1]} pixels; scale it down to at most "
                    f"{_MOST_PIXELS / 1e6:.0f} million"
                )
            picture.load()
            if picture.mode.startswith("I") or picture.mode == "F":  # 16 and 32 bits: as wide as they are used
                values = np.asarray(picture, np.float32)
                top = 65535.0 if picture.mode.startswith("I") and values.max() > 255 else max(float(values.max()), 1.0)
                return np.clip(values / top, 0, 1)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                paper = image_module.new("RGBA", picture.size, "white")
                picture = image_module.alpha_composite(paper, picture)
            return np.asarray(picture.convert("L"), np.float32) / 255
    except FileNotFoundError as error:
        raise DataError(f"there is no image {path}") from error
    except (DataError, MissingExtraError):
        raise
    except Exception as error:  # a decoder meets damaged data in many ways
        raise DataError(
            f"{path} cannot be read as an image ({' or '.join(FORMATS)}): {type(error).__name__}: {error}"
        ) from error


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
