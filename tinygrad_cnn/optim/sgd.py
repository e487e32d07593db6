"""Stochastic gradient descent, plain, with momentum, or with Nesterov's. The loop is `kernels.sgd`."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.optim.optimizer import Group, Optimizer, ParamsT, arrays, at_least_zero, options

__all__ = ["SGD"]


class SGD(Optimizer):
    """v ← μ·v + (1 − dampening)·g, θ ← θ − lr·v; with `nesterov` θ ← θ − lr·(g + μ·v).

    g includes `weight_decay`·θ; the first v is g itself. As in PyTorch the learning rate multiplies the
    velocity when it is used; Sutskever et al. (2013) put it into the velocity instead, which differs as
    soon as lr changes.
    """

    def __init__(
        self, params: ParamsT, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False, **hints: object,
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            options(
                hints, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                nesterov=nesterov, maximize=maximize,
            ),
        )  # fmt: skip

    def _check(self, group: Group) -> None:
        super()._check(group)
        at_least_zero(group, momentum="momentum value")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        momentum = group["momentum"]
        if momentum:
            fresh = [p for p in params if self.state[p].get("momentum_buffer") is None]
            known = [p for p in params if self.state[p].get("momentum_buffer") is not None]
        else:
            fresh, known = [], list(params)
        for first, some in ((True, fresh), (False, known)):
            if some:
                for p in some if first else ():
                    self.state[p].pop("momentum_buffer", None)  # PyTorch's state dicts may hold a None
                kernels.sgd(
                    arrays(some),
                    arrays(p.grad for p in some),
                    [self._zeros(p, "momentum_buffer") for p in some] if momentum else [],
                    lr=group["lr"],
                    momentum=momentum,
                    dampening=group["dampening"],
                    weight_decay=group["weight_decay"],
                    nesterov=group["nesterov"],
                    maximize=group["maximize"],
                    first=first,
                )
