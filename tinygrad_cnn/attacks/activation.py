"""What a unit looks for: the image, made from noise, that excites it most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.analysis.watch import evaluating, layer_outputs, layer_path
from tinygrad_cnn.attacks.gradient import _fixed
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.gradients import grad
from tinygrad_cnn.autograd.handle import leaf, unwrap, wrap
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["maximal_activation"]


def maximal_activation(
    model: Any, size: Sequence[int], unit: int, layer: Any = None, *, steps: int = 200, step_size: float = 0.02,
    decay: float = 0.01, jitter: int = 1, clip: tuple[float, float] = (0.0, 1.0), generator: Any = None,
) -> Any:  # fmt: skip
    """The image (C, H, W) that a unit answers to most, found by gradient ascent from faint noise.

    Maximises the mean of the unit's map over its places, or its score (Erhan et al. 2009; Simonyan et al. 2013,
    who add the decay). The gradient is divided by its own deviation, so that the step is the same for every unit.

    Args:
        model: any module whose first input is an image
        size: (C, H, W)
        unit: a channel of the layer's output, or a class of the model's
        layer: a path such as "features.3", or a module; the model's output unless given
        steps: number of steps
        step_size: by how much the image changes per step
        decay: share by which the image fades towards the middle of `clip` per step
        jitter: pixels by which it is moved at random before each step, which leaves out fine patterns
        clip: lowest and highest value of a pixel
        generator: draws noise and movements; the default generator unless given

    Returns:
        the image, a tensor

    Raises:
        ValueError: for a size that is none of an image, and a unit that the layer does not have
        UsageError: for a layer that does not exist
    """
    if len(size) != 3 or min(size) < 1:
        raise ValueError(f"maximal_activation expected size as (C, H, W), got {tuple(size)}")
    rng = numpy_generator(generator)
    middle = sum(clip) / 2
    image = np.clip(rng.normal(middle, 0.05 * (clip[1] - clip[0]), size), *clip).astype(np.float32)
    path = None if layer is None else layer_path(model, layer)
    with evaluating(model), _fixed(model), modes.enable_grad():
        for _step in range(steps):
            move = tuple(int(k) for k in rng.integers(-jitter, jitter + 1, 2))
            x = leaf(np.roll(image, move, (1, 2))[None])
            output: Any = model(x) if path is None else layer_outputs(model, x, [path])[path]
            units = output.shape[1] if len(output.shape) > 1 else 0
            if not 0 <= unit < units:
                raise ValueError(f"maximal_activation expected a unit from 0 to {units - 1}, got {unit}")
            (g,) = grad(output[:, unit].mean(), x)
            change = np.roll(unwrap(g)[0], (-move[0], -move[1]), (1, 2))
            image = image + np.float32(step_size) * change / np.float32(change.std() + 1e-12)
            image = np.clip(image + np.float32(decay) * (np.float32(middle) - image), *clip).astype(np.float32)
    return wrap(image)
