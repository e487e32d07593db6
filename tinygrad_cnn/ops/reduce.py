"""Reductions: sums, means, products, variances and norms. Extremes live in `extreme`, scans and sorting in `order`.

All take PyTorch's `dim`, `keepdim`; NumPy's `axis`, `keepdims` are accepted as other names for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, ArrayT, Axes, Dims, DType
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.op import Elementwise, General, Multilinear
from tinygrad_cnn.ops.common import (
    as_float,
    is_floating,
    kept_shape,
    like,
    numpy_names,
    reduced_axes,
    refuse_options,
    spread,
)
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import abs, cast, in_float32, where
from tinygrad_cnn.ops.extreme import amax, amin
from tinygrad_cnn.ops.shape import reshape

ndarray = np.ndarray
#: The sum of an array over axes: what np.sum calls, without its detour through Python.
_total: Callable[..., Any] = np.add.reduce


# --- sum, mean, prod -------------------------------------------------------------------------------


def _sum(x: ndarray, axis: Axes, keepdims: bool) -> Array:
    x = np.asarray(x)
    if x.dtype.kind in "biu":
        return _total(x, axis=axis, keepdims=keepdims, dtype=np.int64)
    if x.dtype == np.float16:
        return _total(x, axis=axis, keepdims=keepdims, dtype=np.float32).astype(np.float16)
    return _total(x, axis=axis, keepdims=keepdims)


def _count(shape: tuple[int, ...], axis: tuple[int, ...] | None) -> int:
    count = 1
    for k in range(len(shape)) if axis is None else axis:
        count *= shape[k] if shape else 1
    return count


def _mean(x: ndarray, axis: Axes, keepdims: bool) -> Array | np.floating:
    x = np.asarray(x)
    if x.dtype == np.float16:
        return np.mean(x, axis=axis, keepdims=keepdims, dtype=np.float32).astype(np.float16)
    count = _count(x.shape, axis)
    return _total(x, axis=axis, keepdims=keepdims) / (count if count else np.nan)


sum_op = Multilinear("sum", _sum, spread, joint=True, formula="Σ x", local=("1",))
mean_op = Multilinear(
    "mean", _mean,
    lambda g, x, axis, keepdims: spread(g / (_count(x.shape, axis) or 1), x, axis, keepdims),
    joint=True, formula="Σ x / n", local=("1 / n",),
)  # fmt: skip


@public(method=True, out=True)
@numpy_names
def sum(input: ArrayT, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> ArrayT:
    """The sum over `dim` (a number, several, or None for all); integers and booleans add up as int64."""
    if dtype is not None:
        input = cast(input, dtype)
    return sum_op(input, axis=reduced_axes(input, dim), keepdims=keepdim)


@public(method=True, out=True)
@numpy_names
def mean(input: ArrayT, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> ArrayT:
    """The mean over `dim`. Raises TypeError for integers: give dtype=float32 or convert, as in PyTorch."""
    if dtype is not None:
        input = cast(input, dtype)
    if not is_floating(input):
        raise TypeError(
            f"mean expected a floating dtype, got {getattr(input, 'dtype', type(input).__name__)}; "
            "convert first: x.float().mean()"
        )
    return mean_op(input, axis=reduced_axes(input, dim), keepdims=keepdim)


@public(method=True)
def nansum(input: ArrayT, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> ArrayT:
    """The sum that counts NaN as 0."""
    return sum(where(np.isnan(unwrap(input)), 0, input), dim, keepdim, dtype=dtype)


@public(method=True)
def nanmean(input: ArrayT, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> ArrayT:
    """The mean over the entries that are not NaN."""
    present = like(~np.isnan(unwrap(input)), input)
    return nansum(input, dim, keepdim, dtype=dtype) / sum(present, dim, keepdim)


def _prod(x: ndarray, axis: Axes, keepdims: bool) -> Array:
    x = np.asarray(x)
    dtype = np.int64 if x.dtype.kind in "biu" else None
    reduce: Callable[..., Any] = np.multiply.reduce
    return reduce(x, axis=axis, keepdims=keepdims, dtype=dtype)


def _prod_vjp(g: Array, y: Array, x: Array, axis: Axes, keepdims: bool) -> Array:
    return spread(g, x, axis, keepdims) * _prod_of_others(x, axis)


def _prod_of_others(x: Array, axis: tuple[int, ...] | None) -> Array:
    """For each entry the product of all the others: no division, so zeros are no trouble."""
    shape = x.shape
    if not shape:
        return np.ones_like(x)
    axes = tuple(range(len(shape))) if axis is None else axis
    rest = tuple(k for k in range(len(shape)) if k not in axes)
    order = rest + axes
    inner = _count(shape, axes)
    rows = np.reshape(np.transpose(x, order), (-1, inner) if inner else (0, 0))
    one = np.ones((rows.shape[0], 1), x.dtype)
    before = np.cumprod(np.concatenate([one, rows[:, :-1]], axis=1), axis=1)
    after = np.flip(np.cumprod(np.concatenate([one, np.flip(rows[:, 1:], 1)], axis=1), axis=1), 1)
    back = tuple(int(k) for k in np.argsort(order))
    return np.transpose(np.reshape(before * after, tuple(shape[k] for k in order)), back)


prod_op = General(
    "prod", _prod, vjp=_prod_vjp, definition=lambda x, axis, keepdims: _prod_definition(x, axis, keepdims),
    formula="Π x", local=("product of the others",),
)  # fmt: skip


def _prod_definition(x: Array, axis: Axes, keepdims: bool) -> Array:
    """One multiplication after the other."""
    if not len(x.shape):
        return x * 1
    for k in sorted(range(len(x.shape)) if axis is None else axis, reverse=True):
        parts = [x[(slice(None),) * k + (slice(j, j + 1),)] for j in range(x.shape[k])]
        total = parts[0] if parts else np.sum(x, axis=k, keepdims=True) + 1
        for part in parts[1:]:
            total = total * part
        x = total if keepdims else np.reshape(total, total.shape[:k] + total.shape[k + 1 :])
    return x


@public(method=True, out=True)
@numpy_names
def prod(input: ArrayT, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> ArrayT:
    """The product over `dim`, or over everything."""
    if dtype is not None:
        input = cast(input, dtype)
    return prod_op(input, axis=reduced_axes(input, dim), keepdims=keepdim)


# --- variance and norms ----------------------------------------------------------------------------


def _deviation(
    name: str, input: Array, dim: Dims, unbiased: bool | None, correction: float | None
) -> tuple[Dims, Any, Any, float]:
    """(dim, mean with its dimensions kept, distances from it, n - correction)."""
    if isinstance(dim, bool):  # PyTorch's older form var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = 1 if unbiased else 0
    correction = 1 if correction is None else correction
    if not is_floating(input):
        _refuse_integers(name, input)
    count = _count(np.shape(unwrap(input)), reduced_axes(input, dim))
    center = mean(input, dim, True)
    return dim, center, input - center, max(count - correction, 0)


def _ratio(total: Array, left: float) -> Any:
    """total / left; by nothing it is NaN or infinite, as in PyTorch and without NumPy's warning."""
    return total / left if left > 0 else total * np.inf


