"""Less common functions of PyTorch's, written in the other ops: covariances, modes, integrals, windows."""

from __future__ import annotations

import itertools

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Array, ArrayT, DType, Operand
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.ops.arithmetic import logaddexp
from tinygrad_cnn.ops.common import as_float, axis_of, like
from tinygrad_cnn.ops.creation import finish
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.ops.elementwise import cast, clamp_min, in_float32
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.extreme import values_indices
from tinygrad_cnn.ops.index import diag, gather
from tinygrad_cnn.ops.layout import check_options
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.order import median
from tinygrad_cnn.ops.reduce import sum, vector_norm
from tinygrad_cnn.ops.shape import movedim, ravel, reshape, stack

_LN2 = float(np.log(2))


@public(method=True)
def mode(input: Array, dim: int = -1, keepdim: bool = False) -> values_indices:
    """The most frequent value along `dim` (the smallest of them), and where it last stands: (values, indices)."""
    x = unwrap(input)
    axis = axis_of(dim, np.ndim(x))
    if not np.ndim(x):
        return values_indices(input * 1, like(np.zeros((), np.int64), input))
    rows = np.moveaxis(x, axis, -1)
    if not rows.shape[-1]:
        raise ShapeError(f"mode expected at least one entry along dim {dim}, got shape {np.shape(x)}")
    counts = (rows[..., :, None] == rows[..., None, :]).sum(-1)
    best = np.where(counts == counts.max(-1, keepdims=True), rows, rows.max(-1, keepdims=True)).min(-1, keepdims=True)
    places = rows.shape[-1] - 1 - np.argmax(rows[..., ::-1] == best, -1)
    indices = np.expand_dims(places, axis)
    values = gather(input, axis, indices)
    if not keepdim:
        values, indices = reshape(values, places.shape), places
    return values_indices(values, like(indices, input))


@public(method=True)
def nanmedian(input: ArrayT, dim: int | None = None, keepdim: bool = False) -> ArrayT | values_indices:
    """The lower median of the entries that are not nan: of all, or (values, indices) along `dim`."""
    if dim is None:
        x = unwrap(input)
        return median(input) if np.isnan(x).all() else median(reshape(input, (-1,))[~np.isnan(x).reshape(-1)])
    x = np.asarray(unwrap(input))
    axis = axis_of(dim, x.ndim)
    if not x.ndim:
        return values_indices(input * 1, like(np.zeros((), np.int64), input))
    if not x.shape[axis]:
        raise ShapeError(f"nanmedian expected at least one entry along dim {dim}, got shape {x.shape}")
    middle = np.maximum((~np.isnan(x)).sum(axis, keepdims=True) - 1, 0) // 2
    indices = np.take_along_axis(np.argsort(x, axis, kind="stable"), middle, axis)  # nan is sorted last
    values = gather(input, axis, indices)
    if not keepdim:
        indices = np.squeeze(indices, axis)
        values = reshape(values, indices.shape)
    return values_indices(values, like(indices, input))


@public(method=True)
@in_float32
def logcumsumexp(input: ArrayT, dim: int) -> ArrayT:
    """log of the running sums of exp(x) along `dim`, without overflow."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    if not np.ndim(unwrap(input)) or not unwrap(input).shape[axis]:
        return as_float(input) * 1
    parts = list(movedim(as_float(input), axis, 0))
    totals = parts[:1]
    for part in parts[1:]:
        totals.append(logaddexp(totals[-1], part))
    return stack(totals, axis)


@public(method=True)
def logaddexp2(input: ArrayT, other: Operand) -> ArrayT:
    """log₂(2^input + 2^other) without overflow."""
    return logaddexp(as_float(input) * _LN2, as_float(other) * _LN2) / _LN2


@public(method=True)
def heaviside(input: ArrayT, values: Array) -> ArrayT:
    """0 below 0, 1 above, `values` at 0; no gradient flows."""
    return like(np.heaviside(unwrap(input), unwrap(values)).astype(unwrap(input).dtype, copy=False), input)


@public(method=True)
def float_power(input: ArrayT, exponent: Operand) -> ArrayT:
    """input ** exponent in float64."""
    return cast(input, np.float64) ** exponent


@public(method=True, in_place=True)
def renorm(input: ArrayT, p: float, dim: int, maxnorm: float) -> ArrayT:
    """The slices along `dim` whose p-norm is larger than `maxnorm` made that long."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    rest = tuple(k for k in range(np.ndim(unwrap(input))) if k != axis)
    norms = vector_norm(input, p, rest, True)
    scale = np.where(unwrap(norms) > maxnorm, maxnorm / (norms + 1e-7), 1.0)
    return cast(input * scale, unwrap(input).dtype)


@public(method=True)
def diagflat(input: ArrayT, offset: int = 0) -> ArrayT:
    """A matrix with the entries of `input` on a diagonal."""
    return diag(ravel(input), offset)


