"""What every schedule shares: it counts its steps (`last_epoch`) and writes `group["lr"]`.

A schedule says its rate in one of two ways: `get_lr()` from the current rates (so that several schedules can
act on one optimiser, each multiplying its own share in), or `_closed_form()` from `base_lrs` and the count
alone (which `step(epoch)` and jumps need).
"""

from __future__ import annotations

import warnings
from typing import Any

from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.optim.optimizer import Group, Optimizer

__all__ = ["LRScheduler"]


class LRScheduler:
    """Base of the schedules.

    `last_epoch=-1` starts one: each group's current lr becomes its `initial_lr`. Another value continues one,
    for groups that have `initial_lr`; KeyError without it. Making a schedule already sets its first rate.
    """

    #: Attributes that `state_dict` leaves out.
    _not_saved: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
        else:
            for i, group in enumerate(optimizer.param_groups):
                if "initial_lr" not in group:
                    raise KeyError(
                        f"param 'initial_lr' is not specified in param_groups[{i}] when resuming a scheduler "
                        f"with last_epoch={last_epoch}: load the optimizer's state first"
                    )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._optimizer_steps = optimizer.steps_taken
        self._last_lr: list[float] = []
        self._start()

    def _start(self) -> None:
        self.step()

    def step(self, epoch: int | None = None) -> None:
        """One more step, or a jump to `epoch`: set every group's rate."""
        if self._step_count == 1 and self.optimizer.steps_taken == self._optimizer_steps:
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the schedule's first rate was never "
                "used. Call optimizer.step() first",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            closed = self._closed_form()
            rates = self.get_lr() if closed is None else closed
        self._write(rates)

    def _write(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rate of each group that the last step set."""
        return self._last_lr

    def get_lr(self) -> list[float]:
        """The rate of each group at `last_epoch`, given the rates now in the groups."""
        raise NotImplementedError

    def _closed_form(self) -> list[float] | None:
        """The rates at `last_epoch` from `base_lrs` alone; None where a schedule has no such form."""
        return None

    def state_dict(self) -> Group:
        """Everything but the optimiser (and functions), in plain Python values."""
        return {
            k: v for k, v in self.__dict__.items() if k not in self._not_saved and k != "_optimizer_steps"
        }

    def load_state_dict(self, state_dict: Group) -> None:
        """Continue where `state_dict` was taken."""
        self.__dict__.update(state_dict)

    # Helpers of subclasses

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _scaled(self, factor: float) -> list[float]:
        """The current rates times `factor`."""
        return [rate * factor for rate in self._rates()]

    def _based(self, factor: float) -> list[float]:
        """The initial rates times `factor`."""
        return [rate * factor for rate in self.base_lrs]


def per_group(optimizer: Optimizer, value: Any, name: str) -> list[Tensor]:
    """`value` once per parameter group; a list must have that length already (ValueError)."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups: {len(value)} instead of {n}"
        )
    return list(value)
