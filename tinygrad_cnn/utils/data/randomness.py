"""Where samplers and splits get their random numbers: the one seam to the engine's generators."""

from __future__ import annotations

import numpy as np

__all__ = ["numpy_generator"]


def numpy_generator(generator: object = None) -> np.random.Generator:
    """The NumPy generator behind `generator`; the global one, which `manual_seed` seeds, for None.

    Takes `tinygrad_cnn.Generator` or `numpy.random.Generator`; TypeError otherwise.
    """
    if generator is None:
        from tinygrad_cnn.ops import random

        generator = random.default_generator
    if isinstance(generator, np.random.Generator):
        return generator
    inner = getattr(generator, "numpy", None)
    if not isinstance(inner, np.random.Generator):
        raise TypeError(f"generator expected a Generator, got {type(generator).__name__}")
    return inner
