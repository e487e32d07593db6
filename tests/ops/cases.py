"""The cases of the general ops: see `table` for how a line is written."""

from __future__ import annotations

import numpy as np

from tests.ops.table import Draw, Table, distinct, fixed, normal, off, positive, probability, uniform, unit
from tinygrad_cnn.autograd.function import _part
from tinygrad_cnn.nn.modules.hooks import gate, pack, unpack
from tinygrad_cnn.ops.dense import dropout

CASES = Table()
case, pointwise = CASES.case, CASES.pointwise

# --- arithmetic ------------------------------------------------------------------------------------

pointwise("add", lambda tg, F, x, y: x + y, normal, normal, numpy=np.add)
pointwise("add:alpha", lambda tg, F, x, y: tg.add(x, y, alpha=0.5), normal, normal)
pointwise("sub", lambda tg, F, x, y: x - y, normal, normal, numpy=np.subtract)
pointwise("sub:alpha", lambda tg, F, x, y: tg.sub(x, y, alpha=-2), normal, normal)
case("sub:reflected", lambda tg, F, x: 2.5 - x, normal(3))
case("rsub", lambda tg, F, x, y: tg.rsub(x, y, alpha=3), normal(3), normal(3))
pointwise("neg", lambda tg, F, x: -x, normal, numpy=np.negative)
pointwise("positive", lambda tg, F, x: +x, normal, numpy=np.positive)
pointwise("mul", lambda tg, F, x, y: x * y, normal, normal, numpy=np.multiply)
case("mul:same tensor twice", lambda tg, F, x: x * x, normal(3))
case("mul:python number", lambda tg, F, x: 3 * x * 0.5, normal(2, 2))
pointwise("div", lambda tg, F, x, y: x / y, normal, positive, numpy=np.true_divide)
case("div:reflected", lambda tg, F, x: 2 / x, positive(3))
case(
    "div:floor",
    lambda tg, F, x, y: x * tg.div(x, y, rounding_mode="floor"),
    fixed([5.3, -5.3]),
    fixed([2.0, 2.1]),
    order2=False,
)
case(
    "div:trunc",
    lambda tg, F, x, y: x * tg.div(x, y, rounding_mode="trunc"),
    fixed([5.3, -5.3]),
    fixed([2.0, 2.1]),
    order2=False,
)
pointwise("pow", lambda tg, F, x, y: x**y, positive, normal, numpy=np.power)
case(
    "pow:zero base",
    lambda tg, F, x: x ** tg.tensor([2.0, 3.0, 1.0], dtype=tg.float64),
    fixed([0.0, 0.0, 0.0]),
    float32=None,
)
for _n in (0, 1, 2, 3, -1, 0.5, -1.5):
    case(f"pow:{_n}", lambda tg, F, x, n=_n: x**n, positive(2, 3), numpy=lambda x, n=_n: x**n)
case("pow:integer of negative", lambda tg, F, x: x**3, normal(4))
case("pow:reflected", lambda tg, F, x: 2.5**x, normal(3))
pointwise("square", lambda tg, F, x: tg.square(x), normal, numpy=np.square)
case(
    "remainder",
    lambda tg, F, x, y: x % y,
    fixed([5.3, -5.3, 7.1]),
    fixed([2.0, 2.1, -3.0]),
    numpy=np.remainder,
)
case("remainder:broadcast", lambda tg, F, x, y: tg.remainder(x, y), off(0)(4, 1), fixed([0.7, -1.3]))
case(
    "fmod", lambda tg, F, x, y: tg.fmod(x, y), fixed([5.3, -5.3, 7.1]), fixed([2.0, 2.1, -3.0]), numpy=np.fmod
)
pointwise("maximum", lambda tg, F, x, y: tg.maximum(x, y), normal, normal, numpy=np.maximum)
pointwise("minimum", lambda tg, F, x, y: tg.minimum(x, y), normal, normal, numpy=np.minimum)
case("fmax", lambda tg, F, x, y: tg.fmax(x, y), normal(5), normal(5), numpy=np.fmax)
case("fmin", lambda tg, F, x, y: tg.fmin(x, y), normal(5), normal(5), numpy=np.fmin)
pointwise("hypot", lambda tg, F, x, y: tg.hypot(x, y), normal, normal, numpy=np.hypot)
pointwise("atan2", lambda tg, F, x, y: tg.atan2(x, y), normal, positive, numpy=np.arctan2)
pointwise("logaddexp", lambda tg, F, x, y: tg.logaddexp(x, y), normal, normal, numpy=np.logaddexp)
pointwise("lerp", lambda tg, F, x, y, w: tg.lerp(x, y, w), normal, normal, probability)
case("lerp:number", lambda tg, F, x, y: tg.lerp(x, y, 0.3), normal(3), normal(3))
case("addcmul", lambda tg, F, x, y, z: tg.addcmul(x, y, z, value=0.5), normal(2, 3), normal(3), normal(2, 1))
case("addcdiv", lambda tg, F, x, y, z: tg.addcdiv(x, y, z, value=-2), normal(2, 3), normal(3), positive(2, 1))

# --- functions of one value ------------------------------------------------------------------------

for _name, _draw in {
    "exp": normal, "exp2": normal, "expm1": normal, "log": positive, "log2": positive, "log10": positive,
    "log1p": positive, "sqrt": positive, "reciprocal": positive, "sin": normal, "cos": normal, "tan": unit,
    "sinh": normal, "cosh": normal, "tanh": normal, "deg2rad": normal, "rad2deg": normal, "sinc": normal,
}.items():  # fmt: skip
    pointwise(_name, lambda tg, F, x, n=_name: getattr(tg, n)(x), _draw, numpy=getattr(np, _name))
for _name, _draw in {
    "asin": unit, "acos": unit, "atan": normal, "asinh": normal, "acosh": uniform(1.2, 3), "atanh": unit,
}.items():  # fmt: skip
    pointwise(
        _name,
        lambda tg, F, x, n=_name: getattr(tg, n)(x),
        _draw,
        numpy=getattr(np, _name.replace("a", "arc", 1)),
    )
pointwise("rsqrt", lambda tg, F, x: tg.rsqrt(x), positive, numpy=lambda x: 1 / np.sqrt(x))
case("cbrt", lambda tg, F, x: tg.cbrt(x), normal(4), torch=None, numpy=np.cbrt)
case("sinc:near 0", lambda tg, F, x: tg.sinc(x), fixed([1e-4, -5e-4, 0.0, 2e-3]), order2=False)
pointwise("abs", lambda tg, F, x: abs(x), normal, numpy=np.abs)
for _name in ("sign", "floor", "ceil", "trunc", "sgn", "fix", "round"):
    case(_name, lambda tg, F, x, n=_name: x + getattr(tg, n)(x), fixed([1.3, -1.3, 2.6, -2.6]))
