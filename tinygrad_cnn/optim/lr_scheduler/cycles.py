"""Schedules that raise the rate and lower it again, and move momentum the other way (L. N. Smith)."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler, per_group
from tinygrad_cnn.optim.optimizer import Group, Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]


class OneCycleLR(LRScheduler):
    """Up from max_lr/div_factor to max_lr, then down to that/final_div_factor (Smith & Topin 2018).

    `step` follows each batch: `total_steps` of them, or `epochs` · `steps_per_epoch`. Momentum (Adam's β₁)
    goes from `max_momentum` to `base_momentum` and back. ValueError for one step too many.
    """

    _not_saved = ("optimizer", "_between")

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
            total_steps = epochs * steps_per_epoch
        if total_steps <= 0 or not isinstance(total_steps, int):
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self.total_steps = total_steps
        self.cycle_momentum = cycle_momentum
        self._between = _cosine if anneal_strategy == "cos" else _straight
        peak = float(pct_start * total_steps) - 1
        # Each phase: its last step, then the group's entries it goes between.
        self._phases: list[tuple[float, str, str, str, str]]
        if three_phase:
            self._phases = [
                (peak, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                (2 * peak, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                (total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            self._phases = [
                (peak, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                (total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"),
            ]
        if last_epoch == -1:
            highs = per_group(optimizer, max_lr, "max_lr")
            for group, high in zip(optimizer.param_groups, highs):
                group["initial_lr"] = high / div_factor
                group["max_lr"] = high
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            lows = per_group(optimizer, base_momentum, "base_momentum")
            tops = per_group(optimizer, max_momentum, "max_momentum")
            for group, low, top in zip(optimizer.param_groups, lows, tops):
                _momentum_of(group, "OneCycleLR")
                if last_epoch == -1:
                    group["base_momentum"], group["max_momentum"] = low, top
                    _set_momentum(group, top)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(
                f"Tried to step {t} times. The specified number of total steps is {self.total_steps}"
            )
        rates = []
        for group in self.optimizer.param_groups:
            start = 0.0
            for i, (end, low, high, m_low, m_high) in enumerate(self._phases):
                if t <= end or i == len(self._phases) - 1:
                    done = (t - start) / (end - start)
                    rates.append(self._between(group[low], group[high], done))
                    if self.cycle_momentum:
                        _set_momentum(group, self._between(group[m_low], group[m_high], done))
                    break
                start = end
        return rates


class CyclicLR(LRScheduler):
    """A triangle wave between `base_lr` and `max_lr` (Smith 2017); `step` follows each batch.

    mode "triangular", "triangular2" (halved each cycle), "exp_range" (times γ^iteration), or a `scale_fn`
    of the cycle or of the iterations (`scale_mode`).
    """

    _not_saved = ("optimizer", "_scale_fn")

    def __init__(
        self, optimizer: Optimizer, base_lr: float | list[float], max_lr: float | list[float],
        step_size_up: int = 2000, step_size_down: int | None = None, mode: str = "triangular",
        gamma: float = 1.0, scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
        cycle_momentum: bool = True, base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"mode is invalid: {mode!r}; use triangular, triangular2, exp_range, or give scale_fn"
            )
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, per_group(optimizer, base_lr, "base_lr")):
                group["lr"] = group["initial_lr"] = rate
        self.max_lrs = per_group(optimizer, max_lr, "max_lr")
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_mode = scale_mode if scale_fn is not None or mode != "exp_range" else "iterations"
        self._scale_fn = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums = per_group(optimizer, base_momentum, "base_momentum")
            self.max_momentums = per_group(optimizer, max_momentum, "max_momentum")
            for group, top in zip(optimizer.param_groups, self.max_momentums):
                _momentum_of(group, "CyclicLR")
                if last_epoch == -1:
                    _set_momentum(group, top)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, top in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                _set_momentum(group, top - (top - low) * height)
        return [base + (top - base) * height for base, top in zip(self.base_lrs, self.max_lrs)]

    def _scale(self, x: float) -> float:
        if self._scale_fn is not None:
            return self._scale_fn(x)
        return {"triangular": 1.0, "triangular2": 1 / 2.0 ** (x - 1), "exp_range": self.gamma**x}[self.mode]


def _momentum_of(group: Group, who: str) -> None:
    if "betas" not in group and "momentum" not in group:
        raise ValueError(
            f"{who}: optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
        )


def _set_momentum(group: Group, value: float) -> None:
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)


def _straight(start: float, end: float, done: float) -> float:
    return (end - start) * done + start
