"""Cross-correlation and its two transposes, by lowering (im2col) in blocks that fit the cache.

    y[n, o, i, j] = sum over c, u, v of  x[n, c, i*S + u*D - P, j*S + v*D - P] * w[o, c, u, v]

A block of a few images is lowered to a matrix with one row per window and one matrix product does the sum.
Results are channels-last in memory (see `layout`). Arrays go back to `ops.conv` through `kernels`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..geometry import Ints, Pairs, correlate_shape, transposed_padding, volume
from ..layout import Array, accumulator, empty_channels_last, rows, zeros_channels_last

ALL = slice(None)
BLOCK_BYTES = 1 << 20  # a lowered block of this size stays in the second-level cache of most machines


def correlate(x: Array, w: Array, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """See `kernels.correlate`."""
    shape = correlate_shape(
        x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    dtype = np.result_type(x, w)
    acc = accumulator(dtype)
    x, w = x.astype(acc, copy=False), w.astype(acc, copy=False)
    y = empty_channels_last(shape, acc)
    out = shape[2:]
    y_rows = np.moveaxis(y, 1, -1)
    c, o = w.shape[1], w.shape[0] // groups
    if c == 1 and groups > 1:
        _depthwise(x, w, y_rows, stride=stride, padding=padding, dilation=dilation)
        return y.astype(dtype, copy=False)
    flat = _kernel_rows(w)  # (O, prod(k) * C/groups)
    pixels, k = volume(out), w.shape[2:]
    for s in _blocks(shape[0], pixels * volume(k) * c * groups * acc.itemsize):
        n = s.stop - s.start
        padded = _pad(x[s], padding)
        windows = _windows(padded, k, out, stride, dilation)
        for g in range(groups):
            lowered = _lower(windows[..., g * c : (g + 1) * c], n * pixels)
            target = y_rows[s].reshape(n * pixels, -1)[:, g * o : (g + 1) * o]
            np.matmul(lowered, flat[g * o : (g + 1) * o].T, out=target)
    return y.astype(dtype, copy=False)


def correlate_input(
    g: Array, w: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """See `kernels.correlate_input`. At stride 1 this is a correlation of g with the mirrored kernel."""
    check_upstream("correlate_input", g.shape, shape, w.shape, stride, padding, dilation, groups)
    k = w.shape[2:]
    if all(s == 1 for s in stride):
        pads = transposed_padding(shape[2:], k, stride=stride, padding=padding, dilation=dilation)
        return correlate(g, mirror(w, groups), stride=stride, padding=pads, dilation=dilation, groups=groups)
    dtype = np.result_type(g, w)
    acc = accumulator(dtype)
    g, w = g.astype(acc, copy=False), w.astype(acc, copy=False)
    dx = zeros_channels_last(shape, acc)
    dx_rows = np.moveaxis(dx, 1, -1)
    out, c, o = g.shape[2:], w.shape[1], w.shape[0] // groups
    pixels = volume(out)
    flat = _kernel_rows(w)
    for s in _blocks(shape[0], pixels * volume(k) * c * groups * acc.itemsize):
        n = s.stop - s.start
        upstream = rows(g[s]).reshape(n * pixels, -1)
        for i in range(groups):
            lowered = upstream[:, i * o : (i + 1) * o] @ flat[i * o : (i + 1) * o]
            lowered = lowered.reshape(n, *out, *k, c)
            target = dx_rows[s][..., i * c : (i + 1) * c]
            for offset in _offsets(k):
                here, there = _overlap(offset, shape[2:], out, stride, padding, dilation)
                target[_at(ALL, *here)] += lowered[_at(ALL, *there, *offset)]
    return dx.astype(dtype, copy=False)


def correlate_weight(
    g: Array, x: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """See `kernels.correlate_weight`."""
    check_upstream("correlate_weight", g.shape, x.shape, shape, stride, padding, dilation, groups)
    dtype = np.result_type(g, x)
    acc = accumulator(dtype)
    g, x = g.astype(acc, copy=False), x.astype(acc, copy=False)
    out, k = g.shape[2:], shape[2:]
    c, o = shape[1], shape[0] // groups
    pixels = volume(out)
    dw = np.zeros((shape[0], volume(k) * c), acc)
    for s in _blocks(x.shape[0], pixels * volume(k) * c * groups * acc.itemsize, most=8):
        n = s.stop - s.start
        padded = _pad(x[s], padding)
        upstream = rows(g[s]).reshape(n * pixels, -1)
        if c == 1 and groups > 1:
            _depthwise_weight(padded, upstream.reshape(n, *out, -1), dw, k, stride, dilation, o)
            continue
        windows = _windows(padded, k, out, stride, dilation)
        for i in range(groups):
            lowered = _lower(windows[..., i * c : (i + 1) * c], n * pixels)
            dw[i * o : (i + 1) * o] += upstream[:, i * o : (i + 1) * o].T @ lowered
    dw = np.moveaxis(dw.reshape(shape[0], *k, c), -1, 1)
    return np.ascontiguousarray(dw, dtype)


def unfold(x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Array:
    """See `kernels.unfold`."""
    out = correlate_shape(
        x.shape, (1, x.shape[1], *kernel), stride=stride, padding=padding, dilation=dilation, groups=1
    )[2:]
    d = len(kernel)
    windows = _windows(_pad(x, padding), kernel, out, stride, dilation)  # (N, *out, *k, C)
    order = (0, 1 + 2 * d, *range(1 + d, 1 + 2 * d), *range(1, 1 + d))
    return np.ascontiguousarray(windows.transpose(order)).reshape(
        x.shape[0], x.shape[1] * volume(kernel), volume(out)
    )


def fold(cols: Array, *, shape: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Array:
    """See `kernels.fold`."""
    out = correlate_shape(
        shape, (1, shape[1], *kernel), stride=stride, padding=padding, dilation=dilation, groups=1
    )[2:]
    expected = (shape[0], shape[1] * volume(kernel), volume(out))
    if cols.shape != expected:
        raise ValueError(
            f"fold expected columns {expected} (N, C*prod(kernel), windows) for {shape}, got {cols.shape}"
        )
    cols = cols.reshape(*shape[:2], *kernel, *out)
    x = np.zeros(shape, accumulator(cols.dtype))
    for offset in _offsets(kernel):
        here, there = _overlap(offset, shape[2:], out, stride, padding, dilation)
        x[_at(ALL, ALL, *here)] += cols[_at(ALL, ALL, *offset, *there)]
    return x.astype(cols.dtype, copy=False)


def mirror(w: Array, groups: int) -> Array:
    """w (O, C/groups, *k) as the weight (C, O/groups, *k) of the transposed correlation: turned around, in
    and out swapped inside each group."""
    o, c, *k = w.shape
    flipped = w[_at(ALL, ALL, *(slice(None, None, -1),) * len(k))]
    return flipped.reshape(groups, o // groups, c, *k).swapaxes(1, 2).reshape(groups * c, o // groups, *k)


def check_upstream(
    name: str, g: Ints, x: Ints, w: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> None:
    """Raises ValueError where g is not the shape of the output."""
    expected = correlate_shape(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)
    if g != expected:
        raise ValueError(
            f"{name} expected an upstream gradient of shape {expected} "
            f"(input {tuple(x)}, weight {tuple(w)}), got {g}"
        )


def _blocks(n: int, bytes_each: int, most: int = 1) -> Iterator[slice]:
    """Slices over n images, each lowering to about BLOCK_BYTES (`most` times that where a block costs a
    whole dw)."""
    step = max(1, most * BLOCK_BYTES // max(1, bytes_each))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


def _pad(x: Array, padding: Pairs) -> Array:
    """x (n, C, *spatial) as a contiguous (n, *padded, C); negative padding cuts."""
    if not any(lo or hi for lo, hi in padding):
        return rows(x)
    padded = np.zeros(
        (x.shape[0], *(n + lo + hi for n, (lo, hi) in zip(x.shape[2:], padding, strict=True)), x.shape[1]),
        x.dtype,
    )
    source, target = [], []
    for n, (lo, hi) in zip(x.shape[2:], padding, strict=True):
        source.append(slice(max(0, -lo), n - max(0, -hi)))
        target.append(slice(max(0, lo), n + lo - max(0, -hi)))
    padded[_at(ALL, *target)] = np.moveaxis(x, 1, -1)[_at(ALL, *source)]
    return padded


def _windows(padded: Array, k: Ints, out: Ints, stride: Ints, dilation: Ints) -> Array:
    """A view (n, *out, *k, C) of all windows of padded (n, *padded, C)."""
    s = padded.strides
    d = len(k)
    steps = tuple(s[1 + i] * stride[i] for i in range(d)) + tuple(s[1 + i] * dilation[i] for i in range(d))
    shape = (padded.shape[0], *out, *k, padded.shape[-1])
    return as_strided(padded, shape, (s[0], *steps, s[-1]), writeable=False)


def _lower(windows: Array, count: int) -> Array:
    """Windows (n, *out, *k, c) as a matrix (n * prod(out), prod(k) * c), whichever copy has the longer
    runs."""
    d = (windows.ndim - 2) // 2
    if windows.shape[-1] * windows.shape[-2] >= 24:
        return windows.reshape(count, -1)
    # Few channels: copy plane by plane, so that runs go along the output's last axis, and hand BLAS the
    # transpose.
    order = (*range(1 + d, windows.ndim), *range(1 + d))
    return np.ascontiguousarray(windows.transpose(order)).reshape(-1, count).T


def _kernel_rows(w: Array) -> Array:
    """w (O, c, *k) as (O, prod(k) * c): the order of a lowered row."""
    return np.ascontiguousarray(np.moveaxis(w, 1, -1)).reshape(w.shape[0], -1)


def _offsets(kernel: Ints) -> Iterator[Any]:
    """Every position (u, v, ...) inside a kernel."""
    return product(*map(range, kernel))


def _at(*parts: Any) -> Any:
    """An index of as many axes as there are parts."""
    return parts


def _overlap(
    offset: Ints, size: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> tuple[list[slice], list[slice]]:
    """Where one kernel offset touches the input, and the windows it does so for; what falls in the padding
    is left out."""
    here, there = [], []
    for u, n, m, s, (lo, _), dil in zip(offset, size, out, stride, padding, dilation, strict=True):
        shift = u * dil - lo  # window i reads input i * s + shift
        first = max(0, -(shift // s)) if shift < 0 else 0
        last = min(m, (n - 1 - shift) // s + 1) if n - 1 - shift >= 0 else 0
        last = max(first, last)
        there.append(slice(first, last))
        here.append(slice(first * s + shift, (last - 1) * s + shift + 1, s) if last > first else slice(0, 0))
    return here, there


def _depthwise(x: Array, w: Array, y: Array, *, stride: Ints, padding: Pairs, dilation: Ints) -> None:
    """One input channel per group: a product per kernel offset, summed; y (N, *out, O) is written in
    place."""
    out = y.shape[1:-1]
    times = w.shape[0] // x.shape[1]
    for s in _blocks(x.shape[0], 4 * volume(y.shape[1:]) * y.itemsize):
        windows = _windows(_pad(x[s], padding), w.shape[2:], out, stride, dilation)
        total, scratch = y[s], np.empty_like(y[s])
        for i, offset in enumerate(_offsets(w.shape[2:])):
            pixels = windows[_at(ALL, *(ALL,) * len(out), *offset)]
            if times > 1:
                pixels = np.repeat(pixels, times, axis=-1)
            np.multiply(pixels, w[_at(ALL, 0, *offset)], out=scratch if i else total)
            if i:
                total += scratch


def _depthwise_weight(
    padded: Array, g: Array, dw: Array, k: Ints, stride: Ints, dilation: Ints, times: int
) -> None:
    """Adds one block's weight gradient to dw (O, prod(k)) for one input channel per group."""
    windows = _windows(padded, k, g.shape[1:-1], stride, dilation)
    for i, offset in enumerate(_offsets(k)):
        pixels = windows[_at(ALL, *(ALL,) * len(k), *offset)]
        if times > 1:
            pixels = np.repeat(pixels, times, axis=-1)
        dw[:, i] += np.einsum("pc,pc->c", pixels.reshape(-1, g.shape[-1]), g.reshape(-1, g.shape[-1]))
