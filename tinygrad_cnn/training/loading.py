"""Whatever holds training data as a `DataLoader`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset

__all__ = ["as_dataset", "as_loader"]


def as_loader(
    data: Any, batch_size: int | None = None, *, shuffle: bool | None = None, generator: Any = None,
    drop_last: bool | None = None, usual: tuple[int, bool] = (64, False),
) -> Any:  # fmt: skip
    """A loader as it is; a data set, or a pair `(inputs, targets)` of arrays, in batches of `batch_size`.

    Raises UsageError for an option that would not be read: with a loader, which has its own, one that says otherwise;
    `generator` where nothing is drawn. `usual` are the batch size and whether to shuffle, where they are not given.
    """
    if isinstance(data, DataLoader):
        options = {
            "batch_size": (batch_size, data.batch_size), "shuffle": (shuffle, isinstance(data.sampler, RandomSampler)),
            "generator": (generator, data.generator), "drop_last": (drop_last, data.drop_last),
        }  # fmt: skip
        for name, (given, own) in options.items():
            if given is not None and given != own:
                raise UsageError(
                    f"the DataLoader has {name}={own!r}, not {given!r}: set it where the loader is made, "
                    "or give the data set"
                )
        return data
    dataset = as_dataset(data)
    if shuffle is None:
        shuffle = usual[1] and not isinstance(dataset, IterableDataset)
    if generator is not None and not shuffle:
        raise UsageError("generator draws a random order, and these data are not shuffled: leave it out")
    batch_size = usual[0] if batch_size is None else batch_size
    return DataLoader(dataset, batch_size, shuffle=shuffle, generator=generator, drop_last=bool(drop_last))


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
