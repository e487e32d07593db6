"""PyTorch's older type names: ``FloatTensor([0.5])``, ``LongTensor(3, 4)``, ``isinstance(t, tg.LongTensor)``.

Each makes a `Tensor` of its dtype, and recognises those; none is a class of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.ops.creation import tensor
from tinygrad_cnn.ops.device import Device, check_device


class _Typed(type):
    dtype: np.dtype

    def __call__(cls, *data: Any, device: Device = None) -> Any:
        check_device(device)
        if data and all(type(n) is int for n in data):
            return wrap(np.zeros(data, cls.dtype))
        if len(data) == 1 and isinstance(data[0], tuple) and not data[0]:
            return wrap(np.zeros(0, cls.dtype))
        if len(data) > 1:
            raise TypeError(
                f"{cls.__name__}(…) expected data, or sizes as integers, got {len(data)} arguments"
            )
        return tensor(data[0] if data else [], dtype=cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Handle) and instance.array.dtype == cls.dtype

    def __str__(cls) -> str:
        return f"tinygrad_cnn.{cls.__name__}"


def _typed(name: str, dtype: str) -> Any:
    doc = (
        f"Makes a tensor of {dtype}: from data, or zeros of the given sizes. `isinstance` looks at the dtype."
    )
    return _Typed(name, (), {"dtype": np.dtype(dtype), "__doc__": doc})


FloatTensor = _typed("FloatTensor", "float32")
DoubleTensor = _typed("DoubleTensor", "float64")
HalfTensor = _typed("HalfTensor", "float16")
LongTensor = _typed("LongTensor", "int64")
IntTensor = _typed("IntTensor", "int32")
ShortTensor = _typed("ShortTensor", "int16")
CharTensor = _typed("CharTensor", "int8")
ByteTensor = _typed("ByteTensor", "uint8")
BoolTensor = _typed("BoolTensor", "bool")

_BY_NAME = {
    kind.__name__: kind
    for kind in (
        FloatTensor, DoubleTensor, HalfTensor, LongTensor, IntTensor, ShortTensor, CharTensor, ByteTensor, BoolTensor,
    )
}  # fmt: skip


def dtype_of(kind: Any) -> np.dtype:
    """The dtype that a dtype, a type of this module, or its name (``"torch.LongTensor"``) means.

    Raises TypeError for a name that means none.
    """
    if isinstance(kind, _Typed):
        return kind.dtype
    if isinstance(kind, str):
        package, _, name = kind.rpartition(".")
        if "cuda" in package:
            raise TypeError(f"{kind} is a type on a GPU; tinygrad_cnn computes on the CPU")
        if name in _BY_NAME:
            return _BY_NAME[name].dtype
    return np.dtype(kind)


def set_default_tensor_type(t: Any) -> None:
    """The dtype of what is made of Python floats, as one of the float types above or its name."""
    modes.set_default_dtype(dtype_of(t))


def typename(obj: Any) -> str:
    """The name of an object's type; of a tensor the older name, ``torch.FloatTensor``, which programs compare with."""
    if isinstance(obj, Handle):
        found = [name for name, kind in _BY_NAME.items() if kind.dtype == obj.array.dtype]
        return f"torch.{found[0]}" if found else "torch.Tensor"
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
