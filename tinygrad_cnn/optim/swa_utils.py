"""Averages of a network's weights over its training: stochastic weight averaging, and exponential averages.

    ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    ...; optimizer.step(); ema.update_parameters(net)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.nn.modules.batchnorm import _BatchNorm
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.ops.device import Device, check_device
from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.optimizer import Optimizer

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip

#: (averaged, current, count) -> the new average of one tensor.
Average: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
#: The same for lists of tensors, of which the first is changed in place.
MultiAverage: TypeAlias = Callable[[list[Tensor], list[Tensor], Tensor], None]


class AveragedModel(Module):
    """A copy of `model` whose parameters are the average of those it was shown (Izmailov et al. 2018).

    `avg_fn(averaged, current, count)` gives the new average of one tensor; `multi_avg_fn` changes a list of them in
    place. Without either, all that was shown counts the same. Buffers are averaged with `use_buffers`, else copied.
    """

    def __init__(
        self, model: Module, device: Device = None, avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel expected avg_fn or multi_avg_fn, got both")
        check_device(device)
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", wrap(np.zeros((), np.int64)))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Let the parameters of `model` count."""
        own, new = self._shown(self.module), self._shown(model)
        with modes.no_grad():
            if not self.n_averaged.item():
                _copy(own, new)
            elif self.multi_avg_fn is not None:
                self.multi_avg_fn(own, new, self.n_averaged)
            else:
                average = self.avg_fn or get_swa_avg_fn()
                _copy(own, [average(a, b, self.n_averaged) for a, b in zip(own, new)])
            if not self.use_buffers:
                _copy(list(self.module.buffers()), list(model.buffers()))
        self.n_averaged += 1

    def _shown(self, model: Module) -> list[Tensor]:
        shown: list[Any] = [*model.parameters(), *(model.buffers() if self.use_buffers else ())]
        return [t.detach() for t in shown]


def _copy(own: Sequence[Tensor], new: Sequence[Tensor]) -> None:
    for a, b in zip(own, new, strict=True):
        a.copy_(b)


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """decay · average + (1 − decay) · current."""
    _check_decay(decay)
    return lambda averaged, current, _count: decay * averaged + (1 - decay) * current


def get_swa_avg_fn() -> Average:
    """average + (current − average) / (count + 1): all count the same."""
    return lambda averaged, current, count: averaged + (current - averaged) / (int(count) + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """`get_ema_avg_fn` for lists of tensors; what is no float is copied."""
    return _for_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """`get_swa_avg_fn` for lists of tensors; what is no float is copied."""
    return _for_lists(get_swa_avg_fn())


def _for_lists(average: Average) -> MultiAverage:
    def update(own: list[Tensor], new: list[Tensor], count: Tensor) -> None:
        for a, b in zip(own, new, strict=True):
            a.copy_(average(a, b, count) if a.is_floating_point() else b)

    return update


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn expected a decay from 0 to 1, got {decay}")


def update_bn(loader: Iterable[Any], model: Module, device: Device = None) -> None:
    """Running averages of all batch normalisations anew, from one pass over `loader` (inputs, or (inputs, …))."""
    check_device(device)
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        return
    was_training, momenta = model.training, [m.momentum for m in layers]
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # every batch counts the same
    with modes.no_grad():
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
        versions.bump(layer.running_mean.array)
    model.train(was_training)


class SWALR(LRScheduler):
    """From each group's rate to `swa_lr` in `anneal_epochs` epochs, along a cosine or a line; then constant."""

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | Sequence[float], anneal_epochs: int = 10,
        anneal_strategy: str = "cos", last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR expected anneal_strategy 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR expected anneal_epochs as a whole number of at least 0, got {anneal_epochs}")
        rates = swa_lr if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(optimizer.param_groups)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = max(1, self.last_epoch) if self.anneal_epochs == 0 else self.last_epoch
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            rate, end = group["lr"], group["swa_lr"]
            start = end if before == 1 else (rate - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates

    def _share(self, step: int) -> float:
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self.anneal_strategy == "cos" else t
