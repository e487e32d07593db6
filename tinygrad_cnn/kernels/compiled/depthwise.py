"""One input channel per group, float32: vectors run along the channels, and nothing is a matrix product.

    y[n, c, i, j] = sum over u, v of x[n, c, i*S + u*D - P, j*S + v*D - P] * w[c, u, v]

Nothing is padded: each row knows which of the kernel's rows touch the image. Called by `conv`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from .. import threads
from ..geometry import Ints, Pairs
from ..layout import Array, channels_to_last
from . import depthwise3x3
from .jit import njit
from .native import Task, address
from .tiles import FLOAT, VECTOR_BYTES
from .vector import LANES, fma, integers, load, splat, store


def correlate(x: Array, w: Array, y: Array, *, stride: Ints, padding: Pairs, dilation: Ints) -> None:
    """Writes channels-last y."""
    if x.shape[1] % LANES:
        wide = _wide(np.empty((0, *y.shape[1:]), np.float32), y.shape[0])
        correlate(_wide(x), _wide(w, axis=0), wide, stride=stride, padding=padding, dilation=dilation)
        y[...] = wide[:, : y.shape[1]]
        return
    rows, packed = _rows(x), _packed(w)
    entries = _sizes(x, y, w.shape, stride, padding, dilation)
    forward_images.run((*entries, address(rows), address(packed), address(y)), x.shape[0], _grain(y))


def correlate_input(g: Array, w: Array, dx: Array, *, stride: Ints, padding: Pairs, dilation: Ints) -> None:
    """Writes channels-last dx: at stride 1 a correlation with the mirrored kernel, else a scatter per image."""
    if tuple(stride) == (1, 1):
        reach = [dilation[i] * (w.shape[2 + i] - 1) for i in (0, 1)]
        pads = tuple((reach[i] - padding[i][0], reach[i] - padding[i][1]) for i in (0, 1))
        correlate(g, w[:, :, ::-1, ::-1], dx, stride=stride, padding=pads, dilation=dilation)
        return
    if g.shape[1] % LANES:
        wide = _wide(np.empty((0, *dx.shape[1:]), np.float32), dx.shape[0])
        correlate_input(_wide(g), _wide(w, axis=0), wide, stride=stride, padding=padding, dilation=dilation)
        dx[...] = wide[:, : dx.shape[1]]
        return
    rows, packed = _rows(g), _packed(w)
    entries = _sizes(dx, g, w.shape, stride, padding, dilation)
    scatter_images.run((*entries, address(rows), address(packed), address(dx)), g.shape[0], _grain(dx))


def correlate_weight(g: Array, x: Array, dw: Array, *, stride: Ints, padding: Pairs, dilation: Ints) -> None:
    """Writes dw (C, 1, *k)."""
    if x.shape[1] % LANES:
        wide = np.empty((-(-x.shape[1] // LANES) * LANES, *dw.shape[1:]), np.float32)
        correlate_weight(_wide(g), _wide(x), wide, stride=stride, padding=padding, dilation=dilation)
        dw[...] = wide[: dw.shape[0]]
        return
    upstream, rows = _rows(g), _rows(x)
    parts = min(threads.get_num_threads(), max(1, x.shape[0] // _grain(g)))
    sums = np.zeros((parts, dw.shape[2] * dw.shape[3], x.shape[1]), np.float32)
    entries = _sizes(x, g, dw.shape, stride, padding, dilation)
    weight_parts.run((*entries, address(rows), address(upstream), address(sums), x.shape[0], parts), parts)
    dw[...] = sums.sum(0).T.reshape(dw.shape)


def _sizes(x: Array, y: Array, w: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> tuple[int, ...]:
    """Entries 0 to 12 of the tables below."""
    return (*x.shape[1:], *y.shape[2:], *w[2:], *stride, *dilation, padding[0][0], padding[1][0])


def _grain(y: Array) -> int:
    """Images that are worth a thread of their own."""
    return max(1, 300_000 // max(1, y.size // y.shape[0]))


def _wide(a: Array, n: int | None = None, axis: int = 1) -> Array:
    """a with its channels padded by zeros to whole vectors, channels-last."""
    if axis == 0:
        return np.pad(a, ((0, -a.shape[0] % LANES), (0, 0), (0, 0), (0, 0)))
    wide = np.zeros(
        (a.shape[0] if n is None else n, *a.shape[2:], -(-a.shape[1] // LANES) * LANES), np.float32
    )
    if n is None:
        wide[..., : a.shape[1]] = np.moveaxis(a, 1, -1)
    return np.moveaxis(wide, -1, 1)


def _rows(x: Array) -> Array:
    return np.ascontiguousarray(channels_to_last(x))


def _packed(w: Array) -> Array:
    """(taps, C)."""
    return np.ascontiguousarray(w.reshape(w.shape[0], -1).T)


@njit(nogil=True, cache=True)
def reach(out, size, low, stride, shift):
    """The windows [first, last) for which a tap `shift` from the window's start lies inside the image."""
    first = (low - shift + stride - 1) // stride if low > shift else 0
    last = (size - 1 + low - shift) // stride + 1
    return min(max(0, first), out), max(min(max(0, first), out), min(out, last))


