"""Batch normalisation in Numba: two passes over x forward, two over x and g backward, each in shards.

Sums are kept in float32 for a short run of values and in float64 beyond. Values are taken relative to each
channel's first one, so that a large common offset does not cost the variance its digits. Called through
`kernels`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any

import numpy as np

from .. import threads
from ..layout import Array, is_channels_last
from ..reference import normalise as reference
from .arrays import grain, like, ours, view, view_doubles
from .jit import njit
from .native import Task, address
from .vector import integers

RUN = 64  # values per float32 sum
LONG = 512  # numbers that a loop over channels should have


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """See `reference`."""
    if not ours(x) or x.ndim < 2:
        return reference.batch_statistics(x)
    x = _ordered(x)
    sums = _sums(moments, x, 0, 0)
    first: tuple[Any, ...] = (0, slice(None), *(0,) * (x.ndim - 2))
    origin = x[first].astype(np.float64)
    count = x.size // x.shape[1]
    shift = sums[0] / count
    var = np.maximum(sums[1] / count - shift * shift, 0)
    return (origin + shift).astype(x.dtype), var.astype(x.dtype)


def batch_norm(x: Array, eps: float) -> tuple[Array, Array, Array]:
    """See `reference`."""
    mean, var = batch_statistics(x)
    invstd = (1 / np.sqrt(var + var.dtype.type(eps))).astype(var.dtype)
    return batch_norm_forward(x, None, None, mean, invstd), mean, invstd


def batch_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array
) -> Array:
    """See `reference`."""
    if not ours(x, mean, invstd) or x.ndim < 2:
        return reference.batch_norm_forward(x, weight, bias, mean, invstd)
    return _normalised(x, weight, bias, mean, invstd, False)


def batch_norm_relu(x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array) -> Array:
    """See `reference`."""
    if not ours(x, mean, invstd) or x.ndim < 2:
        return reference.batch_norm_relu(x, weight, bias, mean, invstd)
    return _normalised(x, weight, bias, mean, invstd, True)


def _normalised(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array, clipped: bool
) -> Array:
    x = _ordered(x)
    c = x.shape[1]
    factors = np.empty((3, c), np.float32)
    factors[0] = mean
    np.multiply(invstd, 1 if weight is None else weight, out=factors[1])
    factors[2] = 0 if bias is None else bias
    y = np.empty_like(x)
    entries = (address(x), address(y), address(factors), c, x.size // (len(x) * c), _last(x), clipped)
    scale_shift.run(entries, len(x), grain(len(x), x.size))
    return y


def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
) -> tuple[Array, Array, Array]:
    """See `reference`."""
    if not ours(g, x, mean, invstd) or x.ndim < 2 or g.shape != x.shape:
        return reference.batch_norm_backward(g, x, weight, mean, invstd)
    x = _ordered(x)
    g = like(x, g)
    c = x.shape[1]
    factors = np.empty((4, c), np.float32)
    factors[0] = mean
    sums = _sums(slopes, x, address(g), address(factors))
    count = x.size // c
    dbias, dweight = sums[0], sums[1] * invstd
    scale = invstd.astype(np.float64) if weight is None else invstd.astype(np.float64) * weight
    factors[1], factors[2], factors[3] = scale, -scale * invstd * dweight / count, -scale * dbias / count
    dx = np.empty_like(x)
    entries = (address(g), address(x), address(dx), address(factors), c, x.size // (len(x) * c), _last(x))
    pull_back.run(entries, len(x), grain(len(x), 2 * x.size))
    return dx, dweight.astype(x.dtype), dbias.astype(x.dtype)


def _last(x: Array) -> bool:
    return x.ndim == 2 or is_channels_last(x)


def _ordered(x: Array) -> Array:
    """x channels-last or contiguous."""
    return x if x.ndim > 2 and is_channels_last(x) else np.ascontiguousarray(x)


def _sums(task: Task, x: Array, *more: int) -> Array:
    """Both sums (2, C) of a pass in float64, added up over parts of the batch in a fixed order."""
    n, c = x.shape[:2]
    parts = max(1, min(threads.get_num_threads(), n // grain(n, x.size)))
    sums = np.zeros((parts, 2, c))
    task.run((address(x), *more, address(sums), n, parts, c, x.size // (n * c), _last(x)), parts)
    return np.asarray(sums.sum(0))


# Tasks. Sums take a few rows at a time, since they are read and written once per turn. x is (N, pixels, C)
# in memory where the last entry says so, else (N, C, pixels).


@Task
def moments(table, first, last):
    """(x, -, -, sums, N, parts, C, pixels, channels last): adds sum(d) and sum(d * d), d relative to each
    channel's first value."""
    t = integers(table)
    images, parts, c, plane = t[4], t[5], t[6], t[7]
    zero = np.float32(0)
    origin, one, two = np.empty(c, np.float32), np.zeros(c, np.float32), np.zeros(c, np.float32)
    x = view(t[0], images * plane * c)
    for k in range(c):
        origin[k] = x[k if t[8] else k * plane]
    for part in range(first, last):
        low, high = images * part // parts, images * (part + 1) // parts
        sums, squares = view_doubles(t[3] + 16 * part * c, c), view_doubles(t[3] + (16 * part + 8) * c, c)
        if t[8]:
            for start in range(low * plane, high * plane, RUN):
                stop = min(start + RUN, high * plane)
                fours = start + (stop - start) // 4 * 4
                for p in range(start, fours, 4):
                    at = t[0] + 4 * p * c
                    r0, r1, r2, r3 = (
                        view(at, c),
                        view(at + 4 * c, c),
                        view(at + 8 * c, c),
                        view(at + 12 * c, c),
                    )
                    for k in range(c):
                        o = origin[k]
                        d0, d1, d2, d3 = r0[k] - o, r1[k] - o, r2[k] - o, r3[k] - o
                        one[k] += (d0 + d1) + (d2 + d3)
                        two[k] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
                for p in range(fours, stop):
                    row = view(t[0] + 4 * p * c, c)
                    for k in range(c):
                        d = row[k] - origin[k]
                        one[k] += d
                        two[k] += d * d
                for k in range(c):
                    sums[k] += one[k]
                    squares[k] += two[k]
                    one[k] = zero
                    two[k] = zero
            continue
        for n in range(low, high):
            for k in range(c):
                for start in range(0, plane, RUN):
                    row = view(t[0] + 4 * ((n * c + k) * plane + start), RUN)
                    a = b = zero
                    for p in range(min(RUN, plane - start)):
                        d = row[p] - origin[k]
                        a += d
                        b += d * d
                    sums[k] += a
                    squares[k] += b


