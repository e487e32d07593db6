"""Functions of one value, entry by entry: exponentials, trigonometry, rounding, clipping, choosing.

Each primitive's factor ∂y/∂x stands beside its forward. Activations live in `activation`, special functions
(erf and relatives) in `special`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, ArrayT, DType, Operand
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.op import Elementwise, Multilinear, unbroadcast
from tinygrad_cnn.autograd.promotion import explained, promoted
from tinygrad_cnn.ops.common import as_float, is_floating, like, unary
from tinygrad_cnn.ops.declare import public

E = Elementwise
_LN2, _LN10 = math.log(2), math.log(10)

exp = unary(E("exp", np.exp, lambda y, _x: y, formula="exp(x)", local=("y",)), np.exp)
exp2 = unary(E("exp2", np.exp2, lambda y, _x: y * _LN2, formula="2ˣ", local=("y · log 2",)), np.exp2)
expm1 = unary(E("expm1", np.expm1, lambda y, _x: y + 1, formula="exp(x) - 1", local=("y + 1",)), np.expm1)
log = unary(
    E("log", np.log, lambda _y, x: 1 / x, vjp=(lambda g, _y, x: g / x,), formula="log(x)", local=("1 / x",)),
    np.log,
)
log2 = unary(
    E("log2", np.log2, lambda _y, x: 1 / (x * _LN2), formula="log₂(x)", local=("1 / (x log 2)",)), np.log2
)
log10 = unary(
    E("log10", np.log10, lambda _y, x: 1 / (x * _LN10), formula="log₁₀(x)", local=("1 / (x log 10)",)),
    np.log10,
)
log1p = unary(
    E("log1p", np.log1p, lambda _y, x: 1 / (1 + x), formula="log(1 + x)", local=("1 / (1 + x)",)), np.log1p
)
sqrt = unary(E("sqrt", np.sqrt, lambda y, _x: 0.5 / y, formula="√x", local=("1 / (2y)",)), np.sqrt)
rsqrt = unary(
    E(
        "rsqrt",
        lambda x: 1 / np.sqrt(x),
        lambda y, _x: -0.5 * (y * y * y),
        formula="1 / √x",
        local=("-y³ / 2",),
    )
)
cbrt = unary(
    E("cbrt", np.cbrt, lambda y, _x: 1 / (3 * y * y), formula="∛x", local=("1 / (3y²)",)), np.cbrt,
    method=False, in_place=False, out=False,
)
reciprocal = unary(
    E("reciprocal", lambda x: 1 / x, lambda y, _x: -(y * y), formula="1 / x", local=("-y²",)), np.reciprocal
)

sin = unary(E("sin", np.sin, lambda _y, x: np.cos(x), formula="sin(x)", local=("cos(x)",)), np.sin)
cos = unary(E("cos", np.cos, lambda _y, x: -np.sin(x), formula="cos(x)", local=("-sin(x)",)), np.cos)
tan = unary(E("tan", np.tan, lambda y, _x: 1 + y * y, formula="tan(x)", local=("1 + y²",)), np.tan)
asin = unary(
    E("asin", np.arcsin, lambda _y, x: 1 / np.sqrt(1 - x * x), formula="arcsin(x)", local=("1 / √(1 - x²)",)),
    np.arcsin, aliases=["arcsin"],
)
acos = unary(
    E(
        "acos",
        np.arccos,
        lambda _y, x: -1 / np.sqrt(1 - x * x),
        formula="arccos(x)",
        local=("-1 / √(1 - x²)",),
    ),
    np.arccos, aliases=["arccos"],
)
atan = unary(
    E("atan", np.arctan, lambda _y, x: 1 / (1 + x * x), formula="arctan(x)", local=("1 / (1 + x²)",)),
    np.arctan, aliases=["arctan"],
)
sinh = unary(E("sinh", np.sinh, lambda _y, x: np.cosh(x), formula="sinh(x)", local=("cosh(x)",)), np.sinh)
cosh = unary(E("cosh", np.cosh, lambda _y, x: np.sinh(x), formula="cosh(x)", local=("sinh(x)",)), np.cosh)
tanh = unary(E("tanh", np.tanh, lambda y, _x: 1 - y * y, formula="tanh(x)", local=("1 - y²",)), np.tanh)
asinh = unary(
    E(
        "asinh",
        np.arcsinh,
        lambda _y, x: 1 / np.sqrt(x * x + 1),
        formula="arsinh(x)",
        local=("1 / √(x² + 1)",),
    ),
    np.arcsinh, aliases=["arcsinh"],
)
acosh = unary(
    E(
        "acosh",
        np.arccosh,
        lambda _y, x: 1 / np.sqrt(x * x - 1),
        formula="arcosh(x)",
        local=("1 / √(x² - 1)",),
    ),
    np.arccosh, aliases=["arccosh"],
)
atanh = unary(
    E("atanh", np.arctanh, lambda _y, x: 1 / (1 - x * x), formula="artanh(x)", local=("1 / (1 - x²)",)),
    np.arctanh, aliases=["arctanh"],
)
deg2rad = unary(
    E("deg2rad", np.deg2rad, math.pi / 180, formula="x · π / 180", local=("π / 180",)), np.deg2rad, np.radians
)
rad2deg = unary(
    E("rad2deg", np.rad2deg, 180 / math.pi, formula="x · 180 / π", local=("180 / π",)), np.rad2deg, np.degrees
)
sinc = unary(
    E(
        "sinc", np.sinc,
        # cos(πx)/x - sin(πx)/(πx²): near 0 the two cancel, so there the first terms of its series are used.
        lambda y, x: np.where(
            np.abs(x) < 1e-3,
            -(math.pi**2 / 3) * x + (math.pi**4 / 30) * x * x * x,
            (np.cos(math.pi * x) - y) / np.where(np.abs(x) < 1e-3, 1, x),
        ),
        formula="sin(πx) / (πx)", local=("(cos(πx) - y) / x",),
    ),
    np.sinc,
)  # fmt: skip

abs = unary(
    E("abs", np.absolute, lambda _y, x: np.sign(x), formula="|x|", local=("sign(x)",)),
    np.absolute,
    np.fabs,
    floats=False,
    aliases=["absolute"],
)


# --- flat almost everywhere: their gradient is 0 ---------------------------------------------------


def _flat(name: str, forward: AnyFunction, *numpy: AnyFunction, formula: str, **forms: Any) -> Any:
    op = Elementwise(name, forward, lambda _y, x: np.zeros_like(x), formula=formula, local=("0",))
    return unary(op, *numpy, floats=False, **forms)


def _whole(forward: AnyFunction) -> AnyFunction:
    return lambda x: x if np.asarray(x).dtype.kind in "biu" else forward(x)


sign = _flat(
    "sign", lambda x: x if np.asarray(x).dtype == bool else np.sign(x), np.sign, formula="sign(x)", aliases=["sgn"],
)  # fmt: skip
floor = _flat("floor", _whole(np.floor), np.floor, formula="⌊x⌋")
ceil = _flat("ceil", _whole(np.ceil), np.ceil, formula="⌈x⌉")
trunc = _flat("trunc", _whole(np.trunc), np.trunc, formula="x towards 0", aliases=["fix"])
rint = _flat("rint", _whole(np.rint), np.rint, formula="x to the nearest integer, halves to even", declared=False)
_round_op = E(
    "round", lambda x, decimals: np.round(x, decimals), lambda _y, x, decimals: np.zeros_like(x),
    formula="x to the given decimals", local=("0",),
)  # fmt: skip
frac = unary(E("frac", lambda x: x - np.trunc(x), 1, formula="x - trunc(x)", local=("1",)))


@public(method=True, in_place=True, out=True)
def round(input: ArrayT, *, decimals: int = 0) -> ArrayT:
    """To `decimals` digits behind the point, halves to even; its gradient is 0."""
    return rint(input) if decimals == 0 else _round_op(input, decimals=decimals)


@implements(np.round)
def _np_round(a: Array, decimals: int = 0) -> Array:
    return round(a, decimals=decimals)


# --- clipping and choosing -------------------------------------------------------------------------

_clamp_op = E(
    "clamp", lambda x, min, max: np.clip(x, min, max),
    # At the bounds themselves the gradient passes, as in PyTorch.
    lambda _y, x, min, max: (True if min is None else x >= min) & (True if max is None else x <= max),
    formula="x clipped to [min, max]", local=("1 inside, 0 outside",),
)  # fmt: skip


@public(method=True, in_place=True, out=True, aliases=["clip"])
def clamp(input: ArrayT, min: Operand | None = None, max: Operand | None = None) -> ArrayT:
    """`input` limited to [min, max]; either bound may be missing, a number or a tensor (which gets gradients).

    Raises ValueError when both are missing.
    """
    if min is None and max is None:
        raise ValueError("clamp expected min, max or both, got neither")
    if isinstance(min, (Handle, np.ndarray)) or isinstance(max, (Handle, np.ndarray)):
        lost = np.isnan(unwrap(input)) if is_floating(input) else False
        if min is not None:
            input = where(like((unwrap(input) < unwrap(min)) | np.isnan(unwrap(min)), input), min, input)
        if max is not None:
            input = where(like((unwrap(input) > unwrap(max)) | np.isnan(unwrap(max)), input), max, input)
        # A NaN stays one, and is on neither side of a bound: it passes no gradient on, as with numbers for bounds.
        return where(like(lost, input), math.nan, input) if np.any(lost) else input
    if isinstance(min, float) or isinstance(max, float):
        input = as_float(input)
    return _clamp_op(input, min=min, max=max)


@public(method=True, in_place=True)
def clamp_min(input: ArrayT, min: Operand) -> ArrayT:
    """`input`, but at least `min`."""
    return clamp(input, min=min)


@public(method=True, in_place=True)
def clamp_max(input: ArrayT, max: Operand) -> ArrayT:
    """`input`, but at most `max`."""
    return clamp(input, max=max)


@implements(np.clip)
def _np_clip(
    a: Array, a_min: Operand | None = None, a_max: Operand | None = None, *, min: Operand | None = None,
    max: Operand | None = None,
) -> Array:  # fmt: skip
    return clamp(a, a_min if min is None else min, a_max if max is None else max)


_where_op = Multilinear(
    "where", lambda a, b, condition: np.where(condition, a, b),
    lambda g, a, _b, condition: unbroadcast(np.where(condition, g, 0), a.shape),
    lambda g, _a, b, condition: unbroadcast(np.where(condition, 0, g), b.shape),
    joint=True, selection=True,
    formula="a where the condition holds, else b", local=("1 where chosen", "1 where not chosen"),
)  # fmt: skip


@public(out=True)
def where(condition: Array, input: Operand | None = None, other: Operand | None = None) -> Any:
    """`input` where `condition` holds, else `other`; with the condition alone, the indices where it holds."""
    chosen = unwrap(condition)
    if input is None and other is None:
        return tuple([wrap(k) if isinstance(condition, Handle) else k for k in np.nonzero(chosen)])
    chosen = np.asarray(chosen, dtype=bool)
    try:
        result = _where_op(input, other, condition=chosen)
    except ValueError as error:
        raise explained("where", (chosen, unwrap(input), unwrap(other)), error) from None
    if isinstance(condition, Handle) and not isinstance(result, Handle):
        result = wrap(np.asarray(result))
    # NumPy widens where PyTorch does not: Python floats become float64, and a 0-d array counts in full.
    return cast(result, promoted((unwrap(input), unwrap(other)))) if isinstance(result, Handle) else result


implements(np.where)(where)


#: Another dtype. The gradient goes back in the input's own (the engine casts it at the edge).
cast_op = Multilinear(
    "cast", lambda x, dtype: x.astype(dtype), lambda g, x, dtype: _cast_back(g, x.dtype), joint=True,
    formula="x in another dtype", local=("1",),
)  # fmt: skip


def _cast_back(g: np.ndarray | Handle, dtype: DType) -> Array:
    return cast_op(g, dtype=dtype) if isinstance(g, Handle) else g.astype(dtype, copy=False)


def cast(input: Array | Handle | float, dtype: DType) -> Any:
    """In another dtype; itself when that is its dtype already."""
    dtype = np.dtype(dtype)
    if not isinstance(input, Handle):
        return np.asarray(input, dtype=dtype)
    return input if input.array.dtype == dtype else cast_op(input, dtype=dtype)


def in_float32(function: AnyFunction) -> AnyFunction:
    """`function` of one or more tensors, computed in float32 where they are float16, as PyTorch's reductions are.

    The results are float16 again, unless the caller asked for a dtype.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not any(getattr(unwrap(a), "dtype", None) == np.float16 for a in args):
            return function(*args, **kwargs)
        wide = [cast(a, np.float32) if getattr(unwrap(a), "dtype", None) == np.float16 else a for a in args]
        result = function(*wide, **kwargs)
        if kwargs.get("dtype") is not None:
            return result
        return tuple(cast(r, np.float16) for r in result) if isinstance(result, tuple) else cast(result, np.float16)

    return call


