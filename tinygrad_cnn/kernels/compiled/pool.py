"""Pooling in Numba over two spatial dimensions: planes where they are contiguous, runs of channels where
those are last.

Other dimensions, layouts and dtypes keep their reference. Called through `kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .. import threads
from ..geometry import Ints, Pairs, pool_shape, volume
from ..layout import Array, empty_channels_last, is_channels_last
from ..reference import pool as reference
from ..reference.pool import divisor
from .arrays import flat, grain, ours


def max_pool(
    x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, ceil_mode: bool
) -> tuple[Array, Array]:
    """See `kernels.max_pool`."""
    shape = pool_shape(
        x.shape, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    if not ours(x) or x.ndim != 4:
        return reference.max_pool(
            x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
        )
    n, c, height, width = x.shape
    geo = (*stride, *dilation, padding[0][0], padding[1][0], *kernel, height, width, *shape[2:])
    if c > 1 and is_channels_last(x):
        y, indices = empty_channels_last(shape, x.dtype), empty_channels_last(shape, np.int32)
        source, target, at = flat(x), flat(y), flat(indices)
        work = max_rows_2x2 if geo[:8] == (2, 2, 1, 1, 0, 0, 2, 2) and not ceil_mode else max_rows
        threads.run_shards(lambda a, b: work(source, target, at, a, b, c, *geo), n, grain=grain(n, x.size))
        return y, indices
    x = np.ascontiguousarray(x)
    y, indices = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    source, target, at = flat(x), flat(y), flat(indices)
    threads.run_shards(
        lambda a, b: max_planes(source, target, at, a, b, *geo), n * c, grain=grain(n * c, x.size)
    )
    return y, indices


def take_windows(x: Array, indices: Array) -> Array:
    """See `kernels.take_windows`."""
    if not ours(x) or x.ndim < 3 or indices.dtype != np.int32:
        return reference.take_windows(x, indices)
    n, c = x.shape[:2]
    plane, count = volume(x.shape[2:]), volume(indices.shape[2:])
    if is_channels_last(x) and is_channels_last(indices):
        y = empty_channels_last(indices.shape, x.dtype)
        source, target, at = flat(x), flat(y), flat(indices)
        threads.run_shards(
            lambda a, b: take_rows(source, target, at, a, b, c, plane, count), n, grain=grain(n, indices.size)
        )
        return y
    y = np.empty(indices.shape, x.dtype)
    source, target, at = flat(np.ascontiguousarray(x)), flat(y), flat(np.ascontiguousarray(indices))
    threads.run_shards(
        lambda a, b: take_planes(source, target, at, a, b, plane, count),
        n * c,
        grain=grain(n * c, indices.size),
    )
    return y


def scatter_windows(g: Array, indices: Array, *, shape: Ints) -> Array:
    """See `kernels.scatter_windows`."""
    if not ours(g) or g.ndim < 3 or indices.dtype != np.int32 or volume(shape) == 0:
        return reference.scatter_windows(g, indices, shape=shape)
    n, c = shape[:2]
    plane, count = volume(shape[2:]), volume(g.shape[2:])
    if is_channels_last(indices):
        dx = empty_channels_last(tuple(shape), g.dtype)
        rows = np.ascontiguousarray(np.moveaxis(g, 1, -1))
        source, target, at = flat(rows), flat(dx), flat(indices)
        # Windows of 2x2 at stride 2 are likely where the sizes are halved; the pass says if it met any other.
        halved = len(shape) == 4 and c > 1 and (shape[2] // 2, shape[3] // 2) == g.shape[2:]
        others: list[bool] = []
        if halved:
            threads.run_shards(
                lambda a, b: others.append(scatter_rows_2x2(source, target, at, a, b, c, *shape[2:])), n,
                grain=grain(n, dx.size),
            )  # fmt: skip
        if not halved or any(others):
            threads.run_shards(
                lambda a, b: scatter_rows(source, target, at, a, b, c, plane, count),
                n,
                grain=grain(n, dx.size),
            )
        return dx
    dx = np.empty(shape, g.dtype)
    source, target, at = flat(np.ascontiguousarray(g)), flat(dx), flat(np.ascontiguousarray(indices))
    threads.run_shards(
        lambda a, b: scatter_planes(source, target, at, a, b, plane, count),
        n * c,
        grain=grain(n * c, dx.size),
    )
    return dx


def avg_pool(
    x: Array,
    *,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """See `kernels.avg_pool`. Every layout is worked on channels-last."""
    pairs = tuple((p, p) for p in padding)
    shape = pool_shape(x.shape, kernel, stride=stride, padding=pairs, ceil_mode=ceil_mode)
    if not ours(x) or x.ndim != 4 or not is_channels_last(x):
        return reference.avg_pool(
            x, kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad, divisor_override=divisor_override,
        )  # fmt: skip
    share = _share(x, shape, kernel, stride, padding, count_include_pad, divisor_override)
    y = empty_channels_last(shape, x.dtype)
    source, target = flat(x), flat(y)
    geo = (*stride, *padding, *kernel, *x.shape[2:], *shape[2:])
    threads.run_shards(
        lambda a, b: average_rows(source, target, share, a, b, x.shape[1], *geo),
        x.shape[0],
        grain=grain(len(x), x.size),
    )
    return y


def avg_pool_input(
    g: Array,
    *,
    shape: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """See `kernels.avg_pool_input`."""
    pairs = tuple((p, p) for p in padding)
    expected = pool_shape(shape, kernel, stride=stride, padding=pairs, ceil_mode=ceil_mode)
    if not ours(g) or g.ndim != 4 or not is_channels_last(g) or g.shape != expected:
        return reference.avg_pool_input(
            g, shape=shape, kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad, divisor_override=divisor_override,
        )  # fmt: skip
    share = _share(g, g.shape, kernel, stride, padding, count_include_pad, divisor_override, shape[2:])
    dx = empty_channels_last(tuple(shape), g.dtype)
    source, target = flat(g), flat(dx)
    geo = (*stride, *padding, *kernel, *shape[2:], *g.shape[2:])
    threads.run_shards(
        lambda a, b: spread_rows(source, target, share, a, b, shape[1], *geo),
        shape[0],
        grain=grain(len(g), dx.size),
    )
    return dx


def _share(
    x: Array,
    out: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    include: bool,
    override: int | None,
    size: Ints | None = None,
) -> Array:
    """1 / divisor of each window, flat."""
    counts = divisor(size or x.shape[2:], out[2:], kernel, stride, padding, include, override)
    return np.ascontiguousarray(np.broadcast_to(1 / counts, out[2:]), x.dtype).ravel()


# Loops: x is flat, channels-last in `_rows`, plane by plane in `_planes`; [first, last) counts images or
# planes -----


@njit(nogil=True, cache=True)
def max_rows_2x2(
    x, y, indices, first, last, channels, _a, _b, _c, _d, _e, _f, _g, _h, height, width, high, wide
):  # type: ignore[no-untyped-def]
    """Windows of 2x2 at stride 2: four neighbours at once, selected without a branch."""
    for n in range(first, last):
        for i in range(high):
            for j in range(wide):
                place = 2 * i * width + 2 * j
                base = (n * height * width + place) * channels
                out = ((n * high + i) * wide + j) * channels
                below = base + width * channels
                a, b = x[base : base + channels], x[base + channels : base + 2 * channels]
                c, d = x[below : below + channels], x[below + channels : below + 2 * channels]
                target, at = y[out : out + channels], indices[out : out + channels]
                for k in range(channels):
                    best, where = a[k], np.int32(place)
                    v = b[k]
                    take = (v > best) | (v != v)
                    best, where = (v if take else best), (np.int32(place + 1) if take else where)
                    v = c[k]
                    take = (v > best) | (v != v)
                    best, where = (v if take else best), (np.int32(place + width) if take else where)
                    v = d[k]
                    take = (v > best) | (v != v)
                    target[k] = v if take else best
                    at[k] = np.int32(place + width + 1) if take else where


@njit(nogil=True, cache=True)
def max_rows(  # type: ignore[no-untyped-def]
    x,
    y,
    indices,
    first,
    last,
    channels,
    s_h,
    s_w,
    d_h,
    d_w,
    low_h,
    low_w,
    k_h,
    k_w,
    height,
    width,
    high,
    wide,
):
    for n in range(first, last):
        for i in range(high):
            for j in range(wide):
                out = ((n * high + i) * wide + j) * channels
                target, at = y[out : out + channels], indices[out : out + channels]
                fresh = True
                for u in range(k_h):
                    h = i * s_h - low_h + u * d_h
                    if not 0 <= h < height:
                        continue
                    for v in range(k_w):
                        w = j * s_w - low_w + v * d_w
                        if not 0 <= w < width:
                            continue
                        place = np.int32(h * width + w)
                        base = (n * height * width + place) * channels
                        source = x[base : base + channels]
                        if fresh:
                            for k in range(channels):
                                target[k] = source[k]
                                at[k] = place
                            fresh = False
                            continue
                        for k in range(channels):
                            value = source[k]
                            take = (value > target[k]) | (value != value)
                            target[k] = value if take else target[k]
                            at[k] = place if take else at[k]


@njit(nogil=True, cache=True)
def max_planes(  # type: ignore[no-untyped-def]
    x, y, indices, first, last, s_h, s_w, d_h, d_w, low_h, low_w, k_h, k_w, height, width, high, wide
):
    for plane in range(first, last):
        for i in range(high):
            for j in range(wide):
                best, where, fresh = x[0], 0, True
                for u in range(k_h):
                    h = i * s_h - low_h + u * d_h
                    if not 0 <= h < height:
                        continue
                    for v in range(k_w):
                        w = j * s_w - low_w + v * d_w
                        if 0 <= w < width:
                            value = x[(plane * height + h) * width + w]
                            if fresh or value > best or value != value:
                                best, where, fresh = value, h * width + w, False
                y[(plane * high + i) * wide + j] = best
                indices[(plane * high + i) * wide + j] = where


@njit(nogil=True, cache=True)
def take_rows(x, y, indices, first, last, channels, plane, count):  # type: ignore[no-untyped-def]
    for n in range(first, last):
        for p in range(n * count, (n + 1) * count):
            for k in range(channels):
                y[p * channels + k] = x[(n * plane + indices[p * channels + k]) * channels + k]


@njit(nogil=True, cache=True)
def take_planes(x, y, indices, first, last, plane, count):  # type: ignore[no-untyped-def]
    for n in range(first, last):
        for p in range(n * count, (n + 1) * count):
            y[p] = x[n * plane + indices[p]]


@njit(nogil=True, cache=True)
def scatter_rows(g, dx, indices, first, last, channels, plane, count):  # type: ignore[no-untyped-def]
    """Each image is zeroed just before it is written, while it is about to be in the cache anyway."""
    for n in range(first, last):
        dx[n * plane * channels : (n + 1) * plane * channels] = 0
        for p in range(n * count, (n + 1) * count):
            for k in range(channels):
                dx[(n * plane + indices[p * channels + k]) * channels + k] += g[p * channels + k]


@njit(nogil=True, cache=True)
def scatter_rows_2x2(g, dx, indices, first, last, channels, height, width):  # type: ignore[no-untyped-def]
    """Writes all four positions of every window instead of zeroing first. Returns True if an index was none
    of them."""
    c = channels
    high, wide = height // 2, width // 2
    zero = np.zeros_like(g[:1])[0]
    other = 0
    for n in range(first, last):
        image = dx[n * height * width * c : (n + 1) * height * width * c]
        if height % 2:
            image[(height - 1) * width * c :] = 0
        for i in range(high):
            if width % 2:
                for row in (2 * i, 2 * i + 1):
                    image[((row + 1) * width - 1) * c : (row + 1) * width * c] = 0
            for j in range(wide):
                place = 2 * i * width + 2 * j
                base, below = place * c, (place + width) * c
                at = ((n * high + i) * wide + j) * c
                up, where = g[at : at + c], indices[at : at + c]
                p, q = image[base : base + c], image[base + c : base + 2 * c]
                r, s = image[below : below + c], image[below + c : below + 2 * c]
                for k in range(c):
                    v, d = up[k], where[k] - np.int32(place)
                    a, b = d == 0, d == 1
                    e, f = d == np.int32(width), d == np.int32(width + 1)
                    p[k] = v if a else zero
                    q[k] = v if b else zero
                    r[k] = v if e else zero
                    s[k] = v if f else zero
                    other |= 0 if a | b | e | f else 1
    return other != 0


@njit(nogil=True, cache=True)
def scatter_planes(g, dx, indices, first, last, plane, count):  # type: ignore[no-untyped-def]
    for n in range(first, last):
        dx[n * plane : (n + 1) * plane] = 0
        for p in range(n * count, (n + 1) * count):
            dx[n * plane + indices[p]] += g[p]


@njit(nogil=True, cache=True)
def average_rows(  # type: ignore[no-untyped-def]
    x, y, share, first, last, channels, s_h, s_w, low_h, low_w, k_h, k_w, height, width, high, wide
):
    for n in range(first, last):
        for i in range(high):
            for j in range(wide):
                out = ((n * high + i) * wide + j) * channels
                target = y[out : out + channels]
                target[:] = 0
                for h in range(max(0, i * s_h - low_h), min(height, i * s_h - low_h + k_h)):
                    for w in range(max(0, j * s_w - low_w), min(width, j * s_w - low_w + k_w)):
                        base = ((n * height + h) * width + w) * channels
                        source = x[base : base + channels]
                        for k in range(channels):
                            target[k] += source[k]
                part = share[i * wide + j]
                for k in range(channels):
                    target[k] *= part


@njit(nogil=True, cache=True)
def spread_rows(  # type: ignore[no-untyped-def]
    g, dx, share, first, last, channels, s_h, s_w, low_h, low_w, k_h, k_w, height, width, high, wide
):
    for n in range(first, last):
        dx[n * height * width * channels : (n + 1) * height * width * channels] = 0
        for i in range(high):
            for j in range(wide):
                out = ((n * high + i) * wide + j) * channels
                source, part = g[out : out + channels], share[i * wide + j]
                for h in range(max(0, i * s_h - low_h), min(height, i * s_h - low_h + k_h)):
                    for w in range(max(0, j * s_w - low_w), min(width, j * s_w - low_w + k_w)):
                        base = ((n * height + h) * width + w) * channels
                        target = dx[base : base + channels]
                        for k in range(channels):
                            target[k] += source[k] * part