@Task
def slopes(table, first, last):
    """(x, g, mean, sums, N, parts, C, pixels, channels last): adds sum(g) and sum(g * (x - mean))."""
    t = integers(table)
    images, parts, c, plane = t[4], t[5], t[6], t[7]
    zero = np.float32(0)
    one, two = np.zeros(c, np.float32), np.zeros(c, np.float32)
    mean = view(t[2], c)
    for part in range(first, last):
        low, high = images * part // parts, images * (part + 1) // parts
        sums, products = view_doubles(t[3] + 16 * part * c, c), view_doubles(t[3] + (16 * part + 8) * c, c)
        if t[8]:
            for start in range(low * plane, high * plane, RUN):
                stop = min(start + RUN, high * plane)
                twos = start + (stop - start) // 2 * 2
                for p in range(start, twos, 2):
                    at, of = t[0] + 4 * p * c, t[1] + 4 * p * c
                    r0, r1, g0, g1 = view(at, c), view(at + 4 * c, c), view(of, c), view(of + 4 * c, c)
                    for k in range(c):
                        o = mean[k]
                        one[k] += g0[k] + g1[k]
                        two[k] += g0[k] * (r0[k] - o) + g1[k] * (r1[k] - o)
                for p in range(twos, stop):
                    row, up = view(t[0] + 4 * p * c, c), view(t[1] + 4 * p * c, c)
                    for k in range(c):
                        one[k] += up[k]
                        two[k] += up[k] * (row[k] - mean[k])
                for k in range(c):
                    sums[k] += one[k]
                    products[k] += two[k]
                    one[k] = zero
                    two[k] = zero
            continue
        for n in range(low, high):
            for k in range(c):
                for start in range(0, plane, RUN):
                    at = 4 * ((n * c + k) * plane + start)
                    row, up = view(t[0] + at, RUN), view(t[1] + at, RUN)
                    a = b = zero
                    for p in range(min(RUN, plane - start)):
                        a += up[p]
                        b += up[p] * (row[p] - mean[k])
                    sums[k] += a
                    products[k] += b