@public
@numpy_names
@in_float32
def var_mean(
    input: ArrayT, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = 1,
) -> tuple[ArrayT, ArrayT]:  # fmt: skip
    """(variance, mean). The variance divides by n - correction; `unbiased` True or False means 1 or 0."""
    dim, center, away, left = _deviation("var", input, dim, unbiased, correction)
    variance = _ratio(sum(away * away, dim, keepdim), left)
    return variance, (center if keepdim else reshape(center, variance.shape))


def _refuse_integers(name: str, input: Array) -> NoReturn:
    raise TypeError(
        f"{name} expected a floating dtype, got {getattr(input, 'dtype', type(input).__name__)}; use x.float()"
    )


@public(method=True, out=True)
@numpy_names
def var(
    input: ArrayT, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = 1,
) -> ArrayT:  # fmt: skip
    """The variance Σ (x - mean)² / (n - correction) over `dim`; unbiased (correction=1) by default."""
    return var_mean(input, dim, unbiased, keepdim, correction=correction)[0]


@public(method=True, out=True)
@numpy_names
def std(
    input: ArrayT, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = 1,
) -> ArrayT:  # fmt: skip
    """The square root of the variance over `dim`; where all values are equal its gradient is 0."""
    return std_mean(input, dim, unbiased, keepdim, correction=correction)[0]


@public
@numpy_names
@in_float32
def std_mean(
    input: ArrayT, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = 1,
) -> tuple[ArrayT, ArrayT]:  # fmt: skip
    """(standard deviation, mean)."""
    dim, center, away, left = _deviation("std", input, dim, unbiased, correction)
    deviation = _ratio(vector_norm(away, 2, dim, keepdim), left**0.5)
    return deviation, (center if keepdim else reshape(center, deviation.shape))


def _norm2(x: ndarray, axis: Axes, keepdims: bool) -> Array:
    return np.sqrt(_total(x * x, axis=axis, keepdims=keepdims))


norm2_op = General(
    "norm2", _norm2,
    # x / y, and 0 at the origin, where the norm has a kink: the subgradient PyTorch takes.
    vjp=lambda g, y, x, axis, keepdims: x * spread(g / np.where(y == 0, np.inf, y), x, axis, keepdims),
    definition=lambda x, axis, keepdims: _norm2_definition(x, axis, keepdims),
    formula="√(Σ x²)", local=("x / y",),
)  # fmt: skip


