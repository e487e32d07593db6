"""How samples become a batch: a leading dimension is added to whatever they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, wrap

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples as one batch, as in PyTorch.

    Tensors and arrays are stacked; numbers become int64 or float64 tensors; strings and bytes stay a list;
    dicts, tuples and lists are gone through. TypeError for anything else, RuntimeError for shapes that differ.
    """
    first = batch[0]
    if isinstance(first, (Handle, np.ndarray)):
        arrays = [item.array if isinstance(item, Handle) else item for item in batch]
        if any(a.shape != arrays[0].shape for a in arrays):
            shapes = sorted({a.shape for a in arrays})
            raise RuntimeError(
                f"cannot make a batch of samples of different shapes: {shapes}; give a collate_fn"
            )
        if arrays[0].dtype.kind in "OSUM":
            raise TypeError(f"default_collate found an array of dtype {arrays[0].dtype}; give a collate_fn")
        return wrap(np.stack(arrays))
    if isinstance(first, np.generic):
        return wrap(np.array(batch))
    if isinstance(first, bool):
        return wrap(np.array(batch, np.bool_))
    if isinstance(first, int):
        return wrap(np.array(batch, np.int64))
    if isinstance(first, float):
        return wrap(np.array(batch, np.float64))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size; give a collate_fn")
        columns = [default_collate(column) for column in zip(*batch)]
        if isinstance(first, tuple) and hasattr(first, "_fields"):
            return type(first)(*columns)
        return columns
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first).__name__}; give a collate_fn"
    )


def default_convert(data: Any) -> Any:
    """Arrays and NumPy's numbers inside `data` as tensors; what the loader does to a single sample without batching."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind not in "OSUM":
        return wrap(np.asarray(data))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, (tuple, list)):
        return [default_convert(value) for value in data]
    return data
