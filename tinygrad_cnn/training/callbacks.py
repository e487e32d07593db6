"""What may happen besides training: each callback is told about events and reads the trainer."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.io import save, write_atomically

__all__ = [
    "CSVLogger", "Callback", "EarlyStopping", "GradientStatistics", "LambdaCallback", "ModelCheckpoint", "Monitor",
    "TerminateOnNaN",
]  # fmt: skip


class Callback:
    """Base: every event does nothing. `state_dict` is what a continued run must know, in plain values.

    `load_state_dict` sets the attributes that `state_dict` names. Whoever checks types raises TypeError there.
    """

    def on_train_begin(self, trainer: Any) -> None: ...

    def on_train_end(self, trainer: Any) -> None: ...

    def on_epoch_begin(self, trainer: Any) -> None: ...

    def on_epoch_end(self, trainer: Any) -> None:
        """After validation and the schedule's step; the record is `trainer.history.records[-1]`."""

    def on_batch_end(self, trainer: Any) -> None: ...

    def on_interrupt(self, trainer: Any) -> None:
        """After the batch in which `trainer.interrupted` was set."""

    def on_nan(self, trainer: Any) -> None:
        """When a loss is no number, before the batch changes anything; `trainer.stop = True` ends without an error."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        known = self.state_dict()
        for name, value in state.items():
            if name not in known:
                raise KeyError(f"{type(self).__name__} has no {name!r}")
            setattr(self, name, value)


class LambdaCallback(Callback):
    """Events as functions: ``LambdaCallback(on_epoch_end=lambda trainer: …)``."""

    def __init__(self, **events: Callable[[Any], None]) -> None:
        for name, function in events.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                known = ", ".join(e for e in vars(Callback) if e.startswith("on_"))
                raise TypeError(f"LambdaCallback: there is no event {name!r}; known: {known}")
            setattr(self, name, function)


class Monitor(Callback):
    """Base of callbacks that watch one number of the history: `improved` says whether it is the best so far."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f"mode expected 'min', 'max' or None, got {mode!r}")
        self.monitor = monitor
        self.sign = 1 if (mode or ("min" if "loss" in monitor else "max")) == "max" else -1
        self.min_delta = abs(min_delta)
        self.ties = False  # whether an epoch as good as the best one replaces it
        self.best: float | None = None

    def on_train_begin(self, trainer: Any) -> None:
        """A callback that watched another training starts afresh; one that goes on with its own keeps what it knows."""
        if trainer.fresh:
            self.best = None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if self.best is not None and type(self.best) not in (int, float):
            raise TypeError(f"the best {self.monitor} expected a number, got {type(self.best).__name__}")

    def improved(self, trainer: Any) -> bool:
        """Whether the last epoch is the best so far, by more than `min_delta`. A NaN is never the best.

        Raises KeyError if the epoch has no such number.
        """
        record = trainer.history.records[-1]
        if self.monitor not in record:
            raise KeyError(
                f"{type(self).__name__} watches {self.monitor!r}, which this training does not measure; "
                f"it has: {', '.join(record)}"
            )
        value = record[self.monitor]
        if value is None or math.isnan(value):
            return False
        if self.best is not None and not math.isnan(self.best):
            gain = self.sign * (value - self.best) - self.min_delta
            if not (gain > 0 or (gain == 0 and self.ties)):
                return False
        self.best = value
        return True


class EarlyStopping(Monitor):
    """Stop when `monitor` has not improved for `patience` epochs; `restore_best` puts the best weights back."""

    def __init__(
        self, monitor: str = "val_loss", patience: int = 5, *, mode: str | None = None, min_delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.restore_best = restore_best
        self.waited = 0
        self.weights: dict[str, Any] | None = None

    def on_train_begin(self, trainer: Any) -> None:
        super().on_train_begin(trainer)
        if trainer.fresh:
            self.weights = None
        if not trainer.resumed:  # a further call of `fit` is given the whole patience again
            self.waited = 0

    def on_epoch_end(self, trainer: Any) -> None:
        if self.improved(trainer):
            self.waited = 0
            if self.restore_best:
                self.weights = {k: np.array(unwrap(v)) for k, v in trainer.model.state_dict().items()}
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop = True

    def on_train_end(self, trainer: Any) -> None:
        if self.weights is not None:
            from tinygrad_cnn.autograd.handle import wrap

            trainer.model.load_state_dict({k: wrap(v) for k, v in self.weights.items()})

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if type(self.waited) is not int:
            raise TypeError(f"the epochs waited expected a number, got {type(self.waited).__name__}")
        if self.weights is not None:
            self.weights = {name: np.array(unwrap(value)) for name, value in self.weights.items()}


class ModelCheckpoint(Monitor):
    """Save the weights after each epoch, or only (`save_best_only`) when `monitor` improved.

    Without `save_best_only` nothing reads `monitor` and `mode`. `path` may contain fields of the epoch's record:
    ``"weights-{epoch:02d}.npz"``.
    """

    def __init__(
        self, path: str | os.PathLike[str], monitor: str = "val_loss", *, save_best_only: bool = False,
        mode: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode)
        self.path = os.fspath(path)
        self.save_best_only = save_best_only

    def on_epoch_end(self, trainer: Any) -> None:
        if not self.save_best_only or self.improved(trainer):
            save(dict(trainer.model.state_dict()), self.path.format(**trainer.history.records[-1]))

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}


class CSVLogger(Callback):
    """The history as a CSV file, written whole after each epoch."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on_epoch_end(self, trainer: Any) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, trainer.history.columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(trainer.history)
        write_atomically(self.path, text.getvalue())


class TerminateOnNaN(Callback):
    """End the training, without an error, when the loss is infinite or NaN; the weights are those before that batch."""

    def on_nan(self, trainer: Any) -> None:
        print(f"the loss is no number in epoch {trainer.epoch + 1}, batch {trainer.batch + 1}: the training ends")
        trainer.stop = True


class GradientStatistics(Callback):
    """How large the gradients of each parameter are: the mean over an epoch of their norms, after clipping.

    `history` holds a list per parameter, one number per epoch, which `viz.curves` draws; the norm of all together
    stands in the training's own history as `grad_norm`. `every` = n looks at every n-th batch only.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"GradientStatistics expected every from 1 up, got {every}")
        self.every = every
        self.history: dict[str, list[float]] = {}
        self.sums: dict[str, float] = {}
        self.counted = 0

    def on_train_begin(self, trainer: Any) -> None:
        if trainer.fresh:
            self.history, self.sums, self.counted = {}, {}, 0

    def on_batch_end(self, trainer: Any) -> None:
        if trainer.batch % self.every:
            return
        squares = 0.0
        for name, parameter in trainer.model.named_parameters():
            if parameter.grad is not None:
                norm = float(np.linalg.norm(unwrap(parameter.grad).ravel()))
                self.sums[name] = self.sums.get(name, 0.0) + norm
                squares += norm * norm
        self.sums["grad_norm"] = self.sums.get("grad_norm", 0.0) + math.sqrt(squares)
        self.counted += 1

    def on_epoch_end(self, trainer: Any) -> None:
        for name, total in self.sums.items():
            mean = total / max(1, self.counted)
            if name == "grad_norm":
                trainer.history.records[-1][name] = mean
            else:
                self.history.setdefault(name, []).append(mean)
        self.sums, self.counted = {}, 0

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "sums": self.sums, "counted": self.counted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if not isinstance(self.history, dict) or not isinstance(self.sums, dict) or type(self.counted) is not int:
            raise TypeError("the gradients' history and sums expected dicts, and their count a number")
