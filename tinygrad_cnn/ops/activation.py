"""Activations of torch.nn.functional, and softmax: each with its local gradient beside it.

Special functions (erf) come from `special`; normalisations live elsewhere.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.annotations import AnyFunction, Array, ArrayT, DType
from tinygrad_cnn.autograd.fast import deferred
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.op import Elementwise, General
from tinygrad_cnn.ops.arithmetic import mul_op
from tinygrad_cnn.ops.common import as_float, axis_of, unary
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import cast, tanh, where
from tinygrad_cnn.ops.index import split
from tinygrad_cnn.ops.inplace import replace_by
from tinygrad_cnn.ops.random import Generator, uniform_array
from tinygrad_cnn.ops.special import erf, erf_array

ndarray = np.ndarray
E = Elementwise

# --- rectifiers ------------------------------------------------------------------------------------


def _relu_pull(g: Array, y: Array, _x: Array) -> Array:
    if type(g) is ndarray and type(y) is ndarray:
        return kernels.relu_input(g, y)
    return np.where(y <= 0, g.dtype.type(0), g)


def _relu_forward(x: ndarray) -> ndarray:
    return kernels.relu(x) if np.ndim(x) and x.dtype.kind == "f" else np.maximum(x, 0)


relu_op = E(
    "relu",
    _relu_forward,
    lambda y, _x: np.logical_not(y <= 0),
    vjp=(_relu_pull,),
    formula="max(x, 0)",
    local=("1 where x > 0",),
)
relu6_op = E(
    "relu6",
    lambda x: np.clip(x, 0, 6),
    # NaN passes its gradient on, here and below: PyTorch asks where the function is flat.
    lambda y, _x: np.logical_not((y <= 0) | (y >= 6)),
    formula="min(max(x, 0), 6)",
    local=("1 where 0 < x < 6",),
)
leaky_relu_op = E(
    "leaky_relu", lambda x, slope: np.where(x > 0, x, x * slope), lambda _y, x, slope: np.where(x > 0, 1.0, slope),
    vjp=(lambda g, _y, x, slope: np.where(x > 0, g, g * slope),),
    formula="x where x > 0, else slope · x", local=("1 or the slope",),
)  # fmt: skip
prelu_op = E(
    "prelu", lambda x, w: np.where(x > 0, x, w * x),
    lambda _y, x, w: np.where(x > 0, 1.0, w), lambda _y, x, _w: np.where(x > 0, 0, x),
    vjp=(lambda g, _y, x, w: np.where(x > 0, g, g * w), None),
    formula="x where x > 0, else w · x", local=("1 or w", "0 or x"),
)  # fmt: skip


@public(method=True, in_place=True)
def relu(input: ArrayT, inplace: bool = False) -> ArrayT:
    """max(x, 0). At 0 the gradient is 0."""
    y = deferred.apply(relu_op, input, (), {})[0]
    return input if inplace and deferred.take_over(input, y) else _maybe_inplace(input, y, inplace)


def relu6(input: ArrayT, inplace: bool = False) -> ArrayT:
    """min(max(x, 0), 6)."""
    return _maybe_inplace(input, relu6_op(input), inplace)


def leaky_relu(input: ArrayT, negative_slope: float = 0.01, inplace: bool = False) -> ArrayT:
    """x where positive, else negative_slope · x. Some texts use a slope of 0.1; PyTorch's is 0.01."""
    return _maybe_inplace(input, leaky_relu_op(input, slope=negative_slope), inplace)


@public(method=True)
def prelu(input: ArrayT, weight: Array) -> ArrayT:
    """x where positive, else weight · x, with one weight or one per channel (dimension 1)."""
    shape = np.shape(unwrap(weight))
    ndim = np.ndim(unwrap(input))
    if shape and shape != (1,) and ndim > 1:
        channels = np.shape(unwrap(input))[1]
        if shape[0] != channels:
            raise ValueError(
                f"prelu expected 1 or {channels} weights for input {np.shape(unwrap(input))}, got {shape}"
            )
        weight = np.reshape(weight, (shape[0],) + (1,) * (ndim - 2))
    elif shape and not ndim:
        weight = np.reshape(weight, ())
    return prelu_op(input, weight)


