"""NumPy's functions on tensors: the tables behind `__array_ufunc__` and `__array_function__`.

`ops` fills them. They are what makes a rule written in plain NumPy differentiable, and what lets a user
write ``np.exp(t)``. A function that is not listed runs on the bare arrays when no gradient is wanted, and
is refused by name when one is: a gradient is never lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import AnyFunction, Tensor
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap

F = TypeVar("F", bound=Callable[..., Any])

#: Differentiable ufuncs: NumPy's -> the op.
UFUNCS: dict[Any, Callable[..., Any]] = {}
#: Array functions: NumPy's -> a function with NumPy's own signature that accepts tensors.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def implements(*numpy_functions: Any) -> Callable[[F], F]:
    """Register a function as what the given NumPy functions do on tensors."""

    def register(fn: F) -> F:
        for numpy_function in numpy_functions:
            table = UFUNCS if isinstance(numpy_function, np.ufunc) else FUNCTIONS
            table[numpy_function] = fn
        return fn

    return register


def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`__array_ufunc__` of tensors."""
    if kwargs.pop("out", None) is not None:
        raise TypeError(f"np.{ufunc.__name__}(…, out=tensor) is not supported: results are new tensors")
    if method == "__call__":
        op = UFUNCS.get(ufunc)
        if op is not None:
            dtype = kwargs.pop("dtype", None)
            if kwargs:
                raise TypeError(f"np.{ufunc.__name__} on tensors does not take {', '.join(kwargs)}")
            result = op(*inputs)
            return result if dtype is None else result.to(dtype)
    elif method == "reduce":
        reducers: dict[Any, Any] = {
            np.add: np.sum,
            np.multiply: np.prod,
            np.maximum: np.max,
            np.minimum: np.min,
        }
        reducer = reducers.get(ufunc)
        if reducer is not None:
            kwargs.setdefault("axis", 0)
            return FUNCTIONS[reducer](*inputs, **kwargs)
    return _on_arrays(getattr(ufunc, method), ufunc.__name__, inputs, kwargs)


def array_function(fn: AnyFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`__array_function__` of tensors."""
    own = FUNCTIONS.get(fn)
    if own is not None:
        return own(*args, **kwargs)
    return _on_arrays(fn, fn.__name__, args, kwargs)


#: These give integers, booleans or shapes, or have gradient zero wherever they have one.
_WITHOUT_GRADIENT = {
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "isinf", "isfinite", "signbit",
    "logical_and", "logical_or", "logical_not", "logical_xor", "argmax", "argmin", "argsort", "shape", "ndim", "size",
    "allclose", "array_equal", "array_equiv", "isclose", "zeros_like", "ones_like", "empty_like", "full_like",
    "nonzero", "count_nonzero", "any", "all", "flatnonzero", "argwhere", "unique", "searchsorted", "histogram",
    "array_repr", "array_str", "array2string", "save", "savez", "savetxt", "may_share_memory", "shares_memory",
}  # fmt: skip


def _on_arrays(fn: AnyFunction, name: str, args: Any, kwargs: Any) -> Any:
    if name not in _WITHOUT_GRADIENT and modes.state.grad and _any_live((args, kwargs)):
        raise TypeError(
            f"np.{name} has no derivative rule in tinygrad_cnn, and an input requires grad. "
            "Use .detach() if no gradient is wanted, or write it with autograd.Function."
        )
    result = fn(*_bare(args), **_bare(kwargs))
    if isinstance(result, (np.ndarray, np.generic)):
        return wrap(np.asarray(result))
    if isinstance(result, (tuple, list)) and any(isinstance(r, np.ndarray) for r in result):
        return type(result)(wrap(r) if isinstance(r, np.ndarray) else r for r in result)
    return result


def _any_live(value: Tensor) -> bool:
    if isinstance(value, Handle):
        return value.node is not None
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return False
    return any(_any_live(v) for v in value)


def _bare(value: Tensor) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_bare(v) for v in value)
    return unwrap(value)
