"""What a trained model answers, and how right it is; nothing here changes the model."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops.activation import sigmoid, softmax
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.training.batch import call_model, sizes, split_batch, tensors
from tinygrad_cnn.training.loading import as_loader, paired
from tinygrad_cnn.training.losses import applies_sigmoid, make_loss
from tinygrad_cnn.training.metric_objects import make_metrics
from tinygrad_cnn.training.metrics import confusion_matrix
from tinygrad_cnn.training.totals import Totals

__all__ = ["Evaluation", "evaluate", "predict"]

#: Samples per batch where there is no backward pass, and not shuffled.
EVALUATED = (256, False)


@dataclass(frozen=True)
class Evaluation:
    """The mean loss over all samples; of a classifier also what follows (None of anything else).

    It unpacks as ``loss, accuracy = evaluate(…)``, and further metrics behind these.

    accuracy     the share that was right, 0 to 1
    predictions, targets   classes, (N,) or of a segmentation (all positions,)
    confusion    (C, C) counts: row = true class, column = predicted
    metrics      the others that were asked for, by name
    """

    loss: float
    samples: int
    accuracy: float | None = None
    predictions: Any = field(default=None, repr=False)
    targets: Any = field(default=None, repr=False)
    confusion: Any = field(default=None, repr=False)
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __iter__(self) -> Iterator[float]:
        yield self.loss
        if self.accuracy is not None:
            yield self.accuracy
        yield from self.metrics.values()


def evaluate(
    model: Any, data: Any, y: Any = None, *, loss: Any = None, metrics: Any = (), batch_size: int | None = None
) -> Evaluation:
    """Loss and accuracy of `model` on `data`, in eval mode.

    Args:
        model: the network
        data: a loader, a data set, a pair of arrays, a list of batches; or the inputs, with their targets in `y`
        y: the targets (N, …)
        loss: a function that is a mean over the batch, or a name (see `LOSSES`); cross-entropy unless given
        metrics: names, metrics or functions, measured beside the accuracy
        batch_size: for data that are no loader already; 256 unless given

    Returns:
        what was measured; it unpacks as ``loss, accuracy``

    Raises:
        ValueError: when there is no sample
    """
    loss = make_loss(loss)
    measured = [copy.copy(metric) for metric in make_metrics(metrics, binary=applies_sigmoid(loss))]
    totals = Totals(measured)
    predictions, targets, classes = [], [], 0
    with evaluating(model):
        for batch in as_loader(paired(data, y), batch_size, usual=EVALUATED):
            inputs, wanted = split_batch(batch)
            outputs = call_model(model, inputs)
            found = totals.update(float(unwrap(loss(outputs, wanted))), sizes(inputs), outputs, wanted)
            if found is not None:
                classes = outputs.array.shape[1]
                predictions.append(found[0].ravel())
                targets.append(found[1].ravel())
    if totals.seen == 0:
        raise ValueError("evaluate expected at least one sample, got none")
    results = totals.results()
    others = {metric.name: results[metric.name] for metric in measured}
    if not predictions:
        return Evaluation(results["loss"], totals.seen, metrics=others)
    p, t = np.concatenate(predictions), np.concatenate(targets)
    confusion = confusion_matrix(t, p, classes)
    return Evaluation(results["loss"], totals.seen, results["accuracy"], p, t, confusion, others)


def predict(model: Any, data: Any, *, probabilities: bool = False, batch_size: int | None = None) -> Any:
    """The model's outputs for all samples as one tensor, in eval mode.

    Args:
        model: the network
        data: a tensor or array of inputs (N, …), or a loader or data set, whose targets are not looked at
        probabilities: make class scores (N, C, …) probabilities by a softmax over the classes, one score per sample,
            (N,) or (N, 1), by a sigmoid; outputs that are probabilities already stay as they are
        batch_size: for what is no loader already; 256 unless given

    Returns:
        a tensor (N, …)
    """
    with evaluating(model):
        found = [call_model(model, inputs) for inputs in _inputs(data, batch_size)]
    if not found:
        raise ValueError("predict expected at least one sample, got none")
    if not isinstance(found[0], Handle):
        raise UsageError(f"predict expected a model that gives one tensor, got {type(found[0]).__name__}: call it")
    outputs = wrap(np.concatenate([np.asarray(unwrap(part)) for part in found]))
    return _probabilities(outputs) if probabilities else outputs


def _probabilities(outputs: Any) -> Any:
    y = unwrap(outputs)
    if y.ndim == 1 or y.shape[1] == 1:
        return outputs if y.min() >= 0 and y.max() <= 1 else sigmoid(outputs)
    if (y >= 0).all() and np.allclose(y.sum(1), 1, atol=1e-3):
        return outputs
    return softmax(outputs, 1)


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


def _inputs(data: Any, batch_size: int | None) -> Iterator[Any]:
    if isinstance(data, (Handle, np.ndarray)):
        array = unwrap(data)
        batch_size = EVALUATED[0] if batch_size is None else batch_size
        for start in range(0, len(array), batch_size):
            yield wrap(array[start : start + batch_size])
        return
    for batch in as_loader(data, batch_size, usual=EVALUATED):
        yield tensors(batch[0] if isinstance(batch, (tuple, list)) else batch)
