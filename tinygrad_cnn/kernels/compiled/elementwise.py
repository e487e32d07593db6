"""Passes over whole activations in Numba: one pass each, in shards, whatever order the memory has.

Called through `kernels`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from .. import threads
from ..layout import Array, empty_channels_last, is_channels_last
from ..reference import elementwise as reference
from .arrays import dense, grain, like, ours, view, view_doubles, view_integers
from .jit import njit
from .native import Task, address
from .relayout import channels_last as turned
from .tiles import VECTOR_BYTES
from .vector import LANES, integers, load, load_float, splat, store

# Below this size NumPy's own loop is done before ours has been called.
SMALL = 4_000
# Numbers that a loop over channels should have.
LONG = 1024
# Rows that are summed up in float32.
RUN = 64


def bias_add(x: Array, bias: Array) -> Array:
    """See `reference`."""
    if x.ndim == 2:
        return np.add(x, bias)
    if x.size < SMALL or not ours(x, bias) or not is_channels_last(x) or bias.shape != x.shape[1:2]:
        return reference.bias_add(x, bias)
    return _with_bias(x, bias, False)


def bias_relu(x: Array, bias: Array) -> Array:
    """See `reference`."""
    if x.size < SMALL or not ours(x, bias) or not is_channels_last(x) or bias.shape != x.shape[1:2]:
        return reference.bias_relu(x, bias)
    return _with_bias(x, bias, True)


def _with_bias(x: Array, bias: Array, clipped: bool) -> Array:
    y, b = np.empty_like(x), np.ascontiguousarray(bias)
    count = x.size // x.shape[1]
    add_rows.run((address(x), address(y), address(b), len(b), clipped), count, grain(count, x.size))
    return y


def channels_last(x: Array) -> Array:
    """See `reference`."""
    return turned(x) if ours(x) else x


def channel_sums(g: Array) -> Array:
    """See `reference`. Float32 sums of RUN rows, float64 beyond; a fixed number of parts per thread."""
    if g.size < SMALL or not ours(g):
        return reference.channel_sums(g)
    if g.ndim > 2 and g.flags.c_contiguous and g.size >= 4 * LANES * g.shape[0] * g.shape[1]:
        n, c = g.shape[:2]
        parts = max(1, min(threads.get_num_threads(), n // grain(n, g.size)))
        sums = np.zeros((parts, c))
        sum_planes.run((address(g), address(sums), c, g.size // (n * c), n, parts), parts)
        return sums.sum(0).astype(g.dtype)
    if not (is_channels_last(g) or (g.ndim == 2 and g.flags.c_contiguous)):
        return reference.channel_sums(g)
    c = g.shape[1]
    count = g.size // c
    parts = max(1, min(threads.get_num_threads(), count // grain(count, g.size)))
    sums = np.zeros((parts, c))
    sum_rows.run((address(g), address(sums), c, count, parts), parts)
    return (sums[0] if parts == 1 else sums.sum(0)).astype(g.dtype)


def relu(x: Array) -> Array:
    """See `reference`."""
    if x.size < SMALL or not ours(x) or not dense(x):
        return reference.relu(x)
    y = np.empty_like(x)
    clip.run((address(x), address(y)), x.size, grain(x.size, x.size))
    return y


def relu_input(g: Array, y: Array) -> Array:
    """See `reference`."""
    if g.size < SMALL or not ours(g, y) or g.shape != y.shape or not dense(y):
        return reference.relu_input(g, y)
    g, dx = like(y, g), np.empty_like(y)
    mask.run((address(g), address(y), address(dx)), g.size, grain(g.size, g.size))
    return dx


def bias_relu_max_pool2x2(x: Array, bias: Array) -> tuple[Array, Array]:
    """See `reference`."""
    fits = x.ndim == 4 and min(x.shape[2:]) >= 2 and bias.shape == x.shape[1:2]
    if not fits or not ours(x, bias) or not is_channels_last(x):
        return reference.bias_relu_max_pool2x2(x, bias)
    n, c, height, width = x.shape
    shape = (n, c, height // 2, width // 2)
    y, indices = empty_channels_last(shape, x.dtype), empty_channels_last(shape, np.int32)
    b = np.ascontiguousarray(bias)
    entries = (address(x), address(b), address(y), address(indices), c, height, width)
    bias_relu_pool.run(entries, n * shape[2], grain(n * shape[2], x.size))
    return y, indices


@Task
def add_rows(table, first, last):
    """(x, y, bias, C, clipped): pixels of channels-last x, at least 0 where it is clipped. The bias is repeated to a
    longer run, so that the inner loop is long even with few channels."""
    t = integers(table)
    c = t[3]
    many = max(1, LONG // c)
    run = repeated(t[2], c, many)
    least = np.float32(0) if t[4] else np.float32(-np.inf)
    for p in range(first, last, many):
        count = min(many, last - p) * c
        row, out = view(t[0] + 4 * p * c, count), view(t[1] + 4 * p * c, count)
        for k in range(count):
            v = row[k] + run[k]
            out[k] = least if v <= least else v


@njit(nogil=True, cache=True)
def repeated(address, c, many):
    """The c numbers at an address, `many` times over."""
    once, run = view(address, c), np.empty(many * c, np.float32)
    for i in range(many):
        run[i * c : (i + 1) * c] = once
    return run


@Task
def sum_rows(table, first, last):
    """(g, sums (parts, C), C, rows, parts): parts of the rows of g (rows, C); several rows are added as one."""
    t = integers(table)
    c, rows, parts = t[2], t[3], t[4]
    zero = np.float32(0)
    many = max(1, LONG // 4 // c)
    width = many * c
    run = np.zeros(width, np.float32)
    for part in range(first, last):
        sums = view_doubles(t[1] + 8 * part * c, c)
        low, high = rows * part // parts, rows * (part + 1) // parts
        for start in range(low, high, RUN * many):
            stop = min(start + RUN * many, high)
            fours = start + (stop - start) // (4 * many) * (4 * many)
            for p in range(start, fours, 4 * many):
                at = t[0] + 4 * p * c
                r0, r1 = view(at, width), view(at + 4 * width, width)
                r2, r3 = view(at + 8 * width, width), view(at + 12 * width, width)
                for k in range(width):
                    run[k] += (r0[k] + r1[k]) + (r2[k] + r3[k])
            for p in range(fours, stop):
                row = view(t[0] + 4 * p * c, c)
                for k in range(c):
                    run[k] += row[k]
            for i in range(many):
                for k in range(c):
                    sums[k] += run[i * c + k]
            run[:] = zero


@Task
def sum_planes(table, first, last):
    """(g, sums (parts, C), C, pixels, N, parts): parts of the images of g (N, C, pixels); a plane is summed in 64
    columns."""
    t = integers(table)
    c, pixels, images, parts = t[2], t[3], t[4], t[5]
    step = 4 * VECTOR_BYTES
    lanes = np.empty(LANES, np.float32)
    zero = splat(np.float32(0))
    for part in range(first, last):
        sums = view_doubles(t[1] + 8 * part * c, c)
        for n in range(images * part // parts, images * (part + 1) // parts):
            for k in range(c):
                start = t[0] + (n * c + k) * pixels * 4
                end = start + pixels * 4
                s0 = s1 = s2 = s3 = zero
                at = start
                while at + step <= end:
                    s0 = s0 + load(at)
                    s1 = s1 + load(at + VECTOR_BYTES)
                    s2 = s2 + load(at + 2 * VECTOR_BYTES)
                    s3 = s3 + load(at + 3 * VECTOR_BYTES)
                    at += step
                store(lanes.ctypes.data, (s0 + s1) + (s2 + s3))
                total = 0.0
                for i in range(LANES):
                    total += lanes[i]
                while at < end:
                    total += load_float(at)
                    at += 4
                sums[k] += total


@Task
def clip(table, first, last):
    """(x, y)."""
    t = integers(table)
    x, y = view(t[0] + 4 * first, last - first), view(t[1] + 4 * first, last - first)
    zero = np.float32(0)
    for i in range(last - first):
        y[i] = zero if x[i] <= zero else x[i]


@Task
def mask(table, first, last):
    """(g, y, dx)."""
    t = integers(table)
    count = last - first
    g, y, dx = view(t[0] + 4 * first, count), view(t[1] + 4 * first, count), view(t[2] + 4 * first, count)
    zero = np.float32(0)
    for i in range(count):
        dx[i] = zero if y[i] <= zero else g[i]


@Task
def bias_relu_pool(table, first, last):
    """(x, bias, y, indices, C, H, W): rows of windows. The four sums, clipped at zero, then the first
    largest: exactly what the three ops choose one after another."""
    t = integers(table)
    c, height, width = t[4], t[5], t[6]
    bias = view(t[1], c)
    high, wide = height // 2, width // 2
    zero = np.float32(0)
    for i in range(first, last):
        for j in range(wide):
            place = 2 * (i % high) * width + 2 * j
            base = t[0] + 4 * (i // high * height * width + place) * c
            out = (i * wide + j) * c * 4
            p, q = view(base, c), view(base + 4 * c, c)
            r, s = view(base + 4 * width * c, c), view(base + 4 * (width + 1) * c, c)
            target, at = view(t[2] + out, c), view_integers(t[3] + out, c)
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
