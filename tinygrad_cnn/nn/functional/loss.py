"""Loss functions with PyTorch's arguments and reductions.

Every loss is a few elementwise ops followed by a reduction, but for the fused `cross_entropy`. Class indices
are checked here: what was expected, what came, and in which row.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.op import Elementwise
from tinygrad_cnn.ops import activation
from tinygrad_cnn.ops import loss as ops
from tinygrad_cnn.ops.expect import where, wrong_shape

# --- classification ---------------------------------------------------------------------------------


def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """−log softmax(input)[target], from logits (N, classes, *positions), or (classes,) for one sample.

    `target` holds class indices (N, *positions) as integers, or probabilities of the input's shape. `weight`
    (classes,) weighs the classes (the mean divides by the weights), targets equal to `ignore_index` do not
    count, and `label_smoothing` mixes the targets with the uniform distribution.

    Raises ValueError for shapes or dtypes that do not fit, IndexError for a class that does not exist.
    """
    reduction = _reduction(reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy expected label_smoothing from 0 to 1, got {label_smoothing}")
    classes = input.shape[1 if input.ndim > 1 else 0] if input.ndim else 0
    w = _class_weight("cross_entropy", weight, classes)
    t = unwrap(target)
    if tuple(np.shape(t)) == tuple(input.shape) and np.asarray(t).dtype.kind == "f":
        return _soft_cross_entropy(input, target, w, reduction, label_smoothing)
    rows, t, shape = _rows_and_targets("cross_entropy", input, target, ignore_index)
    loss = ops.cross_entropy_rows(rows, target=t, ignore_index=ignore_index)
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
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """−input[target], from log-probabilities (N, classes, *positions); arguments as `cross_entropy`."""
    reduction = _reduction(reduction, size_average, reduce)
    rows, t, shape = _rows_and_targets("nll_loss", input, target, ignore_index)
    loss = -ops.pick(rows, target=t, ignore_index=ignore_index)
    counted = t != ignore_index
    w = _class_weight("nll_loss", weight, rows.shape[1])
    weights = counted.astype(rows.dtype) if w is None else np.where(counted, w[np.where(counted, t, 0)], 0)
    if w is not None:
        loss = loss * weights
    return _reduce_weighted(loss, weights, reduction, shape, all_count=w is None and bool(counted.all()))


def _soft_cross_entropy(input: Any, target: Any, w: Any, reduction: str, smoothing: float) -> Any:
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
    name: str, input: Any, target: Any, ignore_index: int
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
    bad = ((t < 0) | (t >= classes)) & (t != ignore_index)
    if bad.any():
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


def _class_weight(name: str, weight: Any, classes: int) -> np.ndarray | None:
    if weight is None:
        return None
    w = np.asarray(unwrap(weight))
    if w.shape != (classes,):
        raise wrong_shape(name, f"a weight per class, shape ({classes},), got {w.shape}")
    return w


def _reduce_weighted(
    loss: Any, weights: np.ndarray, reduction: str, shape: tuple[int, ...], all_count: bool
) -> Any:
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss.reshape(shape)
    return loss.mean() if all_count and loss.shape[0] else loss.sum() / unwrap(weights.sum())


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """Σ_{j≠y} max(0, margin − x_y + x_j)^p / classes: the multi-class hinge loss (p = 2: its square)."""
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss expected p = 1 or 2, got {p}")
    rows, t, shape = _rows_and_targets("multi_margin_loss", input, target, -(1 << 62))
    slack = np.maximum(_differences(rows, t) + margin, 0) * _others(rows, t)
    terms = slack if p == 1 else slack * slack
    w = _class_weight("multi_margin_loss", weight, rows.shape[1])
    if w is not None:
        terms = terms * w[t][:, None]
    return _finish(terms.sum(1).reshape(shape) / rows.shape[1], _reduction(reduction, size_average, reduce))


def pairwise_loss(input: Any, target: Any, kind: str = "hinge", reduction: str = "mean") -> Any:
    """The notes' losses on score differences, for class scores s (N, classes) and targets y (N,):

    - ``hinge``: Σ_{j≠y} max(0, s_j − s_y + 1)  (`multi_margin_loss` times the number of classes)
    - ``sigmoid``: Σ_{j≠y} [1 − σ(s_y − s_j)]
    - ``gelu``: Σ_{j≠y} GELU(1 − (s_y − s_j))
    """
    rows, t, shape = _rows_and_targets("pairwise_loss", input, target, -(1 << 62))
    d = _differences(rows, t)
    if kind == "hinge":
        terms = np.maximum(d + 1, 0)
    elif kind == "sigmoid":
        terms = activation.sigmoid(d)  # 1 − σ(−d) = σ(d)
    elif kind == "gelu":
        terms = activation.gelu(d + 1)
    else:
        raise ValueError(f"pairwise_loss expected kind hinge, sigmoid or gelu, got {kind!r}")
    return _finish((terms * _others(rows, t)).sum(1).reshape(shape), reduction)


def _differences(rows: Any, t: np.ndarray) -> Any:
    """s_j − s_y for every j."""
    return rows - ops.pick(rows, target=t, ignore_index=-(1 << 62)).reshape((-1, 1))


def _others(rows: Any, t: np.ndarray) -> np.ndarray:
    mask = np.ones(tuple(rows.shape), rows.dtype)
    mask[np.arange(len(t)), t] = 0
    return mask


def multilabel_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
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
    slack = np.maximum(
        1 - rows[at, np.where(valid, t, 0)].reshape((n, classes, 1)) + rows.reshape((n, 1, classes)), 0
    )
    loss = (slack * pairs).sum((1, 2)) / classes
    return _finish(loss if input.ndim == 2 else loss.reshape(()), _reduction(reduction, size_average, reduce))


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """The mean over classes of −[t·log σ(x) + (1 − t)·log σ(−x)]."""
    loss = -(target * activation.logsigmoid(input) + (1 - target) * activation.logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _finish(loss.mean(-1), _reduction(reduction, size_average, reduce))


# --- regression -------------------------------------------------------------------------------------


def mse_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:  # fmt: skip
    """The squared error (x − t)²."""
    d = _difference("mse_loss", input, target)
    return _finish(_weighted(d * d, weight), _reduction(reduction, size_average, reduce))


def l1_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:  # fmt: skip
    """The absolute error |x − t|."""
    d = _difference("l1_loss", input, target)
    return _finish(_weighted(np.abs(d), weight), _reduction(reduction, size_average, reduce))


def _smooth(d: np.ndarray, *, beta: float) -> np.ndarray:
    size = np.abs(d)
    return np.where(size < beta, 0.5 / beta * d * d, size - 0.5 * beta).astype(d.dtype, copy=False)


smooth_abs = Elementwise(
    "smooth_abs", _smooth, lambda _y, d, *, beta: np.clip(d / beta, -1, 1),
    formula="x²/2β where |x| < β, else |x| − β/2", local=("x/β between −1 and 1",),
)  # fmt: skip


def smooth_l1_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Any:  # fmt: skip
    """d²/2β where |d| < β, else |d| − β/2 (Girshick 2015); β = 0 is `l1_loss`."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss expected beta of zero or more, got {beta}")
    if beta == 0:
        return l1_loss(input, target, size_average, reduce, reduction)
    d = _difference("smooth_l1_loss", input, target)
    return _finish(smooth_abs(d, beta=float(beta)), _reduction(reduction, size_average, reduce))


