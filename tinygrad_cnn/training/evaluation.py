"""What a trained model answers, and how right it is; nothing here changes the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.training.loading import as_loader
from tinygrad_cnn.training.metrics import confusion_matrix

__all__ = ["Evaluation", "evaluate", "predict", "split_batch"]

#: Samples per batch where there is no backward pass, and not shuffled.
EVALUATED = (256, False)


@dataclass(frozen=True)
class Evaluation:
    """The mean loss over all samples; of a classifier also what follows (None of anything else).

    accuracy     the share that was right, 0 to 1
    predictions, targets   (N,) classes
    confusion    (C, C) counts: row = true class, column = predicted
    """

    loss: float
    samples: int
    accuracy: float | None = None
    predictions: Any = None
    targets: Any = None
    confusion: Any = None


def evaluate(
    model: Any, data: Any, *, loss: Callable[[Any, Any], Any] | None = None, batch_size: int | None = None
) -> Evaluation:
    """Loss and accuracy of `model` on `data` (a loader, a data set, or a pair of arrays), in eval mode.

    `loss` defaults to cross-entropy; it must be a mean over the batch. `batch_size` (256) is for data that are no
    loader already. ValueError when there is no sample.
    """
    loss = loss or cross_entropy()
    total, samples = 0.0, 0
    predictions, targets, classes = [], [], 0
    with evaluating(model):
        for batch in as_loader(data, batch_size, usual=EVALUATED):
            inputs, wanted = split_batch(batch)
            outputs = model(inputs)
            n = len(inputs.array)
            total += float(unwrap(loss(outputs, wanted))) * n
            samples += n
            if is_classification(outputs, wanted):
                classes = outputs.array.shape[1]
                predictions.append(outputs.array.argmax(1))
                targets.append(wanted.array)
    if samples == 0:
        raise ValueError("evaluate expected at least one sample, got none")
    if not predictions:
        return Evaluation(total / samples, samples)
    p, t = np.concatenate(predictions), np.concatenate(targets)
    return Evaluation(total / samples, samples, float(np.mean(p == t)), p, t, confusion_matrix(t, p, classes))


def predict(model: Any, data: Any, *, batch_size: int | None = None) -> Any:
    """The model's outputs for all samples as one tensor, in eval mode.

    `data` is a tensor or array of inputs (N, …), or a loader or data set, whose targets are not looked at.
    `batch_size` (256) is for what is no loader already.
    """
    with evaluating(model):
        outputs = [np.asarray(unwrap(model(inputs))) for inputs in _inputs(data, batch_size)]
    if not outputs:
        raise ValueError("predict expected at least one sample, got none")
    return wrap(np.concatenate(outputs))


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Eval mode and no recording; every module is put back into the mode it was in."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with modes.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training


def split_batch(batch: Any) -> tuple[Any, Any]:
    """A batch as (inputs, targets); TypeError when it is something else."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        inputs, targets = batch
        return as_tensor(inputs), as_tensor(targets)
    size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
    raise TypeError(f"a batch must be a pair (inputs, targets), got {type(batch).__name__}{size}")


def as_tensor(value: Any) -> Any:
    return value if isinstance(value, Handle) else wrap(np.asarray(value))


def is_classification(outputs: Any, targets: Any) -> bool:
    """Whether these are scores (N, C) for integer classes (N,)."""
    y = getattr(outputs, "array", None)
    t = targets.array
    return y is not None and y.ndim == 2 and t.ndim == 1 and t.dtype.kind in "iu" and len(t) == len(y)


def cross_entropy() -> Callable[[Any, Any], Any]:
    from tinygrad_cnn.nn.functional import cross_entropy as function

    return function


def _inputs(data: Any, batch_size: int | None) -> Iterator[Any]:
    if isinstance(data, (Handle, np.ndarray)):
        array = unwrap(data)
        batch_size = EVALUATED[0] if batch_size is None else batch_size
        for start in range(0, len(array), batch_size):
            yield wrap(array[start : start + batch_size])
        return
    for batch in as_loader(data, batch_size, usual=EVALUATED):
        yield as_tensor(batch[0] if isinstance(batch, (tuple, list)) else batch)
