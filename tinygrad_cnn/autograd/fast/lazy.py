"""Lazy gradients: mostly zeros, laid out only when somebody looks.

Equals the array that `dense` gives, wherever an array may stand. Held equal by tests/autograd/test_fast.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import DType
from tinygrad_cnn.autograd.graph import Node


class Lazy:
    """A gradient that is known but not yet laid out: mostly zeros, written only when somebody looks.

    Subclasses (indexing's scatter) give `shape`, `dtype`, `dense()` (a fresh array) and `add_to(array)`. To the plain
    pass it looks like an array that can be added and converted.
    """

    __slots__ = ()
    __array_ufunc__ = None  # array + lazy is for `__radd__` below
    shape: tuple[int, ...]
    dtype: np.dtype

    def dense(self) -> np.ndarray:
        raise NotImplementedError

    def add_to(self, total: np.ndarray) -> None:
        raise NotImplementedError

    def through(self, node: Node) -> np.ndarray | None:
        """What `node` hands to its only input when this is its upstream gradient, where that is known without
        laying it out; None where it is not. Asked only while nobody looks."""
        return None

    def __array__(self, dtype: DType = None, copy: bool | None = None) -> np.ndarray:
        return self.dense() if dtype is None else self.dense().astype(dtype, copy=False)

    def astype(self, dtype: DType) -> np.ndarray:
        """The gradient laid out in another dtype."""
        return self.dense().astype(dtype)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Lazy):
            return self.dense() + other
        total = self.dense()
        other.add_to(total)
        return total

    def __radd__(self, other: Any) -> Any:
        total = np.array(other, order="K", copy=True)
        self.add_to(total)
        return total
