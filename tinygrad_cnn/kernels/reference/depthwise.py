"""Depthwise correlation and its transposes: each group has one input channel, so there is no sum over channels
and no matrix product. A pass over the output for each kernel offset does it.

Called by `conv`, which has checked the shapes.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Ints, Pairs, volume
from ..layout import Array, rows
from .lowering import ALL, at, offsets, overlap, pad, split, windows
from .shards import in_shards


def correlate(x: Array, w: Array, y: Array, *, stride: Ints, padding: Pairs, dilation: Ints) -> None:
    """Writes y (N, *out, O): y[n, i, j, o] = sum over u, v of x[n, o // times, i + u, j + v] * w[o, 0, u, v]."""
    k, out, channels = w.shape[2:], y.shape[1:-1], y.shape[-1]
    # A factor per channel, repeated along a row of pixels: NumPy's inner loop then takes the row in one run.
    factors = [np.tile(w[at(ALL, 0, *offset)], (out[-1], 1)) for offset in offsets(k)]

    def shard(start: int, stop: int) -> None:
        for s in split(stop - start, 4 * volume(y.shape[1:]) * y.itemsize):
            total = y[start:stop][s]
            scratch = np.empty_like(total)
            pixels = _pixels(x[start:stop][s], k, out, channels, stride, padding, dilation)
            for i, (seen, factor) in enumerate(zip(pixels, factors, strict=True)):
                np.multiply(seen, factor, out=scratch if i else total)
                if i:
                    total += scratch

    in_shards(shard, y.shape[0], 2 * y.size * volume(k))


def correlate_input(g: Array, w: Array, dx: Array, *, stride: Ints, padding: Pairs, dilation: Ints) -> None:
    """Adds to dx (N, *spatial, C) what each kernel offset of each window read: g[n, o, i, j] * w[o, 0, u, v]."""
    k, out, times = w.shape[2:], g.shape[2:], g.shape[1] // dx.shape[-1]
    steps = []
    for offset in offsets(k):
        here, there = overlap(offset, dx.shape[1:-1], out, stride, padding, dilation)
        steps.append((at(ALL, *here), at(ALL, *there), w[at(ALL, 0, *offset)]))

    def shard(start: int, stop: int) -> None:
        for s in split(stop - start, 4 * volume(g.shape[1:]) * g.itemsize):
            upstream, into = rows(g[start:stop][s]), dx[start:stop][s]
            for here, there, factor in steps:
                part = upstream[there] * factor
                into[here] += part if times == 1 else part.reshape(*part.shape[:-1], -1, times).sum(axis=-1)

    in_shards(shard, len(dx), 3 * g.size * volume(k))


def correlate_weight(
    g: Array, x: Array, dw: Array, k: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> None:
    """Adds to dw (O, prod(k)): dw[o, u, v] = sum over n, i, j of g[n, o, i, j] * x[n, o // times, i + u, j + v]."""
    channels, out = g.shape[1], g.shape[2:]
    # Summed down the rows of pixels first, in long runs; along a row once, at the end.
    sums = np.zeros((volume(k), out[-1] * channels), g.dtype)
    for s in split(g.shape[0], 4 * volume(g.shape[1:]) * g.itemsize):
        upstream = rows(g[s])
        scratch = np.empty_like(upstream)
        pixels = _pixels(x[s], k, out, channels, stride, padding, dilation)
        for i, seen in enumerate(pixels):
            np.multiply(seen, upstream, out=scratch)
            sums[i] += scratch.reshape(-1, sums.shape[1]).sum(axis=0)
    dw += sums.reshape(volume(k), out[-1], channels).sum(axis=1).T


def _pixels(
    x: Array, k: Ints, out: Ints, channels: int, stride: Ints, padding: Pairs, dilation: Ints
) -> list[Array]:
    """What each kernel offset reads: views (n, *out, channels) of x."""
    padded = pad(x, padding)
    if channels > x.shape[1]:  # several outputs for each input channel
        padded = np.repeat(padded, channels // x.shape[1], axis=-1)
    seen = windows(padded, k, out, stride, dilation)
    return [seen[at(ALL, *(ALL,) * len(k), *offset)] for offset in offsets(k)]
