"""Pooling in Numba over two spatial dimensions: planes where they are contiguous, runs of channels where
those are last.

Other dimensions, layouts and dtypes keep their reference. Called through `kernels`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from ..geometry import Ints, Pairs, pool_shape, volume
from ..layout import Array, empty_channels_last, is_channels_last
from ..reference import pool as reference
from ..reference.pool import NOWHERE, check_fit, check_indices, divisor
from .arrays import grain, like, ours, view, view_integers
from .native import Task, address
from .vector import LANES, integers


def max_pool(
    x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, ceil_mode: bool
) -> tuple[Array, Array]:
    """See `reference`."""
    shape = pool_shape(
        x.shape, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    if not ours(x) or x.ndim != 4:
        return reference.max_pool(
            x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
        )
    n, c, height, width = x.shape
    size = (height, width, *shape[2:])
    low = (padding[0][0], padding[1][0])
    if c > 1 and is_channels_last(x):
        y, indices = empty_channels_last(shape, x.dtype), empty_channels_last(shape, np.int32)
        entries = (address(x), address(y), address(indices), c, *size, *stride, *dilation, *low, *kernel)
        plain = (*stride, *dilation, *low, *kernel) == (2, 2, 1, 1, 0, 0, 2, 2) and not ceil_mode
        (max_rows_2x2 if plain else max_rows).run(entries, n * shape[2], grain(n * shape[2], x.size))
        return y, indices
    x = np.ascontiguousarray(x)
    y, indices = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    entries = (address(x), address(y), address(indices), c, *size, *stride, *dilation, *low, *kernel)
    max_planes.run(entries, n * c, grain(n * c, 4 * x.size))
    return y, indices


def take_windows(x: Array, indices: Array) -> Array:
    """See `reference`."""
    if not ours(x) or x.ndim < 3 or indices.dtype != np.int32:
        return reference.take_windows(x, indices)
    check_fit("take_windows", x.shape, indices.shape)
    n, c = x.shape[:2]
    plane, count = volume(x.shape[2:]), volume(indices.shape[2:])
    if is_channels_last(x) and is_channels_last(indices):
        y = empty_channels_last(indices.shape, x.dtype)
    else:
        x, indices = np.ascontiguousarray(x), np.ascontiguousarray(indices)
        y, n, c = np.empty(indices.shape, x.dtype), n * c, 1
    wrong = np.zeros(1, np.int64)
    entries = (address(x), address(y), address(indices), c, plane, count, address(wrong))
    take.run(entries, n, grain(n, 4 * indices.size))
    if wrong[0]:
        check_indices(indices, plane)
    return y


def scatter_windows(g: Array, indices: Array, *, shape: Ints) -> Array:
    """See `reference`."""
    if not ours(g) or g.ndim < 3 or indices.dtype != np.int32 or volume(shape) == 0:
        return reference.scatter_windows(g, indices, shape=shape)
    check_fit("scatter_windows", shape, indices.shape, g.shape)
    n, c = shape[:2]
    plane, count = volume(shape[2:]), volume(g.shape[2:])
    if is_channels_last(indices):
        dx, g = empty_channels_last(tuple(shape), g.dtype), like(indices.view(np.float32), g)
        # Windows of 2x2 at stride 2 are likely where the sizes are halved; the pass says if it met any other.
        if len(shape) == 4 and c > 1 and (shape[2] // 2, shape[3] // 2) == g.shape[2:]:
            others = np.zeros(1, np.int64)
            entries = (address(g), address(dx), address(indices), c, shape[2], shape[3], address(others))
            scatter_2x2.run(entries, n, grain(n, dx.size))
            if not others[0]:
                return dx
    else:
        g, indices = np.ascontiguousarray(g), np.ascontiguousarray(indices)
        dx, n, c = np.empty(shape, g.dtype), n * c, 1
    wrong = np.zeros(1, np.int64)
    entries = (address(g), address(dx), address(indices), c, plane, count, address(wrong))
    scatter.run(entries, n, grain(n, 2 * dx.size))
    if wrong[0]:
        check_indices(indices, plane)
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
    """See `reference`."""
    pairs = tuple((p, p) for p in padding)
    shape = pool_shape(x.shape, kernel, stride=stride, padding=pairs, ceil_mode=ceil_mode)
    if not ours(x) or x.ndim != 4 or not is_channels_last(x):
        return reference.avg_pool(
            x, kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad, divisor_override=divisor_override,
        )  # fmt: skip
    share = _share(x.shape, shape, kernel, stride, padding, count_include_pad, divisor_override)
    y = empty_channels_last(shape, x.dtype)
    size = (*x.shape[1:], *shape[2:])
    entries = (address(x), address(y), address(share), *size, *stride, *padding, *kernel)
    average.run(entries, len(x) * shape[2], grain(len(x) * shape[2], x.size))
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
    """See `reference`."""
    pairs = tuple((p, p) for p in padding)
    expected = pool_shape(shape, kernel, stride=stride, padding=pairs, ceil_mode=ceil_mode)
    if not ours(g) or g.ndim != 4 or not is_channels_last(g) or g.shape != expected:
        return reference.avg_pool_input(
            g, shape=shape, kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode,
            count_include_pad=count_include_pad, divisor_override=divisor_override,
        )  # fmt: skip
    share = _share(shape, g.shape, kernel, stride, padding, count_include_pad, divisor_override)
    dx = empty_channels_last(tuple(shape), g.dtype)
    entries = (address(g), address(dx), address(share), *shape[1:], *g.shape[2:], *stride, *padding, *kernel)
    spread.run(entries, len(g), grain(len(g), dx.size))
    return dx


def _share(
    x: Ints, out: Ints, kernel: Ints, stride: Ints, padding: Ints, include: bool, override: int | None
) -> Array:
    """1 / divisor of each window."""
    counts = divisor(x[2:], out[2:], kernel, stride, padding, include, override)
    return np.ascontiguousarray(np.broadcast_to(1 / counts, out[2:]), np.float32)


# Tasks. Channels-last: one unit is a row of windows, or an image where windows may overlap; planes are images of one
# channel. Tables are (arrays, C, H, W, out H, out W, stride, dilation, low padding, kernel) unless they say otherwise.


@Task
def max_rows_2x2(table, first, last):
    """Windows of 2x2 at stride 2: four neighbours at once, selected without a branch."""
    t = integers(table)
    c, height, width, high, wide = t[3], t[4], t[5], t[6], t[7]
    for i in range(first, last):
        for j in range(wide):
            place = 2 * (i % high) * width + 2 * j
            base = t[0] + 4 * (i // high * height * width + place) * c
            out = (i * wide + j) * c * 4
            p, q = view(base, c), view(base + 4 * c, c)
            r, s = view(base + 4 * width * c, c), view(base + 4 * (width + 1) * c, c)
            target, at = view(t[1] + out, c), view_integers(t[2] + out, c)
            for k in range(c):
                best, where = p[k], np.int32(place)
                v = q[k]
                take = (v > best) | (v != v)
                best, where = (v if take else best), (np.int32(place + 1) if take else where)
                v = r[k]
                take = (v > best) | (v != v)
                best, where = (v if take else best), (np.int32(place + width) if take else where)
                v = s[k]
                take = (v > best) | (v != v)
                target[k] = v if take else best
                at[k] = np.int32(place + width + 1) if take else where


@Task
def max_rows(table, first, last):
    t = integers(table)
    c, height, width, high, wide = t[3], t[4], t[5], t[6], t[7]
    for i in range(first, last):
        n, top = i // high, i % high * t[8] - t[12]
        for j in range(wide):
            out = (i * wide + j) * c * 4
            target, at = view(t[1] + out, c), view_integers(t[2] + out, c)
            left = j * t[9] - t[13]
            fresh = True
            for u in range(t[14]):
                h = top + u * t[10]
                if not 0 <= h < height:
                    continue
                for v in range(t[15]):
                    w = left + v * t[11]
                    if not 0 <= w < width:
                        continue
                    place = np.int32(h * width + w)
                    source = view(t[0] + 4 * (n * height * width + place) * c, c)
                    if fresh:
                        for k in range(c):
                            target[k] = source[k]
                            at[k] = place
                        fresh = False
                        continue
                    for k in range(c):
                        value, best = source[k], target[k]
                        take = (value > best) | (value != value)
                        target[k] = value if take else best
                        at[k] = place if take else at[k]
            if fresh:
                target[:] = np.float32(-np.inf)
                at[:] = np.int32(NOWHERE)


@Task
def max_planes(table, first, last):
    t = integers(table)
    height, width, high, wide = t[4], t[5], t[6], t[7]
    for n in range(first, last):
        x = view(t[0] + 4 * n * height * width, height * width)
        y = view(t[1] + 4 * n * high * wide, high * wide)
        indices = view_integers(t[2] + 4 * n * high * wide, high * wide)
        for i in range(high):
            for j in range(wide):
                best, where, fresh = np.float32(-np.inf), NOWHERE, True
                for u in range(t[14]):
                    h = i * t[8] - t[12] + u * t[10]
                    if not 0 <= h < height:
                        continue
                    for v in range(t[15]):
                        w = j * t[9] - t[13] + v * t[11]
                        if 0 <= w < width:
                            value = x[h * width + w]
                            if fresh or value > best or value != value:
                                best, where, fresh = value, h * width + w, False
                y[i * wide + j] = best
                indices[i * wide + j] = where


@Task
def take(table, first, last):
    """(x, y, indices, C, pixels of x, windows, wrong): images. A window without a choice gives 0; `wrong` is set
    where an index lies outside the image."""
    t = integers(table)
    c, plane, count = t[3], t[4], t[5]
    zero = np.float32(0)
    outside = False
    for n in range(first, last):
        x, y = view(t[0] + 4 * n * plane * c, plane * c), view(t[1] + 4 * n * count * c, count * c)
        indices = view_integers(t[2] + 4 * n * count * c, count * c)
        for p in range(count):
            for k in range(c):
                at = indices[p * c + k]
                inside = 0 <= at < plane
                y[p * c + k] = x[at * c + k] if inside else zero
                outside |= not inside and at != NOWHERE
    if outside:
        integers(t[6])[0] = 1


@Task
def scatter(table, first, last):
    """(g, dx, indices, C, pixels of dx, windows, wrong): images, each zeroed just before it is written. A window
    without a choice adds nothing; `wrong` is set where an index lies outside the image."""
    t = integers(table)
    c, plane, count = t[3], t[4], t[5]
    outside = False
    for n in range(first, last):
        g, dx = view(t[0] + 4 * n * count * c, count * c), view(t[1] + 4 * n * plane * c, plane * c)
        indices = view_integers(t[2] + 4 * n * count * c, count * c)
        for i in range(plane * c):
            dx[i] = np.float32(0)
        for p in range(count):
            for k in range(c):
                at = indices[p * c + k]
                if 0 <= at < plane:
                    dx[at * c + k] += g[p * c + k]
                else:
                    outside |= at != NOWHERE
    if outside:
        integers(t[6])[0] = 1


@Task
def scatter_2x2(table, first, last):
    """(g, dx, indices, C, H, W, others): images. Writes all four positions of every window instead of zeroing first;
    sets `others` if an index was none of the four."""
    t = integers(table)
    c, height, width = t[3], t[4], t[5]
    high, wide = height // 2, width // 2
    zero = np.float32(0)
    other = np.int32(0)
    for n in range(first, last):
        image = view(t[1] + 4 * n * height * width * c, height * width * c)
        if height % 2:
            image[(height - 1) * width * c :] = zero
        for i in range(high):
            if width % 2:
                for row in (2 * i, 2 * i + 1):
                    image[((row + 1) * width - 1) * c : (row + 1) * width * c] = zero
            for j in range(wide):
                place = 2 * i * width + 2 * j
                base, below = place * c, (place + width) * c
                at = ((n * high + i) * wide + j) * c * 4
                up, where = view(t[0] + at, c), view_integers(t[2] + at, c)
                if c < LANES:
                    # Too short a loop for vectors. Which of the four it is cannot be foreseen: masks, no branches.
                    bits = view_integers(t[0] + at, c)
                    whole = view_integers(t[1] + 4 * n * height * width * c, height * width * c)
                    for k in range(c):
                        v, d = bits[k], where[k] - np.int32(place)
                        a, b, e, f = int(d == 0), int(d == 1), int(d == width), int(d == width + 1)
                        whole[base + k] = v & -a
                        whole[base + c + k] = v & -b
                        whole[below + k] = v & -e
                        whole[below + c + k] = v & -f
                        other |= np.int32(1 - (a | b | e | f))
                    continue
                p, q = image[base : base + c], image[base + c : base + 2 * c]
                r, s = image[below : below + c], image[below + c : below + 2 * c]
                for k in range(c):
                    v, d = up[k], where[k] - np.int32(place)
                    a, b, e, f = d == 0, d == 1, d == width, d == width + 1
                    p[k] = v if a else zero
                    q[k] = v if b else zero
                    r[k] = v if e else zero
                    s[k] = v if f else zero
                    other |= np.int32(0) if a | b | e | f else np.int32(1)
    if other:
        integers(t[6])[0] = 1


@Task
def average(table, first, last):
    """(x, y, share, C, H, W, out H, out W, stride, padding, kernel): rows of windows."""
    t = integers(table)
    c, height, width, high, wide = t[3], t[4], t[5], t[6], t[7]
    share = view(t[2], high * wide)
    for i in range(first, last):
        n, top = i // high, i % high * t[8] - t[10]
        for j in range(wide):
            target = view(t[1] + (i * wide + j) * c * 4, c)
            left = j * t[9] - t[11]
            for k in range(c):
                target[k] = np.float32(0)
            for h in range(max(0, top), min(height, top + t[12])):
                for w in range(max(0, left), min(width, left + t[13])):
                    source = view(t[0] + 4 * ((n * height + h) * width + w) * c, c)
                    for k in range(c):
                        target[k] += source[k]
            part = share[i % high * wide + j]
            for k in range(c):
                target[k] *= part


@Task
def spread(table, first, last):
    """The transpose of `average`, image by image: (g, dx, share, C, H, W, out H, out W, stride, padding, kernel)."""
    t = integers(table)
    c, height, width, high, wide = t[3], t[4], t[5], t[6], t[7]
    share = view(t[2], high * wide)
    for n in range(first, last):
        dx = view(t[1] + 4 * n * height * width * c, height * width * c)
        for i in range(height * width * c):
            dx[i] = np.float32(0)
        for i in range(high):
            for j in range(wide):
                source, part = view(t[0] + ((n * high + i) * wide + j) * c * 4, c), share[i * wide + j]
                top, left = i * t[8] - t[10], j * t[9] - t[11]
                for h in range(max(0, top), min(height, top + t[12])):
                    for w in range(max(0, left), min(width, left + t[13])):
                        target = view(t[1] + 4 * ((n * height + h) * width + w) * c, c)
                        for k in range(c):
                            target[k] += source[k] * part
