"""Training time travel: the last K training steps, so that one can go back to before the loss blew up.

recorder = tg.debug.Recorder(model, optimizer, keep=5)
for x, target in loader:
    recorder.before(x, target)
    loss = F.cross_entropy(model(x), target)
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    recorder.after(loss)

s = recorder.session(lambda x, target: F.cross_entropy(model(x), target))   # before the blow-up
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.inspect import keep_values
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.training_snapshot import TrainingSnapshot, copied, size_of
from tinygrad_cnn.support.errors import UsageError


@dataclass
class TrainingStep:
    """One kept step: its number from 0, the state before it, its batch, and its loss once known."""

    step: int
    moment: TrainingSnapshot
    batch: tuple[Any, ...]
    loss: float | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all it keeps."""
        return self.moment.nbytes + size_of(list(self.batch))

    def __repr__(self) -> str:
        loss = "?" if self.loss is None else f"{self.loss:.6g}"
        return f"<TrainingStep {self.step}: loss {loss}, {self.nbytes / 1e6:.2f} MB>"


class Recorder:
    """Keeps parameters, optimiser state, random state and batch of the last `keep` training steps.

    Memory is ``keep × (parameters + buffers + optimiser state + gradients, if any, + batch)``, see `nbytes`;
    with `max_bytes` older steps go earlier. Copying costs one pass over that memory per step.
    """

    def __init__(
        self, model: Any, optimizer: Any = None, *, keep: int = 5, max_bytes: int | None = None
    ) -> None:
        if keep < 1:
            raise UsageError(f"Recorder expected keep of at least 1, got {keep}")
        self.model, self.optimizer = model, optimizer
        self.keep, self.max_bytes = keep, max_bytes
        self.steps: deque[TrainingStep] = deque(maxlen=keep)
        self.count = 0

    def before(self, *batch: Any) -> None:
        """Call it before a step, with its batch (tensors and arrays are copied)."""
        moment = TrainingSnapshot(self.model, self.optimizer)
        self.steps.append(TrainingStep(self.count, moment, tuple(copied(b) for b in batch)))
        self.count += 1
        while self.max_bytes is not None and len(self.steps) > 1 and self.nbytes > self.max_bytes:
            self.steps.popleft()

    def after(self, loss: Any) -> None:
        """Call it behind the step, with its loss."""
        if self.steps:
            self.steps[-1].loss = float(np.asarray(unwrap(loss)))

    @property
    def nbytes(self) -> int:
        """Bytes of all kept steps."""
        return sum(step.nbytes for step in self.steps)

    def blow_up(self, factor: float = 10.0) -> TrainingStep | None:
        """The kept step that spoilt the training: the last one whose loss was still good.

        A loss is bad when it is not finite or more than `factor` times the smallest kept before it; the update
        that did it is that of the step before. None while all losses are good.
        """
        best = np.inf
        previous = None
        for step in self.steps:
            if step.loss is not None:
                if not np.isfinite(step.loss) or step.loss > factor * max(best, 1e-12):
                    return previous or step
                best = min(best, step.loss)
            previous = step
        return None

    def find(self, step: int) -> TrainingStep:
        """The kept step of a number (negative: from the end). Raises UsageError when it is not kept (any more)."""
        if step < 0 and len(self.steps) >= -step:
            return self.steps[step]
        for kept in self.steps:
            if kept.step == step:
                return kept
        have = f"{self.steps[0].step} to {self.steps[-1].step}" if self.steps else "none yet"
        raise UsageError(f"step {step} is not kept; kept are {have} (keep={self.keep})")

    def go_back(self, step: int | TrainingStep | None = None) -> TrainingStep:
        """Put model, optimiser and random generators back to before a step: the one that blew up, by default.

        The step can then be done again and goes exactly as it went.
        """
        if step is None:
            found = self.blow_up()
            if found is None:
                found = self.find(-1)
        else:
            found = step if isinstance(step, TrainingStep) else self.find(step)
        found.moment.restore(self.model, self.optimizer)
        return found

    def session(self, loss_fn: Callable[..., Any], step: int | TrainingStep | None = None) -> BackwardSession:
        """Go back (see `go_back`), compute ``loss_fn(*batch)`` again, and stand before its backward pass.

        The forward pass keeps every value and source line. Finish the session and call `optimizer.step()` to go on.
        """
        found = self.go_back(step)
        with keep_values(stack=True):
            loss = loss_fn(*(copied(b) for b in found.batch))
        made = BackwardSession(loss)
        made.stop = made.stop._replace(text=f"backward pass of training step {found.step}")
        return made

    def __repr__(self) -> str:
        kept = ", ".join(repr(s)[1:-1] for s in self.steps)
        return f"<Recorder of {len(self.steps)} step(s), {self.nbytes / 1e6:.2f} MB: {kept}>"
