"""Losses of class scores, with PyTorch's arguments and reductions.

`cross_entropy` is a fused op. Class indices are checked here: what was expected, what came, and in which row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.nn.functional.reduction import finish, reduction_of
from tinygrad_cnn.ops import activation
from tinygrad_cnn.ops import loss as ops
from tinygrad_cnn.ops.expect import where, wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """−log softmax(input)[target], from logits (N, classes, *positions), or (classes,) for one sample.

    `target` holds class indices (N, *positions) as integers, or probabilities of the input's shape. `weight`
    (classes,) weighs the classes (the mean divides by the weights), targets equal to `ignore_index` do not
    count, and `label_smoothing` mixes the targets with the uniform distribution.

    Raises ValueError for shapes or dtypes that do not fit, IndexError for a class that does not exist.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy expected label_smoothing from 0 to 1, got {label_smoothing}")
    classes = input.shape[1 if input.ndim > 1 else 0] if input.ndim else 0
    w = _class_weight("cross_entropy", weight, classes)
    t = unwrap(target)
    if tuple(np.shape(t)) == tuple(input.shape) and np.asarray(t).dtype.kind == "f":
        return _soft_cross_entropy(input, target, w, reduction, label_smoothing)
    rows, t, shape = _rows_and_targets("cross_entropy", input, target, ignore_index)
    loss = ops.cross_entropy_rows(rows, target=t, ignore_index=ignore_index)
    if reduction == "mean" and w is None and not label_smoothing and t.size and _all_count(t, classes, ignore_index):
        return loss.mean()
    counted = t != ignore_index
    if label_smoothing:
        logp = activation.log_softmax(rows, 1)
        smooth = -(logp if w is None else logp * w).sum(1) / classes * counted.astype(rows.dtype)
    weights = counted.astype(rows.dtype) if w is None else np.where(counted, w[np.where(counted, t, 0)], 0)
    if w is not None:
        loss = loss * weights
    if label_smoothing:
        loss = loss * (1 - label_smoothing) + smooth * label_smoothing
    return _reduce_weighted(loss, weights, reduction, shape, all_count=w is None and bool(counted.all()))


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """−input[target], from log-probabilities (N, classes, *positions); arguments as `cross_entropy`."""
    reduction = reduction_of(reduction, size_average, reduce)
    rows, t, shape = _rows_and_targets("nll_loss", input, target, ignore_index)
    loss = -ops.pick(rows, target=t, ignore_index=ignore_index)
    counted = t != ignore_index
    w = _class_weight("nll_loss", weight, rows.shape[1])
    weights = counted.astype(rows.dtype) if w is None else np.where(counted, w[np.where(counted, t, 0)], 0)
    if w is not None:
        loss = loss * weights
    return _reduce_weighted(loss, weights, reduction, shape, all_count=w is None and bool(counted.all()))


def _soft_cross_entropy(
    input: Tensor, target: Tensor, w: np.ndarray | None, reduction: str, smoothing: float
) -> Tensor:
    axis = 1 if input.ndim > 1 else 0
    classes = input.shape[axis]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    logp = activation.log_softmax(input, axis)
    if w is not None:
        logp = logp * w.reshape([-1 if k == axis else 1 for k in range(input.ndim)])
    loss = -(logp * target).sum(axis)
    if reduction == "mean":  # over samples and positions, whatever the weights (as in PyTorch)
        return loss.sum() / max(1, int(np.prod(loss.shape, dtype=np.int64)))
    return loss.sum() if reduction == "sum" else loss


def _rows_and_targets(
    name: str, input: Tensor, target: Tensor, ignore_index: int
) -> tuple[Any, np.ndarray, tuple[int, ...]]:
    """Logits as rows (M, classes), targets (M,) as int64, and the shape of an unreduced loss."""
    x, t = tuple(input.shape), np.asarray(unwrap(target))
    expected = () if len(x) == 1 else (x[0], *x[2:])
    if not x or t.shape != expected:
        hint = ""
        if t.dtype.kind == "f" and t.shape:
            hint = "; float targets of the input's shape would be probabilities, class indices are integers"
        elif t.ndim == 2 and len(x) == 2 and t.shape[1] == 1:
            hint = "; drop the last dimension with target.squeeze(1)"
        elif t.shape == x:
            hint = "; one-hot targets must be floating point (.float()), or take their .argmax(1)"
        raise wrong_shape(
            name, f"targets of shape {expected} for input {x}, got {t.shape} of {t.dtype}{hint}"
        )
    if t.dtype.kind not in "iu":
        raise wrong_shape(
            name, f"class indices as integers (or probabilities of the input's shape {x}), got {t.dtype} targets of "
            f"shape {t.shape}: convert them with .long()",
        )  # fmt: skip
    classes = x[0] if len(x) == 1 else x[1]
    t = t.astype(np.int64, copy=False)
    bad = None if _all_count(t, classes) else ((t < 0) | (t >= classes)) & (t != ignore_index)
    if bad is not None and bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        place = f" at {at[0] if len(at) == 1 else at}" if at else ""
        raise IndexError(
            f"{name} expected classes from 0 to {classes - 1} (input {x}), got {int(t[at])}{place}: labels count "
            f"from 0, and the last layer needs one output per class{where()}"
        )
    if len(x) == 1:
        return input.reshape((1, x[0])), t.reshape(1), ()
    if len(x) == 2:
        return input, t, expected
    rows = input.permute((0, *range(2, len(x)), 1)).reshape((-1, classes))
    return rows, t.reshape(-1), expected