case("round:decimals", lambda tg, F, x: tg.round(x, decimals=1), fixed([1.33, -1.37]))
case("frac", lambda tg, F, x: tg.frac(x), fixed([1.3, -1.3, 2.6]))
case("clamp", lambda tg, F, x: tg.clamp(x, -0.5, 0.7), off(-0.5, 0.7)(2, 5))
case("clamp:min", lambda tg, F, x: x.clamp(min=0.1), off(0.1)(5))
case("clamp:max", lambda tg, F, x: x.clamp_max(0.1), off(0.1)(5))
case(
    "clamp:tensor bounds",
    lambda tg, F, x, a, b: tg.clamp(x, a, b),
    fixed([-2.0, 0.1, 2.0]),
    fixed([-1.0, -1.0, -1.0]),
    fixed([1.0, 1.0, 1.0]),
)
case("where", lambda tg, F, x, y: tg.where(tg.tensor([[True], [False]]), x, y), normal(2, 3), normal(3))
case("where:number", lambda tg, F, x: tg.where(x > 0, x, 0.5), normal(2, 3))
case("where:0-d", lambda tg, F, x, y: tg.where(tg.tensor([True, False]), x, y), normal(), normal(2))
case("nan_to_num", lambda tg, F, x: tg.nan_to_num(x, 1.5), normal(4))
case("copysign", lambda tg, F, x, y: tg.copysign(x, y), normal(5), normal(5))
case("to:float64", lambda tg, F, x: x.to(tg.float64) * 2, normal(3), float32=None)
case(
    "cast",
    lambda tg, F, x: x.to(tg.float32).to(tg.float64) * x,
    fixed([0.5, 1.25]),
    order2=False,
    tol=1e-3,
    float32=None,
)

# --- special functions -----------------------------------------------------------------------------

pointwise("erf", lambda tg, F, x: tg.erf(x), normal)
pointwise("erfc", lambda tg, F, x: tg.erfc(x), normal)
pointwise("erfinv", lambda tg, F, x: tg.erfinv(x), unit)
pointwise("lgamma", lambda tg, F, x: tg.lgamma(x), positive)
case("lgamma:negative", lambda tg, F, x: tg.lgamma(x), fixed([-0.3, -1.6, -2.5]), order2=False)
pointwise("digamma", lambda tg, F, x: tg.digamma(x), positive)
case("polygamma", lambda tg, F, x: tg.polygamma(2, x), positive(4), tol=1e-5)
case("logit", lambda tg, F, x: tg.logit(x), probability(4))
case("logit:eps", lambda tg, F, x: tg.logit(x, 1e-3), probability(4))
case("xlogy", lambda tg, F, x, y: tg.xlogy(x, y), fixed([0.5, 2.0, -1.0]), positive(3))

# --- activations -----------------------------------------------------------------------------------

for _name, _kinks in {
    "relu": (0,), "relu6": (0, 6), "leaky_relu": (0,), "elu": (0,), "selu": (0,), "celu": (0,), "silu": (), "mish": (),
    "softplus": (), "softsign": (0,), "sigmoid": (), "logsigmoid": (), "tanh": (), "hardtanh": (-1, 1),
    "hardswish": (-3, 3), "hardsigmoid": (-3, 3), "tanhshrink": (), "softshrink": (-0.5, 0.5),
    "hardshrink": (-0.5, 0.5), "gelu": (),
}.items():  # fmt: skip
    _draw = off(*_kinks, scale=3 if _name in ("relu6", "hardswish", "hardsigmoid") else 1)
    pointwise(f"F.{_name}", lambda tg, F, x, n=_name: getattr(F, n)(x), _draw)
case("leaky_relu:slope", lambda tg, F, x: F.leaky_relu(x, 0.1), normal(5))
case("elu:alpha", lambda tg, F, x: F.elu(x, 1.7), normal(5))
case("celu:alpha", lambda tg, F, x: F.celu(x, 1.7), normal(5))
case("softplus:beta", lambda tg, F, x: F.softplus(x, 2.0, 3.0), off(1.5)(6))
case("gelu:tanh", lambda tg, F, x: F.gelu(x, approximate="tanh"), normal(2, 3))
case("hardtanh:bounds", lambda tg, F, x: F.hardtanh(x, -0.3, 2.0), off(-0.3, 2)(6))
case("threshold", lambda tg, F, x: F.threshold(x, 0.1, 20.0), off(0.1)(6))
case("prelu:one", lambda tg, F, x, w: F.prelu(x, w), normal(2, 3), fixed([0.25]))
case("prelu:channels", lambda tg, F, x, w: F.prelu(x, w), normal(2, 3, 2), fixed([0.25, 0.1, -0.2]))
case("rrelu:eval", lambda tg, F, x: F.rrelu(x), normal(5))
case(
    "rrelu:train",
    lambda tg, F, x: F.rrelu(x, training=True, generator=tg.Generator().manual_seed(0)),
    normal(5),
    torch=None,
    float32=None,  # draws other slopes in float32
)
case("glu", lambda tg, F, x: F.glu(x, 1), normal(2, 4, 3))
for _name in ("softmax", "log_softmax", "softmin"):
    case(_name, lambda tg, F, x, n=_name: getattr(F, n)(x, 1), normal(3, 4))
    case(f"{_name}:dim 0 of 3", lambda tg, F, x, n=_name: getattr(F, n)(x, 0), normal(3, 2, 2))
    case(f"{_name}:0-d", lambda tg, F, x, n=_name: getattr(F, n)(x, 0), normal())
    case(f"{_name}:empty", lambda tg, F, x, n=_name: getattr(F, n)(x, 1), normal(0, 3))
    case(
        f"{_name}:large values",
        lambda tg, F, x, n=_name: getattr(F, n)(x, -1),
        fixed([[1000.0, 1001.0], [-1000.0, 0.0]]),
        float32=1e-3,
    )

# --- reductions ------------------------------------------------------------------------------------

