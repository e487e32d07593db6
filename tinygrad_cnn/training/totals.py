"""What has been measured so far over the samples of an epoch or an evaluation: mean loss, accuracy, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.training.batch import class_answers
from tinygrad_cnn.training.metric_objects import Metric

__all__ = ["Totals"]


class Totals:
    """Sums over the batches since `reset`.

    Attributes
        loss_sum, seen: the sum of the losses over `seen` samples
        correct, judged: classes that were right, of how many
        metrics: collected beside them
    """

    def __init__(self, metrics: Sequence[Metric] = ()) -> None:
        self.metrics = list(metrics)
        self.reset()

    def reset(self) -> None:
        self.loss_sum, self.correct, self.seen, self.judged = 0.0, 0, 0, 0
        for metric in self.metrics:
            metric.reset()

    def update(self, loss: float, n: int, outputs: Any, targets: Any) -> Any:
        """Add a batch of `n` samples; gives its (predicted, true) classes, or None where there are no classes."""
        self.loss_sum += loss * n
        self.seen += n
        classes = class_answers(outputs, targets)
        if classes is not None:
            self.correct += int((classes[0] == classes[1]).sum())
            self.judged += classes[1].size
        for metric in self.metrics:
            metric.update(outputs, targets)
        return classes

    def results(self) -> dict[str, float]:
        """`loss`, of a classifier `accuracy`, and each metric by its name."""
        found = {"loss": self.loss_sum / max(1, self.seen)}
        if self.judged:
            found["accuracy"] = self.correct / self.judged
        return {**found, **{metric.name: metric.result() for metric in self.metrics}}

    @property
    def sums(self) -> list[float]:
        return [self.loss_sum, self.correct, self.seen, self.judged]

    @sums.setter
    def sums(self, values: list[Any]) -> None:
        self.loss_sum, self.correct, self.seen, self.judged = values