_nan_to_num_op = E(
    "nan_to_num", lambda x, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    lambda _y, x, nan, posinf, neginf: np.isfinite(x),
    formula="x, with numbers for NaN and infinities", local=("1 where finite",),
)  # fmt: skip


@public(method=True, in_place=True)
def nan_to_num(
    input: ArrayT, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> ArrayT:
    """NaN and infinities replaced by numbers (the dtype's largest and smallest by default)."""
    return _nan_to_num_op(input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


@implements(np.nan_to_num)
def _np_nan_to_num(
    x: Array, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Array:
    return nan_to_num(x, nan, posinf, neginf)


_copysign_op = E(
    "copysign", np.copysign,
    lambda _y, a, b: np.sign(a) * np.copysign(1.0, b), lambda y, _a, _b: np.zeros_like(y),
    formula="|a| with the sign of b", local=("sign(a) · sign(b)", "0"),
)  # fmt: skip


_nextafter_op = E(
    "nextafter", np.nextafter,
    lambda y, a, b: np.ones_like(y) * (a != b), lambda y, _a, _b: np.zeros_like(y),
    formula="the number beside a, towards b", local=("1 where a ≠ b", "0"),
)  # fmt: skip


@public(method=True, in_place=True)
def nextafter(input: ArrayT, other: Operand) -> ArrayT:
    """The next number after `input` in the direction of `other`; as in PyTorch, its slope is 0 where they are equal."""
    return _nextafter_op(input, other)


@public(method=True, in_place=True)
def copysign(input: ArrayT, other: Operand) -> ArrayT:
    """|input| with the sign of `other`."""
    return _copysign_op(input if is_floating(other) else as_float(input), other)


implements(np.copysign)(copysign)