def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """d²/2 where |d| < δ, else δ·(|d| − δ/2) (Huber 1964)."""
    if delta <= 0:
        raise ValueError(f"huber_loss expected delta above zero, got {delta}")
    d = _difference("huber_loss", input, target)
    return _finish(_weighted(smooth_abs(d, beta=float(delta)) * delta, weight), _reduction(reduction))


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """½·(log var + (x − t)²/var): the negative log-likelihood of a normal distribution."""
    if isinstance(var, (int, float)):
        var = wrap(np.full(tuple(input.shape), var, input.dtype))
    if np.any(unwrap(var) < 0):
        raise ValueError("gaussian_nll_loss expected variances of zero or more, got a negative one")
    if tuple(var.shape) != tuple(input.shape):
        if tuple(var.shape) == tuple(input.shape[:-1]):
            var = var.unsqueeze(-1)
        elif tuple(var.shape) != (*input.shape[:-1], 1):
            raise wrong_shape(
                "gaussian_nll_loss", f"var of the input's shape {tuple(input.shape)}, got {tuple(var.shape)}"
            )
    # As in PyTorch, the floor `eps` does not stop the gradient.
    var = var + np.maximum(eps - unwrap(var), 0)
    d = input - target
    loss = 0.5 * (np.log(var) + d * d / var)
    return _finish(loss + 0.5 * math.log(2 * math.pi) if full else loss, _reduction(reduction))


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """exp(x) − t·x (x the log of the rate), or x − t·log(x + ε): the negative log-likelihood of counts."""
    loss = np.exp(input) - target * input if log_input else input - target * np.log(input + eps)
    if full:
        t = unwrap(target)
        stirling = t * np.log(np.where(t > 1, t, 1)) - t + 0.5 * np.log(2 * np.pi * np.where(t > 1, t, 1))
        loss = loss + np.where(t > 1, stirling, 0)
    return _finish(loss, _reduction(reduction, size_average, reduce))


