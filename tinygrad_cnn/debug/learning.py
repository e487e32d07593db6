"""Whether a network learns one batch by heart, and with which learning rate: the second half of `diagnose`.

Takes a model and an optimiser at a `TrainingSnapshot`, trains some steps, and where the loss does not fall tries again
from the same state with others, so that the finding can say what would help. Puts nothing back at its end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.debug.anomaly import Finding, anomaly
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.debug.diagnosis_rules import (
    FALL,
    LEARNT,
    RISE,
    SLOW_FALL,
    UPDATE,
    UPDATE_AT_MOST,
    Ailment,
)
from tinygrad_cnn.debug.training_snapshot import Batch, LossFn, TrainingSnapshot
from tinygrad_cnn.nn import Module
from tinygrad_cnn.optim import Optimizer
from tinygrad_cnn.support.errors import UsageError

#: Factors of the user's learning rate that are tried, in this order, where it is too large or too small.
DOWN, UP = (0.1, 0.01, 1e-3, 1e-4, 1e-5), (10, 100, 1e3, 1e5)
#: Adam's usual learning rates.
ADAM = (1e-3, 1e-2)
#: So many times the steps asked for are made before a slow loss is judged.
PATIENCE = 6


class Learning:
    """Some updates on one batch.

    Attributes
        losses: the loss before each of them
        how: what was trained with, where it was not what one expects
        learnt: whether the network had learnt its targets before: with the targets shuffled its loss is far larger
    """

    def __init__(
        self, model: Module, loss_fn: LossFn, optimizer: Optimizer | None, lr: float, before: TrainingSnapshot
    ) -> None:
        self.model, self.loss_fn, self.before = model, loss_fn, before
        self.given = optimizer is not None
        self.optimizer: Any = optimizer
        self.lr = lr
        self.losses: list[float] = []
        self.how = ""
        self.learnt = False
        self.ratios: dict[str, list[float]] = {}
        self.broken: Finding | None = None
        self.verdict: Ailment | None = None  # about the learning rate
        self.kept: set[str] = set()  # parameters whose gradient zero_grad() did not clear
        self.fell = True

    def on(self, batch: Batch, steps: int) -> None:
        """Train, and try again where that does not work."""
        from tinygrad_cnn.optim import SGD, Adam

        parameters = [p for p in self.model.parameters() if p.requires_grad]
        if not parameters:
            return
        self.learnt = self._has_learnt(batch)
        self.optimizer = self.optimizer if self.given else SGD(parameters, lr=self.lr)
        with anomaly(error=False, warn=False) as found:
            self.losses, self.ratios = self._train(self.optimizer, batch, steps)
        if found and not np.isfinite(self.losses[-1]):
            self.broken = found.forward or found.backward
        self.fell = _falls(self.losses)
        if self.given:
            self._judge_rate(batch, steps)
        elif not self.fell and not self.learnt:
            for patience in (1, PATIENCE):
                for lr in ADAM:
                    adam = Adam(parameters, lr=lr)
                    losses, _ = self._retrain(adam, batch, patience * steps)
                    if _falls(losses):  # nothing is wrong but the learning rate that was guessed
                        self.optimizer, self.losses, self.ratios, self.broken = adam, losses, {}, None
                        self.how = f" with Adam at {lr:g} (SGD at {self.lr:g} does not get the loss down)"
                        self.fell = True
                        return

    def fits(self, batch: Batch, samples: int) -> tuple[float, float] | None:
        """Whether the network learns some samples by heart: the loss before and after; None when it does not."""
        from tinygrad_cnn.optim import Adam

        parameters = [p for p in self.model.parameters() if p.requires_grad]
        few = tuple(wrap(np.asarray(unwrap(part))[:samples]) for part in batch)
        for lr in (1e-2, 1e-3):
            losses, _ = self._retrain(Adam(parameters, lr=lr), few, 60)
            if np.isfinite(losses[-1]) and losses[-1] < 0.7 * losses[0]:
                return losses[0], losses[-1]
        return None

    def _has_learnt(self, batch: Batch) -> bool:
        """Whether shuffled targets make the loss far larger."""
        target = np.asarray(unwrap(batch[-1]))
        if target.ndim < 1 or len(target) < 4:
            return False
        order = np.random.default_rng(0).permutation(len(target))
        with modes.no_grad():
            try:
                output = self.model(*batch[:-1])
                losses = [
                    float(unwrap(self.loss_fn(output, wrap(t))).item()) for t in (target, target[order])
                ]
            except Exception:
                return False  # a loss that wants its targets as they came
        return bool(np.isfinite(losses).all()) and losses[1] > LEARNT * abs(losses[0])

    def _judge_rate(self, batch: Batch, steps: int) -> None:
        """Whether the user's learning rate is too large or too small, by trying others from the same start."""
        losses = self.losses
        usual = [group["lr"] for group in self.optimizer.param_groups]
        torn = _torn(losses)
        if not torn and (self.fell or self.learnt):
            return
        if not torn:
            longer, _ = self._retrain(self.optimizer, batch, PATIENCE * steps)
            self.fell = _falls(longer, SLOW_FALL)
            if self.fell:
                return
            torn = _torn(longer)
        end = losses[-1] if self.fell else np.inf
        factor, best = 0.0, 0.7 * end
        for tried in DOWN + UP if torn else UP + DOWN:
            if torn and tried > 1 and self.fell:
                break
            found, _ = self._retrain(self.optimizer, batch, steps, [lr * tried for lr in usual])
            works = _falls(found) and not _torn(found)
            if works and found[-1] < best:
                factor, best = tried, found[-1]
            elif factor:
                break  # beyond the best one it gets worse again
        if factor:
            which = "too_large" if factor < 1 else "too_small"
            said = f"lr {usual[0]:g}: {losses[0]:.4g}, then {losses[-1]:.4g}; with lr {usual[0] * factor:g} "
            said += f"it falls to {best:.4g}"
            self.verdict = Ailment(f"learning_rate_{which}", "optimizer", said)
            return
        self.fell = self.fell and bool(np.isfinite(losses).all())

    def _retrain(
        self, optimizer: Optimizer, batch: Batch, steps: int, rates: list[float] | None = None
    ) -> tuple[list[float], dict[str, list[float]]]:
        """The same from the same start, with another optimiser or other learning rates."""
        self.before.restore(self.model, self.optimizer if self.given else None)
        if not self.model.training:
            self.model.train()
        for group, lr in zip(optimizer.param_groups, rates or [], strict=False):
            group["lr"] = lr
        return self._train(optimizer, batch, steps)

    def _train(
        self, optimizer: Optimizer, batch: Batch, steps: int
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
                    # Weights that start at 0 have no size of their own: a tenth of the usual one counts.
                    size = max(norm(weights[name]), 0.1 * weights[name].shape[0] ** 0.5)
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
            low, high = (0.0, UPDATE_AT_MOST) if self.fell or self.learnt else UPDATE
            if ratio > high or (self.given and ratio < low):
                found.append(
                    Ailment(
                        "weight_update_ratio",
                        name,
                        f"an update is {ratio:.2g} of the weights' size ({with_what})",
                    )
                )
        if self.verdict is not None:
            found.append(self.verdict)
        remedy = "; with lr " + self.verdict.how_much.split("; with lr ")[1] if self.verdict else ""
        if self.losses:
            first, last = self.losses[0], self.losses[-1]
            if not np.isfinite(last):
                said = f"{first:.4g}, then {last:g} after {len(self.losses) - 1} step(s){remedy}"
                found.append(Ailment("loss_not_decreasing", "loss", said))
            elif len(self.losses) > 2 and not self.fell and not self.learnt:
                said = f"{first:.4g} at first, {last:.4g} after {len(self.losses) - 1} steps on one batch{remedy}"
                found.append(Ailment("loss_not_decreasing", "loss", said))
        return found


def _falls(losses: list[float], share: float = FALL) -> bool:
    """Whether the loss came down, in the end, by what a healthy network manages."""
    if not np.isfinite(losses[-1]):
        return False
    last = float(np.mean(losses[-3:])) if len(losses) > 20 else losses[-1]
    return last < losses[0] - share * abs(losses[0])


def _torn(losses: list[float]) -> bool:
    """Whether the loss shot up, or was lost."""
    return not np.isfinite(losses).all() or max(losses) > losses[0] + (RISE - 1) * abs(losses[0])


def _holds(p: Any) -> bool:
    return p.grad is not None and bool(unwrap(p.grad).any())


def loss_of(model: Module, loss_fn: LossFn, batch: Batch) -> Any:
    """The loss of a batch. Raises UsageError when it is no scalar tensor."""
    return scalar(loss_fn(model(*batch[:-1]), batch[-1]))


def scalar(loss: Any) -> Any:
    """The loss itself. Raises UsageError when it is no scalar tensor."""
    if not isinstance(loss, Handle) or loss.array.size != 1:
        raise UsageError("diagnose expected loss_fn to give a scalar tensor")
    return loss


def place(at: Finding) -> str:
    """``log in net.inner, net.py:12``."""
    return f"{at.op}{f' in {at.module}' if at.module else ''}, {base(at.file)}:{at.line}"


def base(path: str | None) -> str:
    """The file's own name."""
    return (path or "?").rsplit("/", 1)[-1]
