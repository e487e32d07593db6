"""Parameter: a tensor that a module learns.

Assigned to a module's attribute it registers itself there and takes that name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import DType
from tinygrad_cnn.autograd.handle import Handle, make_leaf
from tinygrad_cnn.ops.device import Device, check_device
from tinygrad_cnn.tensors.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that requires grad and is listed by `Module.parameters()`.

    `data` is a tensor (its memory is shared), an array, or anything NumPy can read; none gives an empty one.
    Raises RuntimeError for a dtype that has no gradients.
    """

    __slots__ = ()
    is_parameter = True

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if isinstance(data, Handle):
            array = data.array
        elif isinstance(data, np.ndarray):
            array = data
        else:
            array = np.asarray([] if data is None else data)
            if array.dtype.kind == "f" or array.size == 0:
                array = array.astype(modes.get_default_dtype())
        if requires_grad and array.dtype.kind not in "fc":
            raise RuntimeError(
                f"Parameter expected floating-point values (only they have gradients), got {array.dtype}"
            )
        self.array = array
        self.node = None
        self.grad = None
        self.name = None
        if requires_grad:
            self.node = make_leaf(self)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copy = memo.get(id(self))
        if copy is None:
            copy = memo[id(self)] = type(self).__new__(type(self))
            Parameter.__init__(copy, self.array.copy(), self.node is not None)
            copy.name = self.name
            if copy.node is not None:
                copy.node.name = self.name
            if self.grad is not None:
                copy.grad = self.grad.detach().clone()
        return copy

    def __reduce_ex__(self, _protocol: object) -> Any:
        return _rebuild, (type(self), self.array, self.node is not None, self.name)


class Buffer(Tensor):
    """A tensor that is a module's state but is not learned: assigned to an attribute it registers itself there.

    ``self.mask = nn.Buffer(tensor)`` is ``self.register_buffer("mask", tensor)``; it shares the tensor's memory.
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        array = data.array if isinstance(data, Handle) else np.asarray([] if data is None else data)
        if not isinstance(data, (Handle, np.ndarray)) and (array.dtype.kind == "f" or array.size == 0):
            array = array.astype(modes.get_default_dtype())
        self.array = array
        self.node = self.grad = self.name = None
        self.persistent = persistent

    def __reduce_ex__(self, _protocol: object) -> Any:
        return _rebuild_buffer, (self.array, self.persistent)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = memo[id(self)] = Buffer(self.array.copy(), persistent=self.persistent)
        return twin


def _rebuild_buffer(array: np.ndarray, persistent: bool) -> Buffer:
    return Buffer(array, persistent=persistent)


class UninitializedParameter(Parameter):
    """A parameter of a lazy module whose shape is not known before the first call."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = True, device: Device = None, dtype: DType = None) -> None:
        check_device(device)
        super().__init__(np.empty(0, dtype or modes.get_default_dtype()), requires_grad)

    def materialize(self, shape: tuple[int, ...]) -> None:
        """Give it its shape (values are whatever memory holds; initialise them next), in the dtype it has by then."""
        self.array = np.empty(shape, self.array.dtype)
        self.__class__ = Parameter  # type: ignore[assignment]
        if self.node is not None:
            self.node = make_leaf(self)

    def __repr__(self) -> str:
        return "<UninitializedParameter>"


def is_lazy(param: Any) -> bool:
    """Whether a parameter still waits for its shape."""
    return isinstance(param, UninitializedParameter)


def _rebuild(cls: Any, array: np.ndarray, requires_grad: bool, name: str | None) -> Any:
    param = cls.__new__(cls)
    Parameter.__init__(param, array, requires_grad)
    param.name = name
    if param.node is not None:
        param.node.name = name
    return param