for _name in ("sum", "mean", "prod", "logsumexp", "amax", "amin"):
    case(f"{_name}:dim", lambda tg, F, x, n=_name: getattr(tg, n)(x, 1), distinct(2, 3, 2))
    case(f"{_name}:keepdim", lambda tg, F, x, n=_name: getattr(tg, n)(x, -2, keepdim=True), distinct(2, 3, 2))
    case(f"{_name}:0-d", lambda tg, F, x, n=_name: getattr(tg, n)(x, 0), normal())
    if _name != "prod":
        case(f"{_name}:dims", lambda tg, F, x, n=_name: getattr(tg, n)(x, (0, 2)), distinct(2, 3, 2))
for _name in ("sum", "mean", "prod", "max", "min", "std", "var", "norm", "median"):
    case(_name, lambda tg, F, x, n=_name: getattr(tg, n)(x), distinct(3, 3))
case("sum:0-d all", lambda tg, F, x: x.sum(), normal())
case("sum:empty", lambda tg, F, x: x.sum(), normal(0, 3))
case("sum:empty dim", lambda tg, F, x: x.sum(1), normal(3, 0))
case("prod:zeros", lambda tg, F, x: tg.prod(x, 1), fixed([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0], [1.0, 2.0, 3.0]]))
case("prod:empty", lambda tg, F, x: tg.prod(x), normal(0, 3))
case("prod:first dim", lambda tg, F, x: tg.prod(x, 0), normal(3, 2, 2))
case("amax:ties", lambda tg, F, x: tg.amax(x * 0 + 1.0, 1) * x.sum(), fixed([[1.0, 1.0, 0.5]]), order2=False)
case("max:dim", lambda tg, F, x: tg.max(x, 1), distinct(3, 4))
case("max:keepdim", lambda tg, F, x: tg.max(x, 0, keepdim=True), distinct(3, 4))
case("max:0-d dim", lambda tg, F, x: tg.max(x, 0), normal())
case("max:two", lambda tg, F, x, y: tg.max(x, y), normal(4), normal(4))
case("min:dim", lambda tg, F, x: tg.min(x, -1), distinct(3, 4))
case("min:two", lambda tg, F, x, y: tg.min(x, y), normal(4), normal(4))
case("max:empty rows", lambda tg, F, x: tg.max(x, 1), normal(0, 4))
case("aminmax", lambda tg, F, x: tg.aminmax(x, dim=1), distinct(3, 4))
for _name in ("var", "std"):
    case(f"{_name}:dim", lambda tg, F, x, n=_name: getattr(tg, n)(x, 1), normal(3, 4))
    case(f"{_name}:biased", lambda tg, F, x, n=_name: getattr(tg, n)(x, 0, unbiased=False), normal(3, 4))
    case(
        f"{_name}:correction",
        lambda tg, F, x, n=_name: getattr(tg, n)(x, (0, 1), correction=2, keepdim=True),
        normal(3, 4),
    )
case("var_mean", lambda tg, F, x: tg.var_mean(x, 1), normal(3, 4))
case("std_mean", lambda tg, F, x: tg.std_mean(x, 1, keepdim=True), normal(3, 4))
for _p in (0, 1, 2, 3, 2.5, float("inf"), float("-inf")):
    case(f"norm:{_p}", lambda tg, F, x, p=_p: tg.norm(x, p, 1), distinct(3, 4))
case("norm:dims", lambda tg, F, x: tg.linalg.vector_norm(x, 2, (0, 2), True), normal(2, 3, 2))
case("norm:0-d", lambda tg, F, x: tg.linalg.vector_norm(x), normal())
case("norm:at 0", lambda tg, F, x: tg.linalg.vector_norm(x, dim=1) * 2, fixed([[3.0, 4.0], [1.0, 0.0]]))
for _p in ("fro", 1, -1, float("inf"), float("-inf"), 2, -2, "nuc"):
    case(f"matrix_norm:{_p}", lambda tg, F, x, p=_p: tg.linalg.norm(x, p), distinct(3, 4))
case("logsumexp:all", lambda tg, F, x: tg.logsumexp(x, (0, 1)), normal(3, 4))
case(
    "logsumexp:large",
    lambda tg, F, x: tg.logsumexp(x, 1),
    fixed([[1000.0, 1001.0], [-1000.0, 0.0]]),
    float32=1e-3,
)
case("nansum", lambda tg, F, x: tg.nansum(x, 1), normal(2, 3))
case("nanmean", lambda tg, F, x: tg.nanmean(x, 1), normal(2, 3))

# --- order -----------------------------------------------------------------------------------------

for _name in ("cumsum", "cumprod"):
    case(_name, lambda tg, F, x, n=_name: getattr(tg, n)(x, 1), normal(2, 4))
    case(f"{_name}:dim 0", lambda tg, F, x, n=_name: getattr(tg, n)(x, 0), normal(3, 2))
    case(f"{_name}:0-d", lambda tg, F, x, n=_name: getattr(tg, n)(x, 0), normal())
    case(f"{_name}:empty", lambda tg, F, x, n=_name: getattr(tg, n)(x, 0), normal(0, 2))
case("cumprod:zeros", lambda tg, F, x: tg.cumprod(x, 0), fixed([2.0, 0.0, 3.0, 0.0, 4.0]))
case("cummax", lambda tg, F, x: tg.cummax(x, 1), distinct(2, 5))
case("cummin", lambda tg, F, x: tg.cummin(x, 0), distinct(5, 2))
case("sort", lambda tg, F, x: tg.sort(x, 1), distinct(3, 4))
case("sort:descending", lambda tg, F, x: tg.sort(x, 0, descending=True), distinct(3, 4))
case("sort:0-d", lambda tg, F, x: tg.sort(x), normal())
case("msort", lambda tg, F, x: tg.msort(x), distinct(3, 2))
case("topk", lambda tg, F, x: tg.topk(x, 2, 1), distinct(3, 4))
case("topk:smallest", lambda tg, F, x: tg.topk(x, 3, 0, largest=False), distinct(4, 2))
case("kthvalue", lambda tg, F, x: tg.kthvalue(x, 2, 1, keepdim=True), distinct(3, 4))
case("median:dim", lambda tg, F, x: tg.median(x, 1), distinct(3, 4))
case("diff", lambda tg, F, x: tg.diff(x, 2, 1), normal(2, 5))

# --- shape -----------------------------------------------------------------------------------------

