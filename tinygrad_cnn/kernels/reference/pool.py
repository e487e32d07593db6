"""Pooling: the largest value or the average of each window, and the transposes of both.

Loops run over the kernel's offsets, each a strided view of the whole input. Arrays go back to `ops.pool`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from ..geometry import Ints, Pairs, pool_shape, volume
from ..layout import Array, accumulator, is_channels_last, rows
from .lowering import split
from .shards import in_shards

#: The index of a window that sees only padding: it chose no entry, so no gradient goes anywhere.
NOWHERE = -1


def max_pool(
    x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, ceil_mode: bool
) -> tuple[Array, Array]:
    """(y, indices), both (N, C, *out); indices (int32) are flat positions in the input's spatial plane.

    As in PyTorch the first maximum wins, NaN beats everything, padding is never chosen.
    """
    return max_pool_of(
        lambda block: block,
        x,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


def max_pool_of(
    passes: Callable[[Array], Array],
    x: Array,
    *,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[Array, Array]:
    """`max_pool` of passes(x), of which only a block of images exists at a time, pooled while it is in the cache."""
    shape = pool_shape(
        x.shape, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    size, out = x.shape[2:], shape[2:]
    low = np.array(-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min, x.dtype)
    pads = _full_padding(size, out, kernel, stride, padding, dilation)
    pitch = _pitch(size)
    # Flat positions: where each window begins (outside the plane, where there is padding), how far from there each
    # kernel offset is, and how far the first one inside: the choice as long as nothing is larger than -inf.
    starts = [np.arange(m) * s - lo for m, s, (lo, _) in zip(out, stride, padding, strict=True)]
    begin = _plane_index(starts, pitch)
    far = [
        sum(u * dil * step for u, dil, step in zip(offset, dilation, pitch, strict=True))
        for offset in product(*map(range, kernel))
    ]
    inside = [
        np.where(start < 0, -(start // dil) * dil, 0) for start, dil in zip(starts, dilation, strict=True)
    ]
    first = _plane_index(inside, pitch)
    empty = _only_padding(starts, dilation, kernel, size)
    y = np.empty_like(x, shape=shape)
    indices = np.empty_like(y, np.int32)

    def shard(start: int, stop: int) -> None:
        for s in split(stop - start, 2 * volume(x.shape[1:]) * x.itemsize):
            padded = _pad(passes(x[start:stop][s]), pads, low)
            values = [padded[at] for at in _each_offset(kernel, stride, dilation, out)]
            best, chosen = y[start:stop][s], indices[start:stop][s]
            _first_maximum(values, far, first, best, chosen)
            if best.dtype.kind == "f" and best.size and np.isnan(best.max()):
                _first_maximum(values, far, first, best, chosen, nan=True)
            chosen += begin
            if empty is not None:
                chosen[..., empty] = NOWHERE

    in_shards(shard, shape[0], 3 * y.size * volume(kernel))
    return y, indices


def take_windows(x: Array, indices: Array) -> Array:
    """Gathers x[n, c].ravel()[indices[n, c]]: max-pooling once its choice is recorded."""
    check_fit("take_windows", x.shape, indices.shape)
    flat = x.reshape(*x.shape[:2], volume(x.shape[2:]))
    at = indices.reshape(*indices.shape[:2], volume(indices.shape[2:])).astype(np.int64, copy=False)
    nowhere = check_indices(at, flat.shape[2])
    picked = np.take_along_axis(flat, at if nowhere is None else np.where(nowhere, 0, at), axis=2)
    if nowhere is not None:
        picked[nowhere] = 0
    return picked.reshape(indices.shape)


def scatter_windows(g: Array, indices: Array, *, shape: Ints) -> Array:
    """The transpose of `take_windows`: g is added to a zero array of `shape` at `indices`; overlaps add
    up."""
    check_fit("scatter_windows", shape, indices.shape, g.shape)
    n, c = shape[:2]
    plane = volume(shape[2:])
    nowhere = check_indices(indices, plane)
    if nowhere is not None:
        indices, g = np.where(nowhere, 0, indices), np.where(nowhere, 0, g)
    # Position in memory order of the result: channels-last where that is the order of the choice (g may have been a
    # flat row for each image, and what comes next goes hand in hand with the forward pass), else plane by plane.
    last = is_channels_last(indices) or is_channels_last(g)
    if last:
        g, indices = rows(g), rows(indices)
    dx = np.zeros((n, plane * c), accumulator(g.dtype))

    def shard(start: int, stop: int) -> None:
        at = indices[start:stop].astype(np.intp)
        if last:
            at *= c
            at += np.arange(c)
        else:
            at += (np.arange(c) * plane).reshape(c, *(1,) * (g.ndim - 2))
        at += (np.arange(stop - start) * (plane * c)).reshape(-1, *(1,) * (g.ndim - 1))
        np.add.at(dx[start:stop].reshape(-1), at.reshape(-1), g[start:stop].reshape(-1))

    in_shards(shard, n, 16 * g.size)
    result = np.moveaxis(dx.reshape(n, *shape[2:], c), -1, 1) if last else dx.reshape(shape)
    return result.astype(g.dtype, copy=False)


def check_fit(name: str, image: Ints, indices: Ints, g: Ints | None = None) -> None:
    """Raise ValueError where indices (N, C, windows), or gradients g at them, do not fit images (N, C, *spatial)."""
    if tuple(image[:2]) != tuple(indices[:2]) or g is not None and g != indices:
        got = f"indices {tuple(indices)}" + ("" if g is None else f" and gradients {tuple(g)}")
        raise ValueError(f"{name} expected one index for each of the windows of images {tuple(image)}, got {got}")


def check_indices(indices: Array, plane: int) -> Array | None:
    """Where the windows chose nothing; None where every window chose an entry.

    Raises IndexError for an index outside the plane.
    """
    if not indices.size:
        return None
    low, high = int(indices.min()), int(indices.max())
    if low < NOWHERE or high >= plane:
        raise IndexError(
            f"pooling indices must be positions 0 to {plane - 1} of the plane, got {low if low < NOWHERE else high}"
        )
    return np.asarray(indices == NOWHERE) if low == NOWHERE else None


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
    """Average of each window. `padding` here is one int per dimension, on both sides, as in PyTorch."""
    pairs = tuple((p, p) for p in padding)
    shape = pool_shape(x.shape, kernel, stride=stride, padding=pairs, ceil_mode=ceil_mode)
    size, out, ones = x.shape[2:], shape[2:], (1,) * len(kernel)
    acc = accumulator(x.dtype)
    padded = _pad(x, _full_padding(size, out, kernel, stride, pairs, ones), np.zeros((), x.dtype))
    total = np.zeros_like(x, acc, shape=shape)
    for at in _each_offset(kernel, stride, ones, out):
        total += padded[at]
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
    """The transpose of `avg_pool`: g (N, C, *out) -> dx of `shape`."""
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
    for at in _each_offset(kernel, stride, ones, out):
        padded[at] += share
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


def _first_maximum(
    values: list[Array], far: list[int], first: Array, best: Array, chosen: Array, nan: bool = False
) -> None:
    """Writes the largest of `values` to best, and to chosen how far along it was found: `far`, which rises, or `first`
    where nothing is above -inf. NaN counts as largest only with `nan`, which costs two more passes for each value.

    No masked copies, which take NumPy ten times as long: a later find is always further, so the choice is a maximum
    too.
    """
    np.copyto(best, values[0])
    chosen[...] = first
    for value, distance in zip(values[1:], far[1:], strict=True):
        better = value > best
        if nan:
            better |= np.isnan(value)
        np.maximum(best, value, out=best)
        np.maximum(chosen, np.multiply(better, distance, dtype=np.int32), out=chosen)


def _only_padding(starts: list[Array], dilation: Ints, kernel: Ints, size: Ints) -> Array | None:
    """Which windows (*out) see nothing but padding; None where each sees an entry.

    A window starts at start, and looks at start + u · dilation for u = 0 … kernel - 1 along each axis.
    """
    seen = np.ones((), bool)
    for start, dil, k, n in zip(starts, dilation, kernel, size, strict=True):
        at = start[:, None] + np.arange(k) * dil
        seen = seen[..., None] & ((at >= 0) & (at < n)).any(axis=1)
    return None if seen.all() else ~seen


def _each_offset(kernel: Ints, stride: Ints, dilation: Ints, out: Ints) -> Iterator[Any]:
    """For each position inside the kernel, in reading order, the index of what it meets in each window."""
    for offset in product(*map(range, kernel)):
        yield (
            slice(None),
            slice(None),
            *(
                slice(u * dil, u * dil + (m - 1) * s + 1, s)
                for u, dil, m, s in zip(offset, dilation, out, stride, strict=True)
            ),
        )


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


def _pitch(size: Ints) -> list[int]:
    """Distance between neighbours along each axis of a flat plane: (W, 1) for H, W."""
    return [volume(size[i + 1 :]) for i in range(len(size))]


def _plane_index(axes: list[Array], pitch: list[int]) -> Array:
    """Flat positions (*out) in the plane from one coordinate array per axis."""
    grid = np.zeros((), np.int64)
    for axis, step in zip(axes, pitch, strict=True):
        grid = grid[..., None] + axis * step
    return grid.astype(np.int32)
