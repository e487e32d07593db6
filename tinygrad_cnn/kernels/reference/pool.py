"""Pooling: the largest value or the average of each window, and the transposes of both.

Loops run over the kernel's offsets, each a strided view of the whole input. Arrays go back to `ops.pool`.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ..geometry import Ints, Pairs, pool_shape, volume
from ..layout import Array, accumulator, is_channels_last


def max_pool(
    x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, ceil_mode: bool
) -> tuple[Array, Array]:
    """See `kernels.max_pool`."""
    shape = pool_shape(
        x.shape, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    size, out = x.shape[2:], shape[2:]
    low = np.array(-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min, x.dtype)
    padded = _pad(x, _full_padding(size, out, kernel, stride, padding, dilation), low)
    pitch = _pitch(size)
    # Where a window begins inside the plane: its index as long as nothing is larger than -inf.
    first = _plane_index(
        [
            _first_inside(m, s, lo, dil)
            for m, s, (lo, _), dil in zip(out, stride, padding, dilation, strict=True)
        ],
        pitch,
    )
    y = np.full_like(x, low, shape=shape)
    indices = np.empty_like(y, np.int32)
    indices[...] = first
    for offset in product(*map(range, kernel)):
        at = [
            slice(u * dil, u * dil + (m - 1) * s + 1, s)
            for u, dil, m, s in zip(offset, dilation, out, stride, strict=True)
        ]
        values = padded[(slice(None), slice(None), *at)]
        better = values > y
        if x.dtype.kind == "f":
            better |= values != values  # NaN wins
        here = _plane_index(
            [
                np.arange(m) * s - lo + u * dil
                for u, dil, m, s, (lo, _) in zip(offset, dilation, out, stride, padding, strict=True)
            ],
            pitch,
        )
        np.copyto(y, values, where=better)
        np.copyto(indices, here, where=better)
    return y, indices


def take_windows(x: Array, indices: Array) -> Array:
    """See `kernels.take_windows`."""
    flat = x.reshape(*x.shape[:2], volume(x.shape[2:]))
    picked = np.take_along_axis(
        flat,
        indices.reshape(*indices.shape[:2], volume(indices.shape[2:])).astype(np.int64, copy=False),
        axis=2,
    )
    return picked.reshape(indices.shape)


def scatter_windows(g: Array, indices: Array, *, shape: Ints) -> Array:
    """See `kernels.scatter_windows`."""
    n, c = shape[:2]
    plane = volume(shape[2:])
    dx = np.zeros(n * c * plane, accumulator(g.dtype))
    # Position in memory order of the result, which is the order of g: plane by plane, or channels-last.
    if is_channels_last(g):
        at = np.moveaxis(indices, 1, -1).astype(np.intp) * c
        at += np.arange(c)
        at += (np.arange(n) * (plane * c)).reshape(n, *(1,) * (g.ndim - 1))
        np.add.at(dx, at.ravel(), np.moveaxis(g, 1, -1).ravel())
        result = np.moveaxis(dx.reshape(n, *shape[2:], c), -1, 1)
    else:
        at = indices.astype(np.intp)
        at += (np.arange(n * c) * plane).reshape(n, c, *(1,) * (g.ndim - 2))
        np.add.at(dx, at.ravel(), g.ravel())
        result = dx.reshape(shape)
    return result.astype(g.dtype, copy=False)


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
    """See `kernels.avg_pool`."""
    pairs = tuple((p, p) for p in padding)
    shape = pool_shape(x.shape, kernel, stride=stride, padding=pairs, ceil_mode=ceil_mode)
    size, out, ones = x.shape[2:], shape[2:], (1,) * len(kernel)
    acc = accumulator(x.dtype)
    padded = _pad(x, _full_padding(size, out, kernel, stride, pairs, ones), np.zeros((), x.dtype))
    total = np.zeros_like(x, acc, shape=shape)
    for offset in product(*map(range, kernel)):
        at = [slice(u, u + (m - 1) * s + 1, s) for u, m, s in zip(offset, out, stride, strict=True)]
        total += padded[(slice(None), slice(None), *at)]
    total /= divisor(size, out, kernel, stride, padding, count_include_pad, divisor_override).astype(acc)
    return total.astype(x.dtype, copy=False)


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
    if g.shape != expected:
        raise ValueError(
            f"avg_pool_input expected an upstream gradient {expected} for input {shape}, got {g.shape}"
        )
    size, out, ones = shape[2:], g.shape[2:], (1,) * len(kernel)
    acc = accumulator(g.dtype)
    share = g / divisor(size, out, kernel, stride, padding, count_include_pad, divisor_override).astype(acc)
    full = _full_padding(size, out, kernel, stride, pairs, ones)
    padded = np.zeros_like(
        g, acc, shape=(*shape[:2], *(n + lo + hi for n, (lo, hi) in zip(size, full, strict=True)))
    )
    for offset in product(*map(range, kernel)):
        at = [slice(u, u + (m - 1) * s + 1, s) for u, m, s in zip(offset, out, stride, strict=True)]
        padded[(slice(None), slice(None), *at)] += share
    inside = padded[
        (slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, size, strict=True)))
    ]
    return inside.astype(g.dtype, order="K", copy=not inside.flags.forc or inside.dtype != g.dtype)


def divisor(
    size: Ints,
    out: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    count_include_pad: bool,
    override: int | None,
) -> Array:
    """How many values each window (*out) is divided by. Positions beyond the padding (ceil_mode) never
    count."""
    if override is not None:
        if override == 0:
            raise ValueError("avg_pool expected a divisor_override other than 0, got 0")
        return np.full((1,) * len(size), float(override))
    counts = []
    for n, m, k, s, p in zip(size, out, kernel, stride, padding, strict=True):
        start = np.arange(m) * s - p
        end = np.minimum(start + k, n + p)
        if not count_include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, n)
        counts.append((end - start).astype(np.float64))
    return np.array(np.prod(np.meshgrid(*counts, indexing="ij"), axis=0))


def _full_padding(size: Ints, out: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Pairs:
    """The padding that gives every window, partial ones of ceil_mode too, its full reach."""
    pads = []
    for n, m, k, s, (lo, hi), dil in zip(size, out, kernel, stride, padding, dilation, strict=True):
        end = (m - 1) * s + dil * (k - 1) + 1
        pads.append((lo, max(hi, end - n - lo)))
    return tuple(pads)


def _pad(x: Array, padding: Pairs, value: Array) -> Array:
    if not any(lo or hi for lo, hi in padding):
        return x
    shape = (*x.shape[:2], *(n + lo + hi for n, (lo, hi) in zip(x.shape[2:], padding, strict=True)))
    padded = np.full_like(x, value, shape=shape)
    inside = (slice(lo, lo + n) for n, (lo, _) in zip(x.shape[2:], padding, strict=True))
    padded[(slice(None), slice(None), *inside)] = x
    return padded


def _first_inside(out: int, stride: int, lo: int, dilation: int) -> Array:
    start = np.arange(out) * stride - lo
    return np.where(start < 0, start + -(start // dilation) * dilation, start)


def _pitch(size: Ints) -> list[int]:
    """Distance between neighbours along each axis of a flat plane: (W, 1) for H, W."""
    return [volume(size[i + 1 :]) for i in range(len(size))]


def _plane_index(axes: list[Array], pitch: list[int]) -> Array:
    """Flat positions (*out) in the plane from one coordinate array per axis."""
    grid = np.zeros((), np.int64)
    for axis, step in zip(axes, pitch, strict=True):
        grid = grid[..., None] + axis * step
    return grid.astype(np.int32)