case("reshape", lambda tg, F, x: tg.reshape(x, (4, -1)), normal(2, 6))
case("reshape:empty", lambda tg, F, x: x.reshape(3, 0), normal(0, 2))
case("reshape:0-d", lambda tg, F, x: x.reshape(1, 1), normal())
case("view", lambda tg, F, x: x.contiguous().view(-1), normal(2, 3), float32=1e-4)
case("flatten", lambda tg, F, x: tg.flatten(x, 1, 2), normal(2, 3, 2, 2))
case("flatten:0-d", lambda tg, F, x: x.flatten(), normal())
case("unflatten", lambda tg, F, x: x.unflatten(1, (2, -1)), normal(2, 6))
case("permute", lambda tg, F, x: tg.permute(x, (2, 0, 1)), normal(2, 3, 4))
case("transpose", lambda tg, F, x: tg.transpose(x, 0, -1), normal(2, 3, 4))
case("t", lambda tg, F, x: x.t(), normal(2, 3))
case("T", lambda tg, F, x: x.T, normal(2, 3))
case("mT", lambda tg, F, x: x.mT, normal(2, 3, 4))
case("movedim", lambda tg, F, x: tg.movedim(x, (0, 1), (2, 0)), normal(2, 3, 4))
case("squeeze", lambda tg, F, x: tg.squeeze(x), normal(1, 3, 1))
case("squeeze:dim", lambda tg, F, x: tg.squeeze(x, 0), normal(1, 3, 1))
case("unsqueeze", lambda tg, F, x: tg.unsqueeze(x, -1), normal(2, 3))
case("expand", lambda tg, F, x: x.expand(4, -1, 3), normal(2, 1))
case("expand:0-d", lambda tg, F, x: x.expand(2, 2), normal())
case("expand_as", lambda tg, F, x, y: x.expand_as(y) + y, normal(1, 3), normal(2, 3))
case("broadcast_tensors", lambda tg, F, x, y: tg.broadcast_tensors(x, y), normal(2, 1), normal(3))
case("repeat", lambda tg, F, x: x.repeat(2, 1, 3), normal(2, 3))
case("tile", lambda tg, F, x: tg.tile(x, (2,)), normal(2, 3))
case("repeat_interleave", lambda tg, F, x: tg.repeat_interleave(x, 2, 1), normal(2, 3))
case(
    "repeat_interleave:each",
    lambda tg, F, x: tg.repeat_interleave(x, tg.tensor([2, 0, 3]), dim=1),
    normal(2, 3),
)
case("repeat_interleave:flat", lambda tg, F, x: tg.repeat_interleave(x, 2), normal(2, 2))
case("cat", lambda tg, F, x, y: tg.cat([x, y], 1), normal(2, 3), normal(2, 1))
case("cat:same twice", lambda tg, F, x: tg.cat([x, x * 2, x]), normal(2))
case("cat:with an empty one", lambda tg, F, x, y: tg.cat([x, y]), normal(0), normal(2, 3), order2=False)
case("cat:constant part", lambda tg, F, x: tg.cat([x, tg.ones(2, dtype=x.dtype)]), normal(2))
case("stack", lambda tg, F, x, y: tg.stack([x, y], 1), normal(2, 3), normal(2, 3))
case("stack:0-d", lambda tg, F, x, y: tg.stack([x, y]), normal(), normal())
case("hstack", lambda tg, F, x, y: tg.hstack([x, y]), normal(2, 3), normal(2, 1))
case("hstack:1-d", lambda tg, F, x, y: tg.hstack([x, y]), normal(2), normal(3))
case("vstack", lambda tg, F, x, y: tg.vstack([x, y]), normal(3), normal(2, 3))
case("column_stack", lambda tg, F, x, y: tg.column_stack([x, y]), normal(3), normal(3, 2))
case("flip", lambda tg, F, x: tg.flip(x, (0, 2)), normal(2, 3, 2))
case("fliplr", lambda tg, F, x: tg.fliplr(x) + tg.flipud(x), normal(2, 3))
case("roll", lambda tg, F, x: tg.roll(x, 1, 1), normal(2, 3))
case("roll:several", lambda tg, F, x: tg.roll(x, (1, -2), (0, 1)), normal(2, 3))
case("roll:flat", lambda tg, F, x: tg.roll(x, 2), normal(2, 3))
for _k in (0, 1, 2, 3):
    case(f"rot90:{_k}", lambda tg, F, x, k=_k: tg.rot90(x, k, (0, 1)), normal(2, 3))
case("tril", lambda tg, F, x: tg.tril(x, -1), normal(3, 4))
case("triu", lambda tg, F, x: tg.triu(x, 1), normal(2, 3, 3))
case("clone", lambda tg, F, x: x.clone() * x, normal(3))
case("contiguous", lambda tg, F, x: x.t().contiguous() * 2, normal(2, 3))
case("meshgrid", lambda tg, F, x, y: tg.meshgrid(x, y, indexing="ij"), normal(2), normal(3))
case("meshgrid:xy", lambda tg, F, x, y: tg.meshgrid(x, y, indexing="xy"), normal(2), normal(3))
case("cartesian_prod", lambda tg, F, x, y: tg.cartesian_prod(x, y), normal(2), normal(3))
case("pad", lambda tg, F, x: F.pad(x, (1, 2)), normal(2, 3))
case("pad:value", lambda tg, F, x: F.pad(x, (1, 0, 2, 1), value=7.0), normal(2, 3))
case("pad:crop", lambda tg, F, x: F.pad(x, (-1, 2, 1, -1)), normal(3, 4))
for _mode in ("constant", "reflect", "replicate", "circular"):
    case(f"pad:{_mode}, cropped", lambda tg, F, x, m=_mode: F.pad(x, (-1, 1, 1, -2), mode=m), normal(1, 2, 5, 4))
for _mode in ("reflect", "replicate", "circular"):
    case(f"pad:{_mode} 1d", lambda tg, F, x, m=_mode: F.pad(x, (2, 1), mode=m), normal(1, 2, 4))
    case(f"pad:{_mode} 2d", lambda tg, F, x, m=_mode: F.pad(x, (2, 1, 1, 2), mode=m), normal(1, 2, 3, 4))
case(
    "pad:replicate 3d", lambda tg, F, x: F.pad(x, (1, 1, 0, 2, 1, 0), mode="replicate"), normal(1, 1, 2, 2, 2)
)

# --- indexing --------------------------------------------------------------------------------------

