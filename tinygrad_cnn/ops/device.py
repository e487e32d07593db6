"""Devices and dtypes under PyTorch's names. There is one device, the CPU; asking for another says so."""

from __future__ import annotations

import builtins
from typing import TypeAlias

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import DType, Operand
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.promotion import promoted
from tinygrad_cnn.support.dtypes import BY_NAME, dtype

#: What a `device=` argument may be. Below, `int`, `float` and `bool` are PyTorch's dtypes.
Device: TypeAlias = "str | device | None"

float16 = half = BY_NAME["float16"]
float32 = float = BY_NAME["float32"]
float64 = double = BY_NAME["float64"]
int8, uint8 = BY_NAME["int8"], BY_NAME["uint8"]
int16 = short = BY_NAME["int16"]
int32 = int = BY_NAME["int32"]
int64 = long = BY_NAME["int64"]
uint16, uint32, uint64 = BY_NAME["uint16"], BY_NAME["uint32"], BY_NAME["uint64"]
bool = BY_NAME["bool"]
bfloat16 = BY_NAME["bfloat16"]

DTYPES = (
    "float16", "half", "float32", "float", "float64", "double", "int8", "int16", "short", "int32", "int", "int64",
    "long", "uint8", "uint16", "uint32", "uint64", "bool", "bfloat16", "dtype",
)  # fmt: skip


#: Kinds of devices that PyTorch has. All can be named; `check_device` refuses all but the first where one is used.
_KINDS = ("cpu", "cuda", "mps", "xpu", "hpu", "xla", "ipu", "meta", "vulkan", "mtia")


class device:
    """``device("cpu")``; compares equal to others of its kind and to its name.

    Others can be named, as in PyTorch's build for the CPU, and raise where a tensor is to be made or moved there.
    """

    __slots__ = ("index", "type")

    def __init__(self, type: Device = "cpu", index: builtins.int | None = None) -> None:
        name, _, number = str(type).partition(":")
        if name not in _KINDS or (number and not number.isdecimal()):
            known = ", ".join(_KINDS)
            raise RuntimeError(f"device expected one of {known}, with or without an index, got {str(type)!r}")
        self.type = name
        self.index = np.int64(number).item() if number else index

    def __repr__(self) -> str:
        return f"device(type='{self.type}')"

    def __str__(self) -> str:
        return self.type

    def __eq__(self, other: object) -> builtins.bool:
        return (
            str(other).partition(":")[0] == self.type if isinstance(other, (str, device)) else NotImplemented
        )

    def __hash__(self) -> builtins.int:
        return hash(self.type)

    def __enter__(self) -> device:
        return check_device(self)

    def __exit__(self, *_exc: object) -> None:
        return None


CPU = device("cpu")


def check_device(wanted: Device) -> device:
    """The device itself, the CPU where none is named, or RuntimeError for one that does not exist here."""
    if wanted is None:
        return CPU
    found = wanted if isinstance(wanted, device) else device(wanted)
    if found.type != "cpu":
        raise RuntimeError(
            f"tinygrad_cnn computes on the CPU only, got device {str(wanted)!r}. "
            "Write device = 'cuda' if tg.cuda.is_available() else 'cpu', as PyTorch programs do: here it is 'cpu'."
        )
    return found


def get_default_dtype() -> dtype:
    """The floating dtype of tensors made from Python numbers; float32 until changed, as in PyTorch."""
    return dtype(modes.get_default_dtype())


class finfo:
    """Limits of a floating dtype: eps, tiny, smallest_normal, min, max, resolution, bits."""

    def __init__(self, dtype: DType = float32) -> None:
        limits = np.finfo(dtype)
        for name in ("eps", "tiny", "smallest_normal", "min", "max", "resolution", "bits"):
            setattr(self, name, np.float64(getattr(limits, name)).item() if name != "bits" else limits.bits)


class iinfo:
    """Limits of an integer dtype: min, max, bits."""

    def __init__(self, dtype: DType) -> None:
        limits = np.iinfo(dtype)
        self.min, self.max, self.bits = limits.min, limits.max, limits.bits


def result_type(tensor1: Operand, tensor2: Operand) -> dtype:
    """The dtype of what two tensors or numbers give together."""
    return dtype(promoted((unwrap(tensor1), unwrap(tensor2))))


def promote_types(type1: DType, type2: DType) -> dtype:
    """The smallest dtype that both fit into."""
    return dtype(promoted((np.empty(1, type1), np.empty(1, type2))))


def can_cast(from_: DType, to: DType) -> builtins.bool:
    """Whether values of one dtype may be put into tensors of the other: not from floats to integers to booleans."""
    ranks = {"b": 0, "i": 1, "u": 1, "f": 2}
    return ranks[np.dtype(from_).kind] <= ranks[np.dtype(to).kind]
