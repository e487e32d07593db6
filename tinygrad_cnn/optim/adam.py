"""Adam and its relatives: first and second moments of the gradient, with their start-up bias corrected.

Adam and AdamW run in `kernels.adam`; the rarer ones are NumPy expressions here. Names of the state are
PyTorch's: `step`, `exp_avg` (m), `exp_avg_sq` (v).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.optim.optimizer import (
    Array,
    Group,
    Optimizer,
    ParamsT,
    arrays,
    at_least_zero,
    betas_below_one,
    gradient_of,
    options,
)

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]

Betas = tuple[float, float]


class _Moments(Optimizer):
    """Shared by all here: the check of the betas, the moments, and PyTorch's two kinds of weight decay."""

    def _check(self, group: Group) -> None:
        super()._check(group)
        betas_below_one(group)

    def _moments(self, group: Group, p: Tensor) -> tuple[Array, Array, Array]:
        """(g, m, v) after m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g²; decoupled decay is applied to p."""
        beta1, beta2 = group["betas"]
        decoupled = group["decoupled_weight_decay"]
        if decoupled:
            p.array *= 1 - group["lr"] * group["weight_decay"]
        g = gradient_of(p, group, decay=not decoupled)
        m, v = self._zeros(p, "exp_avg"), self._zeros(p, "exp_avg_sq")
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * (g * g)
        return g, m, v


class Adam(_Moments):
    """θ ← θ − lr · m̂ / (√v̂ + ε), m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) (Kingma & Ba 2015, algorithm 1).

    `amsgrad` divides by the largest v seen so far (Reddi et al. 2018); `weight_decay` adds to the gradient.
    """

    def __init__(
        self, params: ParamsT, lr: float = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
        decoupled_weight_decay: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            options(
                hints, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
                maximize=maximize, decoupled_weight_decay=decoupled_weight_decay,
            ),
        )  # fmt: skip

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        for step, some in self._count(params):
            kernels.adam(
                arrays(some),
                arrays(p.grad for p in some),
                [self._zeros(p, "exp_avg") for p in some],
                [self._zeros(p, "exp_avg_sq") for p in some],
                step=step,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                eps=group["eps"],
                weight_decay=group["weight_decay"],
                decoupled=group["decoupled_weight_decay"],
                amsgrad_state=[self._zeros(p, "max_exp_avg_sq") for p in some] if group["amsgrad"] else None,
                maximize=group["maximize"],
            )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: θ ← θ − lr·λ·θ first (Loshchilov & Hutter 2019)."""

    def __init__(
        self, params: ParamsT, lr: float = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
            **hints,
        )


class NAdam(_Moments):
    """Adam with Nesterov's look-ahead in the first moment (Dozat 2016), μₜ = β₁(1 − ½·0.96^(t·decay))."""

    def __init__(
        self, params: ParamsT, lr: float = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            options(
                hints, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay,
                momentum_decay=momentum_decay,
                decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
            ),
        )  # fmt: skip

    def _check(self, group: Group) -> None:
        super()._check(group)
        at_least_zero(group, momentum_decay="momentum_decay value")

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["momentum_decay"]
        for t, some in self._count(params):
            mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * decay)) for k in (t, t + 1))
            for p in some:
                g, m, v = self._moments(group, p)
                state = self.state[p]
                state["mu_product"] = product = state.get("mu_product", 1.0) * mu
                spread = np.sqrt(v / (1 - beta2**t)) + group["eps"]
                p.array -= (lr * (1 - mu) / (1 - product)) * g / spread
                p.array -= (lr * mu_next / (1 - product * mu_next)) * m / spread


class RAdam(_Moments):
    """Adam that takes plain momentum steps until its second moment's variance is known (Liu et al. 2020)."""

    def __init__(
        self, params: ParamsT, lr: float = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, maximize: bool = False,
        **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            options(
                hints, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay,
                decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
            ),
        )  # fmt: skip

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        longest = 2 / (1 - beta2) - 1
        for t, some in self._count(params):
            correction = 1 - beta2**t
            # ρ: the length of the simple average whose variance the moment has; above 5 it is tractable.
            length = longest - 2 * t * beta2**t / correction
            rectify = 0.0
            if length > 5:
                rectify = math.sqrt(
                    (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
                )
            for p in some:
                _g, m, v = self._moments(group, p)
                update = m / (1 - beta1**t)
                if length > 5:
                    update = update * (rectify * math.sqrt(correction)) / (np.sqrt(v) + group["eps"])
                p.array -= group["lr"] * update


class Adamax(Optimizer):
    """Adam with the infinity norm: u ← max(β₂u, |g| + ε), θ ← θ − lr/(1−β₁ᵗ) · m/u (Kingma & Ba, sec. 7)."""

    def __init__(
        self, params: ParamsT, lr: float = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, *, maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            options(hints, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, maximize=maximize),
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        betas_below_one(group)

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        for t, some in self._count(params):
            for p in some:
                g = gradient_of(p, group)
                m, u = self._zeros(p, "exp_avg"), self._zeros(p, "exp_inf")
                m += (1 - beta1) * (g - m)
                u *= beta2
                np.maximum(u, np.abs(g) + group["eps"], out=u)
                p.array -= (group["lr"] / (1 - beta1**t)) * m / u