case("getitem:int", lambda tg, F, x: x[1], normal(3, 4))
case("getitem:all ints", lambda tg, F, x: x[1, -1], normal(3, 4))
case("getitem:slice", lambda tg, F, x: x[1:, ::2], normal(3, 4))
case("getitem:ellipsis and None", lambda tg, F, x: x[..., None, 1], normal(2, 3, 4))
case("getitem:empty", lambda tg, F, x: x[2:2], normal(3, 4))
case("getitem:list", lambda tg, F, x: x[[0, 2, 0]], normal(3, 4))
case("getitem:tensor", lambda tg, F, x: x[tg.tensor([[0, 2], [1, 1]])], normal(3, 4))
case("getitem:two tensors", lambda tg, F, x: x[tg.tensor([0, 0, 2]), tg.tensor([1, 1, 3])], normal(3, 4))
case("getitem:mixed", lambda tg, F, x: x[:, tg.tensor([0, 0, 2]), 1:], normal(2, 3, 4))
case("getitem:split tensors", lambda tg, F, x: x[tg.tensor([0, 1]), :, tg.tensor([1, 1])], normal(2, 3, 4))
case("getitem:mask", lambda tg, F, x: x[tg.tensor([[True, False], [True, True]])], normal(2, 2, 3))
case("getitem:own mask", lambda tg, F, x: x[x > 0], normal(3, 3))
case("getitem:0-d tensor index", lambda tg, F, x: x[tg.tensor(1)], normal(3, 2))
case("getitem:many slices", lambda tg, F, x: x[0] * x[1] + x[2] * x[0] + x[1:3].sum(0), normal(4, 2))
case("setitem", lambda tg, F, x, y: _set(x, (slice(None), 1), y), normal(2, 3), normal(2))
case("setitem:broadcast", lambda tg, F, x, y: _set(x, slice(1, 3), y), normal(4, 3), normal(3))
case("setitem:number", lambda tg, F, x: _set(x, 0, 2.5) * x, normal(2, 3))
case("setitem:mask", lambda tg, F, x: _set(x, x > 0, 0.0), normal(2, 3))
case("setitem:tensor", lambda tg, F, x, y: _set(x, tg.tensor([0, 2]), y), normal(3, 2), normal(2, 2))
for _r in ("amax", "amin"):
    for _self in (True, False):
        case(
            f"scatter_reduce:{_r}, {'with' if _self else 'without'} the input",
            lambda tg, F, x, s, r=_r, own=_self: tg.scatter_reduce(
                x, 1, tg.tensor([[0, 2, 2], [1, 1, 1]]), s, r, include_self=own
            ),
            normal(2, 4),
            normal(2, 3),
        )
case("fill_diagonal_", lambda tg, F, x: (x * 2).fill_diagonal_(5.0), normal(3, 4))
case("gather", lambda tg, F, x: tg.gather(x, 1, tg.tensor([[0, 2], [1, 1]])), normal(2, 3))
case("gather:smaller index", lambda tg, F, x: x.gather(0, tg.tensor([[1, 0]])), normal(2, 3))
case("take_along_dim", lambda tg, F, x: tg.take_along_dim(x, tg.tensor([[1], [0]]), 1), normal(2, 3))
case("take_along_dim:flat", lambda tg, F, x: tg.take_along_dim(x, tg.tensor([4, 0, 4])), normal(2, 3))
case("index_select", lambda tg, F, x: tg.index_select(x, 1, tg.tensor([2, 0, 2])), normal(2, 3))
case("take", lambda tg, F, x: tg.take(x, tg.tensor([[5, 0], [0, 1]])), normal(2, 3))
case("masked_select", lambda tg, F, x: tg.masked_select(x, tg.tensor([True, False, True])), normal(2, 3))
case("select", lambda tg, F, x: tg.select(x, 1, 2), normal(2, 3))
case("narrow", lambda tg, F, x: tg.narrow(x, 1, 1, 2), normal(2, 4))
case("split", lambda tg, F, x: tg.split(x, 2, 1), normal(2, 5))
case("split:sizes", lambda tg, F, x: tg.split(x, [1, 0, 3]), normal(4, 2))
case("chunk", lambda tg, F, x: tg.chunk(x, 3, 1), normal(2, 7))
case("chunk:one used", lambda tg, F, x: tg.chunk(x, 2)[1] * 2, normal(4))
case("tensor_split", lambda tg, F, x: tg.tensor_split(x, 3), normal(7))
case("tensor_split:places", lambda tg, F, x: tg.tensor_split(x, (1, 4), dim=1), normal(2, 6))
case("unbind", lambda tg, F, x: tg.unbind(x, 1), normal(2, 3))
case("diagonal", lambda tg, F, x: tg.diagonal(x, 1, 0, 2), normal(3, 2, 3))
case("diagonal:below", lambda tg, F, x: tg.diagonal(x, -1), normal(3, 4))
case("diag:matrix", lambda tg, F, x: tg.diag(x), normal(3, 4))
case("diag:vector", lambda tg, F, x: tg.diag(x, -1), normal(3))
case("diag_embed", lambda tg, F, x: tg.diag_embed(x, 1), normal(2, 3))
case("trace", lambda tg, F, x: tg.trace(x), normal(3, 3))
case("masked_fill", lambda tg, F, x: x.masked_fill(tg.tensor([True, False, True]), 0.5), normal(2, 3))
case(
    "masked_scatter",
    lambda tg, F, x, y: x.masked_scatter(tg.tensor([True, False, True]), y),
    normal(3),
    normal(4),
)
case(
    "scatter",
    lambda tg, F, x, y: tg.scatter(x, 1, tg.tensor([[0, 2], [1, 0]]), y),
    normal(2, 3),
    normal(2, 2),
)
case("scatter:number", lambda tg, F, x: tg.scatter(x, 1, tg.tensor([[0], [1]]), 2.5), normal(2, 3))
case(
    "scatter_add",
    lambda tg, F, x, y: tg.scatter_add(x, 0, tg.tensor([[0, 1, 0], [0, 0, 1]]), y),
    normal(2, 3),
    normal(2, 3),
)
case(
    "scatter_add:part of the source",
    lambda tg, F, x, y: tg.scatter_add(x, 1, tg.tensor([[0, 0]]), y),
    normal(2, 3),
    normal(2, 3),
    torch=None,
)
case(
    "index_add",
    lambda tg, F, x, y: tg.index_add(x, 1, tg.tensor([0, 2, 0]), y, alpha=2),
    normal(2, 3),
    normal(2, 3),
)
case("index_copy", lambda tg, F, x, y: tg.index_copy(x, 0, tg.tensor([2, 0]), y), normal(3, 2), normal(2, 2))
case(
    "index_fill:value, repeated index",
    lambda tg, F, x, v: tg.index_fill(x, 1, tg.tensor([2, 0, 2]), v),
    normal(2, 3),
    normal(),
)
case(
    "index_copy:0-d", lambda tg, F, x, y: tg.index_copy(x, 0, tg.tensor([0]), y) * x, normal(), normal()
)
for _name in ("scatter", "scatter_add"):
    case(
        f"{_name}:0-d",
        lambda tg, F, x, y, n=_name: getattr(tg, n)(x, 0, tg.tensor(0), y) * x,
        normal(),
        normal(),
    )
