"""NumPy's broadcasting and promotion, undone and corrected: one function for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes


def unbroadcast(d: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum `d` over the axes along which an input of `shape` was repeated.

    The one place in the engine where this is done. float16 sums accumulate in float32.
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


def float_dtype(arrays: Sequence[Any]) -> np.dtype:
    """The floating dtype PyTorch gives a result: dimensioned floats first, then 0-d ones, then the default."""
    dims = [x.dtype for x in arrays if isinstance(x, np.ndarray) and x.ndim and x.dtype.kind == "f"]
    if not dims:
        dims = [x.dtype for x in arrays if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return np.result_type(*dims) if dims else modes.get_default_dtype()
