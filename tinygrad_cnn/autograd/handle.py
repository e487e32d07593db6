"""The bare handle: what the engine needs to know of a tensor.

`tinygrad_cnn.tensors.Tensor` adds the operators and methods people use; the engine only ever reads and
writes the slots below, so it can be understood (and tested) without them.
"""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.provenance import calling_site
from tinygrad_cnn.autograd.state import state


class Handle:
    """A mutable handle on an array and, when gradients flow through it, on a node of the graph."""

    __slots__ = ("__weakref__", "_grad", "array", "name", "node")

    array: np.ndarray
    node: Node | None
    _grad: Any  # what `grad` shows; the engine, whose gradients fit, writes it without the check
    name: str | None
    #: Whether a module's `parameters()` lists tensors of this class.
    is_parameter: ClassVar[bool] = False

    @property
    def grad(self) -> Tensor:
        """The gradient that backward passes have accumulated, a tensor of the same shape and dtype, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor) -> None:
        if value is not None and not isinstance(value, Handle):
            raise TypeError(f"grad expected a tensor or None, got {type(value).__name__}")
        if value is not None and (value.array.shape, value.array.dtype) != (self.array.shape, self.array.dtype):
            raise RuntimeError(
                f"grad expected shape {self.array.shape} and {self.array.dtype} as the tensor has, got "
                f"{value.array.shape} and {value.array.dtype}"
            )
        self._grad = value


_new = object.__new__
_tensor_type: type = Handle


def register_tensor_type(cls: type) -> None:
    """Tell the engine which class its results are (called once, by `tinygrad_cnn.tensors.tensor`)."""
    global _tensor_type
    _tensor_type = cls


def wrap(array: np.ndarray, node: Node | None = None) -> Tensor:
    """A tensor on `array` that belongs to `node` (None: no gradient flows through it)."""
    handle: Any = _new(_tensor_type)
    handle.array = array
    handle.node = node
    handle._grad = None
    handle.name = None
    return handle


def unwrap(value: Tensor) -> Any:
    """The array of a tensor; anything else as it is."""
    return value.array if isinstance(value, Handle) else value


def dense(gradient: Tensor) -> np.ndarray:
    """A gradient as an array: a tensor gives its own, a lazy gradient is laid out."""
    return np.asarray(unwrap(gradient))


class _Leaf:
    """The op of nodes that nothing made: parameters and inputs whose gradient is wanted."""

    name = "leaf"
    kind = "leaf"
    is_view = has_factor = is_linear = False
    choice: tuple[str, ...] = ()

    def formula_of(self, node: Node) -> str:
        text = "leaf: its gradient is accumulated in .grad"
        return f"{node.name} ({text})" if node.name else text

    def __repr__(self) -> str:
        return "<op leaf>"


LEAF = _Leaf()


def make_leaf(handle: Handle) -> Node:
    """The leaf node of a tensor that requires grad."""
    array = handle.array
    node = Node(LEAF, (), {}, (), array.shape, array.dtype, calling_site(), state.scope)
    node.target = weakref.ref(handle)
    node.name = handle.name
    return node


def leaf(array: np.ndarray, name: str | None = None) -> Tensor:
    """A tensor on `array` that requires grad: a leaf of the graph."""
    handle = wrap(array)
    handle.name = name
    handle.node = make_leaf(handle)
    return handle
