"""`torchvision.transforms.functional`: one function for each change, for PIL images and tensors (…, C, H, W).

What kind of image it is decides who does it: Pillow (`pil`), or this package's operations (`tensors`).
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.annotations import DType, Tensor
from tinygrad_cnn.compat.torchvision.transforms import pil, tensors
from tinygrad_cnn.compat.torchvision.transforms.geometry import (
    inverse_affine,
    perspective_coefficients,
    resized,
)
from tinygrad_cnn.compat.torchvision.transforms.interpolation import Fill, InterpolationMode, Picture, as_mode
from tinygrad_cnn.datasets import transforms as arrays

__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "adjust_sharpness", "affine", "autocontrast", "center_crop", "convert_image_dtype", "crop", "equalize", "erase",
    "five_crop", "gaussian_blur", "get_dimensions", "get_image_num_channels", "get_image_size", "hflip", "invert",
    "normalize", "pad", "perspective", "pil_to_tensor", "posterize", "resize", "resized_crop", "rgb_to_grayscale",
    "rotate", "solarize", "ten_crop", "to_grayscale", "to_pil_image", "to_tensor", "vflip",
]  # fmt: skip

_NEAREST, _BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


# --- between kinds of images -----------------------------------------------------------


def to_tensor(pic: Picture) -> Tensor:
    """A PIL image or an array (H, W) or (H, W, C) as a tensor (C, H, W); uint8 becomes float32 in [0, 1].

    Raises TypeError for anything else, ValueError for an array of other dimensions.
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"to_tensor expected an array (H, W) or (H, W, C), got {pic.ndim} dimensions")
        array = pic
    elif pil.is_pil(pic):
        array = _pixels(pic)
    else:
        raise TypeError(f"to_tensor expected a PIL image or an array, got {type(pic).__name__}")
    if array.dtype == np.uint8:
        return tg.from_numpy(arrays.ToTensor()(array))
    return _channels_first(array)


def pil_to_tensor(pic: Picture) -> Tensor:
    """A PIL image as a tensor (C, H, W) of the same values."""
    if not pil.is_pil(pic):
        raise TypeError(f"pil_to_tensor expected a PIL image, got {type(pic).__name__}")
    return _channels_first(np.array(pic))


def to_pil_image(pic: Picture, mode: str | None = None) -> Picture:
    """A tensor (C, H, W), or an array (H, W, C), of 1 to 4 channels as a PIL image; a tensor's floats are times 255.

    Raises TypeError for another dtype, ValueError for other dimensions and a mode that does not go with the channels.
    """
    if isinstance(pic, tg.Tensor):
        if pic.ndim not in (2, 3):
            raise ValueError(f"to_pil_image expected a tensor (H, W) or (C, H, W), got {pic.ndim} dimensions")
        array = pic.detach().numpy()
        array = array[None] if array.ndim == 2 else array
        if np.issubdtype(array.dtype, np.floating) and mode != "F":
            array = (array * 255).astype(np.uint8)
        array = array.transpose(1, 2, 0)
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"to_pil_image expected an array (H, W) or (H, W, C), got {pic.ndim} dimensions")
        array = pic[:, :, None] if pic.ndim == 2 else pic
    else:
        raise TypeError(f"to_pil_image expected a tensor or an array, got {type(pic).__name__}")
    count = array.shape[2]
    if count == 1:
        array = array[:, :, 0]
        by_dtype = {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}
        expected = by_dtype.get(str(array.dtype))
        if mode is not None and mode != expected:
            raise ValueError(
                f"one channel of {array.dtype} gives an image of mode {expected}, got mode={mode!r}"
            )
        mode = expected
    elif count in (2, 3, 4):
        permitted = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}[count]
        if mode is not None and mode not in permitted:
            raise ValueError(
                f"{count} channels give an image of mode {' or '.join(permitted)}, got mode={mode!r}"
            )
        mode = mode or permitted[0]
    else:
        raise ValueError(f"to_pil_image expected at most 4 channels, got {count}")
    if mode is None or (count > 1 and array.dtype != np.uint8):
        raise TypeError(f"to_pil_image cannot make an image of {count} channels of {array.dtype}")
    return pil.pillow().fromarray(np.ascontiguousarray(array), mode)