case("gather:0-d", lambda tg, F, x: tg.gather(x, 0, tg.tensor([0, 0])), normal())
case("as_strided", lambda tg, F, x: tg.as_strided(x.contiguous(), (3, 3), (1, 2), 1), normal(2, 4))
case("as_strided:of a view", lambda tg, F, x: (x.contiguous() * 2)[1].as_strided((2, 2), (1, 2)), normal(2, 4))
case("tensordot:size 1", lambda tg, F, x, y: tg.tensordot(x, y, dims=([1], [0])), normal(2, 3), normal(1, 4))
case("tensordot:size 1 on the left", lambda tg, F, x, y: tg.tensordot(x, y, dims=1), normal(2, 1), normal(3, 2))
case("matmul:empty", lambda tg, F, x, y: tg.matmul(x, y), normal(2, 3, 0), normal(0, 2))
case("matmul:empty vector", lambda tg, F, x, y: tg.matmul(x, y), normal(3, 0), normal(0))
case("linear:no inputs", lambda tg, F, x, w, b: F.linear(x, w, b), normal(2, 3, 0), normal(2, 0), normal(2))
case(
    "atleast:several",
    lambda tg, F, x, y: tg.atleast_2d((x, y))[0] * tg.atleast_1d(x, y)[1] + tg.atleast_3d(y, x)[1],
    normal(),
    normal(3),
)
case("tensor_split:tensor", lambda tg, F, x: tg.tensor_split(x, tg.tensor([1, 3]))[1], normal(5))
case("index_select:0-d", lambda tg, F, x: tg.index_select(x, 0, tg.tensor([0])), normal())
case("unfold:0-d", lambda tg, F, x: x.unfold(0, 1, 1), normal())
case("quantile:0-d", lambda tg, F, x: tg.quantile(x, 0.3, dim=0), normal(), float32=None)
case("masked_scatter:broadcast", lambda tg, F, x, y: tg.masked_scatter(x, tg.eye(3) > 0, y), normal(3), normal(5))
for _own in (True, False):
    case(
        f"scatter_reduce:prod of zeros, {'with' if _own else 'without'} the input",
        lambda tg, F, x, s, own=_own: tg.scatter_reduce(
            x, 0, tg.tensor([0, 1, 1, 0, 0, 3, 3, 4]), s, "prod", include_self=own
        ),
        fixed([0.0, 2.0, 3.0, 0.0, 5.0]),
        fixed([1.5, 0.0, 2.5, 2.0, 3.0, 0.0, 0.5, 1.25]),
    )
    for _r in ("prod", "mean", "amax", "amin"):
        case(
            f"index_reduce:{_r}, {'with' if _own else 'without'} the input",
            lambda tg, F, x, s, r=_r, own=_own: x.index_reduce(
                1, tg.tensor([2, 0, 2]), s, r, include_self=own
            ),
            distinct(2, 4),
            distinct(2, 3),
        )
case("index_fill", lambda tg, F, x: tg.index_fill(x, 1, tg.tensor([2, 0]), 1.5), normal(2, 3))
case(
    "index_put",
    lambda tg, F, x, y: tg.index_put(x, (tg.tensor([0, 1]), tg.tensor([1, 1])), y),
    normal(2, 3),
    normal(2),
)
case(
    "index_put:accumulate",
    lambda tg, F, x, y: tg.index_put(x, (tg.tensor([0, 0, 1]),), y, True),
    normal(2, 3),
    normal(3),
)

# --- products --------------------------------------------------------------------------------------

for _a, _b in [
    ((3, 4), (4, 2)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((2, 3, 4), (4, 2)), ((2, 3, 4), (2, 4, 2)),
    ((3, 4), (2, 4, 2)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,)), ((0, 4), (4, 2)),
    ((3, 0), (0, 2)), ((2, 2, 3, 4), (4,)),
]:  # fmt: skip
    case(f"matmul:{_a}{_b}", lambda tg, F, a, b: a @ b, normal(*_a), normal(*_b), numpy=np.matmul)
case("matmul:by the transpose", lambda tg, F, x, w: x @ w.T, normal(3, 4), normal(2, 4))
case("mm", lambda tg, F, a, b: tg.mm(a, b), normal(3, 4), normal(4, 2))
case("bmm", lambda tg, F, a, b: tg.bmm(a, b), normal(2, 3, 4), normal(2, 4, 2))
case("mv", lambda tg, F, a, b: tg.mv(a, b), normal(3, 4), normal(4))
case("dot", lambda tg, F, a, b: tg.dot(a, b), normal(4), normal(4))
case("outer", lambda tg, F, a, b: tg.outer(a, b), normal(3), normal(4))
case(
    "addmm",
    lambda tg, F, c, a, b: tg.addmm(c, a, b, beta=0.5, alpha=2),
    normal(2),
    normal(3, 4),
    normal(4, 2),
)
case(
    "addmm:beta 0", lambda tg, F, c, a, b: tg.addmm(c, a, b, beta=0), normal(3, 2), normal(3, 4), normal(4, 2)
)
case("baddbmm", lambda tg, F, c, a, b: tg.baddbmm(c, a, b), normal(2, 3, 2), normal(2, 3, 4), normal(2, 4, 2))
case("addmv", lambda tg, F, c, a, b: tg.addmv(c, a, b), normal(3), normal(3, 4), normal(4))
case("addr", lambda tg, F, c, a, b: tg.addr(c, a, b), normal(3, 4), normal(3), normal(4))
for _equation, _shapes in {
    "ij,jk->ik": ((3, 4), (4, 2)), "ij,jk": ((3, 4), (4, 2)), "bij,bjk->bik": ((2, 3, 4), (2, 4, 2)),
    "ij->ji": ((3, 4),), "ij->": ((3, 4),), "ij->j": ((3, 4),), "ii->i": ((3, 3),), "ii": ((3, 3),),
    "i,j->ij": ((3,), (4,)), "...ij,jk->...ik": ((2, 3, 4), (4, 2)), "ij,kj,k->i": ((3, 4), (2, 4), (2,)),
    "bi,oi->bo": ((2, 3), (4, 3)), "ijk,j->ik": ((2, 3, 2), (3,)), "i,i->": ((4,), (4,)),
    "iij,j->i": ((3, 3, 2), (2,)), "ij,kl->i": ((2, 3), (2, 2)), "nchw,oc->nohw": ((1, 3, 2, 2), (2, 3)),
}.items():  # fmt: skip
    case(
        f"einsum:{_equation}",
        lambda tg, F, *xs, e=_equation: tg.einsum(e, *xs),
        *[normal(*s) for s in _shapes],
    )
