"""Metrics that are collected batch by batch and are exact over all samples: precision, recall, F1, AUC, mean IoU, …

Each takes the model's outputs and the targets of a batch. Class scores (N, C, *positions) belong to integer classes or
one-hot rows; one score per sample, (N,) or (N, 1), is the logit of class 1 of two.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.training.batch import class_answers, two_classes
from tinygrad_cnn.training.metrics import class_iou, class_report, confusion_matrix, top_k_accuracy

__all__ = [
    "AUC", "Accuracy", "F1Score", "Mean", "MeanIoU", "Metric", "Precision", "Recall", "TopKAccuracy", "make_metrics",
]  # fmt: skip

Array = np.ndarray[Any, Any]


class Metric:
    """Base: `update` with each batch, `result` at the end, `reset` for the next round.

    Subclasses keep what they collect in attributes that `state_dict` lists: numbers, arrays, or lists of arrays.
    """

    name = "metric"
    _collected: tuple[str, ...] = ()

    def reset(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define reset")

    def update(self, outputs: Any, targets: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def result(self) -> float:
        """The value over all samples since `reset`; NaN for none."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def __call__(self, outputs: Any, targets: Any) -> float:
        """The value of these outputs alone; what was collected before is forgotten."""
        self.reset()
        self.update(outputs, targets)
        return self.result()

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._collected}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self._collected:
            value, now = state[name], getattr(self, name)
            if isinstance(now, list):
                value = [np.asarray(unwrap(part), np.float64) for part in _checked(value, list)]
            elif now is None or isinstance(now, np.ndarray):
                value = None if value is None else np.asarray(unwrap(value), np.int64)
            else:
                value = _checked(value, (int, float))
            setattr(self, name, value)


class Mean(Metric):
    """The mean over the samples of what `function(outputs, targets)` gives for a batch."""

    _collected = ("total", "samples")

    def __init__(self, function: Callable[[Any, Any], Any], name: str | None = None) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__name__", "metric"))
        self.reset()

    def reset(self) -> None:
        self.total, self.samples = 0.0, 0

    def update(self, outputs: Any, targets: Any) -> None:
        n = len(unwrap(targets))
        self.total += float(unwrap(self.function(outputs, targets))) * n
        self.samples += n

    def result(self) -> float:
        return self.total / self.samples if self.samples else float("nan")


class _FromConfusion(Metric):
    """What follows from the confusion matrix, which is all that is collected."""

    _collected = ("confusion",)

    def __init__(self, name: str | None = None) -> None:
        self.name = name or self.name
        self.reset()

    def reset(self) -> None:
        self.confusion: Array | None = None

    def update(self, outputs: Any, targets: Any) -> None:
        predicted, true, classes = _classes(self.name, outputs, targets)
        found = confusion_matrix(true, predicted, classes)
        self.confusion = found if self.confusion is None else self.confusion + found

    def result(self) -> float:
        return float("nan") if self.confusion is None else self._of(self.confusion)

    def _of(self, confusion: Array) -> float:
        raise NotImplementedError


class Accuracy(_FromConfusion):
    """The share of samples (or positions) whose class is right."""

    name = "accuracy"

    def _of(self, confusion: Array) -> float:
        return float(np.trace(confusion) / max(1, confusion.sum()))


class _PerClass(_FromConfusion):
    """A value per class, and one number out of them.

    average   "macro": the plain mean over the classes; "weighted": by how often each occurs; "micro": over all
              decisions alike; or the number of one class. Of two classes with one score: class 1, unless told.
    """

    def __init__(self, average: str | int | None = None, name: str | None = None) -> None:
        if not (average is None or isinstance(average, int) or average in ("macro", "weighted", "micro")):
            raise ValueError(f"average expected 'macro', 'weighted', 'micro' or a class, got {average!r}")
        self.average = average
        super().__init__(name)

    def update(self, outputs: Any, targets: Any) -> None:
        super().update(outputs, targets)
        self._usual: str | int = 1 if two_classes(outputs) else "macro"

    def _of(self, confusion: Array) -> float:
        average = getattr(self, "_usual", "macro") if self.average is None else self.average
        if average == "micro":
            return float(np.trace(confusion) / max(1, confusion.sum()))
        report = class_report(confusion)
        values = np.array([row[self.name_in_report] for row in report])
        if isinstance(average, int):
            return float(values[average])
        support = confusion.sum(1)
        if average == "weighted":
            return float((values * support).sum() / max(1, support.sum()))
        present = (support + confusion.sum(0)) > 0  # a class that occurs nowhere says nothing, as in scikit-learn
        return float(values[present].mean()) if present.any() else float("nan")

    name_in_report = ""


class Precision(_PerClass):
    """Of what was called a class, the share that is of it."""

    name = name_in_report = "precision"


class Recall(_PerClass):
    """Of what is of a class, the share that was called so."""

    name = name_in_report = "recall"


class F1Score(_PerClass):
    """2 · precision · recall / (precision + recall)."""

    name = name_in_report = "f1"


class MeanIoU(_FromConfusion):
    """Intersection over union, TP / (TP + FP + FN), averaged over the classes that occur."""

    name = "mean_iou"

    def _of(self, confusion: Array) -> float:
        each = class_iou(confusion)
        return float(np.nanmean(each)) if not np.isnan(each).all() else float("nan")


