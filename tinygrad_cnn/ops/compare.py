"""Comparisons, logic and tests for special values: booleans, through which no gradient flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, ArrayT, Operand
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.promotion import explained, settle
from tinygrad_cnn.ops.common import like
from tinygrad_cnn.ops.declare import public

F = TypeVar("F", bound=AnyFunction)
_BOOL = np.dtype(np.bool_)


def _binary(name: str, ufunc: np.ufunc, doc: str, **forms: Any) -> Callable[[ArrayT, Operand], ArrayT]:
    def function(input: ArrayT, other: Operand) -> Any:
        tensor = isinstance(input, Handle) or isinstance(other, Handle)
        a, b = unwrap(input), unwrap(other)
        try:
            result = ufunc(a, b)
        except ValueError as error:
            raise explained(ufunc.__name__, (a, b), error) from None
        if not tensor:
            return result
        result = np.asarray(result)
        return wrap(result if result.dtype is _BOOL else settle(result, (a, b)))

    return _declared(function, name, ufunc, doc, forms)


def _unary(name: str, ufunc: np.ufunc, doc: str, **forms: Any) -> Callable[[ArrayT], ArrayT]:
    def function(input: ArrayT) -> ArrayT:
        return like(ufunc(unwrap(input)), input)

    return _declared(function, name, ufunc, doc, forms)


def _declared(function: F, name: str, ufunc: np.ufunc, doc: str, forms: dict[str, Any]) -> F:
    """Public in every form unless `forms`, arguments of `declare.public`, say otherwise."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return public(numpy=[ufunc], **{"method": True, "in_place": True, "out": True, **forms})(function)


eq = _binary("eq", np.equal, "input == other, entry by entry.")
ne = _binary("ne", np.not_equal, "input != other, entry by entry.", aliases=["not_equal"])
lt = _binary("lt", np.less, "input < other, entry by entry.", aliases=["less"])
le = _binary("le", np.less_equal, "input <= other, entry by entry.", aliases=["less_equal"])
gt = _binary("gt", np.greater, "input > other, entry by entry.", aliases=["greater"])
ge = _binary("ge", np.greater_equal, "input >= other, entry by entry.", aliases=["greater_equal"])
logical_and = _binary("logical_and", np.logical_and, "Whether both are non-zero.")
logical_or = _binary("logical_or", np.logical_or, "Whether one of the two is non-zero.")
logical_xor = _binary("logical_xor", np.logical_xor, "Whether exactly one of the two is non-zero.")
bitwise_and = _binary("bitwise_and", np.bitwise_and, "input & other, bit by bit.")
bitwise_or = _binary("bitwise_or", np.bitwise_or, "input | other, bit by bit.")
bitwise_xor = _binary("bitwise_xor", np.bitwise_xor, "input ^ other, bit by bit.")
bitwise_left_shift = _binary("bitwise_left_shift", np.left_shift, "input << other.")
bitwise_right_shift = _binary("bitwise_right_shift", np.right_shift, "input >> other.")
logical_not = _unary("logical_not", np.logical_not, "Whether it is zero.")
bitwise_not = _unary("bitwise_not", np.invert, "~input, bit by bit.")
isnan = _unary("isnan", np.isnan, "Whether it is NaN.", in_place=False, out=False)
isinf = _unary("isinf", np.isinf, "Whether it is infinite.", in_place=False, out=False)
isfinite = _unary("isfinite", np.isfinite, "Whether it is neither infinite nor NaN.", in_place=False, out=False)
signbit = _unary("signbit", np.signbit, "Whether the sign is negative (-0.0 included).", in_place=False, out=True)


@public(method=True)
def isposinf(input: ArrayT) -> ArrayT:
    """Whether it is +∞."""
    return like(np.isposinf(unwrap(input)), input)


@public(method=True)
def isneginf(input: ArrayT) -> ArrayT:
    """Whether it is -∞."""
    return like(np.isneginf(unwrap(input)), input)


@public(method=True)
def isclose(
    input: ArrayT, other: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> ArrayT:
    """|input - other| <= atol + rtol · |other|, entry by entry."""
    return like(
        np.isclose(unwrap(input), unwrap(other), rtol=rtol, atol=atol, equal_nan=equal_nan), input, other
    )


@public(method=True)
def allclose(
    input: Array, other: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether |input - other| <= atol + rtol · |other| everywhere."""
    return bool(np.allclose(unwrap(input), unwrap(other), rtol=rtol, atol=atol, equal_nan=equal_nan))


@public(method=True)
def equal(input: Array, other: Operand) -> bool:
    """Whether shapes and all values are the same."""
    return bool(np.array_equal(unwrap(input), unwrap(other)))
