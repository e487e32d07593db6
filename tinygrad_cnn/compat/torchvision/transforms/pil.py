"""Changes to PIL images, which Pillow makes: the half of `functional` for them."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np

from tinygrad_cnn.compat.torchvision.transforms.geometry import sides
from tinygrad_cnn.compat.torchvision.transforms.interpolation import Fill, InterpolationMode, Picture
from tinygrad_cnn.support.extras import require

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation", "adjust_sharpness",
    "affine", "autocontrast", "channels", "crop", "equalize", "hflip", "invert", "is_pil", "pad", "perspective",
    "pillow", "posterize", "resize", "rotate", "solarize", "to_grayscale", "vflip",
]  # fmt: skip


def pillow(module: str = "Image") -> ModuleType:
    """A module of Pillow; MissingExtraError where it is not installed."""
    return require(f"PIL.{module}", extra="images", purpose="changing images")


def is_pil(image: object) -> bool:
    """Whether it is a PIL image; without Pillow nothing is."""
    return any(
        base.__module__.startswith("PIL.") and base.__name__ == "Image" for base in type(image).__mro__
    )


def channels(image: Picture) -> int:
    """How many numbers stand for a pixel."""
    return len(image.getbands())


def resize(image: Picture, size: tuple[int, int], mode: InterpolationMode) -> Picture:
    """To (height, width)."""
    return image.resize((size[1], size[0]), _resampling(mode))


def crop(image: Picture, top: int, left: int, height: int, width: int) -> Picture:
    """A window; what lies outside of the image is black."""
    return image.crop((left, top, left + width, top + height))


def hflip(image: Picture) -> Picture:
    """Left to right."""
    return image.transpose(pillow().Transpose.FLIP_LEFT_RIGHT)


def vflip(image: Picture) -> Picture:
    """Top to bottom."""
    return image.transpose(pillow().Transpose.FLIP_TOP_BOTTOM)


def pad(image: Picture, padding: int | Sequence[int], fill: Fill, padding_mode: str) -> Picture:
    """More pixels on each side: of one colour, or by NumPy's modes edge, reflect and symmetric."""
    left, top, right, bottom = sides(padding)
    if padding_mode == "constant":
        filled = pillow("ImageOps").expand(
            image, border=(left, top, right, bottom), fill=_fill(image, fill) or 0
        )
        if image.mode == "P":
            filled.putpalette(image.getpalette())
        return filled
    if min(left, top, right, bottom) < 0:
        image = image.crop(
            (-min(left, 0), -min(top, 0), image.width + min(right, 0), image.height + min(bottom, 0))
        )
        left, top, right, bottom = (max(side, 0) for side in (left, top, right, bottom))
    pixels = np.asarray(image)
    width = [(top, bottom), (left, right), (0, 0)][: pixels.ndim]
    filled = pillow().fromarray(np.pad(pixels, width, mode=padding_mode))  # type: ignore[call-overload]
    if image.mode == "P":
        filled = filled.convert("L")
        filled.putpalette(image.getpalette())
    return filled


def rotate(
    image: Picture,
    angle: float,
    mode: InterpolationMode,
    expand: bool,
    center: Sequence[int] | None,
    fill: Fill,
) -> Picture:
    """Counter-clockwise by degrees."""
    return image.rotate(angle, _resampling(mode), expand, center, fillcolor=_fill(image, fill))


def affine(image: Picture, matrix: Sequence[float], mode: InterpolationMode, fill: Fill) -> Picture:
    """By the inverse map `matrix` (see `geometry.inverse_affine`)."""
    how = pillow().Transform.AFFINE
    return image.transform(image.size, how, matrix, _resampling(mode), fillcolor=_fill(image, fill))


def perspective(
    image: Picture, coefficients: Sequence[float], mode: InterpolationMode, fill: Fill
) -> Picture:
    """By the eight numbers of `geometry.perspective_coefficients`."""
    how = pillow().Transform.PERSPECTIVE
    return image.transform(image.size, how, coefficients, _resampling(mode), fillcolor=_fill(image, fill))


def to_grayscale(image: Picture, num_output_channels: int) -> Picture:
    """Mode L, or RGB with three equal channels."""
    grey = image.convert("L")
    return grey if num_output_channels == 1 else pillow().merge("RGB", [grey] * 3)


def adjust_brightness(image: Picture, factor: float) -> Picture:
    """0 is black, 1 the image."""
    return pillow("ImageEnhance").Brightness(image).enhance(factor)


def adjust_contrast(image: Picture, factor: float) -> Picture:
    """0 is grey, 1 the image."""
    return pillow("ImageEnhance").Contrast(image).enhance(factor)


def adjust_saturation(image: Picture, factor: float) -> Picture:
    """0 is black and white, 1 the image."""
    return pillow("ImageEnhance").Color(image).enhance(factor)


def adjust_sharpness(image: Picture, factor: float) -> Picture:
    """0 is blurred, 1 the image, 2 sharper."""
    return pillow("ImageEnhance").Sharpness(image).enhance(factor)


def adjust_hue(image: Picture, factor: float) -> Picture:
    """The hue of mode HSV, a byte that is a circle, moved by `factor` turns."""
    if image.mode in ("L", "1", "I", "F"):
        return image
    hue, saturation, value = image.convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(int(factor * 255) % 256)  # uint8 wraps, as a circle should
    return pillow().merge("HSV", (pillow().fromarray(turned, "L"), saturation, value)).convert(image.mode)


def adjust_gamma(image: Picture, gamma: float, gain: float) -> Picture:
    """255 gain (x / 255)^gamma, by a table."""
    table = [int((255 + 1 - 1e-3) * gain * pow(value / 255.0, gamma)) for value in range(256)] * 3
    return image.convert("RGB").point(table).convert(image.mode)


def invert(image: Picture) -> Picture:
    """255 − x."""
    return pillow("ImageOps").invert(image)


def posterize(image: Picture, bits: int) -> Picture:
    """The first bits of each pixel."""
    return pillow("ImageOps").posterize(image, bits)


def solarize(image: Picture, threshold: float) -> Picture:
    """Pixels from the threshold up inverted."""
    return pillow("ImageOps").solarize(image, threshold)


def autocontrast(image: Picture) -> Picture:
    """Each channel stretched over all values."""
    return pillow("ImageOps").autocontrast(image)


def equalize(image: Picture) -> Picture:
    """Each channel's histogram made flat."""
    return pillow("ImageOps").equalize(image)


def _resampling(mode: InterpolationMode) -> int:
    name = "NEAREST" if mode is InterpolationMode.NEAREST_EXACT else mode.name
    return getattr(pillow().Resampling, name)


def _fill(image: Picture, fill: Fill) -> Fill:
    """One number for each channel of the image, whole ones for whole-numbered modes."""
    if fill is None:
        return None
    count = channels(image)
    if isinstance(fill, (int, float)) and count > 1:
        fill = (fill,) * count
    if isinstance(fill, (list, tuple)):
        if len(fill) == 1 and count > 1:
            fill = tuple(fill) * count
        if len(fill) != count:
            raise ValueError(
                f"fill expected 1 or {count} numbers for an image of mode {image.mode}, got {len(fill)}"
            )
        fill = tuple(fill) if image.mode == "F" else tuple(int(value) for value in fill)
        return fill if count > 1 else fill[0]
    return fill
