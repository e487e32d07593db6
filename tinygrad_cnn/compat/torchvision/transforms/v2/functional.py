"""`torchvision.transforms.v2.functional`: the functions of v1 under their old and their new names."""

from __future__ import annotations

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.annotations import DType, Tensor
from tinygrad_cnn.compat.torchvision.transforms import functional as _functional
from tinygrad_cnn.compat.torchvision.transforms.functional import *  # noqa: F403
from tinygrad_cnn.compat.torchvision.transforms.functional import (
    convert_image_dtype,
    get_image_num_channels,
    hflip,
    pil_to_tensor,
    vflip,
)
from tinygrad_cnn.compat.torchvision.transforms.interpolation import Picture
from tinygrad_cnn.compat.torchvision.transforms.pil import is_pil

__all__ = [
    *_functional.__all__, "get_num_channels", "get_size", "grayscale_to_rgb", "horizontal_flip", "to_dtype", "to_image",
    "vertical_flip",
]  # fmt: skip

horizontal_flip, vertical_flip = hflip, vflip
get_num_channels = get_image_num_channels


def get_size(inpt: Picture) -> list[int]:
    """[H, W]."""
    return _functional.get_dimensions(inpt)[1:]


def to_image(inpt: Picture) -> Tensor:
    """A PIL image or an array (H, W, C) as a tensor (C, H, W) of the same values; a tensor as it is."""
    if isinstance(inpt, tg.Tensor):
        return inpt
    if isinstance(inpt, np.ndarray):
        array = inpt[:, :, None] if inpt.ndim == 2 else inpt
        return tg.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
    return pil_to_tensor(inpt)


def to_dtype(inpt: Tensor, dtype: DType = tg.float32, scale: bool = False) -> Tensor:
    """The tensor in another dtype, with `scale` its values scaled with it."""
    return convert_image_dtype(inpt, dtype) if scale else inpt.to(dtype)


def grayscale_to_rgb(image: Picture) -> Picture:
    """Three equal channels where there is one."""
    if is_pil(image):
        return image.convert("RGB")
    return image if image.shape[-3] >= 3 else image.expand((*image.shape[:-3], 3, *image.shape[-2:]))
