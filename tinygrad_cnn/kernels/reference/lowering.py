"""Lowering (im2col): the windows of a batch as the rows of matrices, a block of images at a time.

Used by `conv` and `depthwise`, which multiply and add up; nothing here knows a weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..geometry import Ints, Pairs, volume
from ..layout import Array, channels_to_last, rows

ALL = slice(None)
# A lowered block of this size stays near the core, and is large enough that BLAS's own packing and our Python do not
# show (measured from 0.5 to 8 MB). Small images with many channels need more: a product of fewer rows than this takes
# longer to read the kernel than to multiply.
BLOCK_BYTES = 1 << 21
ROWS = 256
FEW = 24  # runs of fewer neighbours than this are not worth copying or adding one by one


def lower(
    x: Array, k: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Iterator[tuple[slice, int, Array]]:
    """(images, group, matrix (n * prod(out), prod(k) * C/groups)) for each block of images of x and each group.

    The next matrix overwrites the last: all share one buffer, which stays in the cache and is never handed back to
    the system and faulted in again.
    """
    c, taps = x.shape[1] // groups, volume(k)
    pixels = max(1, volume(out))
    blocks = list(split(x.shape[0], pixels * taps * x.shape[1] * x.itemsize, least=-(-ROWS // pixels)))
    largest = max((s.stop - s.start for s in blocks), default=0)
    buffer = np.empty(largest * pixels * taps * c, x.dtype)
    for s in blocks:
        seen = windows(pad(x[s], padding), k, out, stride, dilation)
        for g in range(groups):
            yield s, g, _matrix(seen[..., g * c : (g + 1) * c], buffer)


def split(n: int, bytes_each: int, least: int = 1) -> Iterator[slice]:
    """Slices over n images that take about BLOCK_BYTES each once lowered, and are `least` images or more."""
    step = max(least, BLOCK_BYTES // max(1, bytes_each))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


def pad(x: Array, padding: Pairs) -> Array:
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
    padded[at(ALL, *target)] = channels_to_last(x)[at(ALL, *source)]
    return padded


def windows(padded: Array, k: Ints, out: Ints, stride: Ints, dilation: Ints) -> Array:
    """A view (n, *out, *k, C) of all windows of padded (n, *padded, C)."""
    s = padded.strides
    d = len(k)
    steps = tuple(s[1 + i] * stride[i] for i in range(d)) + tuple(s[1 + i] * dilation[i] for i in range(d))
    shape = (padded.shape[0], *out, *k, padded.shape[-1])
    return as_strided(padded, shape, (s[0], *steps, s[-1]), writeable=False)


def offsets(kernel: Ints) -> Iterator[Any]:
    """Every position (u, v, ...) inside a kernel."""
    return product(*map(range, kernel))


def at(*parts: Any) -> Any:
    """An index of as many axes as there are parts."""
    return parts


def overlap(
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


def _matrix(seen: Array, buffer: Array) -> Array:
    """Windows (n, *out, *k, c) as a matrix (n * prod(out), prod(k) * c), whichever copy has the longer runs."""
    d = (seen.ndim - 2) // 2
    count = volume(seen.shape[: 1 + d])
    if seen.flags.c_contiguous:  # 1x1 kernels: the image is the matrix
        return seen.reshape(count, -1)
    target = buffer[: seen.size]
    if seen.shape[-1] * seen.shape[-2] >= FEW:
        np.copyto(target.reshape(seen.shape), seen)
        return target.reshape(count, -1)
    # Few channels: copy plane by plane, so that runs go along the output's last axis, and hand BLAS the
    # transpose.
    planes = seen.transpose(*range(1 + d, seen.ndim), *range(1 + d))
    np.copyto(target.reshape(planes.shape), planes)
    return target.reshape(-1, count).T
