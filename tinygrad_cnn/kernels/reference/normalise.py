"""Batch normalisation (Ioffe & Szegedy 2015, algorithm 1), its statistics and its gradient.

    xhat = (x - mean) / sqrt(var + eps),  y = weight * xhat + bias,  statistics per channel over all axes but
    1.

Each kernel is several passes; they are made over a block of images at a time, which stays in the cache, in shards of
the batch. Sums run in float64: a channel has tens of thousands of values. Arrays go back to `ops.normalise`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..layout import Array, accumulator, channels_to_last, empty_channels_last
from .lowering import split
from .shards import in_shards


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """(mean, var), each (C,), over all axes but 1; the variance is the biased one (divided by the count)."""
    acc = accumulator(x.dtype)
    count = max(1, x.size // max(1, x.shape[1]))
    (mean,) = _sums(lambda x: (x,), x) / count
    rounded = mean.astype(acc)
    row = _row(rounded, x)

    def squares(x: Array) -> tuple[Array]:
        d = np.subtract(x, row, dtype=acc)
        return (np.multiply(d, d, out=d),)

    (square,) = _sums(squares, x) / count
    # The rounding of the mean to x's dtype is taken out again: var = E[d^2] - E[d]^2.
    var = square - (mean - rounded) ** 2
    return rounded, np.maximum(var, 0).astype(acc)


def batch_norm(x: Array, eps: float) -> tuple[Array, Array, Array]:
    """(xhat like x, mean (C,), invstd (C,)) with invstd = 1 / sqrt(biased variance + eps)."""
    mean, var = batch_statistics(x)
    invstd = (1 / np.sqrt(var + var.dtype.type(eps))).astype(var.dtype)
    return batch_norm_forward(x, None, None, mean, invstd), mean, invstd


def batch_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array
) -> Array:
    """weight * (x - mean) * invstd + bias per channel, in one pass."""
    return _affine(x, weight, bias, mean, invstd, relu=False)


def batch_norm_relu(x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array) -> Array:
    """relu(batch_norm_forward(...)) in one pass."""
    return _affine(x, weight, bias, mean, invstd, relu=True)


def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
) -> tuple[Array, Array, Array]:
    """(dx, dweight, dbias) of a batch normalisation whose mean and invstd were x's own.

    dx = invstd * weight * (g - mean(g) - xhat * mean(g * xhat)).
    """
    if g.shape != x.shape:
        raise ValueError(f"batch_norm_backward expected an upstream gradient of shape {x.shape}, got {g.shape}")
    acc = accumulator(x.dtype)
    count = max(1, x.size // max(1, x.shape[1]))
    means, invstds = _row(mean.astype(acc), x), _row(invstd.astype(acc), x)

    def terms(g: Array, x: Array) -> tuple[Array, Array]:
        xhat = np.subtract(x, means, dtype=acc)
        xhat *= invstds
        return g, np.multiply(g, xhat, out=xhat)

    dbias, dweight = _sums(terms, g, x).astype(acc)
    scale = invstd if weight is None else invstd * weight
    # xhat is made again, which costs less than keeping it until the sums are there; its factor is part of these.
    per_x = _row((-dweight / count * invstd).astype(acc), x)
    shift, factor = _row((dbias / count).astype(acc), x), _row(scale.astype(acc), x)
    dx = empty_channels_last(x.shape, acc)

    def gradient(g: Array, x: Array, dx: Array) -> None:
        np.subtract(x, means, out=dx)
        dx *= per_x
        dx += g
        dx -= shift
        dx *= factor

    _blocks(lambda _, *blocks: gradient(*blocks), g, x, dx)
    return dx.astype(x.dtype, copy=False), dweight, dbias


def _affine(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array, relu: bool
) -> Array:
    """weight * (x - mean) * invstd + bias; subtracted first, since the mean may be far larger than the spread."""
    acc = accumulator(x.dtype)
    scale = _row((invstd if weight is None else invstd * weight).astype(acc), x)
    means = _row(mean.astype(acc), x)
    shift = None if bias is None else _row(bias.astype(acc), x)
    y = empty_channels_last(x.shape, acc)

    def work(x: Array, y: Array) -> None:
        np.subtract(x, means, out=y)
        y *= scale
        if shift is not None:
            y += shift
        if relu:
            np.maximum(y, 0, out=y)

    _blocks(lambda _, *blocks: work(*blocks), x, y)
    return y.astype(x.dtype, copy=False)


def _row(v: Array, x: Array) -> Array:
    """v (C,) repeated along a row of pixels (W, C): NumPy's inner loop then takes the row in one run."""
    return np.tile(v, (x.shape[-1], 1)) if x.ndim > 2 else v


def _sums(terms: Callable[..., tuple[Array, ...]], *arrays: Array) -> Array:
    """The sums per channel, (terms, C) in float64, of what terms(*blocks) gives for each block of images."""
    parts: dict[int, list[Array]] = {}
    acc, channels = accumulator(arrays[0].dtype), arrays[0].shape[1]

    def add_up(first: int, *blocks: Array) -> None:
        # Down the images of the block first, in long runs; these are few, so that float32 does.
        down = [term.sum(axis=0, dtype=acc).reshape(-1, channels) for term in terms(*blocks)]
        parts[first] = [d.sum(axis=0, dtype=np.float64) for d in down]

    _blocks(add_up, *arrays)
    if not parts:
        return np.zeros((len(terms(*map(channels_to_last, arrays))), channels))
    # In the order of the images, whichever thread was first: the same bits each time.
    return np.sum([parts[first] for first in sorted(parts)], axis=0)


def _blocks(work: Callable[..., None], *arrays: Array) -> None:
    """work(first image, *blocks): the arrays (N, C, *spatial) as (n, *spatial, C), a block of images at a time."""
    seen = [channels_to_last(a) for a in arrays]

    def shard(start: int, stop: int) -> None:
        # Twice as many as the arrays: what is worked on makes its own.
        for s in split(stop - start, 2 * sum(a[:1].nbytes for a in seen)):
            work(start + s.start, *(a[start:stop][s] for a in seen))

    in_shards(shard, len(seen[0]), 3 * sum(a.size for a in seen))
