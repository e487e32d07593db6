"""What `torch` has and `tinygrad_cnn` has not: thin shims, at PyTorch's paths. All other names are the package's."""

from typing import Any as _Any

from tinygrad_cnn.compat.torch import _foreach
from tinygrad_cnn.compat.torch._utils import storage_types as _storage_types
from tinygrad_cnn.compat.torch.about import VERSION as __version__
from tinygrad_cnn.compat.torch.serialization import load, save
from tinygrad_cnn.ops.device import CPU as _CPU
from tinygrad_cnn.ops.device import check_device as _check_device
from tinygrad_cnn.support.dtypes import dtype as _dtype

__all__ = ["load", "save"]

globals().update(_storage_types)
globals().update(_foreach.functions())

#: Types of annotations; here the values are names.
layout = memory_format = str
#: Named in tables of dtypes; no tensor has them.
complex32, complex64, complex128 = "complex32", "complex64", "complex128"
cfloat, cdouble = complex64, complex128


def _assert(condition: _Any, message: str) -> None:
    """Raise AssertionError with the message unless the condition holds."""
    assert condition, message


def is_complex(input: _Any) -> bool:
    """Whether the tensor's dtype is a complex one."""
    return isinstance(input.dtype, _dtype) and input.dtype.is_complex


def is_storage(obj: _Any) -> bool:
    """False: tensors share NumPy's memory, and no storage is an object of its own."""
    return False


def get_default_device() -> _Any:
    """The CPU."""
    return _CPU


def set_default_device(device: _Any) -> None:
    """Nothing to choose. Raises RuntimeError for another device than the CPU."""
    _check_device(device)


def is_autocast_enabled(device_type: str = "cpu") -> bool:
    """False: full precision is kept."""
    return False


def is_autocast_available(device_type: str) -> bool:
    """False: full precision is kept."""
    return False


def set_flush_denormal(mode: bool) -> bool:
    """False: the processor's setting is not changed."""
    return False


def set_warn_always(b: bool) -> None:
    """Nothing to choose."""