def convert_image_dtype(image: Tensor, dtype: DType = tg.float32) -> Tensor:
    """A tensor image in another dtype, its values scaled with it: 255 of uint8 is 1.0 of float32.

    Raises TypeError for no tensor, RuntimeError where a float has too few digits for the whole number.
    """
    if not isinstance(image, tg.Tensor):
        raise TypeError(f"convert_image_dtype expected a tensor, got {type(image).__name__}")
    return tensors.convert_dtype(image, np.dtype(dtype))


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(x − mean) / std for a tensor (…, C, H, W) of floats, one number per channel or for all.

    Raises TypeError for no tensor of floats, ValueError for a deviation of 0.
    """
    if not isinstance(tensor, tg.Tensor) or not tensor.is_floating_point():
        what = f"a tensor of {tensor.dtype}" if isinstance(tensor, tg.Tensor) else type(tensor).__name__
        raise TypeError(f"normalize expected a tensor of floats, got {what}; convert it with ToTensor before")
    if tensor.ndim < 3:
        raise ValueError(f"normalize expected a tensor (…, C, H, W), got {tuple(tensor.shape)}")
    centre, scale = (np.asarray(value, tensor.dtype).reshape(-1) for value in (mean, std))
    if (scale == 0).any():
        raise ValueError(
            f"normalize expected deviations other than 0, got {scale.tolist()} in {tensor.dtype}"
        )
    count = int(tensor.shape[-3])
    if centre.size not in (1, count) or scale.size not in (1, count):
        raise ValueError(
            f"normalize expected 1 or {count} numbers, got {centre.size} of mean and {scale.size} of std"
        )
    shift, factor = tg.from_numpy(centre.reshape(-1, 1, 1)), tg.from_numpy(scale.reshape(-1, 1, 1))
    return tensor.sub_(shift).div_(factor) if inplace else (tensor - shift) / factor


# --- sizes -----------------------------------------------------------


def get_dimensions(img: Picture) -> list[int]:
    """[C, H, W]."""
    if pil.is_pil(img):
        return [pil.channels(img), img.height, img.width]
    if isinstance(img, tg.Tensor) and img.ndim >= 2:
        return [tensors.channels(img), int(img.shape[-2]), int(img.shape[-1])]
    what = f"{tuple(img.shape)}" if isinstance(img, tg.Tensor) else type(img).__name__
    raise TypeError(f"expected a PIL image or a tensor (…, H, W), got {what}")


def get_image_size(img: Picture) -> list[int]:
    """[W, H]."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Picture) -> int:
    """C."""
    return get_dimensions(img)[0]


def resize(
    img: Picture, size: int | Sequence[int] | None, interpolation: InterpolationMode | int = _BILINEAR,
    max_size: int | None = None, antialias: bool | None = True,
) -> Picture:  # fmt: skip
    """Scale to `size`: (height, width), or one number for the shorter side, with the longer at most `max_size`.

    `antialias` is for tensors; Pillow always averages the pixels that become one.
    """
    mode = as_mode(interpolation)
    _, height, width = get_dimensions(img)
    wanted = None if size is None else [size] if isinstance(size, int) else list(size)
    if wanted is not None and len(wanted) not in (1, 2):
        raise ValueError(f"resize expected size of 1 or 2 numbers, got {len(wanted)}")
    target = resized(height, width, wanted, max_size)
    if target == (height, width):
        return img
    if pil.is_pil(img):
        return pil.resize(img, target, mode)
    return tensors.resize(img, target, mode, bool(antialias) and mode.value in ("bilinear", "bicubic"))


def crop(img: Picture, top: int, left: int, height: int, width: int) -> Picture:
    """A window; what lies outside of the image is 0."""
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).crop(img, top, left, height, width)


