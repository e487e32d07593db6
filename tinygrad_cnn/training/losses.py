"""Losses by the names that Keras and PyTorch give them, each a function (outputs, targets) -> mean over the batch.

Classification losses take logits, as PyTorch's do: the softmax or sigmoid is part of the loss.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn.modules.loss import BCEWithLogitsLoss, CrossEntropyLoss
from tinygrad_cnn.support.errors import UsageError

__all__ = [
    "LOSSES", "applies_sigmoid", "binary_cross_entropy", "cross_entropy", "gelu_margin", "make_loss", "relu_margin",
    "sigmoid_margin", "warn_of_second_softmax", "with_class_weight",
]  # fmt: skip

Loss = Callable[[Any, Any], Any]


def cross_entropy(outputs: Any, targets: Any, reduction: str = "mean") -> Any:
    """−log softmax(outputs)[target]; targets: classes (N,) or (N, 1), or of the outputs' shape."""
    t = unwrap(targets)
    if t.shape == tuple(outputs.shape) and t.ndim > 1 and t.dtype.kind != "f":
        targets = wrap(t.astype(np.float32))
    elif t.ndim == 2 and t.shape[1] == 1 and outputs.ndim == 2 and outputs.shape[1] > 1:
        targets = wrap(t[:, 0])
    return F.cross_entropy(outputs, targets, reduction=reduction)


def binary_cross_entropy(outputs: Any, targets: Any) -> Any:
    """The cross-entropy of two classes, from one logit per sample; targets 0 or 1."""
    return F.binary_cross_entropy_with_logits(outputs, _like(outputs, targets))


def mean_squared_error(outputs: Any, targets: Any) -> Any:
    """The mean of (outputs − targets)²; targets (N,) fit outputs (N, 1)."""
    return F.mse_loss(outputs, _like(outputs, targets))


def mean_absolute_error(outputs: Any, targets: Any) -> Any:
    """The mean of |outputs − targets|; targets (N,) fit outputs (N, 1)."""
    return F.l1_loss(outputs, _like(outputs, targets))


def huber(outputs: Any, targets: Any) -> Any:
    """Huber's loss with δ = 1; targets (N,) fit outputs (N, 1)."""
    return F.huber_loss(outputs, _like(outputs, targets))


def relu_margin(outputs: Any, targets: Any) -> Any:
    """The mean over the samples of Σ_{j≠y} max(0, s_j − s_y + 1); `F.multi_margin_loss` divides it by the classes."""
    return _margins(outputs, targets, lambda d: F.relu(d + 1))


def sigmoid_margin(outputs: Any, targets: Any) -> Any:
    """The mean over the samples of Σ_{j≠y} [1 − σ(s_y − s_j)]."""
    return _margins(outputs, targets, F.sigmoid)  # 1 − σ(−d) = σ(d)


def gelu_margin(outputs: Any, targets: Any) -> Any:
    """The mean over the samples of Σ_{j≠y} GELU(1 − (s_y − s_j))."""
    return _margins(outputs, targets, lambda d: F.gelu(d + 1))


def _margins(outputs: Any, targets: Any, function: Callable[[Any], Any]) -> Any:
    """The sum over the classes j ≠ y of function(s_j − s_y), averaged over the samples."""
    t = unwrap(targets)
    y = t.argmax(1) if t.ndim == 2 and t.shape == tuple(outputs.shape) else t.reshape(-1)
    rows = np.arange(len(y))
    own = outputs[wrap(rows), wrap(y)].reshape(-1, 1)
    others = np.ones(tuple(outputs.shape), unwrap(outputs).dtype)
    others[rows, y] = 0
    return (function(outputs - own) * wrap(others)).sum() / len(y)


#: Losses by name. The classification losses take both integer and one-hot targets, so that Keras's two names are one.
LOSSES: dict[str, Loss] = {
    **dict.fromkeys(("cross_entropy", "categorical_crossentropy", "sparse_categorical_crossentropy"), cross_entropy),
    **dict.fromkeys(("binary_crossentropy", "binary_cross_entropy_with_logits"), binary_cross_entropy),
    **dict.fromkeys(("mse", "mean_squared_error", "mse_loss"), mean_squared_error),
    **dict.fromkeys(("mae", "mean_absolute_error", "l1_loss"), mean_absolute_error),
    "huber": huber,
    "relu_margin": relu_margin,
    "sigmoid_margin": sigmoid_margin,
    "gelu_margin": gelu_margin,
    "nll_loss": F.nll_loss,
}


