"""Batch normalisation (Ioffe & Szegedy 2015, algorithm 1), its statistics and its gradient.

    xhat = (x - mean) / sqrt(var + eps),  y = weight * xhat + bias,  statistics per channel over all axes but
    1.

Sums run in float64: a channel has tens of thousands of values. Arrays go back to `ops.normalise`.
"""

from __future__ import annotations

import numpy as np

from ..layout import Array, accumulator, per_channel


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """See `kernels.batch_statistics`."""
    axes = (0, *range(2, x.ndim))
    acc = accumulator(x.dtype)
    mean = np.mean(x, axis=axes, dtype=np.float64)
    centred = np.subtract(x, per_channel(mean.astype(acc), x.ndim), dtype=acc)
    # The rounding of the mean to x's dtype is taken out again: var = E[d^2] - E[d]^2.
    square = np.sum(centred * centred, axis=axes, dtype=np.float64) / max(1, x.size // max(1, x.shape[1]))
    var = square - (mean - mean.astype(acc)) ** 2
    return mean.astype(acc), np.maximum(var, 0).astype(acc)


def batch_norm(x: Array, eps: float) -> tuple[Array, Array, Array]:
    """See `kernels.batch_norm`."""
    mean, var = batch_statistics(x)
    invstd = (1 / np.sqrt(var + var.dtype.type(eps))).astype(var.dtype)
    return batch_norm_forward(x, None, None, mean, invstd), mean, invstd


def batch_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array
) -> Array:
    """See `kernels.batch_norm_forward`."""
    acc = accumulator(x.dtype)
    scale = (invstd if weight is None else invstd * weight).astype(acc)
    y = np.subtract(x, per_channel(mean.astype(acc), x.ndim), dtype=acc)
    y *= per_channel(scale, x.ndim)
    if bias is not None:
        y += per_channel(bias.astype(acc), x.ndim)
    return y.astype(x.dtype, copy=False)


def batch_norm_relu(x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array) -> Array:
    """See `kernels.batch_norm_relu`."""
    y = batch_norm_forward(x, weight, bias, mean, invstd)
    return np.maximum(y, 0, out=y)


def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
) -> tuple[Array, Array, Array]:
    """See `kernels.batch_norm_backward`: dx = invstd * weight * (g - mean(g) - xhat * mean(g * xhat))."""
    axes = (0, *range(2, x.ndim))
    acc = accumulator(x.dtype)
    count = max(1, x.size // max(1, x.shape[1]))
    xhat = batch_norm_forward(x.astype(acc, copy=False), None, None, mean, invstd)
    dbias = np.sum(g, axis=axes, dtype=np.float64).astype(acc)
    dweight = np.sum(g * xhat, axis=axes, dtype=np.float64).astype(acc)
    scale = (invstd if weight is None else invstd * weight).astype(acc)
    xhat *= per_channel(-dweight / count, x.ndim)
    xhat += g
    xhat -= per_channel(dbias / count, x.ndim)
    xhat *= per_channel(scale, x.ndim)
    return xhat.astype(x.dtype, copy=False), dweight, dbias