def _all_count(t: np.ndarray, classes: int, ignore_index: int = -1) -> bool:
    """Whether all int64 targets are classes, and none is to be ignored.

    One pass over them: a negative one, read as unsigned, is larger than any class.
    """
    return not 0 <= ignore_index < classes and (not t.size or int(t.view(np.uint64).max()) < classes)


def _class_weight(name: str, weight: Tensor | None, classes: int) -> np.ndarray | None:
    if weight is None:
        return None
    w = np.asarray(unwrap(weight))
    if w.shape != (classes,):
        raise wrong_shape(name, f"a weight per class, shape ({classes},), got {w.shape}")
    return w


def _reduce_weighted(
    loss: Tensor, weights: np.ndarray, reduction: str, shape: tuple[int, ...], all_count: bool
) -> Tensor:
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss.reshape(shape)
    return loss.mean() if all_count and loss.shape[0] else loss.sum() / unwrap(weights.sum())


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Σ_{j≠y} max(0, margin − x_y + x_j)^p / classes: the multi-class hinge loss (p = 2: its square)."""
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss expected p = 1 or 2, got {p}")
    if input.ndim < 2 and np.size(unwrap(target)) == 1:  # one sample, whose target may have a dimension of its own
        input, target = input.reshape((-1,)), target.reshape(())
    rows, t, shape = _rows_and_targets("multi_margin_loss", input, target, -(1 << 62))
    slack = activation.relu(_differences(rows, t) + margin) * _others(rows, t)  # at the kink its gradient is 0
    terms = slack if p == 1 else slack * slack
    w = _class_weight("multi_margin_loss", weight, rows.shape[1])
    if w is not None:
        terms = terms * w[t][:, None]
    return finish(terms.sum(1).reshape(shape) / rows.shape[1], reduction_of(reduction, size_average, reduce))


def pairwise_loss(input: Tensor, target: Tensor, kind: str = "hinge", reduction: str = "mean") -> Tensor:
    """The notes' losses on score differences, for class scores s (N, classes) and targets y (N,):

    - ``hinge``: Σ_{j≠y} max(0, s_j − s_y + 1)  (`multi_margin_loss` times the number of classes)
    - ``sigmoid``: Σ_{j≠y} [1 − σ(s_y − s_j)]
    - ``gelu``: Σ_{j≠y} GELU(1 − (s_y − s_j))
    """
    rows, t, shape = _rows_and_targets("pairwise_loss", input, target, -(1 << 62))
    d = _differences(rows, t)
    if kind == "hinge":
        terms = activation.relu(d + 1)
    elif kind == "sigmoid":
        terms = activation.sigmoid(d)  # 1 − σ(−d) = σ(d)
    elif kind == "gelu":
        terms = activation.gelu(d + 1)
    else:
        raise ValueError(f"pairwise_loss expected kind hinge, sigmoid or gelu, got {kind!r}")
    return finish((terms * _others(rows, t)).sum(1).reshape(shape), reduction)


def _differences(rows: Tensor, t: np.ndarray) -> Tensor:
    """s_j − s_y for every j."""
    return rows - ops.pick(rows, target=t, ignore_index=-(1 << 62)).reshape((-1, 1))


def _others(rows: Tensor, t: np.ndarray) -> np.ndarray:
    mask = np.ones(tuple(rows.shape), rows.dtype)
    mask[np.arange(len(t)), t] = 0
    return mask


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Σ_j Σ_{i no target} max(0, 1 − (x_y(j) − x_i)) / classes; `target` rows list classes, ended by −1."""
    if tuple(target.shape) != tuple(input.shape):
        raise wrong_shape(
            "multilabel_margin_loss",
            f"targets of the input's shape {tuple(input.shape)}, got {tuple(target.shape)}",
        )
    rows = input if input.ndim == 2 else input.reshape((1, -1))
    t = np.asarray(unwrap(target)).reshape(tuple(rows.shape)).astype(np.int64)
    valid = np.cumprod(t >= 0, axis=1).astype(bool)
    n, classes = rows.shape
    if np.any(t[valid] >= classes):
        raise IndexError(
            f"multilabel_margin_loss expected classes from 0 to {classes - 1}, got {int(t[valid].max())}"
        )
    is_target = np.zeros((n, classes), bool)
    row, _ = np.nonzero(valid)
    is_target[row, t[valid]] = True
    pairs = (valid[:, :, None] & ~is_target[:, None, :]).astype(rows.dtype)
    at = np.arange(n)[:, None]
    slack = activation.relu(
        1 - rows[at, np.where(valid, t, 0)].reshape((n, classes, 1)) + rows.reshape((n, 1, classes))
    )
    loss = (slack * pairs).sum((1, 2)) / classes
    return finish(
        loss if input.ndim == 2 else loss.reshape(()), reduction_of(reduction, size_average, reduce)
    )


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over classes of −[t·log σ(x) + (1 − t)·log σ(−x)]."""
    loss = -(target * activation.logsigmoid(input) + (1 - target) * activation.logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return finish(loss.mean(-1), reduction_of(reduction, size_average, reduce))
