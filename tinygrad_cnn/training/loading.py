"""Whatever holds training data as something that gives batches: arrays, data sets, loaders, generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, Subset, TensorDataset

__all__ = ["Batches", "as_dataset", "as_loader", "paired", "split_last"]


def as_loader(
    data: Any, batch_size: int | None = None, *, shuffle: bool | None = None, generator: Any = None,
    drop_last: bool | None = None, usual: tuple[int, bool] = (64, False),
) -> Any:  # fmt: skip
    """A loader as it is; a data set, or a pair `(inputs, targets)` of arrays, in batches of `batch_size`.

    A list of batches, a generator of them, and any other iterable that is no data set give their batches as they are.
    Of a list, the first entry decides: a pair of arrays of the same length is a batch, anything else is a sample.

    Raises UsageError for an option that would not be read: with a loader, which has its own, one that says otherwise;
    `generator` where nothing is drawn. `usual` are the batch size and whether to shuffle, where they are not given.
    """
    if isinstance(data, (DataLoader, Batches)):
        loader = data.source if isinstance(data, Batches) else data
        options = {
            "batch_size": (batch_size, getattr(loader, "batch_size", None)),
            "shuffle": (shuffle, isinstance(getattr(loader, "sampler", None), RandomSampler)),
            "generator": (generator, getattr(loader, "generator", None)),
            "drop_last": (drop_last, getattr(loader, "drop_last", False)),
        }  # fmt: skip
        for name, (given, own) in options.items():
            if given is not None and given != own:
                raise UsageError(
                    f"the {type(loader).__name__} has {name}={own!r}, not {given!r}: set it where the loader is made, "
                    "or give the data set"
                )
        return data
    if _gives_batches(data):
        for name, given in (("batch_size", batch_size), ("shuffle", shuffle), ("generator", generator)):
            if given:  # shuffle=False changes nothing
                raise UsageError(
                    f"{name}={given!r} makes batches of samples, and these data are batches already: leave it out"
                )
        return Batches(data)
    dataset = as_dataset(data)
    if shuffle is None:
        shuffle = usual[1] and not isinstance(dataset, IterableDataset)
    if generator is not None and not shuffle:
        raise UsageError("generator draws a random order, and these data are not shuffled: leave it out")
    batch_size = usual[0] if batch_size is None else batch_size
    return DataLoader(dataset, batch_size, shuffle=shuffle, generator=generator, drop_last=bool(drop_last))


class Batches:
    """Batches that `source` gives: a list or another iterable, which is gone through anew in each epoch, or a
    generator, which goes on where it stood. With `steps`, an epoch has that many.

    Raises UsageError for more steps than the source has batches, and when a generator has ended.
    """

    def __init__(self, source: Any, steps: int | None = None) -> None:
        if steps is not None and steps < 1:
            raise UsageError(f"steps_per_epoch expected a number of batches from 1 up, got {steps}")
        length = _length(source)
        if steps is not None and length is not None and steps > length:
            raise UsageError(f"steps_per_epoch={steps} asks for more batches than the {length} that there are")
        self.source = source
        self.steps = steps
        self.given = 0

    @property
    def once(self) -> bool:
        """Whether the source can be gone through only once."""
        return iter(self.source) is self.source if isinstance(self.source, Iterator) else False

    def __iter__(self) -> Iterator[Any]:
        return self.batches()

    def batches(self, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from number `start` on."""
        stop = None if self.steps is None else self.steps - start
        if self.once:  # those before `start` were given to a run that has ended: there is no way back to them
            return self._on(islice(self.source, stop))
        if hasattr(self.source, "batches"):
            return islice(self.source.batches(start), stop)
        return islice(iter(self.source), start, self.steps)

    def _on(self, batches: Iterator[Any]) -> Iterator[Any]:
        empty = True
        for batch in batches:
            empty = False
            self.given += 1
            yield batch
        if empty and self.given:
            raise UsageError(
                f"the generator has ended after {self.given} batches: give steps_per_epoch and one that goes on, or "
                "something that can be gone through again (a list of batches, a DataLoader)"
            )

    def __len__(self) -> int:
        if self.steps is not None:
            return self.steps
        return len(self.source)

    def __getattr__(self, name: str) -> Any:
        # What draws the order is the source's: a checkpoint keeps where it stood.
        if name in ("sampler", "batch_sampler", "generator"):
            return getattr(self.source, name, None)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def _gives_batches(data: Any) -> bool:
    if isinstance(data, list) and data and isinstance(data[0], (tuple, list)) and len(data[0]) == 2:
        first, second = (_first_array(part) for part in data[0])
        return first is not None and second is not None and first.ndim > 0 < second.ndim and len(first) == len(second)
    return (
        isinstance(data, Iterable)
        and not hasattr(data, "__getitem__")
        and not isinstance(data, (Handle, IterableDataset, str))
    )


