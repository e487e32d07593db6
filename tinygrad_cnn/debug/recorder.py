"""Training time travel: the last K training steps, so that one can go back to before the loss blew up.

recorder = tg.debug.Recorder(model, optimizer, keep=200)
for x, target in loader:
    recorder.before(x, target)
    loss = F.cross_entropy(model(x), target)
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    recorder.after(loss)

s = recorder.session(lambda x, target: F.cross_entropy(model(x), target))   # before the blow-up

Batches and random states are kept for every step, parameters for every n-th (`every`); the steps in between are
trained again. What a blow-up is, `blow_up` decides from all the losses.
"""

from __future__ import annotations

import contextlib
import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.inspect import keep_values
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.training_snapshot import Batch, LossFn, RandomState, TrainingSnapshot, copied, size_of
from tinygrad_cnn.nn import Module
from tinygrad_cnn.optim import Optimizer
from tinygrad_cnn.support.errors import UsageError

#: So many steps at most have their parameters kept, when `every` is left out.
SNAPSHOTS = 4
#: Losses over which a level and a running median are taken.
WINDOW, RUNNING = 10, 5
#: A single loss so many times all before it needs no further steps to be a blow-up.
AT_ONCE = 100.0


@dataclass
class TrainingStep:
    """One kept step: its number from 0, its batch, and its loss once known.

    Attributes:
        moment: the state before it; None where it is had by training from an earlier step
        random: the random generators before it
        options: the options of the optimiser's groups before it (learning rates)
    """

    step: int
    moment: TrainingSnapshot | None
    batch: Batch
    random: RandomState
    options: list[dict[str, Any]]
    loss: float | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all it keeps."""
        own = self.moment.nbytes if self.moment is not None else 0
        return own + size_of(list(self.batch)) + self.random.nbytes

    def __repr__(self) -> str:
        loss = "?" if self.loss is None else f"{self.loss:.6g}"
        return f"<TrainingStep {self.step}: loss {loss}, {self.nbytes / 1e6:.2f} MB>"


class Recorder:
    """Keeps what it takes to repeat the last `keep` training steps (a few more, so that the first can be repeated).

    Parameters, buffers, optimiser state and gradients, if any, are kept for every n-th step; batches and random
    states for all. Memory is in `nbytes`; with `max_bytes` older steps go earlier.

    Args:
        model: the network
        optimizer: its optimiser
        keep: how many steps back one can go
        every: how many steps lie between two states that are kept: 1 for at most 10 steps, else a quarter of `keep`
        max_bytes: a bound on the memory
    """

    def __init__(
        self, model: Module, optimizer: Optimizer | None = None, *, keep: int = 5, every: int | None = None,
        max_bytes: int | None = None,
    ) -> None:  # fmt: skip
        if keep < 1:
            raise UsageError(f"Recorder expected keep of at least 1, got {keep}")
        if every is not None and every < 1:
            raise UsageError(f"Recorder expected every of at least 1, got {every}")
        self.model, self.optimizer = model, optimizer
        self.keep, self.max_bytes = keep, max_bytes
        self.every = every or (1 if keep <= 10 else -(-keep // SNAPSHOTS))
        self.steps: deque[TrainingStep] = deque()
        self.count = 0
        #: Every loss so far, by step; None where `after` was not called.
        self.losses: list[float | None] = []

    def before(self, *batch: Any) -> None:
        """Call it before a step, with its batch (tensors and arrays are copied)."""
        whole = not self.steps or self.count % self.every == 0
        moment = TrainingSnapshot(self.model, self.optimizer) if whole else None
        groups = self.optimizer.param_groups if self.optimizer is not None else ()
        options = [{k: copied(v) for k, v in group.items() if k != "params"} for group in groups]
        kept = tuple(copied(b) for b in batch)
        state = RandomState(self.steps[-1].random if self.steps else None)
        self.steps.append(TrainingStep(self.count, moment, kept, state, options))
        self.losses.append(None)
        self.count += 1
        self._forget()

    def after(self, loss: Any) -> None:
        """Call it behind the step, with its loss."""
        if self.steps:
            self.steps[-1].loss = self.losses[-1] = float(np.asarray(unwrap(loss)))

    def _forget(self) -> None:
        """Drop the oldest steps, down to the next whose state is kept."""
        while True:
            following = next((k for k, s in enumerate(self.steps) if k and s.moment is not None), None)
            if following is None:
                return
            spare = len(self.steps) - following >= self.keep
            heavy = self.max_bytes is not None and self.nbytes > self.max_bytes
            if not spare and not heavy:
                return
            for _ in range(following):
                self.steps.popleft()

    @property
    def nbytes(self) -> int:
        """Bytes of all kept steps."""
        return sum(step.nbytes for step in self.steps)

    # --- the blow-up -----------------------------------------------------------------------------

    def blown_at(self, factor: float = 10.0) -> int | None:
        """The number of the first step whose loss is blown up, kept or not; None while all is well.

        A loss that is not finite is blown up, and so is one 100 times all before it. Otherwise losses are blown up
        where their running median over 5 steps is more than `factor` times the calmest level that the
        training had reached (the largest of 10 losses in a row), and stays there to the end. Single large losses
        and a training that recovers are none.
        """
        steps = [k for k, loss in enumerate(self.losses) if loss is not None]
        losses = np.array([self.losses[k] for k in steps], dtype=np.float64)
        spoilt = ~np.isfinite(losses)
        if spoilt.any():
            return steps[int(spoilt.argmax())]
        if len(losses) < 2:
            return None
        if len(losses) > WINDOW + 1 and losses[-1] > AT_ONCE * np.abs(losses[:-1]).max():
            return steps[-1]
        if len(losses) < WINDOW + RUNNING:
            return None
        windows = np.lib.stride_tricks.sliding_window_view(losses, WINDOW)
        level, spread = windows.max(axis=1), np.ptp(windows, axis=1)
        median = np.median(np.lib.stride_tricks.sliding_window_view(losses, RUNNING), axis=1)
        for k in range(WINDOW, len(median)):
            calmest = int(level[: k - WINDOW + 1].argmin())
            size = max(abs(float(level[calmest])), float(spread[calmest]), 1e-12)  # losses may be negative
            bound = float(level[calmest]) + (factor - 1) * size
            if median[k:].min() > bound:
                first = k
                while losses[first] <= bound:
                    first += 1
                while first > WINDOW and losses[first - 1] > bound:
                    first -= 1
                return steps[first]
        return None

    def blow_up(self, factor: float = 10.0) -> TrainingStep | None:
        """The step that spoilt the training: the one before the first loss that is blown up (see `blown_at`).

        None while nothing blew up. Raises UsageError when that step is not kept any more.
        """
        at = self.blown_at(factor)
        return None if at is None else self.find(max(0, at - 1))

    def find(self, step: int) -> TrainingStep:
        """The kept step of a number (negative: from the end). Raises UsageError when it is not kept (any more)."""
        if step < 0 and len(self.steps) >= -step:
            return self.steps[step]
        for kept in self.steps:
            if kept.step == step:
                return kept
        have = f"{self.steps[0].step} to {self.steps[-1].step}" if self.steps else "none yet"
        raise UsageError(f"step {step} is not kept; kept are {have} (keep={self.keep})")

    # --- going back ------------------------------------------------------------------------------

    def go_back(
        self, step: int | TrainingStep | None = None, *, loss_fn: LossFn | None = None,
        train_step: LossFn | None = None,
    ) -> TrainingStep:  # fmt: skip
        """Put model, optimiser and random generators back to before a step: the one that blew up, by default.

        The step can then be done again and goes exactly as it went.

        Args:
            step: its number, or the step itself
            loss_fn: what the loss is, ``loss_fn(*batch)``, to train again from the last state that was kept
            train_step: the whole training step ``train_step(*batch)`` -> loss, where it is more than zero_grad,
                backward and step

        Returns:
            The step.

        Raises:
            UsageError: nothing blew up, the step is not kept, or the steps before it do not repeat as they went
        """
        found = step if isinstance(step, TrainingStep) else self._wanted(step)
        k = next(k for k, kept in enumerate(self.steps) if kept is found)
        start = max(j for j in range(k + 1) if self.steps[j].moment is not None)
        if start < k and loss_fn is None and train_step is None:
            raise UsageError(
                f"the state before step {found.step} is not kept, that before step {self.steps[start].step} is: "
                "pass loss_fn= (or train_step=) to train the steps in between again"
            )
        moment = self.steps[start].moment
        assert moment is not None
        moment.restore(self.model, self.optimizer)
        for again in list(self.steps)[start:k]:
            self._set(again)
            batch = tuple(copied(b) for b in again.batch)
            loss = train_step(*batch) if train_step is not None else self._train(loss_fn, batch)
            now = None if loss is None else float(np.asarray(unwrap(loss)))
            if (
                now is not None
                and again.loss is not None
                and not np.isclose(now, again.loss, rtol=1e-4, atol=1e-7)
            ):
                raise UsageError(
                    f"training step {again.step} gave a loss of {again.loss:.6g}, and now gives {now:.6g}: pass "
                    "train_step=, a function of the batch that does all that a step of the training does"
                )
        self._set(found)
        return found

    def _wanted(self, step: int | None) -> TrainingStep:
        if step is not None:
            return self.find(step)
        found = self.blow_up()
        if found is None:
            raise UsageError(
                f"nothing blew up in {len(self.losses)} training step(s): name the step to go back to, as in step=-1"
            )
        return found

    def _set(self, step: TrainingStep) -> None:
        step.random.restore()
        if self.optimizer is not None:
            for group, options in zip(self.optimizer.param_groups, step.options, strict=False):
                group.update(copied(options))

    def _train(self, loss_fn: Any, batch: Batch) -> Any:
        if self.optimizer is None:
            raise UsageError(
                "training again needs the optimiser: Recorder(model, optimizer), or pass train_step="
            )
        self.optimizer.zero_grad()
        with modes.enable_grad(), np.errstate(all="ignore"):
            loss = loss_fn(*batch)
            loss.backward()
        self.optimizer.step()
        return loss

    def session(
        self, loss_fn: LossFn, step: int | TrainingStep | None = None, *, restore: bool = False,
        train_step: LossFn | None = None,
    ) -> BackwardSession:  # fmt: skip
        """Compute ``loss_fn(*batch)`` as it was at a step (see `go_back`), and stand before its backward pass.

        The forward pass keeps every value and source line, and the session's `stop` says which step it is. The model,
        the optimiser and the random generators stay as they are, and the session's gradients go to copies of
        the parameters; with `restore` they all are put back to that step: finish the session and call
        `optimizer.step()` to go on from there.

        Args:
            loss_fn: the loss of a batch, computed with the model
            step: which step; the one that blew up when left out
            restore: whether the training itself goes back
            train_step: as for `go_back`

        Returns:
            The session.

        Raises:
            UsageError: as `go_back` does; nothing blew up, for one
        """
        live = None if restore else TrainingSnapshot(self.model, self.optimizer)
        try:
            found = self.go_back(step, loss_fn=loss_fn, train_step=train_step)
            with (
                contextlib.nullcontext() if restore else _copies_of(self.model) as copies,
                keep_values(stack=True),
            ):
                loss = loss_fn(*(copied(b) for b in found.batch))
        finally:
            if live is not None:
                live.restore(self.model, self.optimizer)
        made = BackwardSession(loss)
        made.kept_alive = copies
        text = f"backward pass of training step {found.step}, loss {float(unwrap(loss).item()):.6g}"
        at = self.blown_at()
        if at is not None and at - 1 == found.step:
            text += f"; the loss of step {at} is {self.losses[at]:.6g}"
        made.stop = made.stop._replace(text=text)
        return made

    def __repr__(self) -> str:
        kept = ", ".join(repr(s)[1:-1] for s in list(self.steps)[-5:])
        return f"<Recorder of {len(self.steps)} step(s), {self.nbytes / 1e6:.2f} MB: {kept}>"


@contextlib.contextmanager
def _copies_of(model: Module) -> Iterator[list[Any]]:
    """The model computes with copies of its parameters and buffers for a while."""
    memo: dict[int, Any] = {}
    tables = [t for m in model.modules() for t in (m._parameters, m._buffers)]
    before = [dict(table) for table in tables]
    for table in tables:
        for name, value in table.items():
            table[name] = copy.deepcopy(value, memo)
    for p in memo.values():
        if getattr(p, "is_parameter", False):
            p.grad = None
    try:
        yield list(memo.values())
    finally:
        for table, own in zip(tables, before, strict=True):
            table.update(own)