@njit(nogil=True, cache=True)
def forward(
    first, last, channels, height, width, out_height, out_width, k_h, k_w, s_h, s_w, d_h, d_w, low_h, low_w, source,
    packed, target,
):  # fmt: skip
    """Eight pixels at a time share each load of the weights; pixels whose window leaves the image go one by one."""
    pixel = channels * FLOAT
    step = s_w * pixel
    zero = splat(np.float32(0))
    inner, _ = reach(out_width, width, low_w, s_w, 0)
    _, outer = reach(out_width, width, low_w, s_w, (k_w - 1) * d_w)
    for n in range(first, last):
        for i in range(out_height):
            top = i * s_h - low_h
            line = source + n * height * width * pixel + top * width * pixel - low_w * pixel
            out = target + (n * out_height + i) * out_width * pixel
            j = 0
            while j < out_width:
                eight = j >= inner and j + 8 <= outer
                for c in range(0, pixel, VECTOR_BYTES):
                    at, here = line + j * step + c, out + j * pixel + c
                    y0 = y1 = y2 = y3 = y4 = y5 = y6 = y7 = zero
                    if eight:
                        for u in range(k_h):
                            if 0 <= top + u * d_h < height:
                                for v in range(k_w):
                                    tap = at + (u * d_h * width + v * d_w) * pixel
                                    weight = load(packed + (u * k_w + v) * pixel + c)
                                    y0 = fma(load(tap), weight, y0)
                                    y1 = fma(load(tap + step), weight, y1)
                                    y2 = fma(load(tap + 2 * step), weight, y2)
                                    y3 = fma(load(tap + 3 * step), weight, y3)
                                    y4 = fma(load(tap + 4 * step), weight, y4)
                                    y5 = fma(load(tap + 5 * step), weight, y5)
                                    y6 = fma(load(tap + 6 * step), weight, y6)
                                    y7 = fma(load(tap + 7 * step), weight, y7)
                        store(here, y0)
                        store(here + pixel, y1)
                        store(here + 2 * pixel, y2)
                        store(here + 3 * pixel, y3)
                        store(here + 4 * pixel, y4)
                        store(here + 5 * pixel, y5)
                        store(here + 6 * pixel, y6)
                        store(here + 7 * pixel, y7)
                        continue
                    for u in range(k_h):
                        if 0 <= top + u * d_h < height:
                            for v in range(k_w):
                                if 0 <= j * s_w - low_w + v * d_w < width:
                                    weight = load(packed + (u * k_w + v) * pixel + c)
                                    y0 = fma(load(at + (u * d_h * width + v * d_w) * pixel), weight, y0)
                    store(here, y0)
                j += 8 if eight else 1


