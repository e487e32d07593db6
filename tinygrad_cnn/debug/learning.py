"""Whether a network learns one batch by heart, and with which learning rate: the second half of `diagnose`.

Takes a model and an optimiser at a `TrainingSnapshot`, trains some steps, and where the loss does not fall tries again
from the same state with others, so that the finding can say what would help. Puts nothing back at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.debug.anomaly import Finding, anomaly
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.debug.diagnosis_rules import FALL, UPDATE, UPDATE_AT_MOST, Ailment
from tinygrad_cnn.debug.training_snapshot import TrainingSnapshot
from tinygrad_cnn.support.errors import UsageError

#: Factors of the user's learning rate that are tried, in this order, where it does not get the loss down.
FACTORS = (0.1, 0.01, 10, 100, 1e-3, 1e3, 1e-5, 1e5)
#: Adam's usual learning rates.
ADAM = (1e-3, 1e-2)


class Learning:
    """Some updates on one batch.

    Attributes
        losses: the loss before each of them
        how: what was trained with, where it was not what one expects
    """

    def __init__(
        self, model: Any, loss_fn: Callable[..., Any], optimizer: Any, lr: float, before: TrainingSnapshot
    ) -> None:
        self.model, self.loss_fn, self.before = model, loss_fn, before
        self.given = optimizer is not None
        self.optimizer = optimizer
        self.lr = lr
        self.losses: list[float] = []
        self.how = ""
        self.ratios: dict[str, list[float]] = {}
        self.broken: Finding | None = None
        self.remedy = ""
        self.kept: set[str] = set()  # parameters whose gradient zero_grad() did not clear

    def on(self, batch: tuple[Any, ...], steps: int) -> None:
        """Train, and try again where that does not work."""
        from tinygrad_cnn.optim import SGD, Adam

        parameters = [p for p in self.model.parameters() if p.requires_grad]
        if not parameters:
            return
        self.optimizer = self.optimizer if self.given else SGD(parameters, lr=self.lr)
        with anomaly(error=False, warn=False) as found:
            self.losses, self.ratios = self._train(self.optimizer, batch, steps)
        if found and not np.isfinite(self.losses[-1]):
            self.broken = found.forward or found.backward
        if _falls(self.losses):
            return
        if not self.given:
            for lr in ADAM:
                adam = Adam(parameters, lr=lr)
                losses, _ = self._retrain(adam, batch, steps)
                if _falls(losses):  # nothing is wrong but the learning rate that was guessed
                    self.optimizer, self.losses, self.ratios, self.broken = adam, losses, {}, None
                    self.how = f" with Adam at {lr:g} (SGD at {self.lr:g} does not get the loss down)"
                    return
            return
        usual = [group["lr"] for group in self.optimizer.param_groups]
        for factor in FACTORS:
            losses, _ = self._retrain(self.optimizer, batch, steps, [lr * factor for lr in usual])
            if _falls(losses):
                self.remedy = f"; with lr {usual[0] * factor:g} it falls to {losses[-1]:.4g}"
                return

    def _retrain(
        self, optimizer: Any, batch: tuple[Any, ...], steps: int, rates: list[float] | None = None
    ) -> tuple[list[float], dict[str, list[float]]]:
        """The same from the same start, with another optimiser or other learning rates."""
        self.before.restore(self.model, self.optimizer if self.given else None)
        self.model.train()
        for group, lr in zip(optimizer.param_groups, rates or [], strict=False):
            group["lr"] = lr
        return self._train(optimizer, batch, steps)

    def _train(
        self, optimizer: Any, batch: tuple[Any, ...], steps: int
    ) -> tuple[list[float], dict[str, list[float]]]:
        """The losses, and how large each update was beside its weights."""
        losses: list[float] = []
        ratios: dict[str, list[float]] = {}
        for _ in range(steps):
            optimizer.zero_grad()
            self.kept |= {
                n for n, p in self.model.named_parameters() if losses and _holds(p) and p.requires_grad
            }
            loss = loss_of(self.model, self.loss_fn, batch)
            losses.append(float(unwrap(loss).item()))
            if loss.node is None or not np.isfinite(losses[-1]):
                break
            loss.backward()
            weights = {n: p.array.copy() for n, p in self.model.named_parameters() if p.array.ndim > 1}
            optimizer.step()
            for name, p in self.model.named_parameters():
                if name in weights and p.grad is not None and p.requires_grad and unwrap(p.grad).any():
                    size = norm(weights[name])
                    if size:
                        ratios.setdefault(name, []).append(norm(p.array - weights[name]) / size)
        return losses, ratios

    def _strangers(self) -> list[Ailment]:
        """Parameters that the user's optimiser does not know, or whose gradients it does not clear."""
        if not self.given:
            return []
        known = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        own = dict(self.model.named_parameters())
        rule = "not_in_optimizer"
        found = [
            Ailment(rule, name, "wants a gradient, and the optimiser does not have it")
            for name, p in own.items()
            if p.requires_grad and id(p) not in known
        ]
        if others := len(known - {id(p) for p in own.values()}):
            found.append(
                Ailment(rule, "optimizer", f"{others} tensor(s) of it are no parameters of this model")
            )
        if kept := [name for name in own if name in self.kept and id(own[name]) in known]:
            said = f"{kept[0]}{f' and {len(kept) - 1} more' if len(kept) > 1 else ''} kept the last step's gradient"
            found.append(Ailment("gradient_not_cleared", "optimizer.zero_grad()", said))
        return found

    def findings(self) -> list[Ailment]:
        """What showed in training."""
        found = self._strangers()
        if self.broken is not None:
            said = f"in training step {len(self.losses)}: {str(self.broken).splitlines()[0]}"
            found.append(Ailment("exploding_tensor", place(self.broken), said))
        with_what = type(self.optimizer).__name__
        for name, ratios in self.ratios.items():
            # A first step that tears everything down leaves small ones behind it.
            ratio = (
                float(np.median(ratios))
                if ratios[0] <= UPDATE[1]
                else max(float(np.median(ratios)), ratios[0])
            )
            low, high = (0.0, UPDATE_AT_MOST) if _falls(self.losses) else UPDATE
            if ratio > high or (self.given and ratio < low):
                found.append(
                    Ailment(
                        "weight_update_ratio",
                        name,
                        f"an update is {ratio:.2g} of the weights' size ({with_what})",
                    )
                )
        if self.losses:
            first, last = self.losses[0], self.losses[-1]
            if not np.isfinite(last):
                said = f"{first:.4g}, then {last:g} after {len(self.losses) - 1} step(s){self.remedy}"
                found.append(Ailment("loss_not_decreasing", "loss", said))
            elif len(self.losses) > 2 and not _falls(self.losses):
                said = f"{first:.4g} at first, {last:.4g} after {len(self.losses) - 1} steps on one batch{self.remedy}"
                found.append(Ailment("loss_not_decreasing", "loss", said))
        return found


def _falls(losses: list[float]) -> bool:
    """Whether the loss came down, in the end, by what a healthy network manages."""
    return bool(np.isfinite(losses[-1])) and losses[-1] < losses[0] - FALL * abs(losses[0])


def _holds(p: Any) -> bool:
    return p.grad is not None and bool(unwrap(p.grad).any())


def loss_of(model: Any, loss_fn: Callable[..., Any], batch: tuple[Any, ...]) -> Any:
    """The loss of a batch. Raises UsageError when it is no scalar tensor."""
    loss = loss_fn(model(*batch[:-1]), batch[-1])
    if not isinstance(loss, Handle) or loss.array.size != 1:
        raise UsageError("diagnose expected loss_fn to give a scalar tensor")
    return loss


def place(at: Finding) -> str:
    """``log in net.inner, net.py:12``."""
    return f"{at.op}{f' in {at.module}' if at.module else ''}, {base(at.file)}:{at.line}"


def base(path: str | None) -> str:
    """The file's own name."""
    return (path or "?").rsplit("/", 1)[-1]
