"""Batch normalisation in Numba: two passes over x forward, two over x and g backward, each in shards.

Sums are kept in float32 for a short run of values and in float64 beyond. Values are taken relative to each channel's
first one, so that a large common offset does not cost the variance its digits. Called through `kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .. import threads
from ..layout import Array, is_channels_last
from ..reference import normalise as reference
from .arrays import alike, flat, grain, ours

RUN = 64  # values per float32 sum


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """See `kernels.batch_statistics`."""
    if not ours(x) or x.ndim < 2:
        return reference.batch_statistics(x)
    line, n, c, plane, last = _ordered(x)
    origin = line[:c].copy() if last else line[: c * plane : plane].copy()
    # Shards add up over images; a lone image or a matrix is cut along its rows.
    sums = _sums(lambda a, b, s: moments(line, origin, s, a, b, c, plane, last), n, c, x)
    count = n * plane
    shift = sums[0] / count
    mean = origin + shift
    var = np.maximum(sums[1] / count - shift**2, 0)
    return mean.astype(x.dtype), var.astype(x.dtype)


def batch_norm(x: Array, eps: float) -> tuple[Array, Array, Array]:
    """See `kernels.batch_norm`."""
    mean, var = batch_statistics(x)
    invstd = (1 / np.sqrt(var + var.dtype.type(eps))).astype(var.dtype)
    return batch_norm_forward(x, None, None, mean, invstd), mean, invstd


def batch_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array
) -> Array:
    """See `kernels.batch_norm_forward`."""
    if not ours(x, mean, invstd) or x.ndim < 2:
        return reference.batch_norm_forward(x, weight, bias, mean, invstd)
    x = x if is_channels_last(x) else np.ascontiguousarray(x)
    line, n, c, plane, last = _ordered(x)
    scale = _channels(invstd if weight is None else invstd * weight, x)
    shift = _channels(np.zeros(c) if bias is None else bias, x)
    y = np.empty_like(x)
    out, centre = flat(y), _channels(mean, x)
    threads.run_shards(
        lambda a, b: scale_shift(line, out, centre, scale, shift, a, b, c, plane, last),
        n,
        grain=grain(n, x.size),
    )
    return y


def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
) -> tuple[Array, Array, Array]:
    """See `kernels.batch_norm_backward`."""
    if not ours(g, x, mean, invstd) or x.ndim < 2:
        return reference.batch_norm_backward(g, x, weight, mean, invstd)
    if not alike(x, g) or not (is_channels_last(x) or x.flags.c_contiguous):
        x = x if is_channels_last(x) else np.ascontiguousarray(x)
        like = np.empty_like(x)
        like[...] = g
        g = like
    line, n, c, plane, last = _ordered(x)
    up, centre = flat(g), _channels(mean, x)
    sums = _sums(lambda a, b, s: slopes(up, line, centre, s, a, b, c, plane, last), n, c, x)
    count = n * plane
    dbias, dweight = sums[0], sums[1] * invstd
    scale = invstd.astype(np.float64) * (1 if weight is None else weight)
    parts = [_channels(v, x) for v in (scale, -scale * invstd * dweight / count, -scale * dbias / count)]
    dx = np.empty_like(x)
    out = flat(dx)
    threads.run_shards(
        lambda a, b: pull_back(up, line, out, centre, *parts, a, b, c, plane, last),
        n,
        grain=grain(n, 2 * x.size),
    )
    return dx, dweight.astype(x.dtype), dbias.astype(x.dtype)


def _ordered(x: Array) -> tuple[Array, int, int, int, bool]:
    """(x flat, images, channels, pixels per image, channels last?); copies where x is in neither of the two orders."""
    last = x.ndim == 2 or is_channels_last(x)
    if not last or not x.flags.forc and x.ndim == 2:
        x = np.ascontiguousarray(x)
    if x.ndim == 2:
        x = np.ascontiguousarray(x)
    n, c = x.shape[:2]
    return flat(x), n, c, x.size // (n * c), last


def _sums(pass_over, n: int, c: int, x: Array) -> Array:  # type: ignore[no-untyped-def]
    """Both sums (2, C) of a pass in float64, added up over shards in a fixed order."""
    parts = max(1, min(threads.get_num_threads(), n // grain(n, x.size)))
    bounds = [n * i // parts for i in range(parts + 1)]
    sums = np.zeros((parts, 4, c))

    def shard(first: int, last: int) -> None:
        for i in range(first, last):
            pass_over(bounds[i], bounds[i + 1], sums[i])

    threads.run_shards(shard, parts)
    return np.asarray(sums.sum(0))


def _channels(v: Array, x: Array) -> Array:
    return flat(np.ascontiguousarray(v, x.dtype))


# Loops: x flat, (N, pixels, C) where `channels_last`, else (N, C, pixels); images [first, last) ------------------


@njit(nogil=True, cache=True)
def moments(x, origin, sums, first, last, channels, plane, channels_last):  # type: ignore[no-untyped-def]
    """Adds sum(d) and sum(d * d) of d = x - origin to sums[0] and sums[1]."""
    if channels_last:
        one, two = np.zeros_like(origin), np.zeros_like(origin)
        for start in range(first * plane, last * plane, RUN):
            stop = min(start + RUN, last * plane)
            for p in range(start, stop):
                row = x[p * channels : (p + 1) * channels]
                for k in range(channels):
                    d = row[k] - origin[k]
                    one[k] += d
                    two[k] += d * d
            for k in range(channels):
                sums[0, k] += one[k]
                sums[1, k] += two[k]
                one[k] = two[k] = 0
        return
    for n in range(first, last):
        for k in range(channels):
            base = (n * channels + k) * plane
            for start in range(0, plane, RUN):
                a = b = x[0] - x[0]
                for p in range(base + start, base + min(start + RUN, plane)):
                    d = x[p] - origin[k]
                    a += d
                    b += d * d
                sums[0, k] += a
                sums[1, k] += b


@njit(nogil=True, cache=True)
def slopes(g, x, mean, sums, first, last, channels, plane, channels_last):  # type: ignore[no-untyped-def]
    """Adds sum(g) and sum(g * (x - mean)) to sums[0] and sums[1]."""
    if channels_last:
        one, two = np.zeros_like(mean), np.zeros_like(mean)
        for start in range(first * plane, last * plane, RUN):
            stop = min(start + RUN, last * plane)
            for p in range(start, stop):
                row, up = x[p * channels : (p + 1) * channels], g[p * channels : (p + 1) * channels]
                for k in range(channels):
                    one[k] += up[k]
                    two[k] += up[k] * (row[k] - mean[k])
            for k in range(channels):
                sums[0, k] += one[k]
                sums[1, k] += two[k]
                one[k] = two[k] = 0
        return
    for n in range(first, last):
        for k in range(channels):
            base = (n * channels + k) * plane
            for start in range(0, plane, RUN):
                a = b = x[0] - x[0]
                for p in range(base + start, base + min(start + RUN, plane)):
                    a += g[p]
                    b += g[p] * (x[p] - mean[k])
                sums[0, k] += a
                sums[1, k] += b


@njit(nogil=True, cache=True)
def scale_shift(x, y, mean, scale, shift, first, last, channels, plane, channels_last):  # type: ignore[no-untyped-def]
    """y = (x - mean) * scale + shift."""
    if channels_last:
        for p in range(first * plane, last * plane):
            row, out = x[p * channels : (p + 1) * channels], y[p * channels : (p + 1) * channels]
            for k in range(channels):
                out[k] = (row[k] - mean[k]) * scale[k] + shift[k]
        return
    for n in range(first, last):
        for k in range(channels):
            base = (n * channels + k) * plane
            a, b, c = mean[k], scale[k], shift[k]
            for p in range(base, base + plane):
                y[p] = (x[p] - a) * b + c


@njit(nogil=True, cache=True)
def pull_back(g, x, dx, mean, a, b, c, first, last, channels, plane, channels_last):  # type: ignore[no-untyped-def]
    """dx = a * g + b * (x - mean) + c."""
    if channels_last:
        for p in range(first * plane, last * plane):
            row, up = x[p * channels : (p + 1) * channels], g[p * channels : (p + 1) * channels]
            out = dx[p * channels : (p + 1) * channels]
            for k in range(channels):
                out[k] = a[k] * up[k] + (b[k] * (row[k] - mean[k]) + c[k])
        return
    for n in range(first, last):
        for k in range(channels):
            base = (n * channels + k) * plane
            m, u, v, w = mean[k], a[k], b[k], c[k]
            for p in range(base, base + plane):
                dx[p] = u * g[p] + (v * (x[p] - m) + w)