case("tensordot", lambda tg, F, a, b: tg.tensordot(a, b, dims=2), normal(2, 3, 4), normal(3, 4, 2))
case("tensordot:dims", lambda tg, F, a, b: tg.tensordot(a, b, dims=([1], [0])), normal(2, 3, 2), normal(3, 4))

# --- in place: what is recorded is the change ------------------------------------------------------

case("+=", lambda tg, F, x, y: _changed(x, "__iadd__", y) * x, normal(2, 3), normal(3))
case("-=", lambda tg, F, x, y: _changed(x, "__isub__", y) * x, normal(2, 3), normal(3))
case("*=", lambda tg, F, x, y: _changed(x, "__imul__", y) * x, normal(2, 3), normal(3))
case("/=", lambda tg, F, x, y: _changed(x, "__itruediv__", y) * x, normal(2, 3), positive(3))
case("relu_", lambda tg, F, x: _changed(x, "relu_") * x, normal(2, 3))
case("clamp_", lambda tg, F, x: _changed(x, "clamp_", -0.5, 0.5) * x, off(-0.5, 0.5)(2, 3))
case("masked_fill_", lambda tg, F, x: _changed(x, "masked_fill_", x > 0, 0.0) * x, normal(2, 3))
case("copy_", lambda tg, F, x, y: _changed(x, "copy_", y) * x, normal(2, 3), normal(3))
case("zero_", lambda tg, F, x: _changed(x, "zero_") + x, normal(2, 3))
case(
    "scatter_add_",
    lambda tg, F, x, y: _changed(x, "scatter_add_", 0, tg.tensor([1, 0, 1]), y),
    normal(3),
    normal(3),
)

# --- at kinks and ties the subgradient is PyTorch's (differences cannot tell, hence one-sided inputs) --

for _name, _fn in {
    "abs": lambda tg, F, x: x.abs(), "relu": lambda tg, F, x: F.relu(x), "relu6": lambda tg, F, x: F.relu6(x),
    "hardtanh": lambda tg, F, x: F.hardtanh(x), "clamp": lambda tg, F, x: x.clamp(-1, 1),
    "clamp_min": lambda tg, F, x: x.clamp(min=0), "maximum": lambda tg, F, x: tg.maximum(x, tg.zeros_like(x)),
    "minimum": lambda tg, F, x: tg.minimum(x, tg.zeros_like(x)), "fmax": lambda tg, F, x: tg.fmax(x, tg.zeros_like(x)),
    "fmin": lambda tg, F, x: tg.fmin(x, tg.zeros_like(x)), "norm of 0": lambda tg, F, x: (x * 0).norm(),
    "norm3 of 0": lambda tg, F, x: (x * 0).norm(3), "inf norm": lambda tg, F, x: x.norm(float("inf")),
    "hardswish": lambda tg, F, x: F.hardswish(x * 3), "hardsigmoid": lambda tg, F, x: F.hardsigmoid(x * 3),
    "softshrink": lambda tg, F, x: F.softshrink(x * 0.5), "hardshrink": lambda tg, F, x: F.hardshrink(x * 0.5),
    "leaky_relu": lambda tg, F, x: F.leaky_relu(x), "elu": lambda tg, F, x: F.elu(x),
    "threshold": lambda tg, F, x: F.threshold(x, 0.0, 5.0), "max": lambda tg, F, x: x.max(),
    "amax": lambda tg, F, x: x.amax(0), "min": lambda tg, F, x: x.min(), "median": lambda tg, F, x: x.median(),
    "prod": lambda tg, F, x: x.prod(), "cumprod": lambda tg, F, x: x.cumprod(0), "std": lambda tg, F, x: (x * 0).std(),
    "atan2": lambda tg, F, x: tg.atan2(x, x), "pow 0": lambda tg, F, x: x**0, "pow 1": lambda tg, F, x: x**1,
}.items():  # fmt: skip
    case(f"kink:{_name}", _fn, fixed([-1.0, 0.0, 0.0, 1.0, 2.0]), differences=False, order2=False)

# --- less common functions -------------------------------------------------------------------------

case("unfold:dimension", lambda tg, F, x: x.unfold(1, 3, 2), normal(2, 7, 2))
case("split_with_sizes", lambda tg, F, x: tg.split_with_sizes(x, [1, 3]), normal(4))
case("select_scatter", lambda tg, F, x, y: tg.select_scatter(x, y, 1, 2), normal(2, 3), normal(2))
case("slice_scatter", lambda tg, F, x, y: tg.slice_scatter(x, y, 1, 0, 4, 2), normal(2, 4), normal(2, 2))
for _reduce in ("sum", "mean"):
    for _self in (True, False):
        case(
            f"scatter_reduce:{_reduce} {_self}",
            lambda tg, F, x, y, r=_reduce, s=_self: tg.scatter_reduce(
                x, 1, tg.tensor([[0, 0, 2], [1, 1, 1]]), y, r, include_self=s
            ),
            normal(2, 3), normal(2, 3),
        )  # fmt: skip
case(
    "sum_to_size",
    lambda tg, F, x: x.sum_to_size(1, 3),
    normal(2, 4, 3),
    torch=lambda tg, F, x: x.sum((0, 1))[None],
)
case("atleast", lambda tg, F, x: tg.atleast_3d(x) * tg.atleast_2d(x)[..., None], normal(3))
case("dstack", lambda tg, F, x, y: tg.dstack([x, y]), normal(2, 3), normal(2, 3))
case("inner", lambda tg, F, x, y: tg.inner(x, y), normal(2, 3), normal(4, 3))
case("kron", lambda tg, F, x, y: tg.kron(x, y), normal(2, 3), normal(2))
case("cross", lambda tg, F, x, y: tg.linalg.cross(x, y, dim=1), normal(2, 3), normal(2, 3))
case("block_diag", lambda tg, F, x, y: tg.block_diag(x, y), normal(2, 3), normal(1, 2))

