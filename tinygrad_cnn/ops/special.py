"""Special functions NumPy does not have: erf and its relatives, the gamma function's logarithm and derivatives.

Vectorised, without SciPy. Tests hold them to `math.erf`, `math.erfc` and `math.lgamma`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT, Operand
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.op import Elementwise
from tinygrad_cnn.autograd.promotion import float_dtype
from tinygrad_cnn.ops.common import as_float, unary
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import cast, clamp, log, where

ndarray = np.ndarray
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)

# W. J. Cody, Rational Chebyshev approximation for the error function, Math. Comp. 23 (1969): numerators and
# denominators, highest power first, for |x| < 0.46875 (in x²), up to 4 (in x), and beyond (in 1/x²).
_SMALL = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_LARGE = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip


# In float32 one quotient does for all x (clipped to ±4, where erf is 1): x · P(x²) / Q(x²), highest power first.
# The coefficients are Eigen's.
_FLOAT32 = (
    (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
     -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
    (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
     -1.42647390514189e-02),
)  # fmt: skip
_BLOCK = 16384  # values that stay in the cache through all the passes


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], z: ndarray) -> ndarray:
    top, bottom = coefficients
    p, q = top[0] * z + top[1], bottom[0] * z + bottom[1]
    for a in top[2:]:
        p *= z
        p += a
    for b in bottom[2:]:
        q *= z
        q += b
    p /= q
    return p


def _erfc_tail(a: ndarray) -> ndarray:
    """erfc for a >= 0.46875."""
    with np.errstate(under="ignore", divide="ignore", invalid="ignore", over="ignore"):
        y = np.empty_like(a)
        far = a > 4
        near = np.where(far, 1, a)
        y = _ratio(_MIDDLE, near)
        if far.any():
            z = 1 / np.square(a[far])
            y[far] = (1 / math.sqrt(math.pi) - z * _ratio(_LARGE, z)) / a[far]
        # exp(-a²) split at sixteenths, so that rounding a² does not cost digits.
        head = np.trunc(a * 16) / 16
        y *= np.exp(-head * head) * np.exp(-(a - head) * (a + head))
        return np.where(np.isinf(a), 0, y)


def erf_array(x: Any) -> Any:
    """erf of an array or number, in its own dtype (computed in float64 for float64, else in float32)."""
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    double = dtype == np.float64
    flat = np.ravel(x).astype(np.float64 if double else np.float32, copy=False)
    y = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        y[part] = (_erf64 if double else _erf32)(flat[part])
    return y.reshape(x.shape).astype(dtype, copy=False)


def _erf32(x: ndarray) -> ndarray:
    x = np.clip(x, -4, 4)
    y = _ratio(_FLOAT32, x * x)
    y *= x
    return np.clip(y, -1, 1, out=y)


def _erf64(x: ndarray) -> ndarray:
    a = np.abs(x)
    inside = np.minimum(a, 0.46875)
    y = inside * _ratio(_SMALL, np.square(inside))
    outside = ~(a <= 0.46875)
    if outside.any():
        tail = a[outside]
        y[outside] = np.where(np.isnan(tail), tail, 1 - _erfc_tail(tail))
    return np.copysign(y, x, out=y)


def erfc_array(x: Any) -> Any:
    """1 - erf(x), accurate where erf is close to 1."""
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    flat = np.atleast_1d(x.astype(np.float64))
    y = 1 - erf_array(flat)
    outside = flat > 0.46875
    if outside.any():
        y[outside] = _erfc_tail(flat[outside])
    return y.reshape(x.shape).astype(dtype, copy=False)


def erfinv_array(y: Any) -> Any:
    """The x with erf(x) = y."""
    y = np.asarray(y)
    dtype = y.dtype if y.dtype.kind == "f" else np.dtype(np.float64)
    v = np.atleast_1d(y.astype(np.float64))
    a = np.abs(v)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Winitzki's closed form starts within 0.2 %; Newton on log erfc (on erf near 0) doubles the digits.
        inner = np.minimum(a, 1 - 1e-16)
        l = np.log1p(-inner * inner)
        c = 2 / (math.pi * 0.147) + l / 2
        x = np.sqrt(np.sqrt(c * c - l / 0.147) - c)
        for _ in range(4):
            slope = _TWO_OVER_ROOT_PI * np.exp(-x * x)
            # The second-order (Halley) term keeps steps in the tails from overshooting.
            error = np.where(a < 0.5, erf_array(x) - inner, (1 - inner) - erfc_array(x))
            step = error / slope
            x = x - step / (1 + x * step)
        x = np.where(a == 1, np.inf, np.where(a > 1, np.nan, x))
    return np.copysign(x, v).reshape(y.shape).astype(dtype, copy=False)


erf = unary(
    Elementwise(
        "erf",
        erf_array,
        lambda _y, x: _TWO_OVER_ROOT_PI * np.exp(-x * x),
        formula="2/√π ∫₀ˣ exp(-t²) dt",
        local=("2/√π · exp(-x²)",),
    )
)
erfc = unary(
    Elementwise(
        "erfc",
        erfc_array,
        lambda _y, x: -_TWO_OVER_ROOT_PI * np.exp(-x * x),
        formula="1 - erf(x)",
        local=("-2/√π · exp(-x²)",),
    )
)
erfinv = unary(
    Elementwise(
        "erfinv",
        erfinv_array,
        lambda y, _x: np.exp(y * y) * (1 / _TWO_OVER_ROOT_PI),
        formula="erf⁻¹(x)",
        local=("√π/2 · exp(y²)",),
    )
)


# --- the gamma function's relatives ----------------------------------------------------------------

#: Bernoulli numbers B₂, B₄, …, for the asymptotic series.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_SHIFT = 12  # from here on the series reaches 1e-16 with the terms above


def lgamma_array(x: Any) -> Any:
    """log |Γ(x)|, entry by entry with `math.lgamma`; +∞ at its poles."""
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    values = [_lgamma(v) for v in x.astype(np.float64).ravel().tolist()]
    return np.array(values, dtype=dtype).reshape(x.shape)


def _lgamma(v: float) -> float:
    if not math.isfinite(v):
        return abs(v)
    return math.inf if v <= 0 and v == math.floor(v) else math.lgamma(v)


def polygamma_array(n: int, x: Any) -> Any:
    """The (n+1)-th derivative of log Γ: digamma for n = 0, trigamma for n = 1, and so on."""
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    v = x.astype(np.float64)
    if n == 0:
        # Reflection: ψ(x) = ψ(1 - x) - π / tan(πx) to the left of 0.
        with np.errstate(divide="ignore", invalid="ignore"):
            mirrored = _polygamma_right(0, np.where(v < 0, 1 - v, v))
            value = np.where(v < 0, mirrored - math.pi / np.tan(math.pi * v), mirrored)
            value = np.where((v < 0) & (v == np.floor(v)), np.nan, value)  # a pole: the tangent is a rounding beside it
            value = np.where(v == 0, np.copysign(np.inf, -v), value)
        return value.astype(dtype, copy=False)
    return _polygamma_right(n, v).astype(dtype, copy=False)


def _polygamma_right(n: int, v: ndarray) -> ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        sign = -1.0 if n == 0 else (-1.0) ** (n + 1)
        total = np.zeros_like(v)
        # ψₙ(x) = ψₙ(x + 1) - (-1)ⁿ n! / xⁿ⁺¹, as often as it takes to come from the smallest number to the series.
        lowest = float(np.min(v, where=np.isfinite(v), initial=0))
        steps = _SHIFT + n + math.ceil(-lowest)
        for k in range(steps):
            total = total + sign * math.factorial(n) / np.power(v + k, n + 1)
        z = v + steps
        if n == 0:
            total = total + np.log(z) - 0.5 / z
            for k, b in enumerate(_BERNOULLI, 1):
                total = total - b / (2 * k * np.power(z, 2 * k))
            return total
        series = math.factorial(n - 1) / np.power(z, n) + math.factorial(n) / (2 * np.power(z, n + 1))
        for k, b in enumerate(_BERNOULLI, 1):
            series = series + b * (math.factorial(2 * k + n - 1) / math.factorial(2 * k)) / np.power(
                z, 2 * k + n
            )
        return total + sign * series


_polygamma_op: Elementwise = Elementwise(
    "polygamma", lambda x, n: polygamma_array(n, x), lambda _y, x, n: _polygamma_op(x, n=n + 1),
    formula="ψₙ(x)", local=("ψₙ₊₁(x)",),
)  # fmt: skip
lgamma = unary(
    Elementwise(
        "lgamma",
        lgamma_array,
        lambda _y, x: _polygamma_op(x, n=0),
        formula="log |Γ(x)|",
        local=("digamma(x)",),
    )
)


@public(method=True, in_place=True)
def digamma(input: ArrayT) -> ArrayT:
    """The derivative of log Γ."""
    return _polygamma_op(as_float(input), n=0)


@public
def polygamma(n: int, input: Array) -> Array:
    """The n-th derivative of digamma. Raises ValueError for a negative n."""
    if n < 0:
        raise ValueError(f"polygamma expected n >= 0, got {n}")
    return _polygamma_op(as_float(input), n=n)


_logit_op = Elementwise(
    "logit", lambda x: np.log(x / (1 - x)),
    # Infinite at 0 and 1, and NaN outside, where there is no logit.
    lambda _y, x: np.where((x < 0) | (x > 1), np.nan, 1 / np.abs(x * (1 - x))),
    formula="log(x / (1 - x))", local=("1 / (x (1 - x))",),
)  # fmt: skip


@public(method=True, in_place=True)
def logit(input: ArrayT, eps: float | None = None) -> ArrayT:
    """log(x / (1 - x)); with `eps`, x is first clipped to [eps, 1 - eps]."""
    return _logit_op(as_float(input) if eps is None else clamp(as_float(input), eps, 1 - eps))


@public(method=True, in_place=True)
def xlogy(input: ArrayT, other: Operand) -> ArrayT:
    """x · log(y), and 0 where x is 0 (but for y NaN)."""
    x, y = unwrap(input), unwrap(other)
    dtype = float_dtype((x, y))
    zero = (x == 0) & ~np.isnan(y)
    # log(y) stays where it is finite: the gradient of x is log(y) at 0, too.
    flat = zero & ~((y > 0) & np.isfinite(y))
    product = where(flat, 0.0, input * log(where(flat, 1.0, other)))
    return cast(product, dtype) if isinstance(product, Handle) else product
