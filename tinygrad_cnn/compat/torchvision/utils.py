"""`torchvision.utils`: grids of images, files of images, boxes and masks drawn on images. Pillow draws."""

from __future__ import annotations

import colorsys
import math
import os
from collections.abc import Sequence
from typing import Any, BinaryIO, TypeAlias

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.compat.torchvision.transforms.functional import pil_to_tensor, to_pil_image
from tinygrad_cnn.compat.torchvision.transforms.pil import pillow

__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]

#: A colour's name or hexadecimal number, or (red, green, blue) from 0 to 255.
Colour: TypeAlias = str | tuple[int, int, int]


@tg.no_grad()
def make_grid(
    tensor: Tensor | list[Tensor], nrow: int = 8, padding: int = 2, normalize: bool = False,
    value_range: tuple[float, float] | None = None, scale_each: bool = False, pad_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Images (N, C, H, W), or a list of (C, H, W), side by side as one image (3, H', W').

    Args:
        tensor: the images; of one channel, they become three equal ones
        nrow: images in a row
        padding: pixels around each
        normalize: bring the values from `value_range`, or from the least and the largest of all, to [0, 1]
        value_range: (least, most); values outside are cut
        scale_each: with `normalize`, the least and the largest of each image
        pad_value: the value of the pixels around

    Returns:
        the image; a single one without padding

    Raises:
        TypeError: when it is no tensor, nor a list of them
    """
    images = tensor if isinstance(tensor, tg.Tensor) else None
    if images is None:
        if not isinstance(tensor, list) or not all(isinstance(one, tg.Tensor) for one in tensor):
            raise TypeError(f"make_grid expected a tensor or a list of tensors, got {type(tensor).__name__}")
        images = tg.stack(tensor, 0)
    if images.ndim == 2:
        images = images[None]
    if images.ndim == 3:
        images = tg.cat([images] * 3, 0)[None] if images.shape[0] == 1 else images[None]
    if images.ndim == 4 and images.shape[1] == 1:
        images = tg.cat([images] * 3, 1)
    if normalize:
        images = images.clone()
        for part in images if scale_each else [images]:
            least, most = (float(part.min()), float(part.max())) if value_range is None else value_range
            part.clamp_(least, most).sub_(least).div_(max(most - least, 1e-5))
    if images.shape[0] == 1:
        return images[0]
    count, channels, height, width = (int(n) for n in images.shape)
    across = min(nrow, count)
    down = math.ceil(count / across)
    height, width = height + padding, width + padding
    grid = tg.full(
        (channels, height * down + padding, width * across + padding), pad_value, dtype=images.dtype
    )
    for k, image in enumerate(images):
        top, left = k // across * height + padding, k % across * width + padding
        grid[:, top : top + height - padding, left : left + width - padding] = image
    return grid


@tg.no_grad()
def save_image(
    tensor: Tensor | list[Tensor],
    fp: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write images, values in [0, 1], to a file: a grid of them, made by `make_grid` with the further arguments."""
    grid = make_grid(tensor, **kwargs)
    pixels = (grid.numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    pillow().fromarray(pixels).save(fp, format=format)


@tg.no_grad()
def draw_bounding_boxes(
    image: Tensor, boxes: Tensor, labels: list[str | None] | None = None,
    colors: list[Colour] | Colour | None = None, fill: bool | None = False, width: int = 1, font: str | None = None,
    font_size: int | None = None, label_colors: list[Colour] | Colour | None = None,
    label_background_colors: list[Colour] | Colour | None = None, fill_labels: bool = False,
) -> Tensor:  # fmt: skip
    """The image (C, H, W), uint8 or in [0, 1], with boxes drawn on it.

    Args:
        image: of 1 or 3 channels
        boxes: (N, 4), each x₁, y₁, x₂, y₂ in pixels
        labels: a text for each box
        colors: one for all boxes, or a list of one for each; distinct ones unless given
        fill: colour the inside, half transparent
        width: of the lines, in pixels
        font: the file of a TrueType font for the labels
        font_size: its size, 10 unless given
        label_colors: as `colors`, of the texts
        label_background_colors: as `colors`, behind the texts
        fill_labels: put a background behind the texts

    Returns:
        an image of three channels, of the dtype of the first

    Raises:
        TypeError: when the image is no tensor
        ValueError: for another shape, boxes that end before they begin, and lists of other lengths
    """
    _check_image("draw_bounding_boxes", image, (1, 3))
    if boxes.shape[0] == 0:
        return image
    corners = [[float(value) for value in box] for box in boxes.numpy()]
    if any(x2 < x1 or y2 < y1 for x1, y1, x2, y2 in corners):
        raise ValueError("draw_bounding_boxes expected boxes as x1, y1, x2, y2 with x1 <= x2 and y1 <= y2")
    count = len(corners)
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"draw_bounding_boxes expected one label for each of {count} boxes, got {len(labels)}"
        )
    lines = _colours(colors, count)
    texts = lines if label_colors is None else _colours(label_colors, count)
    behind = lines if label_background_colors is None else _colours(label_background_colors, count)
    if fill_labels and label_colors is None:
        texts = [_black_or_white(colour) for colour in behind]
    picture = to_pil_image(_three(_bytes(image)))
    drawing = pillow("ImageDraw").Draw(picture, "RGBA" if fill else None)
    written = _font(font, font_size)
    for k, box in enumerate(corners):
        inside = (*lines[k], 100) if fill else None
        drawing.rectangle(box, width=width, outline=lines[k], fill=inside)
        text = None if labels is None else labels[k]
        if text is not None:
            place = (box[0] + width + 1, box[1] + width + 1)
            if fill_labels:
                drawing.rectangle(drawing.textbbox(place, text, font=written), fill=behind[k])
            drawing.text(place, text, fill=texts[k], font=written)
    return _as_given(pil_to_tensor(picture), image)


@tg.no_grad()
def draw_segmentation_masks(
    image: Tensor, masks: Tensor, alpha: float = 0.8, colors: list[Colour] | Colour | None = None
) -> Tensor:
    """The image (3, H, W), uint8 or in [0, 1], with each mask (N, H, W) or (H, W) of bools painted over it.

    Args:
        image: of 3 channels
        masks: what to paint
        alpha: how much of the paint covers: 1 hides the image
        colors: one for all masks, or a list of one for each; distinct ones unless given

    Returns:
        the painted image, black under the paint where masks overlap

    Raises:
        TypeError: when the image is no tensor
        ValueError: for other shapes, and masks that are not of bools
    """
    _check_image("draw_segmentation_masks", image, (3,))
    layers = masks[None] if masks.ndim == 2 else masks
    if layers.ndim != 3 or layers.dtype != np.bool_:
        raise ValueError(f"expected masks (N, H, W) of bools, got {tuple(masks.shape)} of {masks.dtype}")
    if layers.shape[-2:] != image.shape[-2:]:
        raise ValueError(
            f"expected masks of {tuple(image.shape[-2:])}, as the image, got {tuple(layers.shape[-2:])}"
        )
    plain, where = image.numpy(), layers.numpy()
    painted = plain.copy()
    scale = 255 if image.is_floating_point() else 1
    for layer, colour in zip(where, _colours(colors, len(where))):
        painted[:, layer] = (np.array(colour) / scale).astype(plain.dtype)[:, None]
    painted[:, where.sum(0) > 1] = 0
    kind = plain.dtype if image.is_floating_point() else np.dtype(np.float32)
    mixed = plain.astype(kind) * kind.type(1 - alpha) + painted.astype(kind) * kind.type(alpha)
    return tg.from_numpy(mixed.astype(plain.dtype))


def _log_api_usage_once(_object: object) -> None:
    """What torchvision's own files call when they begin; nothing is counted here."""


def _make_ntuple(x: Any, n: int) -> tuple[Any, ...]:
    """A sequence as a tuple, anything else `n` times."""
    return tuple(x) if isinstance(x, Sequence) else (x,) * n


def _check_image(name: str, image: Tensor, channels: tuple[int, ...]) -> None:
    if not isinstance(image, tg.Tensor):
        raise TypeError(f"{name} expected a tensor, got {type(image).__name__}")
    if image.ndim != 3 or image.shape[0] not in channels:
        expected = " or ".join(map(str, channels))
        raise ValueError(f"{name} expected one image of {expected} channels, got {tuple(image.shape)}")
    if image.dtype != np.uint8 and not image.is_floating_point():
        raise ValueError(f"{name} expected an image of uint8 or of floats in [0, 1], got {image.dtype}")


def _bytes(image: Tensor) -> Tensor:
    """uint8 in [0, 255]: floats lie in [0, 1]."""
    if not image.is_floating_point():
        return image
    return tg.from_numpy((image.numpy() * 255.999).clip(0, 255).astype(np.uint8))


def _as_given(drawn: Tensor, image: Tensor) -> Tensor:
    return drawn.to(image.dtype) / 255 if image.is_floating_point() else drawn


def _three(image: Tensor) -> Tensor:
    return image.expand((3, *image.shape[1:])) if image.shape[0] == 1 else image


def _colours(given: list[Colour] | Colour | None, count: int) -> list[tuple[int, int, int]]:
    if given is None:  # hues a golden angle apart are far from each other, however many there are
        made = [colorsys.hsv_to_rgb(k * 0.618034 % 1.0, 0.85, 0.95) for k in range(count)]
        return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in made]
    colours: Sequence[Any] = given if isinstance(given, list) else [given] * count
    if len(colours) < count:
        raise ValueError(f"expected one colour for each of {count}, got {len(colours)}")
    named = pillow("ImageColor").getrgb
    return [
        tuple(named(colour)[:3]) if isinstance(colour, str) else tuple(colour) for colour in colours[:count]
    ]


def _black_or_white(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else (255, 255, 255)


def _font(file: str | None, size: int | None) -> Any:
    fonts = pillow("ImageFont")
    return fonts.load_default() if file is None else fonts.truetype(file, size or 10)
