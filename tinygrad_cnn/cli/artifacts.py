"""What a finished training leaves in its run folder besides checkpoints, and tells at its end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygrad_cnn import viz
from tinygrad_cnn.cli import tasks
from tinygrad_cnn.cli.console import confusion_table
from tinygrad_cnn.cli.runs import PICTURES, RESULT, Config
from tinygrad_cnn.io.atomic import write_atomically
from tinygrad_cnn.support.errors import MissingExtraError
from tinygrad_cnn.training.checkpoint import BEST, HISTORY, LAST
from tinygrad_cnn.training.evaluation import Evaluation, evaluate, evaluating
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loading import as_dataset

__all__ = ["clear", "finish", "tell"]

_CURVES = ("epoch", "loss", "val_loss", "accuracy", "val_accuracy", "lr")


def finish(
    folder: Path, config: Config, model: Any, history: History, train: Any, test: Any, out: Any
) -> list[str]:
    """Measure `model` (with the run's best weights) on the test set; write pictures and result.json, print it all.

    Returns the names of the files in the run folder.
    """
    title = f"{config.model} on {config.data}"
    if config.task == "classify":
        found = evaluate(model, as_dataset(test))
        tell(found, test.classes, out)
        measured = {"test_loss": found.loss, "test_accuracy": found.accuracy, "test_samples": found.samples}
        result: dict[str, Any] = {**measured, "confusion": found.confusion.tolist()}
        own: tuple[str, Callable[[Path], Any]] = (
            "confusion.png",
            lambda path: viz.confusion_matrix(found.confusion, path, classes=test.classes, title=title),
        )
    else:
        outcome = tasks.measure(config.task, model, test)
        tasks.tell(outcome, out)
        result, own = outcome.result, ("results.png", outcome.draw)
    curves = {key: history[key] for key in _CURVES if key in history}
    left_out: list[MissingExtraError] = []
    for name, draw in (
        ("curves.png", lambda path: viz.curves(curves, path, title=title)),
        own,
        ("graph.svg", lambda path: _graph(config.task, model, train, path, title)),
    ):
        _draw(name, draw, folder, left_out)
    for message in dict.fromkeys(str(error) for error in left_out):
        out.print(message, soft_wrap=True)
    write_atomically(folder / RESULT, json.dumps(result) + "\n")
    return [name for name in ("config.json", HISTORY, BEST, LAST, RESULT, *PICTURES) if (folder / name).exists()]


def tell(found: Evaluation, classes: tuple[str, ...], out: Any) -> None:
    """Print the confusion matrix and the accuracy."""
    out.print()
    out.print(confusion_table(found.confusion, classes))
    wrong = int((found.predictions != found.targets).sum())
    out.print(
        f"\ntest accuracy {found.accuracy:.2%} ({wrong:,} of {found.samples:,} wrong), loss {found.loss:.4f}",
        style="bold",
    )


def clear(folder: Path) -> None:
    """Remove what an earlier run left in the folder; files that are not ours stay."""
    for name in (RESULT, BEST, LAST, HISTORY, *PICTURES):
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()


def _draw(
    name: str, draw: Callable[[Path], Any], folder: Path, left_out: list[MissingExtraError]
) -> None:
    try:
        draw(folder / name)
    except MissingExtraError as error:
        left_out.append(MissingExtraError(f"left out {name}: {error}"))


def _graph(task: str, model: Any, train: Any, path: Path, title: str) -> None:
    """The graph of the loss of two samples, as one training step records it."""
    from tinygrad_cnn.autograd import modes
    from tinygrad_cnn.utils.data import DataLoader

    inputs, targets = next(iter(DataLoader(as_dataset(train), 2)))
    # In eval mode: a picture must not move batch norm's running statistics.
    with evaluating(model), modes.enable_grad():
        loss = tasks.loss_of(task, model)(model(inputs), targets)
    viz.graph(loss, title=title).svg(path)
