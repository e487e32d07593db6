"""Losses of values, probabilities and distances, with PyTorch's arguments and reductions.

Every loss is a few elementwise ops followed by a reduction. Losses of class scores are in `classification`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.autograd.op import Elementwise
from tinygrad_cnn.nn.functional.reduction import difference, finish, reduction_of, same_shape, weighted
from tinygrad_cnn.ops import activation
from tinygrad_cnn.ops.elementwise import in_float32, where
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor

# --- regression -------------------------------------------------------------------------------------


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The squared error (x − t)²."""
    d = difference("mse_loss", input, target)
    return finish(weighted(d * d, weight), reduction_of(reduction, size_average, reduce))


def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The absolute error |x − t|."""
    d = difference("l1_loss", input, target)
    return finish(weighted(abs(d), weight), reduction_of(reduction, size_average, reduce))


def _smooth(d: np.ndarray, *, beta: float) -> np.ndarray:
    size = abs(d)
    return np.where(size < beta, 0.5 / beta * d * d, size - 0.5 * beta).astype(d.dtype, copy=False)


smooth_abs = Elementwise(
    "smooth_abs", _smooth, lambda _y, d, *, beta: np.clip(d / beta, -1, 1),
    formula="x²/2β where |x| < β, else |x| − β/2", local=("x/β between −1 and 1",),
)  # fmt: skip


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """d²/2β where |d| < β, else |d| − β/2 (Girshick 2015); β = 0 is `l1_loss`."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss expected beta of zero or more, got {beta}")
    if beta == 0:
        return l1_loss(input, target, size_average, reduce, reduction)
    d = difference("smooth_l1_loss", input, target)
    return finish(smooth_abs(d, beta=float(beta)), reduction_of(reduction, size_average, reduce))


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d²/2 where |d| < δ, else δ·(|d| − δ/2) (Huber 1964)."""
    if delta <= 0:
        raise ValueError(f"huber_loss expected delta above zero, got {delta}")
    d = difference("huber_loss", input, target)
    return finish(weighted(smooth_abs(d, beta=float(delta)) * delta, weight), reduction_of(reduction))


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
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
    return finish(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction_of(reduction))


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """exp(x) − t·x (x the log of the rate), or x − t·log(x + ε): the negative log-likelihood of counts."""
    loss = np.exp(input) - target * input if log_input else input - target * np.log(input + eps)
    if full:
        large = unwrap(target) > 1
        t = np.where(large, target, 1)
        loss = loss + np.where(large, t * np.log(t) - t + 0.5 * np.log(2 * np.pi * t), 0)
    return finish(loss, reduction_of(reduction, size_average, reduce))


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
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """−[t·log x + (1 − t)·log(1 − x)], from probabilities x.

    Raises ValueError for targets of another shape, and for probabilities outside 0 to 1.
    """
    same_shape("binary_cross_entropy", input, target)
    values = unwrap(input)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise wrong_shape(
            "binary_cross_entropy", f"probabilities from 0 to 1, got values from {values.min()} to {values.max()}: "
            "apply sigmoid first, or use binary_cross_entropy_with_logits",
        )  # fmt: skip
    return finish(weighted(bce(input, target), weight), reduction_of(reduction, size_average, reduce))


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """−[p·t·log σ(x) + (1 − t)·log σ(−x)], from logits x; p is `pos_weight`, which weighs the positive answers."""
    same_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        loss = bce_logits(input, target)
    else:
        loss = (1 - target) * input - (1 + (pos_weight - 1) * target) * activation.logsigmoid(input)
    return finish(weighted(loss, weight), reduction_of(reduction, size_average, reduce))


def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
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
    return finish(loss, reduction_of(reduction, size_average, reduce))


# --- margins and distances --------------------------------------------------------------------------


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(−t·x)) for targets t of −1 or 1."""
    same_shape("soft_margin_loss", input, target)
    return finish(-activation.logsigmoid(target * input), reduction_of(reduction, size_average, reduce))


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """x where the target is 1, max(0, margin − x) where it is −1."""
    t = unwrap(target)
    zero = np.zeros((), input.dtype)
    loss = where(t != 1, (margin - input).clamp(min=0), zero) + where(t != -1, input, zero)
    return finish(loss, reduction_of(reduction, size_average, reduce))


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, −t·(x₁ − x₂) + margin): target 1 wants x₁ above x₂, −1 below."""
    if not input1.ndim == input2.ndim == target.ndim:
        shapes = ", ".join(str(tuple(x.shape)) for x in (input1, input2, target))
        raise wrong_shape(
            "margin_ranking_loss", f"inputs and target with equally many dimensions, got {shapes}"
        )
    loss = (-target * (input1 - input2) + margin).clamp(min=0)  # at the kink the gradient is that of the slope
    return finish(loss, reduction_of(reduction, size_average, reduce))


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 − cos(x₁, x₂) where the target is 1, max(0, cos(x₁, x₂) − margin) where it is −1."""
    dot = (input1 * input2).sum(-1)
    tiny = 1e-12
    cosine = dot / np.sqrt(((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny))
    t = unwrap(target)
    zero = np.zeros((), cosine.dtype)
    loss = where(t == 1, 1 - cosine, zero) + where(t == -1, (cosine - margin).clamp(min=0), zero)
    return finish(loss, reduction_of(reduction, size_average, reduce))


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-06,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, d(anchor, positive) − d(anchor, negative) + margin) with the p-norm distance."""
    distance = lambda a, b: pairwise_distance(a, b, p, eps)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap,
        reduction=reduction_of(reduction, size_average, reduce),
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with any distance; `swap` also looks at d(positive, negative)."""
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = ", ".join(str(tuple(x.shape)) for x in (anchor, positive, negative))
        raise wrong_shape("triplet_margin_loss", f"three inputs with equally many dimensions, got {shapes}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = np.minimum(far, distance(positive, negative))
    return finish((near - far + margin).clamp(min=0), reduction_of(reduction))


@in_float32
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """‖x₁ − x₂ + ε‖ₚ along the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)
