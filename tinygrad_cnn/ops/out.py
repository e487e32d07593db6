"""The `out=` of PyTorch's functions: the result is written into a given tensor, which is returned."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.annotations import AnyFunction
from tinygrad_cnn.autograd.handle import Handle


def with_out(function: AnyFunction) -> AnyFunction:
    """`function` with a further keyword `out`.

    An `out` of another shape is given the result's, as in PyTorch. Raises RuntimeError when gradients would be
    lost, and TypeError when the result's dtype does not fit into `out`'s.
    """

    @functools.wraps(function)
    def call(*args: Any, out: object | None = None, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return result if out is None else _write(function.__name__, result, out)

    return call


def _write(name: str, result: Any, out: object) -> Any:
    if not isinstance(out, Handle):
        raise TypeError(f"{name}(out=…) expected a tensor, got {type(out).__name__}")
    live = isinstance(result, Handle) and result.node is not None
    if modes.is_grad_enabled() and (live or out.node is not None):
        raise RuntimeError(
            f"{name}(out=…) does not record gradients, and an argument requires them: assign the result instead, or "
            "call it under no_grad()"
        )
    value = np.asarray(result.array if isinstance(result, Handle) else result)
    if not np.can_cast(value.dtype, out.array.dtype, "same_kind"):
        raise TypeError(f"{name} gives {value.dtype}, which does not fit into out's {out.array.dtype}")
    if out.array.shape != value.shape:
        out.array = value.astype(out.array.dtype)
    else:
        np.copyto(out.array, value, casting="same_kind")
        versions.bump(out.array)
    return out
