"""Optimisers that scale each step by the size of past gradients: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.optim.optimizer import (
    Group,
    Optimizer,
    ParamsT,
    arrays,
    at_least_zero,
    gradient_of,
    options,
)

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """s ← α·s + (1−α)·g², θ ← θ − lr·g/(√s + ε) (Hinton's lecture 6e).

    `centered` subtracts the squared mean gradient from s (Graves 2013); `momentum` accumulates the steps.
    """

    def __init__(
        self, params: ParamsT, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False, *, maximize: bool = False,
        **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            options(
                hints, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
                centered=centered, maximize=maximize,
            ),
        )  # fmt: skip

    def _check(self, group: Group) -> None:
        super()._check(group)
        at_least_zero(group, momentum="momentum value", alpha="alpha value")

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        for p in params:
            self.state[p]["step"] = self.state[p].get("step", 0) + 1
        kernels.rmsprop(
            arrays(params),
            arrays(p.grad for p in params),
            [self._zeros(p, "square_avg") for p in params],
            lr=group["lr"],
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            buffers=[self._zeros(p, "momentum_buffer") for p in params] if group["momentum"] else None,
            grad_avg=[self._zeros(p, "grad_avg") for p in params] if group["centered"] else None,
            maximize=group["maximize"],
        )


class Adagrad(Optimizer):
    """s ← s + g², θ ← θ − lr/(1 + (t−1)·lr_decay) · g/(√s + ε) (Duchi et al. 2011)."""

    def __init__(
        self, params: ParamsT, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, *, maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            options(
                hints, lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
                initial_accumulator_value=initial_accumulator_value, maximize=maximize,
            ),
        )  # fmt: skip

    def _check(self, group: Group) -> None:
        super()._check(group)
        at_least_zero(
            group, lr_decay="lr_decay value", initial_accumulator_value="initial_accumulator_value value"
        )

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        start = group["initial_accumulator_value"]
        for step, some in self._count(params):
            kernels.adagrad(
                arrays(some),
                arrays(p.grad for p in some),
                [self._zeros(p, "sum", start) for p in some],
                step=step,
                lr=group["lr"],
                lr_decay=group["lr_decay"],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                maximize=group["maximize"],
            )


class Adadelta(Optimizer):
    """Steps in the parameter's own units, √(past steps² + ε)/√(past gradients² + ε) · g (Zeiler 2012)."""

    def __init__(
        self, params: ParamsT, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0, *, maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params, options(hints, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        if not 0 <= group["rho"] <= 1:
            raise ValueError(f"Invalid rho value: {group['rho']} (expected 0 <= rho <= 1)")

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        rho, eps = group["rho"], group["eps"]
        for p in params:
            self.state[p]["step"] = self.state[p].get("step", 0) + 1
            g = gradient_of(p, group)
            square, steps = self._zeros(p, "square_avg"), self._zeros(p, "acc_delta")
            square *= rho
            square += (1 - rho) * (g * g)
            delta = np.sqrt(steps + eps) / np.sqrt(square + eps) * g
            steps *= rho
            steps += (1 - rho) * (delta * delta)
            p.array -= group["lr"] * delta
