"""Whatever holds training data as a `DataLoader`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.utils.data import DataLoader, IterableDataset, TensorDataset

__all__ = ["as_dataset", "as_loader"]


def as_loader(
    data: Any, batch_size: int = 64, *, shuffle: bool = False, generator: Any = None, drop_last: bool = False
) -> Any:
    """A loader as it is; a data set, or a pair `(inputs, targets)` of arrays, in batches of `batch_size`."""
    if isinstance(data, DataLoader):
        return data
    dataset = as_dataset(data)
    if isinstance(dataset, IterableDataset):
        shuffle = False
    return DataLoader(dataset, batch_size, shuffle=shuffle, generator=generator, drop_last=drop_last)


def as_dataset(data: Any) -> Any:
    """`data` as a data set; one that holds all its samples in arrays, untransformed, becomes those arrays.

    A batch is then one indexing operation instead of one per sample. Raises TypeError for anything that is
    neither a data set nor a pair of arrays.
    """
    if (
        hasattr(data, "arrays")
        and getattr(data, "transform", None) is None
        and getattr(data, "target_transform", None) is None
    ):
        return TensorDataset(*data.arrays())
    if isinstance(data, (tuple, list)) and len(data) == 2 and any(isinstance(a, (Handle, np.ndarray)) for a in data):
        return TensorDataset(*(_array(a, what) for a, what in zip(data, ("inputs", "targets"))))
    if hasattr(data, "__getitem__") or hasattr(data, "__iter__"):
        return data
    raise TypeError(
        f"expected a DataLoader, a Dataset or a pair (inputs, targets) of arrays, got {type(data).__name__}"
    )


def _array(values: Any, what: str) -> Any:
    """An array or a tensor as it is, a list of numbers as an array."""
    if isinstance(values, (Handle, np.ndarray)):
        return values
    array = np.array(None) if isinstance(values, str) or not hasattr(values, "__len__") else _of_list(values)
    if array.dtype.kind not in "biuf" or not array.ndim:
        raise TypeError(
            f"a pair (inputs, targets) expected {what} as an array, a tensor or a list of numbers, got "
            f"{type(values).__name__}"
        )
    return array


def _of_list(values: Any) -> np.ndarray:
    try:
        return np.array(values)
    except ValueError:  # lists of different lengths
        return np.array(None)