@public
def rrelu(
    input: ArrayT, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False,
    *, generator: Generator | None = None,
) -> ArrayT:  # fmt: skip
    """Leaky ReLU whose slope is drawn from [lower, upper] per entry in training, and their mean otherwise."""
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    x = unwrap(input)
    slope = np.where(x > 0, 1, uniform_array(x.shape, x.dtype, lower, upper, generator)).astype(x.dtype)
    return _maybe_inplace(input, mul_op(input, slope), inplace)


@public
def threshold(input: ArrayT, threshold: float, value: float, inplace: bool = False) -> ArrayT:
    """x where x > threshold (NaN stays NaN), else `value`."""
    return _maybe_inplace(input, where(unwrap(input) <= threshold, value, input), inplace)


# --- exponential units -----------------------------------------------------------------------------

elu_op = E(
    "elu", lambda x, alpha, scale, rate: _elu(x, alpha, scale, rate),
    lambda _y, x, alpha, scale, rate: np.where(x <= 0, scale * alpha * rate * np.exp(np.minimum(x, 0) * rate), scale),
    formula="scale · (x where x > 0, else α (exp(rate · x) - 1))", local=("scale or scale · α · rate · exp(rate · x)",),
)  # fmt: skip


def _elu(x: Array, alpha: float, scale: float, rate: float) -> Array:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) * rate))


def elu(input: ArrayT, alpha: float = 1.0, inplace: bool = False) -> ArrayT:
    """x where positive, else α (eˣ - 1)."""
    return _maybe_inplace(input, elu_op(input, alpha=alpha, scale=1.0, rate=1.0), inplace)


@public
def selu(input: ArrayT, inplace: bool = False) -> ArrayT:
    """Self-normalising ELU (Klambauer et al. 2017): scale 1.0507…, α 1.6733…."""
    y = elu_op(
        input, alpha=1.6732632423543772848170429916717, scale=1.0507009873554804934193349852946, rate=1.0
    )
    return _maybe_inplace(input, y, inplace)


@public
def celu(input: ArrayT, alpha: float = 1.0, inplace: bool = False) -> ArrayT:
    """x where positive, else α (exp(x / α) - 1)."""
    return _maybe_inplace(input, elu_op(input, alpha=alpha, scale=1.0, rate=1.0 / alpha), inplace)


# --- sigmoids and their kin ------------------------------------------------------------------------


def _sigmoid(x: Array) -> Array:
    # 1 / (1 + exp(-x)) is right at both ends: where exp overflows, its reciprocal is the 0 that is wanted.
    with np.errstate(over="ignore"):
        e = np.exp(np.negative(x))
        if not np.ndim(e):
            return 1 / (1 + e)
        e += 1
        return np.divide(1, e, out=e)


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


sigmoid_op = E(
    "sigmoid", _sigmoid, lambda y, _x: y * (1 - y), formula="1 / (1 + exp(-x))", local=("y (1 - y)",)
)
sigmoid = unary(sigmoid_op)
logsigmoid = unary(
    E(
        "logsigmoid",
        lambda x: -_softplus(-x),
        lambda y, _x: 1 - np.exp(y),
        formula="log(sigmoid(x))",
        local=("1 - exp(y)",),
    ), declared=False
)
silu_op = E(
    "silu",
    lambda x: x * _sigmoid(x),
    lambda y, x: _silu_slope(y, sigmoid(x)),
    formula="x · sigmoid(x)",
    local=("s + y (1 - s), s = sigmoid(x)",),
)
mish_op = E(
    "mish", lambda x: x * np.tanh(_softplus(x)), lambda _y, x: _mish_slope(x, np.tanh(softplus(x))),
    formula="x · tanh(softplus(x))", local=("t + x · sigmoid(x) · (1 - t²), t = tanh(softplus(x))",),
)  # fmt: skip
softplus_op: Elementwise = E(
    "softplus", lambda x, beta, threshold: np.where(x * beta > threshold, x, _softplus(x * beta) / beta),
    lambda _y, x, beta, threshold: np.where(unwrap(x) * beta > threshold, 1.0, sigmoid(x * beta)),
    formula="log(1 + exp(βx)) / β", local=("sigmoid(βx)",),
)  # fmt: skip
softsign_op = E(
    "softsign",
    lambda x: x / (1 + np.abs(x)),
    lambda _y, x: 1 / np.square(1 + np.abs(x)),
    formula="x / (1 + |x|)",
    local=("1 / (1 + |x|)²",),
)


def _silu_slope(y: Array, s: Array) -> Array:
    return s + y * (1 - s)


