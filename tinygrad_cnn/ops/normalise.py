"""Normalisation: subtract a mean, divide by √(variance + ε), as fused ops.

    x̂ = (x − mean) / √(var + ε),    y = weight · x̂ + bias

`batch_norm` takes mean and variance of each channel over batch and positions (Ioffe & Szegedy 2015),
`standardize` over the axes it is told: layer, group and instance normalisation are that and an affine map.
The variance is the biased one, and ε stands under the root (not σ + ε, as some notes have it). Running
averages are kept by `nn.functional.batch_norm`.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.annotations import Array
from tinygrad_cnn.autograd.op import General

Grads = tuple[Array | None, Array | None, Array | None]
ndarray = np.ndarray


def per_channel(v: Array, ndim: int) -> Array:
    """v (C,) in a shape that broadcasts against (N, C, …)."""
    return np.reshape(v, (1, -1, *(1,) * (ndim - 2)))


# --- with the batch's own statistics ------------------------------------------------------------------


def _batch_norm(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, *, eps: float, mean: ndarray | None = None,
    var: ndarray | None = None,
) -> tuple[ndarray, ndarray, ndarray]:  # fmt: skip
    if mean is None or var is None:
        mean, var = kernels.batch_statistics(x)
    return kernels.batch_norm_forward(x, weight, bias, mean, inverse_std(var, eps)), mean, var


def _batch_norm_vjp(
    g: ndarray, _y: ndarray, x: ndarray, weight: ndarray | None, _bias: ndarray, *, eps: float, mean: ndarray,
    var: ndarray,
) -> Grads:
    return kernels.batch_norm_backward(g, x, weight, mean, inverse_std(var, eps))


def _batch_norm_definition(x: Array, weight: Array | None, bias: Array | None, *, eps: float) -> Array:
    axes = (0, *range(2, len(x.shape)))
    return _affine(_standardize_definition(x, axes=axes, eps=eps), weight, bias)


batch_norm = General(
    "batch_norm", _batch_norm, vjp=_batch_norm_vjp, definition=_batch_norm_definition, choice=("mean", "var"),
    formula="weight · (x − mean) / √(var + ε) + bias",
    local=("weight / √(var + ε) · (g − mean(g) − x̂ · mean(g · x̂))", "Σ g · x̂", "Σ g"),
    doc="Batch normalisation of x (N, C, …) with the batch's own mean and biased variance; weight, bias (C,) or None.",
)  # fmt: skip


# --- with given statistics ----------------------------------------------------------------------------


def _fixed_norm(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, *, mean: ndarray, var: ndarray, eps: float
) -> ndarray:
    return kernels.batch_norm_forward(x, weight, bias, mean, inverse_std(var, eps))


def _fixed_norm_vjp(
    g: ndarray, _y: ndarray, x: ndarray, weight: ndarray | None, _bias: ndarray, *, mean: ndarray, var: ndarray,
    eps: float,
) -> Grads:
    axes = (0, *range(2, x.ndim))
    invstd = inverse_std(var, eps)
    scale = invstd if weight is None else invstd * weight
    dx = g * per_channel(scale, x.ndim)
    xhat = kernels.batch_norm_forward(x, None, None, mean, invstd)
    return dx, np.sum(g * xhat, axis=axes), np.sum(g, axis=axes)


def _fixed_norm_definition(
    x: Array, weight: Array | None, bias: Array | None, *, mean: ndarray, var: ndarray, eps: float
) -> Array:
    n = len(x.shape)
    return _affine((x - per_channel(mean, n)) * per_channel(inverse_std(var, eps), n), weight, bias)


fixed_norm = General(
    "fixed_norm", _fixed_norm, vjp=_fixed_norm_vjp, definition=_fixed_norm_definition,
    formula="weight · (x − running mean) / √(running var + ε) + bias",
    local=("weight / √(running var + ε)", "Σ g · x̂", "Σ g"),
    doc="Batch normalisation in evaluation: mean and var (C,) are given and constant.",
)  # fmt: skip


# --- over any axes ------------------------------------------------------------------------------------


def _standardize(x: ndarray, *, axes: tuple[int, ...], eps: float) -> ndarray:
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    centred = wide - wide.mean(axis=axes, keepdims=True)
    var = np.mean(centred * centred, axis=axes, keepdims=True)
    centred /= np.sqrt(var + eps)
    return centred.astype(x.dtype, copy=False)


def _standardize_vjp(g: ndarray, y: ndarray, x: ndarray, *, axes: tuple[int, ...], eps: float) -> tuple[ndarray]:
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    invstd = 1 / np.sqrt(wide.var(axis=axes, keepdims=True) + eps)
    inner = g - g.mean(axis=axes, keepdims=True) - y * np.mean(g * y, axis=axes, keepdims=True)
    return (inner * invstd,)


def _standardize_definition(x: Array, *, axes: tuple[int, ...], eps: float) -> Array:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + eps)


standardize = General(
    "standardize", _standardize, vjp=_standardize_vjp, definition=_standardize_definition,
    formula="(x − mean) / √(var + ε)", local=("(g − mean(g) − y · mean(g · y)) / √(var + ε)",),
    doc="Zero mean and unit (biased) variance over `axes`.",
)  # fmt: skip


def _affine(xhat: Array, weight: Array | None, bias: Array | None) -> Array:
    n = len(xhat.shape)
    if weight is not None:
        xhat = xhat * per_channel(weight, n)
    return xhat if bias is None else xhat + per_channel(bias, n)


def inverse_std(var: ndarray, eps: float) -> ndarray:
    return 1 / np.sqrt(var + var.dtype.type(eps))


__all__ = ["batch_norm", "fixed_norm", "inverse_std", "per_channel", "standardize"]
