"""What `train --task segment` and `detect` do differently from classifying: data, networks, loss, measures and
pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import viz
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.cli.console import simple_table
from tinygrad_cnn.cli.recipes import Recipe
from tinygrad_cnn.datasets.scattered import ScatteredDigits
from tinygrad_cnn.models.dense import Detection
from tinygrad_cnn.nn.functional import cross_entropy
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.training.boxes import average_precision
from tinygrad_cnn.training.evaluation import evaluating
from tinygrad_cnn.training.metrics import class_iou, confusion_matrix
from tinygrad_cnn.utils.data import DataLoader, TensorDataset

__all__ = ["DATA", "RECIPES", "TASKS", "Outcome", "check", "loss_of", "measure", "tell"]

DATA = "scattered-digits"
#: The defaults of each task beside "classify", with the network that it takes first.
RECIPES = {
    "segment": Recipe("fcn", 8, 16, "adam", 5e-3, "onecycle", 0.05),
    "detect": Recipe("center-net", 8, 16, "adam", 5e-3, "onecycle", 0.05),
}
TASKS = ("classify", *RECIPES)
_MODELS = {"segment": ("fcn", "unet"), "detect": ("center-net",)}
_SHOWN = 8


@dataclass(frozen=True)
class Outcome:
    """What a run's network reaches on the test part: numbers for result.json, and what draws results.png."""

    task: str
    classes: tuple[str, ...]
    result: dict[str, Any]
    draw: Callable[[Path], object]


def check(task: str, model: str, data: str) -> None:
    """UsageError unless the network and the data are for this task."""
    if task == "classify":
        for other, known in _MODELS.items():
            if model in known:
                raise UsageError(f"the model {model!r} does not classify: train it with --task {other}")
        if data == DATA:
            raise UsageError(f"the data set {DATA!r} is for --task {' and '.join(RECIPES)}")
        return
    if data != DATA:
        raise UsageError(f"--task {task} learns from the data set {DATA!r}, not from {data!r}: leave --data out")
    if model not in _MODELS[task]:
        raise UsageError(f"the model {model!r} does not {task}; known for it: {', '.join(_MODELS[task])}")


def loss_of(task: str, model: Any) -> Callable[[Any, Any], Any]:
    """The loss that the task's network is trained with."""
    return model.loss if task == "detect" else cross_entropy


def measure(task: str, model: Any, test: ScatteredDigits) -> Outcome:
    """Pixel accuracy and IoU of a segmenter, average precision of a detector, on the test part."""
    images, targets = test.arrays()
    loss, outputs = loss_of(task, model), []
    total = 0.0
    with evaluating(model):
        for x, y in DataLoader(TensorDataset(images, targets), 50):
            scores = model(x)
            total += float(loss(scores, y)) * len(x)
            outputs.append(scores.array.argmax(1) if task == "segment" else scores.array)
    answers = np.concatenate(outputs)
    result: dict[str, Any] = {"task": task, "test_loss": total / len(images), "test_samples": len(images)}
    if task == "segment":
        confusion = confusion_matrix(targets, answers, len(test.classes))
        iou = class_iou(confusion)
        result |= {
            "pixel_accuracy": float(np.trace(confusion) / confusion.sum()), "mean_iou": float(np.nanmean(iou)),
            "iou": [None if np.isnan(value) else round(float(value), 6) for value in iou],
        }  # fmt: skip
        draw = lambda path: viz.segmentation(
            images[:_SHOWN], targets[:_SHOWN], answers[:_SHOWN], path, classes=test.classes,
            title=f"mean IoU {result['mean_iou']:.3f}",
        )  # fmt: skip
        return Outcome(task, test.classes, result, draw)
    found = model.detect(wrap(answers))
    true = [(rows[rows[:, 4] >= 0, :4], rows[rows[:, 4] >= 0, 4].astype(int)) for rows in targets]
    result |= {
        "ap50": average_precision(found, true, 0.5), "ap75": average_precision(found, true, 0.75),
        "ap": float(np.mean([average_precision(found, true, iou) for iou in np.arange(0.5, 1, 0.05)])),
        "ap50_per_class": [average_precision(*_only(found, true, k), 0.5) for k in range(len(test.classes))],
    }  # fmt: skip
    draw = lambda path: viz.detections(
        images[:_SHOWN], found[:_SHOWN], true[:_SHOWN], path, classes=test.classes, title=f"AP50 {result['ap50']:.3f}"
    )
    return Outcome(task, test.classes, result, draw)


def tell(outcome: Outcome, out: Any) -> None:
    """Print the measures."""
    result = outcome.result
    what, values = ("IoU", result["iou"]) if outcome.task == "segment" else ("AP50", result["ap50_per_class"])
    table = simple_table("class", what, right=(1,))
    for name, value in zip(outcome.classes, values):
        table.add_row(name, "–" if value is None else f"{value:.3f}")
    out.print()
    out.print(table)
    if outcome.task == "segment":
        line = f"mean IoU {result['mean_iou']:.4f}, pixel accuracy {result['pixel_accuracy']:.2%}"
    else:
        line = f"AP50 {result['ap50']:.4f}, AP75 {result['ap75']:.4f}, AP {result['ap']:.4f}"
    out.print(f"\ntest {line}, loss {result['test_loss']:.4f}", style="bold")


def _only(found: list[Detection], true: list[Any], label: int) -> tuple[list[Any], list[Any]]:
    """Detections and true boxes of one class."""
    mine = [(a.boxes[a.labels == label], a.scores[a.labels == label], a.labels[a.labels == label]) for a in found]
    return mine, [(boxes[labels == label], labels[labels == label]) for boxes, labels in true]