@njit(nogil=True, cache=True)
def repeat(values, many):
    """`values` several times over, so that loops over channels are long."""
    run = np.empty(many * len(values), np.float32)
    for i in range(many):
        run[i * len(values) : (i + 1) * len(values)] = values
    return run


@Task
def scale_shift(table, first, last):
    """(x, y, factors (3, C), C, pixels, channels last, clipped): y = (x - mean) * scale + shift, at least 0 where it
    is clipped. One loop for both, so that they round alike."""
    t = integers(table)
    c, plane = t[3], t[4]
    mean, scale, shift = view(t[2], c), view(t[2] + 4 * c, c), view(t[2] + 8 * c, c)
    least = np.float32(0) if t[6] else np.float32(-np.inf)
    if t[5]:
        many = max(1, LONG // c)
        means, scales, shifts = repeat(mean, many), repeat(scale, many), repeat(shift, many)
        for p in range(first * plane, last * plane, many):
            count = min(many, last * plane - p) * c
            row, out = view(t[0] + 4 * p * c, count), view(t[1] + 4 * p * c, count)
            for k in range(count):
                d = (row[k] - means[k]) * scales[k] + shifts[k]
                out[k] = least if d <= least else d
        return
    for n in range(first, last):
        for k in range(c):
            at = 4 * (n * c + k) * plane
            row, out = view(t[0] + at, plane), view(t[1] + at, plane)
            u, v, w = mean[k], scale[k], shift[k]
            for p in range(plane):
                d = (row[p] - u) * v + w
                out[p] = least if d <= least else d


@Task
def pull_back(table, first, last):
    """(g, x, dx, factors (4, C), C, pixels, channels last): dx = a * g + b * (x - mean) + c."""
    t = integers(table)
    c, plane = t[4], t[5]
    mean, slope = view(t[3], c), view(t[3] + 4 * c, c)
    lean, shift = view(t[3] + 8 * c, c), view(t[3] + 12 * c, c)
    if t[6]:
        many = max(1, LONG // c)
        means, slopes, leans, shifts = repeat(mean, many), repeat(slope, many), repeat(lean, many), repeat(shift, many)
        for p in range(first * plane, last * plane, many):
            at, count = 4 * p * c, min(many, last * plane - p) * c
            up, row, out = view(t[0] + at, count), view(t[1] + at, count), view(t[2] + at, count)
            for k in range(count):
                out[k] = slopes[k] * up[k] + (leans[k] * (row[k] - means[k]) + shifts[k])
        return
    for n in range(first, last):
        for k in range(c):
            at = 4 * (n * c + k) * plane
            up, row, out = view(t[0] + at, plane), view(t[1] + at, plane), view(t[2] + at, plane)
            m, u, v, w = mean[k], slope[k], lean[k], shift[k]
            for p in range(plane):
                out[p] = u * up[p] + (v * (row[p] - m) + w)
