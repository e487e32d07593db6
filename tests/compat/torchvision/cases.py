"""Calls of `torchvision.transforms.functional`, written for both libraries: the engine `T`, `F`, and an image."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FROZEN = Path(__file__).with_name("transforms_answers.npz")

#: The corners of an image of 17 × 13 seen from elsewhere.
START = [[0, 0], [16, 0], [16, 12], [0, 12]]
END = [[2, 1], [14, 3], [15, 12], [1, 10]]

#: Name: the call, for PIL images and tensors alike.
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "resize both": lambda F, x: F.resize(x, [7, 11]),
    "resize shorter": lambda F, x: F.resize(x, 9),
    "resize larger": lambda F, x: F.resize(x, [20, 30]),
    "resize bounded": lambda F, x: F.resize(x, 9, max_size=10),
    "resize nearest": lambda F, x: F.resize(x, [7, 11], F.InterpolationMode.NEAREST),
    "resize bicubic": lambda F, x: F.resize(x, [7, 11], F.InterpolationMode.BICUBIC),
    "resize bicubic larger": lambda F, x: F.resize(x, [20, 30], F.InterpolationMode.BICUBIC),
    "crop": lambda F, x: F.crop(x, 2, 3, 6, 7),
    "crop outside": lambda F, x: F.crop(x, -2, 5, 9, 40),
    "center crop": lambda F, x: F.center_crop(x, [6, 9]),
    "center crop odd": lambda F, x: F.center_crop(x, [8, 8]),
    "center crop larger": lambda F, x: F.center_crop(x, [15, 12]),
    "resized crop": lambda F, x: F.resized_crop(x, 1, 2, 8, 10, [12, 12]),
    "five crop": lambda F, x: F.five_crop(x, 5)[3],
    "ten crop": lambda F, x: F.ten_crop(x, [5, 6])[7],
    "hflip": lambda F, x: F.hflip(x),
    "vflip": lambda F, x: F.vflip(x),
    "pad one": lambda F, x: F.pad(x, 2),
    "pad two": lambda F, x: F.pad(x, [1, 2], fill=9),
    "pad four": lambda F, x: F.pad(x, [1, 2, 3, 0], fill=9),
    "pad edge": lambda F, x: F.pad(x, [1, 2, 3, 0], padding_mode="edge"),
    "pad reflect": lambda F, x: F.pad(x, [1, 2, 3, 0], padding_mode="reflect"),
    "pad symmetric": lambda F, x: F.pad(x, [1, 2, 3, 0], padding_mode="symmetric"),
    "pad edge inwards": lambda F, x: F.pad(x, [-1, 2, 3, -2], padding_mode="edge"),
    "rotate": lambda F, x: F.rotate(x, 33.0),
    "rotate bilinear": lambda F, x: F.rotate(x, -20.0, F.InterpolationMode.BILINEAR),
    "rotate filled": lambda F, x: F.rotate(x, 50.0, F.InterpolationMode.BILINEAR, fill=7),
    "rotate centre": lambda F, x: F.rotate(x, 33.0, center=[3, 4]),
    "rotate expand": lambda F, x: F.rotate(x, 33.0, expand=True, fill=3),
    "rotate expand 90": lambda F, x: F.rotate(x, 90.0, expand=True),
    "affine": lambda F, x: F.affine(x, 20.0, [2, -1], 1.2, [10.0, -5.0]),
    "affine bilinear": lambda F, x: F.affine(
        x, 20.0, [2, -1], 0.8, [10.0], F.InterpolationMode.BILINEAR, fill=5
    ),
    "affine centre": lambda F, x: F.affine(x, -70.0, [0, 3], 1.0, [0.0, 0.0], center=[4, 5]),
    "perspective": lambda F, x: F.perspective(x, START, END),
    "perspective nearest": lambda F, x: F.perspective(x, START, END, F.InterpolationMode.NEAREST, fill=4),
    "grey": lambda F, x: F.rgb_to_grayscale(x),
    "grey three": lambda F, x: F.rgb_to_grayscale(x, 3),
    "brightness down": lambda F, x: F.adjust_brightness(x, 0.4),
    "brightness up": lambda F, x: F.adjust_brightness(x, 1.7),
    "contrast down": lambda F, x: F.adjust_contrast(x, 0.4),
    "contrast up": lambda F, x: F.adjust_contrast(x, 1.7),
    "saturation down": lambda F, x: F.adjust_saturation(x, 0.4),
    "saturation up": lambda F, x: F.adjust_saturation(x, 1.7),
    "hue up": lambda F, x: F.adjust_hue(x, 0.3),
    "hue down": lambda F, x: F.adjust_hue(x, -0.2),
    "gamma": lambda F, x: F.adjust_gamma(x, 0.7, 1.1),
    "sharpness": lambda F, x: F.adjust_sharpness(x, 1.8),
    "blur": lambda F, x: F.gaussian_blur(x, [3, 5]),
    "blur by": lambda F, x: F.gaussian_blur(x, 5, [1.3]),
    "invert": lambda F, x: F.invert(x),
    "posterize": lambda F, x: F.posterize(x, 3),
    "solarize": lambda F, x: F.solarize(x, 100),
    "autocontrast": lambda F, x: F.autocontrast(x),
    "equalize": lambda F, x: F.center_crop(
        F.equalize(F.resize(x, [40, 39], F.InterpolationMode.NEAREST)), 13
    ),
}

#: Calls that are not for every kind of image.
NOT_FOR = {
    "L": {"grey", "grey three", "hue up", "hue down"},
    "RGBA": {"grey three", "autocontrast", "equalize", "invert", "posterize", "solarize", "hue up", "hue down",
             "gamma", "blur", "blur by"},
    "float": {"posterize", "equalize", "solarize"},
}  # fmt: skip
#: What changes a PIL image, and what a tensor.
KINDS = ("RGB", "L", "RGBA", "uint8", "float")


def cases() -> list[tuple[str, str]]:
    """(call, kind of image) of all there are."""
    return [(call, kind) for call in CALLS for kind in KINDS if call not in NOT_FOR.get(kind, ())]


def pixels(kind: str) -> np.ndarray:
    """The image: 13 × 17, smooth with noise, so that neither rounding nor edges go unseen."""
    rng = np.random.default_rng(zlib.crc32(b"image"))
    count = {"L": 1, "RGBA": 4}.get(kind, 3)
    y, x = np.mgrid[:13, :17]
    waves = [120 + 60 * np.sin(x / (2 + k)) + 50 * np.cos(y / (3 - k / 2)) for k in range(count)]
    noisy = np.stack(waves, -1) + rng.integers(-25, 26, (13, 17, count))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def image(kind: str, engine: Any) -> Any:
    """The image of that kind, for `engine` (torch or tinygrad_cnn)."""
    from PIL import Image

    array = pixels(kind)
    if kind in ("uint8", "float"):
        tensor = engine.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
        return tensor if kind == "uint8" else tensor.to(engine.float32) / 255
    return Image.fromarray(array[:, :, 0] if kind == "L" else array, kind)


def answer(call: str, kind: str, functional: Any, engine: Any) -> np.ndarray:
    """What the call gives, as an array."""
    found = CALLS[call](functional, image(kind, engine))
    return np.asarray(found if kind not in ("uint8", "float") else found.numpy())
