"""A run folder's checkpoints: `last.npz` continues the training, `best.npz` holds the best weights.

`last.npz` is the whole state of the `Trainer`; `best.npz` the weights of the epoch that did best, with its
record. Both appear complete or not at all, so a run may be killed at any moment.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from tinygrad_cnn.io import load, save
from tinygrad_cnn.support.errors import CheckpointError
from tinygrad_cnn.training.callbacks import Monitor

__all__ = ["BEST", "LAST", "RunCheckpoint", "load_run", "load_weights"]

LAST, BEST, HISTORY = "last.npz", "best.npz", "history.json"


class RunCheckpoint(Monitor):
    """Keeps `last.npz`, `best.npz` and `history.json` in `folder` up to date.

    `monitor` decides which epoch was best; with None that is the latest, for trainings that hold nothing out.
    `last.npz` is written after each epoch, when interrupted, and within an epoch after every `every_batches`
    batches and every `every_seconds` seconds (None: not for that reason). Put it last among the callbacks:
    it saves the others' state too.
    """

    def __init__(
        self, folder: str | os.PathLike[str], monitor: str | None = "val_accuracy", *, mode: str | None = None,
        every_batches: int | None = None, every_seconds: float | None = 30.0,
    ) -> None:  # fmt: skip
        if every_batches is not None and every_batches < 1:
            raise ValueError(f"every_batches expected a number of batches from 1 up, or None, got {every_batches}")
        super().__init__(monitor or "epoch", mode)
        self.ties = True  # of equals the latest, which the schedule has annealed furthest
        self.folder = Path(folder)
        self.every_batches = every_batches
        self.every_seconds = every_seconds
        self._saved = time.monotonic()

    def on_train_begin(self, trainer: Any) -> None:
        super().on_train_begin(trainer)
        self._saved = time.monotonic()

    def on_batch_end(self, trainer: Any) -> None:
        by_count = self.every_batches is not None and trainer.batch % self.every_batches == 0
        by_time = self.every_seconds is not None and time.monotonic() - self._saved >= self.every_seconds
        # The epoch's last batch is saved by its end.
        if (by_count or by_time) and trainer.batch != trainer.batches:
            self.save_last(trainer)

    def on_epoch_end(self, trainer: Any) -> None:
        if self.improved(trainer):
            record = trainer.history.records[-1]
            save({"model": dict(trainer.model.state_dict()), "record": record}, self.folder / BEST)
        trainer.history.save(self.folder / HISTORY)
        self.save_last(trainer)

    def on_interrupt(self, trainer: Any) -> None:
        self.save_last(trainer)

    def save_last(self, trainer: Any) -> None:
        """Write `last.npz` now."""
        save(trainer.state_dict(), self.folder / LAST)
        self._saved = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}


def load_run(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The state in a run folder's `last.npz`, for `Trainer.load_state_dict`. Raises CheckpointError."""
    path = Path(folder) / LAST
    state = _checked(path, {"model", "optimizer", "place", "generators", "history", "callbacks"})
    try:
        json.dumps(state["history"])  # as it is written after the next epoch
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: its history holds something that is no plain value") from error
    return state


def load_weights(model: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Put weights into `model`: a run folder (its best, else its last), a checkpoint, or a file of weights.

    Returns the record of the epoch they are from ({} when unknown). CheckpointError when they do not fit.
    """
    file = Path(path)
    if file.is_dir():
        known = [file / name for name in (BEST, LAST) if (file / name).exists()]
        if not known:
            raise CheckpointError(
                f"the folder {file} holds no checkpoint ({BEST} or {LAST}): was the run ever started?"
            )
        file = known[0]
    state = load(file)
    weights = state.get("model", state) if isinstance(state, dict) else state
    try:
        model.load_state_dict(weights)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        first = str(error).strip().replace("\n", " ")
        raise CheckpointError(f"{file} does not fit the model: {first}") from error
    record = state.get("record") if isinstance(state, dict) else None
    return record if isinstance(record, dict) else {}


def _checked(path: Path, keys: set[str]) -> dict[str, Any]:
    state = load(path)
    if not isinstance(state, dict) or not keys <= set(state):
        raise CheckpointError(f"{path} is no checkpoint of a training run")
    return state
