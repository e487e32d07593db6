"""What can be loaded: samples by index, samples in a stream, and data sets made of others."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from tinygrad_cnn.autograd.annotations import Operand
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["ConcatDataset", "Dataset", "IterableDataset", "Subset", "TensorDataset", "random_split"]

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Samples by index: subclasses define `__getitem__` and `__len__`.

    One that can give many samples at once faster may define `take(indices)`, which returns what
    `default_collate` would have made of them; the loader then calls it.
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples in a stream: subclasses define `__iter__`. There is no shuffling and no sampler then."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")

    def __add__(self, other: Dataset[Any]) -> Any:
        return _Chain([self, other])


class _Chain(IterableDataset[Any]):
    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            yield from dataset


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Sample i is `(a[i], b[i], …)` of tensors (or arrays) whose first dimensions agree."""

    def __init__(self, *tensors: Operand) -> None:
        if not tensors:
            raise ValueError("TensorDataset expected at least one tensor")
        self.tensors = tuple(t if isinstance(t, Handle) else wrap(np.asarray(t)) for t in tensors)
        lengths = [t.array.shape[0] if t.array.ndim else None for t in self.tensors]
        if len(set(lengths)) > 1 or None in lengths:
            shapes = ", ".join(str(t.array.shape) for t in self.tensors)
            raise AssertionError(f"Size mismatch between tensors: the first dimensions differ in {shapes}")

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(wrap(np.asarray(t.array[index])) for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].array.shape[0]

    def take(self, indices: Sequence[int]) -> list[Any]:
        return [wrap(t.array[indices]) for t in self.tensors]


class Subset(Dataset[Any]):
    """The samples of `dataset` at `indices`."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)

    def __getattr__(self, name: str) -> Any:
        # Only as fast as what it is a part of: `take` exists where the whole has it.
        if name == "take" and hasattr(self.__dict__.get("dataset"), "take"):
            return self._take
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _take(self, indices: Sequence[int]) -> Any:
        return self.dataset.take([self.indices[i] for i in indices])


class ConcatDataset(Dataset[Any]):
    """One data set after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        i = index + len(self) if index < 0 else index
        if not 0 <= i < len(self):
            raise IndexError(f"ConcatDataset has {len(self)} samples, got index {index}")
        k = bisect_right(self.cumulative_sizes, i)
        return self.datasets[k][i - (self.cumulative_sizes[k - 1] if k else 0)]


def random_split(dataset: Any, lengths: Sequence[float], generator: object = None) -> list[Subset]:
    """Cut `dataset` into random parts that do not overlap, of these lengths or fractions (that sum to 1).

    Samples left over by rounding fractions down go to the parts one by one, from the first. Raises ValueError
    when the lengths do not sum to the size of the data set.
    """
    size = len(dataset)
    if (
        math.isclose(sum(lengths), 1)
        and sum(lengths) <= 1 + 1e-9
        and not all(isinstance(n, int) for n in lengths)
    ):
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {i} is not between 0 and 1: {fraction}")
        counts = [math.floor(size * fraction) for fraction in lengths]
        for i in range(size - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(n) for n in lengths]
    if sum(counts) != size:
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset: {list(lengths)} for {size} samples"
        )
    order = numpy_generator(generator).permutation(size).tolist()
    ends = list(accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts)]