def _mish_slope(x: Array, t: Array) -> Array:
    return t + x * sigmoid(x) * (1 - t * t)


def silu(input: ArrayT, inplace: bool = False) -> ArrayT:
    """x · sigmoid(x), also called Swish."""
    return _maybe_inplace(input, silu_op(input), inplace)


def mish(input: ArrayT, inplace: bool = False) -> ArrayT:
    """x · tanh(softplus(x)) (Misra 2019)."""
    return _maybe_inplace(input, mish_op(input), inplace)


def softplus(input: ArrayT, beta: float = 1.0, threshold: float = 20.0) -> ArrayT:
    """log(1 + exp(βx)) / β; the identity where βx > threshold."""
    return softplus_op(input, beta=beta, threshold=threshold)


softsign = unary(softsign_op, declared=False)
_ROOT_2_PI = math.sqrt(2 / math.pi)
gelu_op = E(
    "gelu", lambda x: 0.5 * x * (1 + erf_array(x * math.sqrt(0.5))),
    lambda _y, x: _gelu_slope(x), formula="x · Φ(x)", local=("Φ(x) + x φ(x)",),
)  # fmt: skip
gelu_tanh_op = E(
    "gelu_tanh", lambda x: 0.5 * x * (1 + np.tanh(_ROOT_2_PI * (x + 0.044715 * x * x * x))),
    lambda _y, x: _gelu_tanh_slope(x, np.tanh(_ROOT_2_PI * (x + 0.044715 * x * x * x))),
    formula="x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))",
    local=("(1 + t) / 2 + x (1 - t²) √(2/π) (1 + 0.134145 x²) / 2",),
)  # fmt: skip


def _gelu_slope(x: Array) -> Array:
    return 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


def _gelu_tanh_slope(x: Array, t: Array) -> Array:
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * _ROOT_2_PI * (1 + 3 * 0.044715 * x * x)


def gelu(input: ArrayT, approximate: str = "none") -> ArrayT:
    """x · Φ(x), Φ the normal distribution; ``approximate="tanh"`` for the older approximation."""
    if approximate == "none":
        return gelu_op(input)
    if approximate == "tanh":
        return gelu_tanh_op(input)
    raise ValueError(f"gelu expected approximate 'none' or 'tanh', got {approximate!r}")


# --- piecewise linear ------------------------------------------------------------------------------

hardtanh_op = E(
    "hardtanh", lambda x, low, high: np.clip(x, low, high),
    lambda _y, x, low, high: np.logical_not((x <= low) | (x >= high)),
    formula="x clipped to [low, high]", local=("1 inside",),
)  # fmt: skip
hardsigmoid_op = E(
    "hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda _y, x: np.where((x > -3) & (x < 3), 1 / 6, 0.0),
    formula="(x + 3) / 6 clipped to [0, 1]", local=("1/6 inside",),
)  # fmt: skip
hardswish_op = E(
    "hardswish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    lambda _y, x: np.where(x <= -3, 0.0, np.where(x < 3, x / 3 + 0.5, 1.0)),
    formula="x · hardsigmoid(x)", local=("x / 3 + ½ inside, 0 below, 1 above",),
)  # fmt: skip
softshrink_op = E(
    "softshrink", lambda x, lambd: np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, 0 * x)),
    lambda _y, x, lambd: np.logical_not((x <= lambd) & (x >= -lambd)),
    formula="x moved towards 0 by λ", local=("1 where |x| > λ",),
)  # fmt: skip
hardshrink_op = E(
    "hardshrink", lambda x, lambd: np.where((x > lambd) | (x < -lambd), x, 0 * x),
    lambda _y, x, lambd: np.logical_not((x <= lambd) & (x >= -lambd)),
    formula="x where |x| > λ", local=("1 where |x| > λ",),
)  # fmt: skip