def _norm2_definition(x: Array, axis: Axes, keepdims: bool) -> Array:
    total = np.sum(x * x, axis=axis, keepdims=keepdims)
    zero = unwrap(total) == 0
    return np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, total)))


_is_nonzero = Elementwise(
    "is_nonzero", lambda x: (x != 0).astype(x.dtype), lambda y, _x: np.zeros_like(y),
    formula="1 where x is not 0", local=("0",),
)  # fmt: skip


@in_float32
def vector_norm(
    x: ArrayT, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None
) -> ArrayT:
    """(Σ |x|ᵖ)^(1/p) over `dim`, all of x by default; p may be 0 (count of non-zeros), ∞ and -∞."""
    if dtype is not None:
        x = cast(x, dtype)
    x = as_float(x)
    if ord == 2:
        return norm2_op(x, axis=reduced_axes(x, dim), keepdims=keepdim)
    if ord == 1:
        return sum(abs(x), dim, keepdim)
    if ord == 0:
        return sum(_is_nonzero(x), dim, keepdim)
    if ord == np.inf:
        return amax(abs(x), dim, keepdim)
    if ord == -np.inf:
        return amin(abs(x), dim, keepdim)
    # A zero entry takes no gradient, as in PyTorch: its power has no slope, or an infinite one, there.
    flat = unwrap(x) == 0
    total = sum(where(flat, 0.0 if ord > 0 else math.inf, abs(where(flat, 1.0, x)) ** ord), dim, keepdim)
    zero = unwrap(total) == 0
    return where(zero, 0.0, where(zero, 1.0, total) ** (1.0 / ord)) if ord > 0 else total ** (1.0 / ord)


@public(method=True, out=True)
def logsumexp(input: ArrayT, dim: Dims = None, keepdim: bool = False) -> ArrayT:
    """log Σ exp(x) over `dim`, without overflow."""
    return _logsumexp_op(as_float(input), axis=reduced_axes(input, dim), keepdims=keepdim)


def _logsumexp(x: ndarray, axis: Axes, keepdims: bool) -> Array:
    x = np.asarray(x)
    peak = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    peak = np.where(np.isfinite(peak), peak, 0).astype(x.dtype, copy=False)
    with np.errstate(divide="ignore"):
        y = np.log(_total(np.exp(x - peak), axis=axis, keepdims=True)) + peak
    return y if keepdims or not x.ndim else np.squeeze(y, axis=axis)


def _share_of_exp(y: Array, x: Array, axis: Axes, keepdims: bool) -> Array:
    rest = y if keepdims or axis is None or not len(x.shape) else np.reshape(y, kept_shape(x.shape, axis))
    return np.exp(x - rest)


_logsumexp_op = General(
    "logsumexp", _logsumexp,
    vjp=lambda g, y, x, axis, keepdims: spread(g, x, axis, keepdims) * _share_of_exp(y, x, axis, keepdims),
    definition=lambda x, axis, keepdims: _logsumexp_definition(x, axis, keepdims),
    formula="log Σ exp(x)", local=("exp(x - y)",),
)  # fmt: skip


def _logsumexp_definition(x: Array, axis: Axes, keepdims: bool) -> Array:
    values = unwrap(x)
    peak = (
        np.max(values, axis=axis, keepdims=True)
        if values.size
        else np.zeros((1,) * values.ndim, values.dtype)
    )
    peak = np.where(np.isfinite(peak), peak, 0).astype(values.dtype)
    total = np.log(np.sum(np.exp(x - peak), axis=axis, keepdims=True)) + peak
    return total if keepdims or not values.ndim else np.squeeze(total, axis)


# --- under NumPy's names ---------------------------------------------------------------------------


def _numpy_form(own: AnyFunction, theirs: AnyFunction) -> None:
    """Answer for np.f(a, axis, dtype, out, keepdims); other options are refused by name."""

    @implements(theirs)
    def adapter(
        a: Array, axis: Dims = None, dtype: DType = None, out: object = None, keepdims: bool = False, **rest: object
    ) -> Array:
        refuse_options(own.__name__, out, rest)
        return own(a if dtype is None else cast(a, dtype), axis, bool(keepdims))


def _numpy_spread(own: AnyFunction, theirs: AnyFunction) -> None:
    """Answer for np.var and np.std, which have `ddof` where we have `correction`."""

    @implements(theirs)
    def adapter(
        a: Array, axis: Dims = None, dtype: DType = None, out: object = None, ddof: int = 0, keepdims: bool = False,
        **rest: object,
    ) -> Array:  # fmt: skip
        refuse_options(own.__name__, out, rest)
        return own(a if dtype is None else cast(a, dtype), axis, keepdim=bool(keepdims), correction=ddof)


_numpy_form(sum, np.sum)
_numpy_form(mean, np.mean)
_numpy_form(prod, np.prod)
_numpy_spread(var, np.var)
_numpy_spread(std, np.std)
