"""Softmax and cross-entropy in Numba, row by row: one pass where NumPy needs eight small calls.

Along other axes than the last, and for other dtypes, the reference is used. Called through `kernels`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from ..layout import Array
from ..reference import loss as reference
from .arrays import grain, ours, view
from .native import Task, address
from .vector import floats, integers

# An exponential costs about as much as twenty plain operations.
EXPONENTIAL = 20


def log_softmax(x: Array, axis: int) -> Array:
    """See `reference`."""
    return _over_rows(x, True) if _last(x, axis) else reference.log_softmax(x, axis)


def softmax(x: Array, axis: int) -> Array:
    """See `reference`."""
    return _over_rows(x, False) if _last(x, axis) else reference.softmax(x, axis)


def cross_entropy(logits: Array, target: Array, *, ignore_index: int = -100) -> tuple[Array, Array]:
    """See `reference`."""
    if (
        not _last(logits, 1)
        or logits.ndim != 2
        or target.dtype != np.int64
        or target.shape != logits.shape[:1]
    ):
        return reference.cross_entropy(logits, target, ignore_index=ignore_index)
    x, classes = np.ascontiguousarray(logits), np.ascontiguousarray(target)
    logp, loss = np.empty(x.shape, x.dtype), np.empty(len(x), x.dtype)
    wrong = np.zeros(1, np.int64)
    entries = (
        address(x),
        address(logp),
        x.shape[1],
        1,
        address(classes),
        address(loss),
        ignore_index,
        address(wrong),
    )
    rows.run(entries, len(x), grain(len(x), x.size * EXPONENTIAL))
    if wrong[0]:
        reference.checked_target(x.shape, target, ignore_index)  # raises, and says which row
    return loss, logp


def cross_entropy_input(g: Array, logp: Array, target: Array, *, ignore_index: int = -100) -> Array:
    """See `reference`."""
    if not ours(logp, g) or logp.ndim != 2 or target.dtype != np.int64 or not target.shape == g.shape == logp.shape[:1]:
        return reference.cross_entropy_input(g, logp, target, ignore_index=ignore_index)
    g, logp, classes = np.ascontiguousarray(g), np.ascontiguousarray(logp), np.ascontiguousarray(target)
    dx = np.empty(logp.shape, logp.dtype)
    wrong = np.zeros(1, np.int64)
    width = logp.shape[1]
    entries = (address(g), address(logp), address(classes), address(dx), width, ignore_index, address(wrong))
    pull_back.run(entries, len(dx), grain(len(dx), dx.size * EXPONENTIAL))
    if wrong[0]:
        reference.checked_target(logp.shape, target, ignore_index)  # raises, and says which row
    return dx


def _last(x: Array, axis: int) -> bool:
    return ours(x) and x.ndim > 0 and axis in (-1, x.ndim - 1)


def _over_rows(x: Array, logarithm: bool) -> Array:
    x = np.ascontiguousarray(x)
    y = np.empty(x.shape, x.dtype)
    count = x.size // x.shape[-1]
    rows.run(
        (address(x), address(y), x.shape[-1], logarithm, 0, 0, 0, 0),
        count,
        grain(count, x.size * EXPONENTIAL),
    )
    return y


@Task
def rows(table, first, last):
    """(x, y, width, logarithm?, classes, loss, ignored class, wrong): softmax of rows, or its logarithm and,
    where there are classes, -y[i, class]. Sets `wrong` where a class does not exist."""
    t = integers(table)
    width = t[2]
    zero = np.float32(0)
    for i in range(first, last):
        row, out = view(t[0] + 4 * i * width, width), view(t[1] + 4 * i * width, width)
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
        if not t[3]:
            for j in range(width):
                out[j] /= total
            continue
        shift = np.log(total)
        for j in range(width):
            out[j] = (row[j] - top) - shift
        if t[4]:
            k = integers(t[4])[i]
            loss = floats(t[5])
            if k == t[6]:
                loss[i] = zero
            elif 0 <= k < width:
                loss[i] = -out[k]
            else:
                integers(t[7])[0] = 1


@Task
def pull_back(table, first, last):
    """(g, logp, classes, dx, width, ignored class, wrong): rows of g * (exp(logp) - onehot). Sets `wrong` where a
    class does not exist."""
    t = integers(table)
    width = t[4]
    for i in range(first, last):
        row, out = view(t[1] + 4 * i * width, width), view(t[3] + 4 * i * width, width)
        up, k = floats(t[0])[i], integers(t[2])[i]
        if k == t[5]:
            out[:] = np.float32(0)
            continue
        for j in range(width):
            out[j] = up * np.exp(row[j])
        if 0 <= k < width:
            out[k] -= up
        else:
            integers(t[6])[0] = 1
