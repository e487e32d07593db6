"""A number as one per dimension, under the names that model files import."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_cnn.tensors.tensor import Tensor


def _ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that repeats a value n times and leaves sequences as they are."""

    def parse(x: Tensor) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    return parse


_single = _ntuple(1)
_pair = _ntuple(2)
_triple = _ntuple(3)
_quadruple = _ntuple(4)


def _reverse_repeat_tuple(t: Iterable[Any], n: int) -> tuple[Any, ...]:
    """(a, b) -> (b, b, a, a) for n = 2: paddings as `F.pad` takes them."""
    return tuple(x for x in reversed(tuple(t)) for _ in range(n))