@njit(nogil=True, cache=True)
def scatter(
    first, last, channels, height, width, out_height, out_width, k_h, k_w, s_h, s_w, d_h, d_w, low_h, low_w, source,
    packed, target,
):  # fmt: skip
    """Adds each upstream pixel times the weights to the input gradient, which starts as zeros."""
    pixel = channels * FLOAT
    for n in range(first, last):
        for i in range(out_height):
            for j in range(out_width):
                g = source + ((n * out_height + i) * out_width + j) * pixel
                for u in range(k_h):
                    for v in range(k_w):
                        h, w = i * s_h - low_h + u * d_h, j * s_w - low_w + v * d_w
                        if 0 <= h < height and 0 <= w < width:
                            at = target + ((n * height + h) * width + w) * pixel
                            weight = packed + (u * k_w + v) * pixel
                            for c in range(0, pixel, VECTOR_BYTES):
                                store(at + c, fma(load(g + c), load(weight + c), load(at + c)))


@njit(nogil=True, cache=True)
def weights(
    first, last, channels, height, width, out_height, out_width, k_h, k_w, s_h, s_w, d_h, d_w, low_h, low_w, source,
    upstream, sums,
):  # fmt: skip
    """Adds to sums (taps, channels); four sums per vector, so that none waits for another."""
    pixel = channels * FLOAT
    step = s_w * pixel
    zero = splat(np.float32(0))
    for n in range(first, last):
        for i in range(out_height):
            g = upstream + (n * out_height + i) * out_width * pixel
            for u in range(k_h):
                h = i * s_h - low_h + u * d_h
                if not 0 <= h < height:
                    continue
                for v in range(k_w):
                    left, right = reach(out_width, width, low_w, s_w, v * d_w)
                    line = source + ((n * height + h) * width - low_w + v * d_w) * pixel
                    for c in range(0, pixel, VECTOR_BYTES):
                        at = sums + (u * k_w + v) * pixel + c
                        y0 = load(at)
                        y1 = y2 = y3 = zero
                        j = left
                        while j + 4 <= right:
                            here, there = line + j * step + c, g + j * pixel + c
                            y0 = fma(load(here), load(there), y0)
                            y1 = fma(load(here + step), load(there + pixel), y1)
                            y2 = fma(load(here + 2 * step), load(there + 2 * pixel), y2)
                            y3 = fma(load(here + 3 * step), load(there + 3 * pixel), y3)
                            j += 4
                        while j < right:
                            y0 = fma(load(line + j * step + c), load(g + j * pixel + c), y0)
                            j += 1
                        store(at, (y0 + y1) + (y2 + y3))


# Tasks. Tables: (C, H, W, out H, out W, kernel, stride, dilation, low padding, arrays).


@njit(nogil=True, cache=True)
def slides(t):
    """Whether `depthwise3x3` takes a table: a 3x3 kernel, stride and dilation 1."""
    return t[5] == 3 and t[6] == 3 and t[7] == 1 and t[8] == 1 and t[9] == 1 and t[10] == 1


@Task
def forward_images(table, first, last):
    t = integers(table)
    if slides(t):
        zeros = np.zeros(t[2] * t[0], np.float32)
        depthwise3x3.forward(
            first, last, t[0], t[1], t[2], t[3], t[4], t[11], t[12], t[13], t[14], t[15], zeros.ctypes.data
        )
        zeros[0] = 0  # alive to here: the loops know it by address only
        return
    forward(
        first, last, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13], t[14],
        t[15],
    )  # fmt: skip


@Task
def scatter_images(table, first, last):
    t = integers(table)
    zero = splat(np.float32(0))
    size = t[0] * t[1] * t[2] * FLOAT
    for at in range(first * size, last * size, VECTOR_BYTES):
        store(t[15] + at, zero)
    scatter(
        first, last, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13], t[14],
        t[15],
    )  # fmt: skip


@Task
def weight_parts(table, first, last):
    """Parts of the batch, each with sums of its own: (..., x, g, sums, N, parts)."""
    t = integers(table)
    images, parts = t[16], t[17]
    zeros = np.zeros(t[2] * t[0], np.float32)
    for part in range(first, last):
        low, high = images * part // parts, images * (part + 1) // parts
        own = t[15] + part * t[0] * t[5] * t[6] * FLOAT
        if slides(t):
            depthwise3x3.weights(
                low, high, t[0], t[1], t[2], t[3], t[4], t[11], t[12], t[13], t[14], own, zeros.ctypes.data
            )
            continue
        weights(
            low, high, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13], t[14],
            own,
        )  # fmt: skip
    zeros[0] = 0  # alive to here: the loops know it by address only