def make_loss(loss: Any) -> Loss:
    """A loss function out of a name, a function, or for several outputs a list or dict of these (their sum).

    Cross-entropy for None. A name is applied to each of several outputs. Raises UsageError for an unknown name.
    """
    if loss is None:
        return _each(cross_entropy)
    if isinstance(loss, Mapping):
        parts = {name: make_loss(part) for name, part in loss.items()}
        return lambda outputs, targets: _sum(part(outputs[name], targets[name]) for name, part in parts.items())
    if isinstance(loss, (list, tuple)):
        each = [make_loss(part) for part in loss]
        return lambda outputs, targets: _sum(part(y, t) for part, y, t in zip(each, outputs, targets, strict=True))
    if not isinstance(loss, str):
        if not callable(loss):
            raise UsageError(f"a loss is a function (outputs, targets) or a name, got {type(loss).__name__}")
        return loss
    if loss not in LOSSES:
        near = difflib.get_close_matches(loss, LOSSES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(f"unknown loss {loss!r}{hint}; known: {', '.join(LOSSES)}, or a function (outputs, targets)")
    return _each(LOSSES[loss])


def with_class_weight(loss: Loss, weights: Mapping[int, float]) -> Loss:
    """Cross-entropy in which a sample of class c counts `weights[c]` times (1 for a class that is not named).

    The mean divides by the number of samples, as in Keras (`nn.CrossEntropyLoss(weight=…)` divides by the sum of the
    weights). UsageError for any other loss.
    """
    if getattr(loss, "of", None) is not cross_entropy:
        raise UsageError(
            "class_weight weighs the samples of the named cross-entropy, and this training has another loss: give that "
            "loss weights of its own, as in nn.CrossEntropyLoss(weight=…)"
        )
    factors = {int(name): float(weight) for name, weight in weights.items()}

    def weighted(outputs: Any, targets: Any) -> Any:
        t = unwrap(targets)
        classes = t.argmax(1) if t.ndim > 1 and t.shape == tuple(outputs.shape) else t.reshape(len(t), *t.shape[2:])
        scale = np.ones(classes.shape, np.float32)
        for c, factor in factors.items():
            scale[classes == c] = factor
        return (cross_entropy(outputs, targets, reduction="none") * wrap(scale)).mean()

    weighted.of = cross_entropy  # type: ignore[attr-defined]
    return weighted


def warn_of_second_softmax(outputs: Any, loss: Loss) -> None:
    """Warn if the model ends in a softmax (or sigmoid) that the loss applies again. Call it with recorded outputs."""
    node = getattr(outputs, "node", None)
    last = getattr(getattr(node, "op", None), "name", "")
    if last == "softmax" and applies_softmax(loss):
        warnings.warn(
            "the model ends in a softmax, and the cross-entropy applies one itself: the loss will hardly fall. Let the "
            "model end in its scores; predict(…, probabilities=True) gives probabilities",
            stacklevel=2,
        )
    elif last == "sigmoid" and applies_sigmoid(loss):
        warnings.warn(
            "the model ends in a sigmoid, and the binary cross-entropy applies one itself: let the model end in its "
            "scores; predict(…, probabilities=True) gives probabilities",
            stacklevel=2,
        )


def applies_softmax(loss: Loss) -> bool:
    own = getattr(loss, "of", loss)
    return own in (cross_entropy, F.cross_entropy) or isinstance(own, CrossEntropyLoss)


def applies_sigmoid(loss: Loss) -> bool:
    own = getattr(loss, "of", loss)
    return own in (binary_cross_entropy, F.binary_cross_entropy_with_logits) or isinstance(own, BCEWithLogitsLoss)


def _each(function: Loss) -> Loss:
    """The loss for one output, and the sum of the losses for several."""

    def loss(outputs: Any, targets: Any) -> Any:
        if isinstance(outputs, dict):
            return _sum(function(outputs[name], targets[name]) for name in outputs)
        if isinstance(outputs, (tuple, list)):
            return _sum(function(y, t) for y, t in zip(outputs, targets, strict=True))
        return function(outputs, targets)

    loss.of = function  # type: ignore[attr-defined]
    return loss


def _sum(values: Any) -> Any:
    first, *rest = values
    for value in rest:
        first = first + value
    return first


def _like(outputs: Any, targets: Any) -> Any:
    """Targets in the outputs' dtype, and in their shape where that only adds or drops dimensions of length 1."""
    t = unwrap(targets)
    squeezed = tuple(n for n in t.shape if n != 1) == tuple(n for n in outputs.shape if n != 1)
    shape = tuple(outputs.shape) if squeezed else t.shape
    return wrap(t.reshape(shape).astype(unwrap(outputs).dtype, copy=False))