class TopKAccuracy(Metric):
    """The share of samples whose class is among the `k` with the largest scores."""

    _collected = ("right", "samples")

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        self.k = k
        self.name = name or f"top_{k}_accuracy"
        self.reset()

    def reset(self) -> None:
        self.right, self.samples = 0.0, 0

    def update(self, outputs: Any, targets: Any) -> None:
        scores = unwrap(outputs)
        _, true, _ = _classes(self.name, outputs, targets)
        self.right += top_k_accuracy(scores, true, self.k) * len(true)
        self.samples += len(true)

    def result(self) -> float:
        return self.right / self.samples if self.samples else float("nan")


class AUC(Metric):
    """The area under the ROC curve, from all scores; of several classes, the mean of each against the rest.

    It is the probability that a sample of the class has a larger score than one of the others, ties counted half
    (Mann and Whitney). Scores of several classes are compared after a softmax.
    """

    name = "auc"
    _collected = ("scores", "classes")

    def __init__(self, name: str | None = None) -> None:
        self.name = name or self.name
        self.reset()

    def reset(self) -> None:
        self.scores: list[Array] = []
        self.classes: list[Array] = []

    def update(self, outputs: Any, targets: Any) -> None:
        y = np.asarray(unwrap(outputs), np.float64)
        _, true, _ = _classes(self.name, outputs, targets)
        if y.ndim == 2 and y.shape[1] > 2:
            y = np.exp(y - y.max(1, keepdims=True))
            y /= y.sum(1, keepdims=True)
        elif y.ndim == 2 and y.shape[1] == 2:
            y = y[:, 1] - y[:, 0]
        self.scores.append(y.reshape(len(true), -1))
        self.classes.append(np.asarray(true, np.float64))

    def result(self) -> float:
        if not self.scores:
            return float("nan")
        scores, classes = np.concatenate(self.scores), np.concatenate(self.classes)
        if scores.shape[1] == 1:
            return _area(scores[:, 0], classes == 1)
        areas = [_area(scores[:, c], classes == c) for c in range(scores.shape[1])]
        return float(np.mean(areas))


def make_metrics(metrics: Any, *, binary: bool = False) -> list[Metric]:
    """Metric objects out of names, metrics, and functions (outputs, targets) -> mean over the batch.

    "accuracy" is measured of every classifier anyway, and adds nothing; with `binary` (one score per sample) it is
    measured at a probability of ½. Raises UsageError for an unknown name.
    """
    if isinstance(metrics, (str, Metric)) or callable(metrics):
        metrics = [metrics]
    found: list[Metric] = []
    for metric in metrics or ():
        if isinstance(metric, Metric):
            found.append(metric)
        elif isinstance(metric, str):
            found += _by_name(metric, binary)
        elif callable(metric):
            found.append(Mean(metric))
        else:
            raise UsageError(f"a metric is a name, a Metric or a function, got {type(metric).__name__}")
    names = [metric.name for metric in found]
    if len(set(names)) < len(names):
        raise UsageError(f"two metrics have one name: {', '.join(names)}; give one of them another with name=")
    return found


def _mae(outputs: Any, targets: Any) -> float:
    y, t = unwrap(outputs), unwrap(targets)
    return float(np.abs(y - t.reshape(y.shape)).mean())


def _mse(outputs: Any, targets: Any) -> float:
    y, t = unwrap(outputs), unwrap(targets)
    return float(((y - t.reshape(y.shape)) ** 2).mean())


_NAMES: dict[str, Callable[[], Metric]] = {
    "binary_accuracy": lambda: Accuracy("binary_accuracy"),
    "precision": Precision,
    "recall": Recall,
    **dict.fromkeys(("f1", "f1_score"), F1Score),
    "auc": AUC,
    "mean_iou": MeanIoU,
    **dict.fromkeys(("top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"), TopKAccuracy),
    **dict.fromkeys(("mae", "mean_absolute_error"), lambda: Mean(_mae, "mae")),
    **dict.fromkeys(("mse", "mean_squared_error"), lambda: Mean(_mse, "mse")),
}  # fmt: skip
_ACCURACY = ("accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy")


def _by_name(name: str, binary: bool) -> Sequence[Metric]:
    key = name.lower()
    if key in _ACCURACY:
        return [Accuracy()] if binary else []
    if key not in _NAMES:
        near = difflib.get_close_matches(key, [*_NAMES, *_ACCURACY], n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(f"unknown metric {name!r}{hint}; known: accuracy, {', '.join(_NAMES)}, or a function")
    return [_NAMES[key]()]


def _classes(name: str, outputs: Any, targets: Any) -> tuple[Array, Array, int]:
    """Predicted and true classes, and how many classes there are; UsageError where there are none."""
    y, t = getattr(outputs, "array", outputs), getattr(targets, "array", targets)
    y, t = np.asarray(y), np.asarray(t)
    if two_classes(y) and t.size == y.size:
        return (y.ravel() > 0).astype(np.int64), t.ravel().astype(np.int64), 2
    found = class_answers(_Array(y), _Array(t))
    if found is None:
        raise UsageError(
            f"the metric {name!r} expected class scores (N, C) with classes (N,) or one-hot rows, or one score per "
            f"sample with targets 0 and 1; got outputs {y.shape} and targets {t.shape} of {t.dtype}"
        )
    return found[0].ravel(), found[1].ravel(), y.shape[1]


class _Array:
    """An array in the one attribute that `class_answers` reads."""

    def __init__(self, array: Array) -> None:
        self.array = array


def _area(scores: Array, positive: Array) -> float:
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        return float("nan")
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]  # ties share the mean of their ranks
    return float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a metric's state expected {kind}, got {type(value).__name__}")
    return value