# --- probabilities ----------------------------------------------------------------------------------


def _bce(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100))


# As in PyTorch: logarithms end at −100 and the denominator at 1e-12, so that certain answers stay finite.
bce = Elementwise(
    "bce", _bce,
    lambda _y, x, t: (x - t) / np.maximum(x * (1 - x), 1e-12),
    lambda _y, x, _t: np.maximum(np.log1p(-x), -100) - np.maximum(np.log(x), -100),
    formula="−t·log(x) − (1 − t)·log(1 − x)", local=("(x − t) / (x·(1 − x))", "log(1 − x) − log(x)"),
)  # fmt: skip

bce_logits = Elementwise(
    "bce_with_logits", lambda x, t: np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))),
    lambda _y, x, t: activation.sigmoid(x) - t,
    lambda _y, x, _t: -x,
    formula="−t·log σ(x) − (1 − t)·log σ(−x)", local=("σ(x) − t", "−x"),
)  # fmt: skip


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """−[t·log x + (1 − t)·log(1 − x)], from probabilities x.

    Raises ValueError for targets of another shape, and for probabilities outside 0 to 1.
    """
    _same_shape("binary_cross_entropy", input, target)
    values = unwrap(input)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise wrong_shape(
            "binary_cross_entropy", f"probabilities from 0 to 1, got values from {values.min()} to {values.max()}: "
            "apply sigmoid first, or use binary_cross_entropy_with_logits",
        )  # fmt: skip
    return _finish(_weighted(bce(input, target), weight), _reduction(reduction, size_average, reduce))


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Any:  # fmt: skip
    """−[p·t·log σ(x) + (1 − t)·log σ(−x)], from logits x; p is `pos_weight`, which weighs the positive answers."""
    _same_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        loss = bce_logits(input, target)
    else:
        loss = (1 - target) * input - (1 + (pos_weight - 1) * target) * activation.logsigmoid(input)
    return _finish(_weighted(loss, weight), _reduction(reduction, size_average, reduce))


def kl_div(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    log_target: bool = False,
) -> Any:  # fmt: skip
    """t·(log t − x), from log-probabilities x: the Kullback-Leibler divergence from x to t.

    ``reduction="batchmean"`` divides by the batch size, which is the mathematical definition.
    """
    if log_target:
        loss = np.exp(target) * (target - input)
    else:
        positive = unwrap(target) > 0
        loss = target * np.log(np.where(positive, target, 1)) - target * input
    if reduction == "batchmean" and size_average is None and reduce is None:
        return loss.sum() / input.shape[0] if input.ndim else loss
    return _finish(loss, _reduction(reduction, size_average, reduce))


