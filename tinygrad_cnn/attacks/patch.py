"""A sticker: a small picture that, wherever it lies on an image, decides what a network sees in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.attacks.gradient import input_gradient
from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.training.batch import split_batch
from tinygrad_cnn.training.loading import as_loader
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["apply_patch", "patch"]

Array = np.ndarray[Any, Any]


def patch(
    model: Any, data: Any, size: int, target: int | None = None, *, epochs: int = 3, step_size: float = 0.05,
    batch_size: int | None = None, clip: tuple[float, float] = (0.0, 1.0), generator: Any = None,
) -> Any:  # fmt: skip
    """A square sticker (C, size, size) for the classifier `model` (Brown et al. 2017, "Adversarial Patch").

    It is put at a random place of every image, and moves in the sign of the gradient that arrives there.

    Args:
        model: a classifier
        data: a loader, a data set, or a pair (images, labels), whose images it is made with
        size: its side in pixels
        target: the class that everything shall be taken for; without one, only the true class is driven out
        epochs: passes over the data
        step_size: by how much a pixel changes per batch
        batch_size: for data that are no loader
        clip: lowest and highest value of a pixel
        generator: draws the places; the default generator unless given

    Returns:
        the sticker, a tensor

    Raises:
        ValueError: when it does not fit into the images, and for no image
    """
    rng = numpy_generator(generator)
    found: Any = None
    for _epoch in range(epochs):
        for batch in as_loader(data, batch_size, usual=(64, False)):
            x, y = (np.asarray(unwrap(part)) for part in split_batch(batch))
            if found is None:
                found = np.full((x.shape[1], size, size), sum(clip) / 2, x.dtype)
            places = _places(x, size, rng)
            labels = y if target is None else np.full(len(x), target, np.int64)
            g = input_gradient(model, _with_patch(x, found, places), labels)
            total = sum(g[i, :, top : top + size, left : left + size] for i, (top, left) in enumerate(places))
            up = x.dtype.type(step_size if target is None else -step_size)
            found = np.clip(found + up * np.sign(total), *clip)
    if found is None:
        raise ValueError("patch expected at least one image, got none")
    return wrap(found)


def apply_patch(x: Any, sticker: Any, generator: Any = None) -> Any:
    """Images (N, C, H, W) with the sticker (C, s, s) at a random place of each. ValueError when it does not fit."""
    images, small = np.asarray(unwrap(x)), np.asarray(unwrap(sticker))
    places = _places(images, small.shape[-1], numpy_generator(generator))
    return wrap(_with_patch(images, small, places))


def _places(images: Array, size: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    if images.ndim != 4 or not 1 <= size <= min(images.shape[2:]):
        raise ValueError(f"a patch of side {size} does not fit into images of shape {images.shape}, (N, C, H, W)")
    n, _, height, width = images.shape
    tops, lefts = rng.integers(height - size + 1, size=n), rng.integers(width - size + 1, size=n)
    return list(zip(tops.tolist(), lefts.tolist()))


def _with_patch(images: Array, small: Array, places: list[tuple[int, int]]) -> Array:
    result = images.copy()
    size = small.shape[-1]
    for image, (top, left) in zip(result, places):
        image[:, top : top + size, left : left + size] = small
    return result
