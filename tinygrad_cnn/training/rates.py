"""Callbacks that set the learning rate, as Keras has them; PyTorch's schedules are in `optim.lr_scheduler`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.training.callbacks import Callback, Monitor

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


class LearningRateScheduler(Callback):
    """Sets the learning rate to `schedule(epoch)`, or `schedule(epoch, lr)`, at the begin of each epoch (from 0)."""

    def __init__(self, schedule: Callable[..., float]) -> None:
        self.schedule = schedule
        required = [
            p for p in inspect.signature(schedule).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]  # fmt: skip
        self._takes_rate = len(required) > 1

    def on_epoch_begin(self, trainer: Any) -> None:
        if trainer.batch:  # a run that goes on in the middle of an epoch has this epoch's rate already
            return
        now = trainer.optimizer.param_groups[0]["lr"]
        rate = self.schedule(trainer.epoch, now) if self._takes_rate else self.schedule(trainer.epoch)
        if not isinstance(rate, (int, float)) or isinstance(rate, bool):
            raise TypeError(f"LearningRateScheduler: the schedule expected to give a number, gave {rate!r}")
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    It is not lowered below `min_lr`, and epochs are counted again only `cooldown` epochs after each reduction.
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, *, mode: str | None = None,
        min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0,
    ) -> None:  # fmt: skip
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau expected a factor between 0 and 1, got {factor}")
        super().__init__(monitor, mode, min_delta)
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr
        self.waited = self.cooling = 0

    def on_train_begin(self, trainer: Any) -> None:
        super().on_train_begin(trainer)
        if trainer.fresh:
            self.waited = self.cooling = 0

    def on_epoch_end(self, trainer: Any) -> None:
        improved = self.improved(trainer)
        if self.cooling:
            self.cooling -= 1
            self.waited = 0
        if improved:
            self.waited = 0
            return
        if self.cooling:
            return
        self.waited += 1
        if self.waited >= self.patience:
            for group in trainer.optimizer.param_groups:
                group["lr"] = max(self.min_lr, group["lr"] * self.factor)
            self.waited, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "cooling": self.cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if type(self.waited) is not int or type(self.cooling) is not int:
            raise TypeError("the epochs waited and cooling expected numbers")
