"""Softmax and cross-entropy in Numba, row by row: one pass where NumPy needs eight small calls.

Along other axes than the last, and for other dtypes, the reference is used. Called through `kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .. import threads
from ..layout import Array
from ..reference import loss as reference
from .arrays import flat, grain, ours

# An exponential costs about as much as twenty plain operations.
EXPONENTIAL = 20


def log_softmax(x: Array, axis: int) -> Array:
    """See `kernels.log_softmax`."""
    return _over_rows(x, axis, True) if _last(x, axis) else reference.log_softmax(x, axis)


def softmax(x: Array, axis: int) -> Array:
    """See `kernels.softmax`."""
    return _over_rows(x, axis, False) if _last(x, axis) else reference.softmax(x, axis)


def cross_entropy(logits: Array, target: Array, *, ignore_index: int = -100) -> tuple[Array, Array]:
    """See `kernels.cross_entropy`."""
    if (
        not _last(logits, 1)
        or logits.ndim != 2
        or target.dtype != np.int64
        or target.shape != logits.shape[:1]
    ):
        return reference.cross_entropy(logits, target, ignore_index=ignore_index)
    logp = log_softmax(logits, 1)
    loss = np.empty(len(logp), logp.dtype)
    classes = flat(np.ascontiguousarray(target))
    if pick(flat(logp), classes, loss, logp.shape[1], ignore_index) >= 0:
        reference.checked_target(logp.shape, target, ignore_index)  # raises, and says which row
    return loss, logp


def cross_entropy_input(g: Array, logp: Array, target: Array, *, ignore_index: int = -100) -> Array:
    """See `kernels.cross_entropy_input`."""
    if not ours(logp, g) or logp.ndim != 2 or target.dtype != np.int64 or target.shape != g.shape:
        return reference.cross_entropy_input(g, logp, target, ignore_index=ignore_index)
    dx = np.empty(logp.shape, logp.dtype)
    args = (
        flat(np.ascontiguousarray(g)),
        flat(np.ascontiguousarray(logp)),
        flat(np.ascontiguousarray(target)),
        flat(dx),
    )
    threads.run_shards(
        lambda a, b: pull_back(*args, a, b, logp.shape[1], ignore_index),
        len(dx),
        grain=grain(len(dx), dx.size * EXPONENTIAL),
    )
    return dx


def _last(x: Array, axis: int) -> bool:
    return ours(x) and x.ndim > 0 and axis in (-1, x.ndim - 1)


def _over_rows(x: Array, axis: int, logarithm: bool) -> Array:
    x = np.ascontiguousarray(x)
    y = np.empty(x.shape, x.dtype)
    source, target, width = flat(x), flat(y), x.shape[-1]
    count = x.size // width
    threads.run_shards(
        lambda a, b: rows(source, target, a, b, width, logarithm),
        count,
        grain=grain(count, x.size * EXPONENTIAL),
    )
    return y


@njit(nogil=True, cache=True, error_model="numpy")
def rows(x, y, first, last, width, logarithm):  # type: ignore[no-untyped-def]
    zero = np.zeros_like(x[:1])[0]
    for i in range(first, last):
        row, out = x[i * width : (i + 1) * width], y[i * width : (i + 1) * width]
        top = row[0]
        for j in range(width):
            top = row[j] if row[j] > top or row[j] != row[j] else top
        if top == -np.inf:
            top = zero
        total = zero
        for j in range(width):
            e = np.exp(row[j] - top)
            out[j] = e
            total += e
        if logarithm:
            shift = np.log(total)
            for j in range(width):
                out[j] = (row[j] - top) - shift
        else:
            for j in range(width):
                out[j] /= total


@njit(nogil=True, cache=True)
def pick(logp, target, loss, width, ignore_index):  # type: ignore[no-untyped-def]
    """Writes -logp[i, target[i]]; returns the first row whose class does not exist, or -1."""
    for i in range(len(loss)):
        t = target[i]
        if t == ignore_index:
            loss[i] = 0
        elif t < 0 or t >= width:
            return i
        else:
            loss[i] = -logp[i * width + t]
    return -1


@njit(nogil=True, cache=True)
def pull_back(g, logp, target, dx, first, last, width, ignore_index):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        out, row, up = dx[i * width : (i + 1) * width], logp[i * width : (i + 1) * width], g[i]
        if target[i] == ignore_index:
            out[:] = 0
            continue
        for j in range(width):
            out[j] = up * np.exp(row[j])
        out[target[i]] -= up
