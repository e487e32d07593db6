"""`torchvision.transforms.v2`: the same transforms, with the names that are new there.

Samples, whose images are changed alike, go through all of them, so v1 and v2 differ in names alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.annotations import DType, Tensor
from tinygrad_cnn.compat.torchvision.transforms import transforms as _transforms
from tinygrad_cnn.compat.torchvision.transforms.interpolation import InterpolationMode, Picture
from tinygrad_cnn.compat.torchvision.transforms.transforms import *  # noqa: F403
from tinygrad_cnn.compat.torchvision.transforms.transforms import Grayscale, Lambda, _Transform
from tinygrad_cnn.compat.torchvision.transforms.v2 import functional

__all__ = [
    *_transforms.__all__, "Identity", "RGB", "ToDtype", "ToImage", "ToPureTensor", "Transform", "functional",
]  # fmt: skip


class Transform(_Transform):
    """The base of one's own transforms: `make_params` draws, `transform` changes one image.

    Both are called as in torchvision: ``make_params(flat_inputs)`` gives a dict, ``transform(inpt, params)`` the image.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is drawn at random for a call."""
        return {}

    def transform(self, inpt: Picture, params: dict[str, Any]) -> Picture:
        """The changed image."""
        raise NotImplementedError(f"{type(self).__name__} must define transform(inpt, params)")

    def drawn(self, image: Picture) -> object:
        """What `make_params` gives for the first image."""
        return self.make_params([image])

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """What `transform` gives."""
        return self.transform(image, drawn)


class Identity(_Transform):
    """The image as it is."""

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The same."""
        return image


class ToImage(_Transform):
    """A PIL image or an array (H, W, C) as a tensor (C, H, W) of the same values; a tensor as it is."""

    def changed(self, image: Picture, drawn: Any) -> Tensor:
        """The tensor."""
        return functional.to_image(image)


class ToPureTensor(Identity):
    """For torchvision's sake: all tensors here are plain ones."""


class ToDtype(_Transform):
    """Tensors in another dtype; with `scale`, values scaled with it (255 of uint8 is 1.0 of float32)."""

    _shown = ("scale",)

    def __init__(self, dtype: DType | Mapping[Any, DType], scale: bool = False) -> None:
        super().__init__()
        if isinstance(dtype, Mapping):
            raise TypeError("ToDtype expected one dtype: samples have no kinds of tensors here")
        self.dtype, self.scale = dtype, scale

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The tensor; what is no tensor as it is."""
        return functional.to_dtype(image, self.dtype, self.scale) if isinstance(image, tg.Tensor) else image


class RGB(_Transform):
    """With three channels, equal ones where the image is grey."""

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The image in colour."""
        return functional.grayscale_to_rgb(image)