def _first_array(value: Any) -> Any:
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    if isinstance(value, dict) and value:
        return _first_array(next(iter(value.values())))
    return unwrap(value) if isinstance(value, (Handle, np.ndarray)) else None


def _several(value: Any) -> bool:
    return isinstance(value, (tuple, list, dict)) and _first_array(value) is not None


def paired(data: Any, y: Any) -> Any:
    """`data` itself, or with targets the pair of both."""
    return data if y is None else (data, y)


def as_dataset(data: Any) -> Any:
    """`data` as a data set; one that holds all its samples in arrays, untransformed, becomes those arrays.

    A batch is then one indexing operation instead of one per sample. In a pair, inputs and targets may be tuples,
    lists or dicts of arrays. Raises TypeError for anything that is neither a data set nor a pair of arrays.
    """
    if (
        hasattr(data, "arrays")
        and getattr(data, "transform", None) is None
        and getattr(data, "target_transform", None) is None
    ):
        return TensorDataset(*data.arrays())
    if isinstance(data, tuple) and len(data) == 2 and any(_several(part) for part in data):
        return _Nested(*(_arrays(part, what) for part, what in zip(data, ("inputs", "targets"))))
    if isinstance(data, (tuple, list)) and len(data) == 2 and any(isinstance(a, (Handle, np.ndarray)) for a in data):
        return TensorDataset(*(_array(a, what) for a, what in zip(data, ("inputs", "targets"))))
    if hasattr(data, "__getitem__") or hasattr(data, "__iter__"):
        return data
    raise TypeError(
        "expected a DataLoader, a Dataset, a pair (inputs, targets) of arrays, or batches (a list or generator of such "
        f"pairs), got {type(data).__name__}"
    )


def split_last(data: Any, share: float) -> tuple[Any, Any]:
    """`data` without its last `share` of the samples, and these, in the order of the data, as Keras splits them.

    Raises UsageError for a share that leaves one of the two empty, and for data that are batches already.
    """
    if not 0 < share < 1:
        raise UsageError(f"validation_split expected a share between 0 and 1, got {share}")
    if isinstance(data, (DataLoader, Batches)) or _gives_batches(data):
        raise UsageError("validation_split needs arrays or a data set: of batches, give validation_data")
    dataset = as_dataset(data)
    n = len(dataset)
    first = n - round(n * share)
    if first in (0, n):
        raise UsageError(f"validation_split={share} of {n} samples leaves nothing on one side")
    return Subset(dataset, range(first)), Subset(dataset, range(first, n))


class _Nested(Dataset[Any]):
    """Samples (inputs, targets) of which one or both are tuples or dicts of arrays."""

    def __init__(self, inputs: Any, targets: Any) -> None:
        self.inputs, self.targets = inputs, targets
        lengths = {len(a) for a in [*_leaves(inputs), *_leaves(targets)]}
        if len(lengths) != 1:
            raise UsageError(f"expected as many samples in each input and target, got {sorted(lengths)}")
        self.length = lengths.pop()

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        return self.take(index)

    def __len__(self) -> int:
        return self.length

    def take(self, indices: Any) -> tuple[Any, Any]:
        return _picked(self.inputs, indices), _picked(self.targets, indices)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, tuple) else [unwrap(value)]


def _picked(value: Any, indices: Any) -> Any:
    if isinstance(value, dict):
        return {name: _picked(part, indices) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_picked(part, indices) for part in value)
    return wrap(np.asarray(unwrap(value)[indices]))


def _arrays(values: Any, what: str) -> Any:
    if isinstance(values, dict):
        return {name: _arrays(part, what) for name, part in values.items()}
    if isinstance(values, (tuple, list)) and _first_array(values) is not None:
        return tuple(_arrays(part, what) for part in values)
    return _array(values, what)


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


def _of_list(values: Sequence[Any]) -> np.ndarray:
    try:
        return np.array(values)
    except ValueError:  # lists of different lengths
        return np.array(None)
