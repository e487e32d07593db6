"""Padding layers: zeros, a constant, a reflection, the border's values, or the other end, around a plane."""

from __future__ import annotations

from typing import ClassVar

from tinygrad_cnn.autograd.annotations import Sizes
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.tensors.tensor import Tensor


class _Pad(Module):
    """`padding` is one number, or (low, high) per dimension, the last dimension first."""

    dims: ClassVar[int]
    mode: ClassVar[str] = "constant"
    value: float = 0.0

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        pads = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.dims)
        if len(pads) != 2 * self.dims:
            raise ValueError(
                f"{type(self).__name__} expected one number or {2 * self.dims} (low, high per dimension), got {padding}"
            )
        self.padding = pads

    def forward(self, input: Tensor) -> Tensor:
        if self.mode == "constant":
            return F.pad(input, self.padding, "constant", self.value)
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


def _family(name: str, base: type, mode: str, doc: str) -> list[type]:
    """The 1-, 2- and 3-dimensional forms of a padding layer."""
    made = []
    for d in (1, 2, 3):
        body = {"dims": d, "mode": mode, "__doc__": doc, "__module__": __name__}
        made.append(type(f"{name}{d}d", (base,), body))
    return made


ConstantPad1d, ConstantPad2d, ConstantPad3d = _family(
    "ConstantPad", _ConstantPad, "constant", "A constant around the plane."
)
ZeroPad1d, ZeroPad2d, ZeroPad3d = _family("ZeroPad", _Pad, "constant", "Zeros around the plane.")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _family(
    "ReflectionPad", _Pad, "reflect", "The plane mirrored at its border, the border itself not repeated."
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _family(
    "ReplicationPad", _Pad, "replicate", "The border's values repeated around the plane."
)
CircularPad1d, CircularPad2d, CircularPad3d = _family(
    "CircularPad", _Pad, "circular", "The plane continued from its other end."
)

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip
