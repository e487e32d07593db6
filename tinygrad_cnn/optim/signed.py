"""Optimisers for whole-batch gradients and averaged paths: Rprop and ASGD."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.optim.optimizer import Group, Optimizer, ParamsT, at_least_zero, gradient_of, options

__all__ = ["ASGD", "Rprop"]


class Rprop(Optimizer):
    """Each entry has a step of its own, longer while its gradient keeps its sign (Riedmiller & Braun 1993).

    `etas` are the factors after a change of sign and without one, `step_sizes` the shortest and longest step.
    """

    def __init__(
        self, params: ParamsT, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(params, options(hints, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize))

    def _check(self, group: Group) -> None:
        super()._check(group)
        down, up = group["etas"]
        if not 0 < down < 1 < up:
            raise ValueError(f"Invalid eta values: {down}, {up} (expected 0 < first < 1 < second)")

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        (down, up), (shortest, longest) = group["etas"], group["step_sizes"]
        for p in params:
            self.state[p]["step"] = self.state[p].get("step", 0) + 1
            before, steps = self._zeros(p, "prev"), self._zeros(p, "step_size", group["lr"])
            g = gradient_of(p, {**group, "weight_decay": 0})
            turn = g * before
            steps *= np.where(turn > 0, up, np.where(turn < 0, down, 1)).astype(steps.dtype)
            np.clip(steps, shortest, longest, out=steps)
            before[...] = np.where(turn < 0, 0, g)  # after a change of sign the entry waits one step
            p.array -= np.sign(before) * steps


class ASGD(Optimizer):
    """SGD with a falling rate, whose path is averaged in `state[p]["ax"]` from step `t0` (Polyak & Juditsky 1992)."""

    def __init__(
        self, params: ParamsT, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, *, maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params, options(hints, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize)
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        at_least_zero(group, lambd="lambd value")

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        lr, decay = group["lr"], group["lambd"]
        for p in params:
            state = self.state[p]
            state["step"] = t = state.get("step", 0) + 1
            eta, mu = state.get("eta", lr), state.get("mu", 1.0)
            g = gradient_of(p, group)
            p.array *= 1 - decay * eta
            p.array -= (eta * g).astype(p.array.dtype, copy=False)
            average = self._zeros(p, "ax")
            average += (p.array - average) * mu
            state["eta"] = lr / (1 + decay * lr * t) ** group["alpha"]
            state["mu"] = 1 / max(1, t - group["t0"])