def center_crop(img: Picture, output_size: int | Sequence[int]) -> Picture:
    """The middle (height, width) of the image, with zeros around where it is smaller."""
    target_height, target_width = _pair(output_size)
    _, height, width = get_dimensions(img)
    if target_width > width or target_height > height:
        across, down = max(target_width - width, 0), max(target_height - height, 0)
        img = pad(img, [across // 2, down // 2, (across + 1) // 2, (down + 1) // 2], fill=0)
        _, height, width = get_dimensions(img)
        if (target_height, target_width) == (height, width):
            return img
    top, left = round((height - target_height) / 2.0), round((width - target_width) / 2.0)
    return crop(img, top, left, target_height, target_width)


def resized_crop(
    img: Picture, top: int, left: int, height: int, width: int, size: int | Sequence[int],
    interpolation: InterpolationMode | int = _BILINEAR, antialias: bool | None = True,
) -> Picture:  # fmt: skip
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Picture, size: int | Sequence[int]) -> tuple[Picture, ...]:
    """The four corners and the middle, each of `size`: top left, top right, bottom left, bottom right, centre."""
    height, width = _pair(size)
    _, full_height, full_width = get_dimensions(img)
    if width > full_width or height > full_height:
        raise ValueError(
            f"a crop of {height} × {width} does not fit into an image of {full_height} × {full_width}"
        )
    right, bottom = full_width - width, full_height - height
    corners = [crop(img, top, left, height, width) for top in (0, bottom) for left in (0, right)]
    return (*corners, center_crop(img, [height, width]))


def ten_crop(img: Picture, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Picture, ...]:
    """`five_crop` of the image and of its mirror image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def pad(
    img: Picture, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant"
) -> Picture:
    """More pixels: `padding` is one number, (left and right, top and bottom), or (left, top, right, bottom).

    `padding_mode` is constant (of colour `fill`), edge, reflect or symmetric.
    """
    get_dimensions(img)
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(f"padding_mode expected constant, edge, reflect or symmetric, got {padding_mode!r}")
    return (pil if pil.is_pil(img) else tensors).pad(img, padding, fill, padding_mode)


# --- turning and warping -----------------------------------------------------------


def hflip(img: Picture) -> Picture:
    """Left to right."""
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).hflip(img)


def vflip(img: Picture) -> Picture:
    """Top to bottom."""
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).vflip(img)


def rotate(
    img: Picture, angle: float, interpolation: InterpolationMode | int = _NEAREST, expand: bool = False,
    center: Sequence[int] | None = None, fill: Fill = None,
) -> Picture:  # fmt: skip
    """Counter-clockwise by degrees about `center` (x, y) or the middle; `expand` makes room for all of it."""
    mode = as_mode(interpolation)
    _, height, width = get_dimensions(img)
    if center is not None and len(center) != 2:
        raise ValueError(f"center expected (x, y), got {center}")
    if pil.is_pil(img):
        return pil.rotate(img, angle, mode, expand, center, fill)
    middle = [0.0, 0.0] if center is None else [center[0] - width * 0.5, center[1] - height * 0.5]
    # Turning one way is looking up the other way; the inverse map's angle counts clockwise, as y goes down.
    matrix = inverse_affine(middle, -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    return tensors.rotate(img, matrix, mode, expand, fill)


def affine(
    img: Picture, angle: float, translate: Sequence[int], scale: float, shear: float | Sequence[float],
    interpolation: InterpolationMode | int = _NEAREST, fill: Fill = None, center: Sequence[int] | None = None,
) -> Picture:  # fmt: skip
    """Turn clockwise by degrees, shift by (x, y) pixels, scale and shear by degrees, about `center` or the middle."""
    mode = as_mode(interpolation)
    _, height, width = get_dimensions(img)
    if len(translate) != 2:
        raise ValueError(f"translate expected (x, y), got {translate}")
    if scale <= 0:
        raise ValueError(f"scale expected a number above 0, got {scale}")
    shears = [float(shear), 0.0] if isinstance(shear, numbers.Number) else [float(s) for s in shear]  # type: ignore[arg-type,union-attr]
    if len(shears) == 1:
        shears *= 2
    if len(shears) != 2:
        raise ValueError(f"shear expected 1 or 2 numbers, got {len(shears)}")
    if center is not None and len(center) != 2:
        raise ValueError(f"center expected (x, y), got {center}")
    if pil.is_pil(img):
        middle = [width * 0.5, height * 0.5] if center is None else [float(c) for c in center]
        return pil.affine(img, inverse_affine(middle, angle, translate, scale, shears), mode, fill)
    middle = [0.0, 0.0] if center is None else [center[0] - width * 0.5, center[1] - height * 0.5]
    return tensors.affine(img, inverse_affine(middle, angle, translate, scale, shears), mode, fill)


def perspective(
    img: Picture, startpoints: Sequence[Sequence[int]], endpoints: Sequence[Sequence[int]],
    interpolation: InterpolationMode | int = _BILINEAR, fill: Fill = None,
) -> Picture:  # fmt: skip
    """The image seen from elsewhere: its four corners `startpoints` (x, y) go to `endpoints`."""
    mode = as_mode(interpolation)
    get_dimensions(img)
    coefficients = perspective_coefficients(startpoints, endpoints)
    return (pil if pil.is_pil(img) else tensors).perspective(img, coefficients, mode, fill)


# --- colours -----------------------------------------------------------


def to_grayscale(img: Picture, num_output_channels: int = 1) -> Picture:
    """A PIL image in shades of grey, of one channel or of three equal ones."""
    if not pil.is_pil(img):
        raise TypeError("to_grayscale expected a PIL image; rgb_to_grayscale takes tensors as well")
    return rgb_to_grayscale(img, num_output_channels)


def rgb_to_grayscale(img: Picture, num_output_channels: int = 1) -> Picture:
    """The image in shades of grey, of one channel or of three equal ones."""
    if num_output_channels not in (1, 3):
        raise ValueError(f"num_output_channels expected 1 or 3, got {num_output_channels}")
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).to_grayscale(img, num_output_channels)


def adjust_brightness(img: Picture, brightness_factor: float) -> Picture:
    """0 is black, 1 the image, 2 twice as bright."""
    return _adjusted("adjust_brightness", img, brightness_factor)


def adjust_contrast(img: Picture, contrast_factor: float) -> Picture:
    """0 is grey, 1 the image, 2 twice the contrast."""
    return _adjusted("adjust_contrast", img, contrast_factor)


def adjust_saturation(img: Picture, saturation_factor: float) -> Picture:
    """0 is black and white, 1 the image, 2 twice the colour."""
    return _adjusted("adjust_saturation", img, saturation_factor)


def adjust_sharpness(img: Picture, sharpness_factor: float) -> Picture:
    """0 is blurred, 1 the image, 2 sharper."""
    return _adjusted("adjust_sharpness", img, sharpness_factor)


def adjust_hue(img: Picture, hue_factor: float) -> Picture:
    """The hue, a circle, moved by −0.5 to 0.5 of a turn."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor expected a number from -0.5 to 0.5, got {hue_factor}")
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).adjust_hue(img, hue_factor)