def hardtanh(input: ArrayT, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> ArrayT:
    """x clipped to [min_val, max_val]; at the bounds the gradient is 0."""
    return _maybe_inplace(input, hardtanh_op(input, low=min_val, high=max_val), inplace)


def hardsigmoid(input: ArrayT, inplace: bool = False) -> ArrayT:
    """(x + 3) / 6 clipped to [0, 1]."""
    return _maybe_inplace(input, hardsigmoid_op(input), inplace)


def hardswish(input: ArrayT, inplace: bool = False) -> ArrayT:
    """x · hardsigmoid(x)."""
    return _maybe_inplace(input, hardswish_op(input), inplace)


def tanhshrink(input: ArrayT) -> ArrayT:
    """x - tanh(x)."""
    return input - tanh(input)


def softshrink(input: ArrayT, lambd: float = 0.5) -> ArrayT:
    """x moved towards 0 by λ, and 0 where |x| <= λ."""
    return softshrink_op(input, lambd=lambd)


@public(method=True)
def hardshrink(input: ArrayT, lambd: float = 0.5) -> ArrayT:
    """x where |x| > λ, else 0."""
    return hardshrink_op(input, lambd=lambd)


def glu(input: ArrayT, dim: int = -1) -> ArrayT:
    """The first half along `dim` times the sigmoid of the second. Raises ValueError for an odd size."""
    size = np.shape(unwrap(input))[axis_of(dim, np.ndim(unwrap(input)))]
    if size % 2:
        raise ValueError(f"glu expected an even size along dim {dim}, got {size}")
    a, b = split(input, size // 2, dim)
    return mul_op(a, sigmoid(b))


# --- softmax ---------------------------------------------------------------------------------------


def _over(kernel: AnyFunction) -> AnyFunction:
    def forward(x: ndarray, axis: int) -> Array:
        x = np.asarray(x)
        if not x.ndim:
            return kernel(x.reshape(1), axis=0).reshape(())
        return kernel(x, axis=axis) if x.size else x.copy()

    return forward


def _total(x: Array, axis: int) -> Array:
    return np.sum(x, axis=axis, keepdims=True) if len(x.shape) else x


def _shifted(x: Array, axis: int) -> Array:
    values = unwrap(x)
    return x - (np.max(values, axis=axis, keepdims=True) if values.ndim and values.size else values)


softmax_op = General(
    "softmax", _over(lambda x, axis: kernels.softmax(x, axis)),
    vjp=lambda g, y, _x, axis: y * (g - _total(g * y, axis)),
    definition=lambda x, axis: _softmax_definition(np.exp(_shifted(x, axis)), axis),
    formula="exp(x) / Σ exp(x)", local=("y (δ - y)",),
)  # fmt: skip
log_softmax_op = General(
    "log_softmax", _over(lambda x, axis: kernels.log_softmax(x, axis)),
    vjp=lambda g, y, _x, axis: g - np.exp(y) * _total(g, axis),
    definition=lambda x, axis: _log_softmax_definition(_shifted(x, axis), axis),
    formula="x - log Σ exp(x)", local=("δ - exp(y)",),
)  # fmt: skip


def _softmax_definition(e: Array, axis: int) -> Array:
    return e / _total(e, axis)


def _log_softmax_definition(shifted: Array, axis: int) -> Array:
    return shifted - np.log(_total(np.exp(shifted), axis))


def _dim(name: str, input: Array, dim: int | None) -> int:
    ndim = np.ndim(unwrap(input))
    if dim is None:  # PyTorch's old rule, kept for old code
        dim = 0 if ndim in (0, 1, 3) else 1
    return axis_of(dim, ndim)


@public(method=True, out=True)
def softmax(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: DType = None) -> ArrayT:
    """exp(x) / Σ exp(x) along `dim`."""
    x = _as_dtype(input, dtype if isinstance(_stacklevel, int) else _stacklevel)  # torch.softmax(x, dim, dtype)
    return softmax_op(x, axis=_dim("softmax", x, dim))


@public(method=True, out=True)
def log_softmax(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: DType = None) -> ArrayT:
    """x - log Σ exp(x) along `dim`."""
    x = _as_dtype(input, dtype if isinstance(_stacklevel, int) else _stacklevel)
    return log_softmax_op(x, axis=_dim("log_softmax", x, dim))


def softmin(input: ArrayT, dim: int | None = None, _stacklevel: int = 3, dtype: DType = None) -> ArrayT:
    """softmax(-x)."""
    return softmax(-_as_dtype(input, dtype), dim)


def _as_dtype(input: ArrayT, dtype: DType) -> ArrayT:
    if dtype is None:
        return as_float(input)
    return cast(input, dtype)


def _maybe_inplace(input: ArrayT, result: ArrayT, inplace: bool) -> ArrayT:
    if not inplace or not isinstance(input, Handle):
        return result
    return replace_by(input, result)
