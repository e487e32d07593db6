"""Passes over whole activations in Numba: one pass each, in shards, whatever order the memory has.

Called through `kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .. import threads
from ..geometry import Ints
from ..layout import Array, empty_channels_last, is_channels_last
from ..reference import elementwise as reference
from .arrays import alike, dense, flat, grain, ours

# Below this size NumPy's own loop is done before ours has been called.
SMALL = 20_000


def bias_add(x: Array, bias: Array) -> Array:
    """See `kernels.bias_add`."""
    if x.size < SMALL or not ours(x, bias) or not is_channels_last(x):
        return reference.bias_add(x, bias)
    y = np.empty_like(x)
    source, target, b = flat(x), flat(y), flat(np.ascontiguousarray(bias))
    count = x.size // x.shape[1]
    threads.run_shards(lambda p, q: add_rows(source, target, b, p, q), count, grain=grain(count, x.size))
    return y


def relu(x: Array) -> Array:
    """See `kernels.relu`."""
    if x.size < SMALL or not ours(x) or not dense(x):
        return reference.relu(x)
    y = np.empty_like(x)
    source, target = flat(x), flat(y)
    threads.run_shards(lambda p, q: clip(source, target, p, q), x.size, grain=grain(x.size, x.size))
    return y


def relu_input(g: Array, y: Array) -> Array:
    """See `kernels.relu_input`."""
    if g.size < 1000 or not ours(g, y) or g.shape != y.shape or not dense(y):
        return reference.relu_input(g, y)
    if not alike(y, g):
        like = np.empty_like(y)
        like[...] = g
        g = like
    dx = np.empty_like(y)
    up, sign, target = flat(g), flat(y), flat(dx)
    threads.run_shards(lambda p, q: mask(up, sign, target, p, q), g.size, grain=grain(g.size, g.size))
    return dx


def bias_relu_max_pool2x2(x: Array, bias: Array) -> tuple[Array, Array]:
    """See `kernels.bias_relu_max_pool2x2`."""
    if not ours(x, bias) or x.ndim != 4 or not is_channels_last(x) or min(x.shape[2:]) < 2:
        return reference.bias_relu_max_pool2x2(x, bias)
    n, c, height, width = x.shape
    shape = (n, c, height // 2, width // 2)
    y, indices = empty_channels_last(shape, x.dtype), empty_channels_last(shape, np.int32)
    source, target, at, b = flat(x), flat(y), flat(indices), flat(np.ascontiguousarray(bias))
    threads.run_shards(
        lambda p, q: bias_relu_pool(source, b, target, at, p, q, height, width), n, grain=grain(n, x.size)
    )
    return y, indices


def bias_relu_max_pool2x2_input(g: Array, y: Array, indices: Array, *, shape: Ints) -> tuple[Array, Array]:
    """See `kernels.bias_relu_max_pool2x2_input`."""
    if (
        not ours(g, y)
        or not is_channels_last(y)
        or indices.dtype != np.int32
        or not is_channels_last(indices)
    ):
        return reference.bias_relu_max_pool2x2_input(g, y, indices, shape=shape)
    n, c, height, width = shape
    dx = empty_channels_last(tuple(shape), g.dtype)
    up, out, at, target = flat(np.ascontiguousarray(np.moveaxis(g, 1, -1))), flat(y), flat(indices), flat(dx)
    parts = max(1, min(threads.get_num_threads(), n // grain(n, dx.size)))
    bounds = [n * i // parts for i in range(parts + 1)]
    sums = np.zeros((parts, c))

    def shard(first: int, last: int) -> None:
        for i in range(first, last):
            bias_relu_pool_input(up, out, at, target, sums[i], bounds[i], bounds[i + 1], height, width)

    threads.run_shards(shard, parts)
    return dx, sums.sum(0).astype(g.dtype)


@njit(nogil=True, cache=True)
def add_rows(x, y, bias, first, last):  # type: ignore[no-untyped-def]
    c = len(bias)
    for p in range(first, last):
        row, out = x[p * c : (p + 1) * c], y[p * c : (p + 1) * c]
        for k in range(c):
            out[k] = row[k] + bias[k]


@njit(nogil=True, cache=True)
def clip(x, y, first, last):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        v = x[i]
        y[i] = v if v > 0 or v != v else 0


@njit(nogil=True, cache=True)
def mask(g, y, dx, first, last):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        dx[i] = g[i] if y[i] > 0 else 0


@njit(nogil=True, cache=True)
def bias_relu_pool(x, bias, y, indices, first, last, height, width):  # type: ignore[no-untyped-def]
    """The four sums, clipped at zero, then the first largest: exactly what the three ops choose one after another."""
    c = len(bias)
    high, wide = height // 2, width // 2
    zero = np.zeros_like(bias[:1])[0]
    for n in range(first, last):
        for i in range(high):
            for j in range(wide):
                place = 2 * i * width + 2 * j
                base = (n * height * width + place) * c
                below = base + width * c
                out = ((n * high + i) * wide + j) * c
                p, q = x[base : base + c], x[base + c : base + 2 * c]
                r, s = x[below : below + c], x[below + c : below + 2 * c]
                target, at = y[out : out + c], indices[out : out + c]
                for k in range(c):
                    b = bias[k]
                    best, where = p[k] + b, np.int32(place)
                    best = zero if best <= zero else best
                    v = q[k] + b
                    take = (v > best) | (v != v)
                    best, where = (v if take else best), (np.int32(place + 1) if take else where)
                    v = r[k] + b
                    take = (v > best) | (v != v)
                    best, where = (v if take else best), (np.int32(place + width) if take else where)
                    v = s[k] + b
                    take = (v > best) | (v != v)
                    target[k] = v if take else best
                    at[k] = np.int32(place + width + 1) if take else where


@njit(nogil=True, cache=True)
def bias_relu_pool_input(g, y, indices, dx, dbias, first, last, height, width):  # type: ignore[no-untyped-def]
    """Writes all four positions of each window, so that dx need not be zeroed before."""
    c = len(dbias)
    high, wide = height // 2, width // 2
    sums = np.zeros_like(g[:c])
    zero = np.zeros_like(g[:1])[0]
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
                up, out, where = g[at : at + c], y[at : at + c], indices[at : at + c]
                p, q = image[base : base + c], image[base + c : base + 2 * c]
                r, s = image[below : below + c], image[below + c : below + 2 * c]
                for k in range(c):
                    v = up[k] if out[k] > 0 else zero
                    d = where[k] - np.int32(place)
                    p[k] = v if d == 0 else zero
                    q[k] = v if d == 1 else zero
                    r[k] = v if d == np.int32(width) else zero
                    s[k] = v if d == np.int32(width + 1) else zero
                    sums[k] += v
        for k in range(c):
            dbias[k] += sums[k]
            sums[k] = 0
