"""One batch: its inputs and targets, how the model is called with them, and the classes that are in them.

Inputs and targets are a tensor each, or for networks with several of them a tuple, list or dict of tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap

__all__ = ["as_tensor", "call_model", "class_answers", "sizes", "split_batch"]


def split_batch(batch: Any) -> tuple[Any, Any]:
    """A batch as (inputs, targets); TypeError when it is something else."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return tensors(batch[0]), tensors(batch[1])
    size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
    raise TypeError(
        f"a batch must be a pair (inputs, targets), got {type(batch).__name__}{size}; several inputs are a tuple of "
        "their own: ((a, b), targets)"
    )


def tensors(value: Any) -> Any:
    """A tensor, or a tuple or dict of them, out of arrays and numbers."""
    if isinstance(value, dict):
        return {name: tensors(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)) and any(isinstance(part, (Handle, np.ndarray)) for part in value):
        return tuple(tensors(part) for part in value)
    return as_tensor(value)


def as_tensor(value: Any) -> Any:
    return value if isinstance(value, Handle) else wrap(np.asarray(value))


def call_model(model: Any, inputs: Any) -> Any:
    """The outputs: a tuple of inputs becomes positional arguments of the model, a dict becomes keywords."""
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def sizes(inputs: Any) -> int:
    """The number of samples in a batch's inputs: the length of the first."""
    if isinstance(inputs, dict):
        return sizes(next(iter(inputs.values())))
    return sizes(inputs[0]) if isinstance(inputs, tuple) else len(inputs.array)


def class_answers(outputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """(predicted, true) classes, or None where the outputs are no class scores.

    Scores (N, C, *positions) belong to integer classes (N, *positions) or (N, 1). Targets (N, C) whose rows are
    one-hot, or probabilities that add up to 1, count as their largest entry. Positions marked −100, which the
    cross-entropy leaves out, are left out.
    """
    y, t = getattr(outputs, "array", None), getattr(targets, "array", None)
    if y is None or t is None or y.ndim < 2 or len(y) != len(t):
        return None
    if y.shape == t.shape and y.ndim == 2 and y.shape[1] > 1:
        return (y.argmax(1), t.argmax(1)) if _distributions(t) else None
    if t.dtype.kind not in "iu":
        return None
    if y.ndim == 2 and t.shape == (len(y), 1) and y.shape[1] > 1:
        t = t[:, 0]
    if t.shape != (y.shape[0], *y.shape[2:]):
        return None
    predicted, counted = y.argmax(1), t != -100
    return (predicted, t) if counted.all() else (predicted[counted], t[counted])


def _distributions(rows: np.ndarray) -> bool:
    return bool(rows.size) and bool((rows >= 0).all()) and bool(np.allclose(rows.sum(1), 1, atol=1e-3))


def two_classes(outputs: Any) -> bool:
    """Whether the outputs are one score per sample, (N,) or (N, 1), of two classes."""
    y = unwrap(outputs)
    return y.ndim == 1 or y.ndim == 2 and y.shape[1] == 1