@public(method=True)
def cov(
    input: ArrayT, *, correction: int = 1, fweights: Array | None = None, aweights: Array | None = None
) -> ArrayT:
    """The covariances of the rows of (variables, observations), or the variance of (observations,).

    An observation counts `fweights` times (integers), with the weight `aweights`.
    """
    if np.ndim(unwrap(input)) > 2:
        raise ShapeError(f"cov expected at most two dimensions, got shape {np.shape(unwrap(input))}")
    x = input if np.ndim(unwrap(input)) > 1 else reshape(input, (1, -1))
    count = np.shape(unwrap(x))[1]
    weights: Array = np.ones(count, np.asarray(unwrap(as_float(x))).dtype)
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        values = np.asarray(unwrap(given))
        if values.shape != (count,):
            raise ShapeError(f"cov expected {name} of shape ({count},), got {values.shape}")
        if name == "fweights" and values.dtype.kind not in "iu":
            raise TypeError(f"cov expected integer fweights, got {values.dtype}: convert them with .long()")
        if (values < 0).any():
            raise ValueError(f"cov expected {name} that are not negative, got {values.min()}")
        weights = weights * cast(given, unwrap(weights).dtype)
    total = sum(weights)
    left = total - correction
    if aweights is not None and correction:
        left = total - correction * sum(weights * aweights) / total
    away = x - sum(x * weights, 1, True) / total
    result = matmul(away * weights, away.T) / clamp_min(left, 0)
    return reshape(result, ()) if len(unwrap(x)) == 1 else result


@public(method=True)
def corrcoef(input: ArrayT) -> ArrayT:
    """The correlations of the rows of (variables, observations)."""
    c = cov(input)
    if not np.ndim(unwrap(c)):
        return c / c
    spread = diag(c) ** 0.5
    return c / spread[:, None] / spread[None, :]


@public(aliases=["trapz"])
def trapezoid(y: ArrayT, x: Array | None = None, *, dx: float = 1.0, dim: int = -1) -> ArrayT:
    """The integral of the straight lines through `y` along `dim`, at the places `x` or `dx` apart."""
    axis = axis_of(dim, np.ndim(unwrap(y)))
    rows = movedim(y, axis, -1)
    middle = (rows[..., 1:] + rows[..., :-1]) / 2
    if x is None:
        return sum(middle, -1) * dx
    places = x if np.ndim(unwrap(x)) == 1 else movedim(x, axis, -1)
    return sum(middle * (places[..., 1:] - places[..., :-1]), -1)


@public
def combinations(input: ArrayT, r: int = 2, with_replacement: bool = False) -> ArrayT:
    """All choices of r entries of a 1-d tensor, as rows, in order."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(len(unwrap(input))), r)), np.int64).reshape(-1, r)
    return input[rows]


@public(method=True)
def gcd(input: ArrayT, other: Operand) -> ArrayT:
    """The greatest common divisors of integers."""
    return like(np.gcd(unwrap(input), unwrap(other)), input, other)


@public(method=True)
def lcm(input: ArrayT, other: Operand) -> ArrayT:
    """The least common multiples of integers."""
    return like(np.lcm(unwrap(input), unwrap(other)), input, other)


@public
def hann_window(
    window_length: int, periodic: bool = True, *, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Array:  # fmt: skip
    """½ − ½ cos(2πk/n) for k below `window_length`; n is that, or one less when not `periodic`."""
    check_options("hann_window", options)
    return _cosines(window_length, periodic, (0.5, 0.5), dtype, device, requires_grad)


@public
def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: DType = None,
    device: Device = None, requires_grad: bool = False, **options: object,
) -> Array:  # fmt: skip
    """α − β cos(2πk/n)."""
    check_options("hamming_window", options)
    return _cosines(window_length, periodic, (alpha, beta), dtype, device, requires_grad)


@public
def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Array:  # fmt: skip
    """0.42 − 0.5 cos(2πk/n) + 0.08 cos(4πk/n)."""
    check_options("blackman_window", options)
    return _cosines(window_length, periodic, (0.42, 0.5, 0.08), dtype, device, requires_grad)


def _cosines(
    length: int, periodic: bool, weights: tuple[float, ...], dtype: DType, device: Device, requires_grad: bool
) -> Array:
    wanted = np.dtype(dtype or modes.get_default_dtype())
    if wanted.kind != "f":
        raise TypeError(f"a window expected a floating dtype, got {wanted}")
    angle = 2 * np.pi * np.arange(length) / max(length - (not periodic), 1)
    values = np.asarray(np.sum([(-1) ** k * w * np.cos(k * angle) for k, w in enumerate(weights)], axis=0))
    if length == 1:
        values = np.ones(1)
    return finish(values.astype(wanted), device, requires_grad)