def adjust_gamma(img: Picture, gamma: float, gain: float = 1) -> Picture:
    """gain x^gamma, x in [0, 1]: above 1 shadows become darker."""
    if gamma < 0:
        raise ValueError(f"gamma expected a number from 0 up, got {gamma}")
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).adjust_gamma(img, gamma, gain)


def gaussian_blur(
    img: Picture, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Picture:
    """The average under a Gaussian of kernel_size (odd, one number or x and y) and deviation sigma (the same).

    A PIL image goes through a tensor and back. `sigma` is 0.3 ((k − 1) / 2 − 1) + 0.8 unless given.
    """
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2 or any(size <= 0 or size % 2 == 0 for size in sizes):
        raise ValueError(f"kernel_size expected 1 or 2 odd numbers above 0, got {kernel_size}")
    given = [size * 0.15 + 0.35 for size in sizes] if sigma is None else sigma
    deviations = [float(given)] * 2 if isinstance(given, (int, float)) else [float(value) for value in given]
    deviations = deviations * 2 if len(deviations) == 1 else deviations
    if len(deviations) != 2 or min(deviations) <= 0:
        raise ValueError(f"sigma expected 1 or 2 numbers above 0, got {sigma}")
    get_dimensions(img)
    if pil.is_pil(img):
        return to_pil_image(tensors.gaussian_blur(pil_to_tensor(img), sizes, deviations), img.mode)
    return tensors.gaussian_blur(img, sizes, deviations)


def invert(img: Picture) -> Picture:
    """White minus the image."""
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).invert(img)


def posterize(img: Picture, bits: int) -> Picture:
    """The first `bits` (0 to 8) of each pixel."""
    if not 0 <= bits <= 8:
        raise ValueError(f"bits expected a number from 0 to 8, got {bits}")
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).posterize(img, bits)


def solarize(img: Picture, threshold: float) -> Picture:
    """Pixels from the threshold up inverted."""
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).solarize(img, threshold)


def autocontrast(img: Picture) -> Picture:
    """Each channel stretched over all values."""
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).autocontrast(img)


def equalize(img: Picture) -> Picture:
    """Each channel's histogram made flat; whole-numbered images only."""
    get_dimensions(img)
    return (pil if pil.is_pil(img) else tensors).equalize(img)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor | float, inplace: bool = False) -> Tensor:
    """A tensor image with `v` in the window of h × w whose first pixel is (row i, column j).

    Raises TypeError for a PIL image.
    """
    if not isinstance(img, tg.Tensor):
        raise TypeError(f"erase expected a tensor, got {type(img).__name__}; ToTensor goes before")
    changed = img if inplace else img.clone()
    changed[..., i : i + h, j : j + w] = v
    return changed


def _adjusted(name: str, image: Picture, factor: float) -> Picture:
    if factor < 0:
        raise ValueError(f"{name} expected a factor from 0 up, got {factor}")
    get_dimensions(image)
    return getattr(pil if pil.is_pil(image) else tensors, name)(image, factor)


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    values = list(size) if isinstance(size, Sequence) else [size]
    if len(values) not in (1, 2):
        raise ValueError(f"size expected (height, width) or one number, got {size}")
    return int(values[0]), int(values[-1])


def _channels_first(array: np.ndarray) -> Tensor:
    return tg.from_numpy(
        np.array((array[:, :, None] if array.ndim == 2 else array).transpose(2, 0, 1), order="C")
    )


def _pixels(image: Picture) -> np.ndarray:
    """A PIL image's values, as torchvision reads its modes."""
    kinds = {"I": np.int32, "I;16": np.int16, "I;16B": np.int16, "F": np.float32}
    if image.mode == "1":
        return np.array(image, np.uint8) * np.uint8(255)
    array = np.array(image)
    return array.astype(kinds[image.mode]) if image.mode in kinds else array
