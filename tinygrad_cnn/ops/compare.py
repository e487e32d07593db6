"""Comparisons, logic and tests for special values: booleans, through which no gradient flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.broadcast import explained, settle
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops.common import Array, like

_BOOL = np.dtype(np.bool_)


def _binary(ufunc: np.ufunc, doc: str) -> Callable[[Any, Any], Any]:
    def function(input: Any, other: Any) -> Any:
        tensor = isinstance(input, Handle) or isinstance(other, Handle)
        a, b = _weak(input), _weak(other)
        try:
            result = ufunc(a, b)
        except ValueError as error:
            raise explained(ufunc.__name__, (a, b), error) from None
        if not tensor:
            return result
        result = np.asarray(result)
        return wrap(result if result.dtype is _BOOL else settle(result, (a, b)))

    function.__name__ = function.__qualname__ = ufunc.__name__
    function.__doc__ = doc
    implements(ufunc)(function)
    return function


def _unary(ufunc: np.ufunc, doc: str) -> Callable[[Any], Any]:
    def function(input: Any) -> Any:
        return like(ufunc(unwrap(input)), input)

    function.__name__ = function.__qualname__ = ufunc.__name__
    function.__doc__ = doc
    implements(ufunc)(function)
    return function


def _weak(x: Any) -> Any:
    return x.array if isinstance(x, Handle) else x


eq = _binary(np.equal, "input == other, entry by entry.")
ne = _binary(np.not_equal, "input != other, entry by entry.")
lt = _binary(np.less, "input < other, entry by entry.")
le = _binary(np.less_equal, "input <= other, entry by entry.")
gt = _binary(np.greater, "input > other, entry by entry.")
ge = _binary(np.greater_equal, "input >= other, entry by entry.")
logical_and = _binary(np.logical_and, "Whether both are non-zero.")
logical_or = _binary(np.logical_or, "Whether one of the two is non-zero.")
logical_xor = _binary(np.logical_xor, "Whether exactly one of the two is non-zero.")
bitwise_and = _binary(np.bitwise_and, "input & other, bit by bit.")
bitwise_or = _binary(np.bitwise_or, "input | other, bit by bit.")
bitwise_xor = _binary(np.bitwise_xor, "input ^ other, bit by bit.")
bitwise_left_shift = _binary(np.left_shift, "input << other.")
bitwise_right_shift = _binary(np.right_shift, "input >> other.")
logical_not = _unary(np.logical_not, "Whether it is zero.")
bitwise_not = _unary(np.invert, "~input, bit by bit.")
isnan = _unary(np.isnan, "Whether it is NaN.")
isinf = _unary(np.isinf, "Whether it is infinite.")
isfinite = _unary(np.isfinite, "Whether it is neither infinite nor NaN.")
signbit = _unary(np.signbit, "Whether the sign is negative (-0.0 included).")
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def isposinf(input: Array) -> Array:
    """Whether it is +∞."""
    return like(np.isposinf(unwrap(input)), input)


def isneginf(input: Array) -> Array:
    """Whether it is -∞."""
    return like(np.isneginf(unwrap(input)), input)


def isclose(
    input: Array, other: Array, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Array:
    """|input - other| <= atol + rtol · |other|, entry by entry."""
    return like(
        np.isclose(unwrap(input), unwrap(other), rtol=rtol, atol=atol, equal_nan=equal_nan), input, other
    )


def allclose(
    input: Array, other: Array, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether |input - other| <= atol + rtol · |other| everywhere."""
    return bool(np.allclose(unwrap(input), unwrap(other), rtol=rtol, atol=atol, equal_nan=equal_nan))


def equal(input: Array, other: Array) -> bool:
    """Whether shapes and all values are the same."""
    return bool(np.array_equal(unwrap(input), unwrap(other)))
