"""Inputs that want no gradient: what a node remembers of them, so that a picture states the network that ran.

Only nodes that have such an input pay for it; nothing is kept alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.graph import Node

ndarray = np.ndarray
_new: Any = tuple.__new__
_ref = weakref.ref


class Operand(NamedTuple):
    """Which array an input was, its shape and its dtype.

    For the same array `ref` is the same object, as long as anything refers to either: it tells two inputs apart even
    where the array is gone.
    """

    ref: weakref.ref[np.ndarray]
    shape: tuple[int, ...]
    dtype: np.dtype


def remember_operands(node: Node, arrays: Sequence[Any]) -> None:
    """Note in `node.operands` which of the node's inputs are arrays without a node of their own."""
    found: list[Operand | None] | None = None
    for k, parent in enumerate(node.parents):
        if parent is None:
            x = arrays[k]
            if type(x) is ndarray:
                if found is None:
                    found = [None] * len(node.parents)
                found[k] = _new(Operand, (_ref(x), x.shape, x.dtype))
    if found is not None:
        node.operands = tuple(found)
