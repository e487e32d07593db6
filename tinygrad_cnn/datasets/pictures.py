"""Picture files as arrays: what Pillow decodes, checked first. Nothing of the engine is needed here.

Every decoding error becomes a `DataError` that names the file. The data sets of pictures (`image_files`) and the
reader of handwriting stand on this.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.support.errors import DataError, MissingExtraError
from tinygrad_cnn.support.extras import require

__all__ = ["ENDINGS", "FORMATS", "decode", "picture_shape", "read_picture"]

T = TypeVar("T")

#: What is read, by the names that Pillow has for them, and the endings that such files have.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
_MOST_PIXELS = 40_000_000
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_picture(
    path: str | os.PathLike[str], channels: int = 3, size: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """The picture in a file as uint8 (H, W, channels), the way up that its camera says.

    Args:
        path: a file in one of FORMATS; of several frames the first is read
        channels: 1 (grey), 3 (RGB) or 4 (RGB and opacity); what is transparent becomes white in 1 and 3
        size: (height, width) to scale to, whatever the proportions; its own unless given

    Returns:
        the pixels, 0 to 255

    Raises:
        DataError: when the file is missing, no picture, damaged, or above 40 million pixels
        MissingExtraError: without Pillow (extra `images`)
        ValueError: for another number of channels, or a size below 1
    """
    if channels not in _MODES:
        raise ValueError(f"read_picture expected 1, 3 or 4 channels, got {channels}")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"read_picture expected size as (height, width) from 1 up, got {size}")

    def convert(picture: Any) -> npt.NDArray[np.uint8]:
        picture = on_white(eight_bits(picture), keep=channels == 4).convert(_MODES[channels])
        if size is not None and picture.size != (size[1], size[0]):
            bilinear = require("PIL.Image", extra="images", purpose="reading images").Resampling.BILINEAR
            # Of a picture that shrinks all pixels count, not only the nearest: Pillow widens its filter.
            picture = picture.resize((size[1], size[0]), bilinear, reducing_gap=3.0)
        array = np.asarray(picture)
        return array[:, :, None] if array.ndim == 2 else array

    draft = None if size is None else ("L" if channels == 1 else "RGB", (size[1], size[0]))
    return decode(path, convert, draft)


def picture_shape(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """(height, width, channels) of a picture, from the head of its file: 1 channel when it is grey, else 3."""

    def look(picture: Any) -> tuple[int, int, int]:
        width, height = picture.size
        return height, width, 1 if picture.mode in ("1", "L", "LA", "F") or picture.mode.startswith("I") else 3

    return decode(path, look, load=False)


def decode(
    path: str | os.PathLike[str], convert: Callable[[Any], T], draft: tuple[str, tuple[int, int]] | None = None, *,
    load: bool = True,
) -> T:  # fmt: skip
    """`convert` of the PIL image in a file. `draft` is the mode and the size that suffice: a large JPEG is then
    decoded at a fraction of its size.

    Raises DataError when the file is missing, no picture, damaged, or above 40 million pixels.
    """
    image_module = require("PIL.Image", extra="images", purpose="reading images")
    turn = require("PIL.ImageOps", extra="images", purpose="reading images").exif_transpose
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is checked here
            picture = image_module.open(path, formats=FORMATS)
        with picture:
            if draft is not None:
                picture.draft(*draft)
            if picture.size[0] * picture.size[1] > _MOST_PIXELS:
                raise DataError(
                    f"{path} has {picture.size[0]} × {picture.size[1]} pixels; scale it down to at most "
                    f"{_MOST_PIXELS / 1e6:.0f} million"
                )
            if not load:
                return convert(picture)
            picture.load()
            return convert(turn(picture))
    except FileNotFoundError as error:
        raise DataError(f"there is no image {path}") from error
    except (DataError, MissingExtraError):
        raise
    except Exception as error:  # a decoder meets damaged data in many ways
        raise DataError(
            f"{path} cannot be read as an image ({' or '.join(FORMATS)}): {type(error).__name__}: {error}"
        ) from error


def eight_bits(picture: Any) -> Any:
    """A picture of 16 or 32 bits a pixel as one of 8; another one as it is."""
    if not picture.mode.startswith("I") and picture.mode != "F":
        return picture
    image_module = require("PIL.Image", extra="images", purpose="reading images")
    return image_module.fromarray(np.uint8(np.round(unit_values(picture) * 255)))


def unit_values(picture: Any) -> npt.NDArray[np.float32]:
    """The values of a picture of 16 or 32 bits a pixel, in [0, 1]: as wide as they are used."""
    values = np.asarray(picture, np.float32)
    top = 65535.0 if picture.mode.startswith("I") and values.max() > 255 else max(float(values.max()), 1.0)
    return np.clip(values / top, 0, 1)


def on_white(picture: Any, keep: bool = False) -> Any:
    """What is transparent becomes white paper, unless the opacity is to be kept."""
    if keep or not picture.has_transparency_data:
        return picture
    image_module = require("PIL.Image", extra="images", purpose="reading images")
    picture = picture.convert("RGBA")
    return image_module.alpha_composite(image_module.new("RGBA", picture.size, "white"), picture)
