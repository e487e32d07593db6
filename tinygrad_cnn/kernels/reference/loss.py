"""Softmax and cross-entropy, shifted by the row's maximum so that nothing overflows.

    log_softmax(x)_j = x_j - m - log(sum_k exp(x_k - m)),   loss_i = -log_softmax(x_i)[target_i]

Arrays go back to `ops.loss` and `ops.elementwise`.
"""

from __future__ import annotations

import numpy as np

from ..layout import Array, accumulator


def log_softmax(x: Array, axis: int) -> Array:
    """log(softmax(x)) along `axis`, without overflow."""
    shifted = _shift(x, axis)
    shifted -= np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    return shifted.astype(x.dtype, copy=False)


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along `axis`, without overflow."""
    e = _shift(x, axis)
    np.exp(e, out=e)
    e /= np.sum(e, axis=axis, keepdims=True)
    return e.astype(x.dtype, copy=False)


def cross_entropy(logits: Array, target: Array, *, ignore_index: int = -100) -> tuple[Array, Array]:
    """(loss per row (N,), log_softmax (N, classes)) of logits (N, classes) and integer targets (N,).

    A row whose target is `ignore_index` has loss 0. Raises IndexError for a class that does not exist.
    """
    counted = checked_target(logits.shape, target, ignore_index)
    logp = log_softmax(logits, 1)
    at = np.where(counted, target, 0)
    loss = -np.take_along_axis(logp, at[:, None], axis=1)[:, 0]
    return np.where(counted, loss, logp.dtype.type(0)), logp


def cross_entropy_input(g: Array, logp: Array, target: Array, *, ignore_index: int = -100) -> Array:
    """g_i * (softmax_i - onehot(target_i)): the gradient of the logits from g (N,) and the forward's
    log_softmax."""
    counted = checked_target(logp.shape, target, ignore_index)
    acc = accumulator(logp.dtype)
    dx = np.exp(logp.astype(acc, copy=False))
    dx[np.arange(len(target))[counted], target[counted]] -= 1
    dx *= np.where(counted, g, 0).astype(acc)[:, None]
    return dx.astype(logp.dtype, copy=False)


def checked_target(shape: tuple[int, ...], target: Array, ignore_index: int) -> Array:
    """A mask of the rows that count. Raises IndexError for a class that does not exist."""
    if len(shape) != 2 or target.shape != shape[:1] or target.dtype.kind not in "iu":
        raise ValueError(
            f"cross_entropy expected logits (N, classes) and N integer targets, got logits {shape} and targets "
            f"{target.shape} of {target.dtype}"
        )
    counted = target != ignore_index
    wrong = counted & ((target < 0) | (target >= shape[1]))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise IndexError(
            f"cross_entropy expected classes 0 to {shape[1] - 1}, got {int(target[row])} in row {row}: "
            "check the number of outputs of the last layer"
        )
    return np.asarray(counted)


def _shift(x: Array, axis: int) -> Array:
    acc = accumulator(x.dtype)
    x = x.astype(acc, copy=False)
    top = np.max(x, axis=axis, keepdims=True) if x.shape[axis] else np.zeros((), acc)
    return x - np.where(np.isinf(top), np.zeros((), acc), top) if np.isneginf(top).any() else x - top
