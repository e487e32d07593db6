"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.optimizer import Group, Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class SequentialLR(LRScheduler):
    """`schedulers[0]` until step `milestones[0]`, then the next one, which starts from its own step 0."""

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        _check(schedulers, optimizer, "SequentialLR")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "SequentialLR expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got {len(schedulers)} schedulers and {len(milestones)} milestones"
            )
        self._schedulers = list(schedulers)
        self._milestones = list(milestones)
        super().__init__(optimizer, last_epoch)

    def _start(self) -> None:
        # Making each schedule already set its first rate: undo that, and start the first one alone.
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in self._schedulers:
            _undo(scheduler)
        self.last_epoch += 1
        _restart(self._schedulers[0])
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        if epoch is not None:
            raise ValueError("SequentialLR cannot jump to an epoch: call step() without one")
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        if k > 0 and self._milestones[k - 1] == self.last_epoch:
            self._schedulers[k].step(0)
        else:
            self._schedulers[k].step()
        self._last_lr = self._schedulers[k].get_last_lr()

    def state_dict(self) -> Group:
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Group) -> None:
        _load(self, state_dict)


class ChainedScheduler(LRScheduler):
    """Every schedule takes its step, each multiplying its change into the same rate."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler expects at least one scheduler to be chained, but got none")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        _check(schedulers, self.optimizer, "ChainedScheduler")
        self._schedulers = list(schedulers)
        self._last_lr = self._rates()

    def step(self, epoch: int | None = None) -> None:
        for scheduler in self._schedulers:
            scheduler.step() if epoch is None else scheduler.step(epoch)
        self._last_lr = self._rates()

    def state_dict(self) -> Group:
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Group) -> None:
        _load(self, state_dict)


def _check(schedulers: Sequence[LRScheduler], optimizer: Optimizer, who: str) -> None:
    if not schedulers:
        raise ValueError(f"{who} expects at least one scheduler, but got none")
    for i, scheduler in enumerate(schedulers):
        if not hasattr(scheduler, "optimizer") or not hasattr(scheduler, "step"):
            raise TypeError(
                f"{who} at index {i} should be a scheduler with `optimizer`, got {type(scheduler).__name__}"
            )
        if type(scheduler).__name__ == "ReduceLROnPlateau":
            raise ValueError(f"{who} does not support ReduceLROnPlateau: its step needs a metric")
        if scheduler.optimizer is not optimizer:
            raise ValueError(
                f"{who} expects all schedulers to belong to the same optimizer, but index {i} does not"
            )


def _undo(scheduler: LRScheduler) -> None:
    for inner in getattr(scheduler, "_schedulers", ()):
        _undo(inner)
    if hasattr(scheduler, "last_epoch"):
        scheduler.last_epoch -= 1


def _restart(scheduler: LRScheduler) -> None:
    inner = getattr(scheduler, "_schedulers", None)
    if inner is None:
        scheduler._step_count = 0
        scheduler.step()
    elif isinstance(scheduler, SequentialLR):
        scheduler.last_epoch += 1
        _restart(inner[0])
        scheduler._last_lr = inner[0].get_last_lr()
    else:
        for one in inner:
            _restart(one)
        scheduler._last_lr = scheduler._rates()


def _load(scheduler: SequentialLR | ChainedScheduler, state_dict: Group) -> None:
    state = dict(state_dict)
    inner = state.pop("_schedulers")
    scheduler.__dict__.update(state)
    for one, its_state in zip(scheduler._schedulers, inner, strict=True):
        one.load_state_dict(its_state)
