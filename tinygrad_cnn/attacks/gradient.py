"""Attacks that follow the loss's gradient with respect to the image: FGSM in one step, PGD in many.

The other attacks stand on `input_gradient`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.analysis.watch import evaluating
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.gradients import grad
from tinygrad_cnn.autograd.handle import leaf, unwrap, wrap
from tinygrad_cnn.nn.functional import cross_entropy
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["fgsm", "input_gradient", "pgd"]

Array = np.ndarray[Any, Any]
Loss = Callable[[Any, Any], Any]


def fgsm(
    model: Any, x: Any, y: Any, eps: float, *, targeted: bool = False, clip: tuple[float, float] | None = (0.0, 1.0),
    loss: Loss | None = None,
) -> Any:  # fmt: skip
    """The fast gradient sign method: x + eps · sign(∂loss/∂x), clipped (Goodfellow, Shlens, Szegedy 2015).

    Args:
        model: a classifier, images (N, C, H, W) to scores (N, classes)
        x: the images
        y: their classes (N,); with `targeted` the classes they shall be taken for
        eps: by how much each pixel may change
        targeted: lower the loss of `y` instead of raising it
        clip: lowest and highest value of a pixel; None for no bounds
        loss: (scores, y) -> loss, summed or averaged over the batch; cross-entropy unless given

    Returns:
        the changed images, a tensor like `x`

    Raises:
        ValueError: for a negative eps, or another number of labels than images
    """
    images, labels = _checked(x, y, eps)
    direction = -1.0 if targeted else 1.0
    step = np.sign(input_gradient(model, images, labels, loss)) * images.dtype.type(direction * eps)
    return wrap(_clipped(images + step, clip))


def pgd(
    model: Any, x: Any, y: Any, eps: float, *, steps: int = 40, step_size: float | None = None,
    norm: float | str = "inf", random_start: bool = True, targeted: bool = False,
    clip: tuple[float, float] | None = (0.0, 1.0), loss: Loss | None = None, generator: Any = None,
) -> Any:  # fmt: skip
    """Projected gradient descent: many small steps up the loss, each put back to within `eps` of `x` (Madry et al.
    2018).

    Args:
        model: a classifier, images (N, C, H, W) to scores (N, classes)
        x: the images
        y: their classes (N,); with `targeted` the classes they shall be taken for
        eps: the distance that each image may be moved by
        steps: number of steps
        step_size: length of a step; unless given, all steps together are 4/3 of eps long
        norm: "inf", each pixel changes by up to eps, or 2, the whole image does (Euclidean length)
        random_start: begin at a random place within eps
        targeted: lower the loss of `y` instead of raising it
        clip: lowest and highest value of a pixel; None for no bounds
        loss: (scores, y) -> loss, summed or averaged over the batch; cross-entropy unless given
        generator: draws the start; the default generator unless given

    Returns:
        the changed images, a tensor like `x`

    Raises:
        ValueError: for a negative eps, steps below 1, another norm, or another number of labels than images
    """
    images, labels = _checked(x, y, eps)
    if steps < 1:
        raise ValueError(f"pgd expected steps from 1 up, got {steps}")
    norm = float(norm)
    if norm not in (np.inf, 2):
        raise ValueError(f'pgd expected norm "inf" or 2, got {norm}')
    size = 4 * eps / (3 * steps) if step_size is None else step_size
    size = images.dtype.type(-size if targeted else size)
    moved = images
    if random_start:
        moved = _clipped(images + _random_within(images, eps, norm, numpy_generator(generator)), clip)
    for _step in range(steps):
        g = input_gradient(model, moved, labels, loss)
        moved = moved + size * (np.sign(g) if norm == np.inf else g / np.maximum(_length(g), 1e-12))
        moved = _clipped(images + _projected(moved - images, eps, norm), clip)
    return wrap(moved)


def input_gradient(model: Any, images: Array, labels: Array, loss: Loss | None = None) -> Array:
    """∂loss/∂images as an array, of the model in evaluation mode; nothing is computed for its parameters."""
    x = leaf(images)
    with evaluating(model), _fixed(model), modes.enable_grad():
        value = (loss or cross_entropy)(model(x), wrap(labels))
        (g,) = grad(value, x)
    return unwrap(g)


@contextlib.contextmanager
def _fixed(model: Any) -> Iterator[None]:
    """No gradients with respect to parameters: a third of the work."""
    moving = [p for p in model.parameters() if p.requires_grad] if hasattr(model, "parameters") else []
    for p in moving:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in moving:
            p.requires_grad_(True)


def _checked(x: Any, y: Any, eps: float) -> tuple[Array, Array]:
    images, labels = np.asarray(unwrap(x)), np.asarray(unwrap(y))
    if not eps >= 0:
        raise ValueError(f"an attack expected eps from 0 up, got {eps}")
    if images.ndim < 2 or images.dtype.kind != "f":
        raise ValueError(f"an attack expected a batch of images of floats, got {images.dtype} of shape {images.shape}")
    if labels.shape[:1] != images.shape[:1]:
        raise ValueError(f"an attack expected one label per image, got images {images.shape} and labels {labels.shape}")
    return images, labels


def _clipped(images: Array, clip: tuple[float, float] | None) -> Array:
    return images if clip is None else np.clip(images, *clip)


def _length(change: Array) -> Array:
    """The Euclidean length of each image's change, (N, 1, …)."""
    return np.sqrt(np.sum(change * change, axis=tuple(range(1, change.ndim)), keepdims=True))


def _projected(change: Array, eps: float, norm: float) -> Array:
    bound = change.dtype.type(eps)
    if norm == np.inf:
        return np.clip(change, -bound, bound)
    return change * np.minimum(bound / np.maximum(_length(change), 1e-12), 1)


def _random_within(images: Array, eps: float, norm: float, rng: np.random.Generator) -> Array:
    """Uniform in the box, or in the ball, of size `eps`."""
    if norm == np.inf:
        return np.asarray(rng.uniform(-eps, eps, images.shape), images.dtype)
    direction = np.asarray(rng.standard_normal(images.shape))
    radius = eps * rng.random((len(images),) + (1,) * (images.ndim - 1)) ** (1 / images[0].size)
    return np.asarray(direction / _length(direction) * radius, images.dtype)
