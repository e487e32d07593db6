"""Names of the ways to interpolate, shared by both kinds of images; knows nothing else."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeAlias

__all__ = ["Fill", "InterpolationMode", "Picture", "as_mode"]

#: An image: PIL's, or a tensor (…, C, H, W).
Picture: TypeAlias = Any
#: What stands outside of an image: one number, or one for each channel.
Fill: TypeAlias = Any


class InterpolationMode(Enum):
    """How pixels between pixels are found. The last three are Pillow's alone."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


#: Pillow's numbers for them, which scripts may give instead.
_NUMBERS = {0: "nearest", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming", 1: "lanczos"}


def as_mode(interpolation: InterpolationMode | int) -> InterpolationMode:
    """The mode itself, or the one that Pillow gives this number; TypeError and ValueError for others."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    if not isinstance(interpolation, int):
        raise TypeError(
            f"expected an InterpolationMode or Pillow's number for one, got {type(interpolation).__name__}"
        )
    if interpolation not in _NUMBERS:
        raise ValueError(f"expected Pillow's number of an interpolation, 0 to 5, got {interpolation}")
    return InterpolationMode(_NUMBERS[interpolation])