# --- what other rooms record for themselves --------------------------------------------------------

case("dropout", lambda tg, F, x: dropout(x, mask=np.float32([0, 2, 2])), normal(2, 3), torch=None)
case("gate", lambda tg, F, x: gate(x) * x, normal(3), torch=None)
case("pack", lambda tg, F, x, y: pack(x, y, starts=(0, 4, 7)), normal(2, 2), normal(3), torch=None)
case("unpack", lambda tg, F, x: unpack(x, start=1, size=2, total=5), normal(5), torch=None)
case("function_output", lambda tg, F, x: _part(x, start=1, stop=5, shape=(2, 2)), normal(6), torch=None)

# --- a whole network in miniature ------------------------------------------------------------------

case(
    "mlp",
    lambda tg, F, x, w, b, v: F.log_softmax(tg.tanh(x @ w.T + b) @ v, 1),
    normal(3, 2),
    normal(4, 2),
    normal(4),
    normal(4, 3),
)


def _changed(x, method, *args):
    """A copy of x after an in-place method."""
    y = x.clone()
    getattr(y, method)(*args)
    return y


def _set(x, index, value):
    """A copy of x after x[index] = value."""
    y = x.clone()
    y[index] = value
    return y

# --- matrices and statistics ---------------------------------------------------------------------------


def _regular(*shape: int) -> Draw:
    """Square matrices far from singular ones."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal(shape) + 3 * np.eye(shape[-1])

    return draw


for _name in ("inverse", "det", "logdet"):
    case(_name, lambda tg, F, x, n=_name: getattr(tg, n)(x), _regular(3, 3))
    case(f"{_name}:batch", lambda tg, F, x, n=_name: getattr(tg, n)(x), _regular(2, 2, 2))
case("slogdet", lambda tg, F, x: tg.slogdet(-x)[1], _regular(3, 3))
case("solve", lambda tg, F, a, b: tg.linalg.solve(a, b), _regular(3, 3), normal(3, 2))
case("solve:vector", lambda tg, F, a, b: tg.linalg.solve(a, b), _regular(3, 3), normal(3))
case("solve:broadcast", lambda tg, F, a, b: tg.linalg.solve(a, b), _regular(2, 2, 2), normal(2, 1))
case("solve:vectors", lambda tg, F, a, b: tg.linalg.solve(a, b), _regular(2, 2, 2), normal(2, 2))


def _weighted(tg, x):
    """x with its columns times 1, 2, …: with it, products of vectors do not depend on the vectors' signs."""
    return x * tg.arange(1, x.shape[-1] + 1)


def _svd(tg, x, reduced=True):
    u, s, vh = tg.linalg.svd(x, full_matrices=not reduced)
    return s, tg.matmul(_weighted(tg, u), vh)


def _eigh(tg, x, triangle="L"):
    values, vectors = tg.linalg.eigh(x + x.mT, triangle)
    return values, tg.matmul(_weighted(tg, vectors), vectors.mT)


for _shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2)):
    case(f"svd:{_shape}", lambda tg, F, x: _svd(tg, x), distinct(*_shape))
    case(f"svdvals:{_shape}", lambda tg, F, x: tg.linalg.svdvals(x), distinct(*_shape))
    case(f"qr:{_shape}", lambda tg, F, x: tg.linalg.qr(x), distinct(*_shape))
    case(f"pinv:{_shape}", lambda tg, F, x: tg.linalg.pinv(x), distinct(*_shape))
case("svd:square", lambda tg, F, x: _svd(tg, x, reduced=False), _regular(3, 3))
case("eigh", lambda tg, F, x: _eigh(tg, x), _regular(3, 3))
case("eigh:upper", lambda tg, F, x: _eigh(tg, x, "U"), _regular(2, 2, 2))
case("eigvalsh", lambda tg, F, x: tg.linalg.eigvalsh(x + x.mT), _regular(3, 3))
case("cholesky", lambda tg, F, x: tg.linalg.cholesky(x @ x.mT), _regular(3, 3))
case("cholesky:upper", lambda tg, F, x: tg.linalg.cholesky(x @ x.mT, upper=True), _regular(2, 2, 2))
case("lstsq", lambda tg, F, a, b: tg.linalg.lstsq(a, b)[0], distinct(4, 2), normal(4, 3))
for _n in (-2, 0, 1, 5):
    case(f"matrix_power:{_n}", lambda tg, F, x, n=_n: tg.linalg.matrix_power(x, n) + 0 * x, _regular(2, 3, 3))
case("mode", lambda tg, F, x: tg.mode(tg.cat([x, x[:, 1:2]], 1), 1)[0], normal(2, 3))
case("nanmedian", lambda tg, F, x: tg.where(x > 1, float("nan"), x).nanmedian(), normal(3, 3))
case("logcumsumexp", lambda tg, F, x: tg.logcumsumexp(x, 1), normal(2, 4))
case("nextafter", lambda tg, F, a, b: tg.nextafter(a, b), normal(2, 3), normal(3))
case("logaddexp2", lambda tg, F, a, b: tg.logaddexp2(a, b), normal(2, 3), normal(3))
case("float_power", lambda tg, F, x: tg.float_power(x, 3), positive(2, 3), float32=None)  # always float64
case("renorm", lambda tg, F, x: tg.renorm(x, 2, 0, 1.5), normal(3, 4))
case("diagflat", lambda tg, F, x: tg.diagflat(x, 1), normal(2, 2))
case("cov", lambda tg, F, x: tg.cov(x), normal(3, 5))
case("corrcoef", lambda tg, F, x: tg.corrcoef(x), normal(3, 5))
case("trapezoid", lambda tg, F, x: tg.trapezoid(x, dx=0.5, dim=0), normal(4, 2))
case("trapezoid:places", lambda tg, F, y, x: tg.trapezoid(y, x), normal(2, 4), normal(4))
case("combinations", lambda tg, F, x: tg.combinations(x, 2), normal(4))
case(
    "heaviside",
    lambda tg, F, x: x * tg.heaviside(x.detach(), tg.tensor(0.5, dtype=x.dtype)),
    normal(2, 3),
)
case(
    "vmap",
    lambda tg, F, x, w: tg.vmap(lambda a, b: (a * b).sum(0), (0, None), 1)(x, w),
    normal(3, 2, 4),
    normal(2, 4),
)