# --- margins and distances --------------------------------------------------------------------------


def soft_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """log(1 + exp(−t·x)) for targets t of −1 or 1."""
    _same_shape("soft_margin_loss", input, target)
    return _finish(-activation.logsigmoid(target * input), _reduction(reduction, size_average, reduce))


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """x where the target is 1, max(0, margin − x) where it is −1."""
    t = unwrap(target)
    zero = np.zeros((), input.dtype)
    loss = np.where(t != 1, np.maximum(margin - input, 0), zero) + np.where(t != -1, input, zero)
    return _finish(loss, _reduction(reduction, size_average, reduce))


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, −t·(x₁ − x₂) + margin): target 1 wants x₁ above x₂, −1 below."""
    if not input1.ndim == input2.ndim == target.ndim:
        shapes = ", ".join(str(tuple(x.shape)) for x in (input1, input2, target))
        raise wrong_shape(
            "margin_ranking_loss", f"inputs and target with equally many dimensions, got {shapes}"
        )
    loss = np.maximum(-target * (input1 - input2) + margin, 0)
    return _finish(loss, _reduction(reduction, size_average, reduce))


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """1 − cos(x₁, x₂) where the target is 1, max(0, cos(x₁, x₂) − margin) where it is −1."""
    dot = (input1 * input2).sum(-1)
    tiny = 1e-12
    cosine = dot / np.sqrt(((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny))
    t = unwrap(target)
    zero = np.zeros((), cosine.dtype)
    loss = np.where(t == 1, 1 - cosine, zero) + np.where(t == -1, np.maximum(cosine - margin, 0), zero)
    return _finish(loss, _reduction(reduction, size_average, reduce))


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, d(anchor, positive) − d(anchor, negative) + margin) with the p-norm distance."""
    distance = lambda a, b: pairwise_distance(a, b, p, eps)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap,
        reduction=_reduction(reduction, size_average, reduce),
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *, distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """`triplet_margin_loss` with any distance; `swap` also looks at d(positive, negative)."""
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = ", ".join(str(tuple(x.shape)) for x in (anchor, positive, negative))
        raise wrong_shape("triplet_margin_loss", f"three inputs with equally many dimensions, got {shapes}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = np.minimum(far, distance(positive, negative))
    return _finish(np.maximum(near - far + margin, 0), _reduction(reduction))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """‖x₁ − x₂ + ε‖ₚ along the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


# --- shared -----------------------------------------------------------------------------------------


def _reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction's name; `size_average` and `reduce` are PyTorch's old way of saying it."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction expected 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction


def _finish(loss: Any, reduction: str) -> Any:
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def _weighted(loss: Any, weight: Any) -> Any:
    return loss if weight is None else loss * weight


def _same_shape(name: str, input: Any, target: Any) -> None:
    if tuple(np.shape(unwrap(target))) != tuple(input.shape):
        raise wrong_shape(
            name, f"targets of the input's shape {tuple(input.shape)}, got {tuple(np.shape(unwrap(target)))}"
        )


def _difference(name: str, input: Any, target: Any) -> Any:
    x, t = tuple(input.shape), tuple(np.shape(unwrap(target)))
    if x != t:
        try:
            np.broadcast_shapes(x, t)
        except ValueError as error:
            raise wrong_shape(name, f"targets of the input's shape {x}, got {t}") from error
        warnings.warn(
            f"{name}: the target's shape {t} is not the input's {x}; they are broadcast, which is seldom meant",
            UserWarning, stacklevel=3,
        )  # fmt: skip
    if isinstance(target, Handle) and target.array.dtype.kind not in "fc":
        target = wrap(target.array.astype(input.dtype))
    return input - target
