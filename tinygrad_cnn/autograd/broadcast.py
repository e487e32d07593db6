"""Broadcasting, undone: the one place in the engine where this is done."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, Shape


def unbroadcast(d: Any, shape: Shape) -> Array:
    """Undo broadcasting: sum `d` over the axes along which an input of `shape` was repeated.

    If y = f(x) used an entry of x in many places, each place hands its share back to that entry. float16 sums
    accumulate in float32.
    """
    if d.shape == shape:
        return d
    lead = len(d.shape) - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + k for k, n in enumerate(shape) if n == 1 and d.shape[lead + k] != 1
    )
    if axes:
        wide = np.float32 if d.dtype == np.float16 else None
        d = np.sum(d, axis=axes, keepdims=True, dtype=wide)
    return np.reshape(d, shape)
