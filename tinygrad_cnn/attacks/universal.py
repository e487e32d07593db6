"""One noise for all images: the same small change that makes a network err on most of what it is added to."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.attacks.gradient import input_gradient
from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.training.batch import split_batch
from tinygrad_cnn.training.loading import as_loader

__all__ = ["universal_noise"]


def universal_noise(
    model: Any, data: Any, eps: float, *, epochs: int = 3, step_size: float | None = None,
    batch_size: int | None = None, clip: tuple[float, float] | None = (0.0, 1.0),
) -> Any:  # fmt: skip
    """A noise (C, H, W) within ±eps that raises the loss on all of `data` at once.

    Each batch's mean gradient moves it by a step in its sign, and it is cut to ±eps (Moosavi-Dezfooli et al. 2017
    found that
    such noises exist; the method is Shafahi et al. 2020, "Universal adversarial training"). Add it to images and clip.

    Args:
        model: a classifier
        data: a loader, a data set, or a pair (images, labels)
        eps: by how much each pixel may change
        epochs: passes over the data
        step_size: eps / 10 unless given
        batch_size: for data that are no loader
        clip: lowest and highest value of a pixel; None for no bounds

    Returns:
        the noise, a tensor

    Raises:
        ValueError: for a negative eps, or no image
    """
    if not eps >= 0:
        raise ValueError(f"universal_noise expected eps from 0 up, got {eps}")
    size = eps / 10 if step_size is None else step_size
    noise: Any = None
    for _epoch in range(epochs):
        for batch in as_loader(data, batch_size, usual=(64, False)):
            x, y = (np.asarray(unwrap(part)) for part in split_batch(batch))
            noise = np.zeros(x.shape[1:], x.dtype) if noise is None else noise
            moved = x + noise if clip is None else np.clip(x + noise, *clip)
            g = input_gradient(model, moved, y).sum(0)
            noise = np.clip(noise + x.dtype.type(size) * np.sign(g), -x.dtype.type(eps), x.dtype.type(eps))
    if noise is None:
        raise ValueError("universal_noise expected at least one image, got none")
    return wrap(noise)
