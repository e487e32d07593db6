"""``tg.autograd.functional``: the older spelling of `tg.func`, with the function's inputs given at once."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.autograd import transforms
from tinygrad_cnn.autograd.annotations import AnyFunction, Tensor, Tensors
from tinygrad_cnn.autograd.transforms import hvp

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def jacobian(func: AnyFunction, inputs: Tensors) -> Any:
    """The Jacobian at `inputs` (a tensor, or a tuple: then one block per input)."""
    several = isinstance(inputs, (tuple, list))
    args = tuple(inputs) if several else (inputs,)
    return transforms.jacrev(func, tuple(range(len(args))) if several else 0)(*args)


def hessian(func: AnyFunction, inputs: Tensors) -> Any:
    """The second derivatives of a scalar function at `inputs` (blocks for a tuple)."""
    several = isinstance(inputs, (tuple, list))
    args = tuple(inputs) if several else (inputs,)
    return transforms.hessian(func, tuple(range(len(args))) if several else 0)(*args)


def vjp(func: AnyFunction, inputs: Tensors, v: Tensor | None = None) -> tuple[Any, Any]:
    """``(output, vᵀJ)``; `v` may be left out for a scalar output."""
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    output, pull_back = transforms.vjp(func, *args)
    if v is None:
        v = output.new_ones(output.shape) if hasattr(output, "new_ones") else output * 0 + 1
    pulled = pull_back(v)
    return output, pulled if isinstance(inputs, (tuple, list)) else pulled[0]


def vhp(func: AnyFunction, inputs: Tensors, v: Tensor) -> tuple[Any, Any]:
    """``(output, vᵀH)`` of a scalar function: the same as `hvp`, since H is symmetric."""
    return hvp(func, inputs, v)


def jvp(func: AnyFunction, inputs: Tensors, v: Tensor) -> tuple[Any, Any]:
    """``(output, Jv)``."""
    several = isinstance(inputs, (tuple, list))
    output, pushed = transforms.jvp(
        func, tuple(inputs) if several else (inputs,), tuple(v) if several else (v,)
    )
    return output, pushed
