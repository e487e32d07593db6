"""How weights start: every function fills the given tensor in place and returns it.

Names, arguments and distributions are PyTorch's; the random numbers come from `tinygrad_cnn.random` (its
default generator, which `manual_seed` sets, or the `generator` given). Nothing here is recorded in a graph.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.annotations import AnyFunction, DType
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.ops.device import Device, check_device
from tinygrad_cnn.ops.random import Generator, normal_array, trunc_normal_array, uniform_array
from tinygrad_cnn.tensors.tensor import Tensor


def blank(shape: tuple[int, ...], dtype: DType = None, device: Device = None) -> Tensor:
    """A tensor of zeros, to be filled by one of the functions below. RuntimeError for a device not there,
    ValueError for more memory than `at_most` allows."""
    check_device(device)
    wanted = modes.get_default_dtype() if dtype is None else np.dtype(dtype)
    sizes = tuple(int(n) for n in shape)
    allowed = _allowed.get()
    if allowed is not None:
        left = allowed - math.prod(sizes) * wanted.itemsize
        if left < 0:
            raise ValueError(f"a layer would have parameters of shape {sizes}, more than the whole model has")
        _allowed.set(left)
    return wrap(np.zeros(sizes, wanted))


#: Bytes that layers may still take for parameters; None for any number.
_allowed: ContextVar[int | None] = ContextVar("allowed", default=None)


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """A context in which all layers that are built take at most `size` bytes for parameters: for models from files."""
    token = _allowed.set(size)
    try:
        yield
    finally:
        _allowed.reset(token)


def default_(weight: Tensor, bias: Tensor | None = None) -> None:
    """The start of PyTorch's Linear and Conv layers: weight and bias uniform in ±1/√fan_in.

    It is ``kaiming_uniform_(weight, a=√5)``: the gain √(2 / (1 + 5)) times √(3 / fan_in) is 1/√fan_in.
    """
    fan_in = _fans(weight)[0] if weight.array.size else 0
    if fan_in > 0:
        kaiming_uniform_(weight, a=math.sqrt(5))
        if bias is not None:
            bound = 1 / math.sqrt(fan_in)
            uniform_(bias, -bound, bound)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a nonlinearity shrinks its input's spread, to be made up for by the weights."""
    if nonlinearity in (
        "linear", "identity", "sigmoid", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
        "conv_transpose3d",
    ):  # fmt: skip
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 3.0 / 4
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"calculate_gain does not know the nonlinearity {nonlinearity!r}")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in [a, b)."""
    return _fill(tensor, uniform_array(tensor.shape, tensor.dtype, a, b, generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal."""
    return _fill(tensor, normal_array(tensor.shape, tensor.dtype, mean, std, generator))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal, but only values in [a, b]."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "trunc_normal_: the mean is more than 2 std from [a, b]; the distribution may be off",
            stacklevel=2,
        )
    return _fill(tensor, trunc_normal_array(tensor.shape, tensor.dtype, mean, std, a, b, generator))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    return _fill(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return _fill(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return _fill(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, for a 2-d tensor."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_ expected a 2-d tensor, got shape {tuple(tensor.shape)}")
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Kernels that pass their input on: 1 at the centre of channel i's i-th kernel; 3-d to 5-d tensors."""
    shape = tuple(tensor.shape)
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac_ expected a 3-, 4- or 5-d tensor, got shape {shape}")
    if shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    out = np.zeros(shape)
    per_group = shape[0] // groups
    centre = tuple(k // 2 for k in shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            out[(group * per_group + channel, channel, *centre)] = 1
    return _fill(tensor, out)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform with variance 2·gain² / (fan_in + fan_out) (Glorot & Bengio 2010)."""
    fan_in, fan_out = _fans(tensor)
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with variance 2·gain² / (fan_in + fan_out) (Glorot & Bengio 2010)."""
    fan_in, fan_out = _fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Uniform with variance gain² / fan (He et al. 2015); `a` is the negative slope of a leaky ReLU."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal with variance gain² / fan (He et al. 2015); `a` is the negative slope of a leaky ReLU."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A (semi-)orthogonal matrix, dimensions behind the first counting as one (Saxe et al. 2013)."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ expected 2 or more dimensions, got shape {tuple(tensor.shape)}")
    if tensor.array.size == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.array.size // rows
    flat = normal_array((rows, columns), np.float64, 0.0, 1.0, generator)
    q, r = np.linalg.qr(flat.T if rows < columns else flat)
    # The signs of r's diagonal make the distribution uniform (Mezzadri 2007).
    q = q * np.sign(np.diag(r))
    return _fill(tensor, (q.T if rows < columns else q).reshape(tensor.shape) * gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal, with a fraction of each column set to 0; a 2-d tensor (Martens 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ expected a 2-d tensor, got shape {tuple(tensor.shape)}")
    rows, columns = tensor.shape
    out = normal_array((rows, columns), tensor.dtype, 0.0, std, generator)
    dropped = math.ceil(sparsity * rows)
    order = np.argsort(uniform_array((rows, columns), np.float64, 0.0, 1.0, generator), axis=0)
    np.put_along_axis(out, order[:dropped], 0, axis=0)
    return _fill(tensor, out)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output sees, and how many outputs an input reaches."""
    return _fans(tensor)


def _fans(tensor: Tensor) -> tuple[int, int]:
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    """fan_in or fan_out."""
    return _fan(tensor, mode)


def _fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _fans(tensor)
    return fan_in if mode == "fan_in" else fan_out


def _fill(tensor: Tensor, values: Any) -> Tensor:
    if not isinstance(tensor, Handle):
        raise TypeError(f"nn.init expected a tensor, got {type(tensor).__name__}")
    if tensor.array.size:
        np.copyto(tensor.array, values, casting="unsafe")
        versions.bump(tensor.array)
    return tensor


def _old(new: AnyFunction) -> AnyFunction:
    old_name = new.__name__[:-1]

    def old(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"nn.init.{old_name} is now deprecated in favor of nn.init.{new.__name__}.",
            FutureWarning,
            stacklevel=2,
        )
        return new(*args, **kwargs)

    old.__name__ = old.__qualname__ = old_name
    old.__doc__ = f"The old name of `{new.__name__}`."
    return old


uniform = _old(uniform_)
normal = _old(normal_)
constant = _old(constant_)
eye = _old(eye_)
dirac = _old(dirac_)
xavier_uniform = _old(xavier_uniform_)
xavier_normal = _old(xavier_normal_)
kaiming_uniform = _old(kaiming_uniform_)
kaiming_normal = _old(kaiming_normal_)
orthogonal = _old(orthogonal_)
sparse = _old(sparse_)
