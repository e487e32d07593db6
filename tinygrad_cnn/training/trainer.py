"""The training loop, and all that it depends on as one state that can be saved after any batch.

A run that is continued from such a state takes the same steps, in the same order, on the same numbers as one
that was never interrupted: weights, buffers, the optimiser's and the schedule's memory, the history, the
place in the epoch, and where each random generator stood.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.support.errors import CheckpointError, UsageError, UserError, brief
from tinygrad_cnn.training.evaluation import (
    EVALUATED,
    cross_entropy,
    evaluate,
    is_classification,
    split_batch,
)
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loading import as_loader
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["DivergedError", "Trainer"]

#: What a state of wrong types or sizes may raise wherever it is used.
_MISFIT = (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError, AttributeError)


class DivergedError(UserError, ArithmeticError):
    """The loss is no longer a number."""


class Trainer:
    """Trains `model` with `optimizer`; `fit` runs epochs and may be called again to run more.

    loss         a function (outputs, targets) -> mean over the batch; cross-entropy unless given
    augment      a function of a training batch's inputs, called before the network sees them (see `augment`); of inputs
                 and targets where its attribute `uses_targets` is true
    scheduler    takes a step after each epoch, or with ``schedule_per="batch"`` after each batch
    callbacks    see `callbacks.Callback`; called in this order

    Attributes that callbacks may read
        epoch    epochs completed;  batch: batches done of the present one;  step: batches in all
        batches  batches per epoch (None for a stream of unknown length)
        seconds  time spent in the present epoch
        fresh    whether no batch was trained on yet;  resumed: whether this `fit` goes on from a restored state
        running  `loss` and `accuracy` so far in the present epoch;  history: of the epochs completed
    and set: `stop = True` ends the training after this epoch, `interrupted = True` after this batch.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss: Callable[[Any, Any], Any] | None = None,
        *,
        augment: Callable[..., Any] | None = None,
        scheduler: Any = None,
        schedule_per: str = "epoch",
        callbacks: Sequence[Any] = (),
    ) -> None:
        if schedule_per not in ("epoch", "batch"):
            raise ValueError(f"schedule_per expected 'epoch' or 'batch', got {schedule_per!r}")
        if scheduler is None and schedule_per != "epoch":
            raise UsageError(
                f"schedule_per={schedule_per!r} says when a scheduler steps, and there is none: leave it out"
            )
        self.model = model
        self.optimizer = optimizer
        self.loss = loss or cross_entropy()
        self.augment = augment
        self.scheduler = scheduler
        self.schedule_per = schedule_per
        self.callbacks = list(callbacks)
        self.history = History()
        self.epoch = self.batch = self.step = 0
        self.batches: int | None = None
        self.seconds = 0.0
        self.stop = self.interrupted = False
        self._loss_sum, self._correct, self._seen, self._judged = 0.0, 0, 0, 0
        self._generators: list[Any] = []
        self._epoch_start: list[Any] = []
        self._restored: dict[str, Any] | None = None
        #: Whether this call of `fit` goes on from a state that `load_state_dict` restored.
        self.resumed = False

    def fit(self, loader: Any, epochs: int, validation: Any = None) -> History:
        """Train until `epochs` epochs are completed in all; `validation` is evaluated after each.

        Raises DivergedError when the loss becomes infinite or NaN.
        """
        self.stop = self.interrupted = False
        if validation is not None:  # what is no data is an error before the first epoch, not after it
            validation = as_loader(validation, usual=EVALUATED)
        self.batches = _length(loader)
        self._generators = _generators_of(loader)
        self.resumed = self._restored is not None
        if self._restored is not None:
            if self.batches is not None and self.batch > self.batches:
                raise CheckpointError(
                    f"the checkpoint stands at batch {self.batch} of an epoch, and this data loader gives "
                    f"{self.batches}: continue with the loader it was made with"
                )
            self._put_generators(self._restored["now"])
            self._epoch_start = self._restored["epoch_start"]
            self._restored = None
        self._tell("on_train_begin")
        while self.epoch < epochs and not self.stop and not self.interrupted:
            self._run_epoch(loader, validation)
        self._tell("on_train_end")
        return self.history

    @property
    def fresh(self) -> bool:
        """Whether no batch was trained on yet."""
        return self.step == 0

    @property
    def running(self) -> dict[str, float]:
        """Mean loss and, of a classifier, accuracy over the samples seen in this epoch."""
        found = {"loss": self._loss_sum / max(1, self._seen)}
        if self._judged:
            found["accuracy"] = self._correct / self._judged
        return found

    @property
    def samples(self) -> int:
        """Samples seen in the present epoch."""
        return self._seen

    # --- one epoch, one batch ----------------------------------------------------------------------

    def _run_epoch(self, loader: Any, validation: Any) -> None:
        self.model.train()
        batches = self._batches(loader)
        self._tell("on_epoch_begin")
        clock = time.perf_counter() - self.seconds
        for batch in batches:
            self._train_on(*split_batch(batch))
            self.batch += 1
            self.step += 1
            self.seconds = time.perf_counter() - clock
            if self.scheduler is not None and self.schedule_per == "batch":
                self._advance(self.scheduler)
            self._tell("on_batch_end")
            if self.interrupted:
                self._tell("on_interrupt")
                return
        if self._seen == 0 and self.batch == 0:
            raise ValueError("fit expected at least one batch per epoch, got none")
        self._finish_epoch(validation)

    def _train_on(self, inputs: Any, targets: Any) -> None:
        self.optimizer.zero_grad()
        if self.augment is not None:
            uses = getattr(self.augment, "uses_targets", False)
            inputs = self.augment(inputs, targets) if uses else self.augment(inputs)
        outputs = self.model(inputs)
        loss = self.loss(outputs, targets)
        value = float(unwrap(loss))
        if not math.isfinite(value):
            raise DivergedError(
                f"the loss became {value} in epoch {self.epoch + 1}, batch {self.batch + 1}: a smaller learning "
                "rate usually helps; autograd.set_detect_anomaly names the first op that went wrong"
            )
        loss.backward()
        self._advance(self.optimizer)
        n = len(inputs.array)
        self._loss_sum += value * n
        self._seen += n
        if is_classification(outputs, targets):
            self._correct += int((outputs.array.argmax(1) == targets.array).sum())
            self._judged += n

    def _finish_epoch(self, validation: Any) -> None:
        record: dict[str, Any] = {"epoch": self.epoch + 1, **self.running}
        if validation is not None:
            found = evaluate(self.model, validation, loss=self.loss)
            record["val_loss"] = found.loss
            if found.accuracy is not None:
                record["val_accuracy"] = found.accuracy
        record["lr"] = self.optimizer.param_groups[0]["lr"]
        record["seconds"] = round(self.seconds, 3)
        record["samples_per_second"] = round(self._seen / self.seconds, 1) if self.seconds else None
        self.history.append(**record)
        if self.scheduler is not None and self.schedule_per == "epoch":
            if type(self.scheduler).__name__ == "ReduceLROnPlateau":
                self._advance(self.scheduler, record.get("val_loss", record["loss"]))
            else:
                self._advance(self.scheduler)
        self.epoch += 1
        self.batch, self.seconds = 0, 0.0
        self._loss_sum, self._correct, self._seen, self._judged = 0.0, 0, 0, 0
        self._tell("on_epoch_end")

    def _advance(self, stepper: Any, *args: Any) -> None:
        """One step of the optimiser or the schedule.

        What kinds of values their state may hold is known to them alone: whether they can use one that was restored
        shows in their steps.
        """
        try:
            stepper.step(*args)
        except _MISFIT as error:
            if not self.resumed:
                raise
            raise CheckpointError(
                f"the checkpoint's state does not fit the {type(stepper).__name__}: {brief(error)}"
            ) from error

    def _batches(self, loader: Any) -> Iterator[Any]:
        """The batches of this epoch that are still to do."""
        if self.batch == 0:
            self._epoch_start = self._generator_states()
            return iter(loader)
        # Draw the epoch's order again as it was drawn, then let each generator stand where it stood.
        now = self._generator_states()
        self._put_generators(self._epoch_start)
        batches = (
            loader.batches(self.batch) if hasattr(loader, "batches") else islice(loader, self.batch, None)
        )
        self._put_generators(now)
        return batches

    def _tell(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)

    # --- the state ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the training depends on; tensors by reference: save or copy before going on."""
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "history": self.history.records,
            "place": {
                "epoch": self.epoch,
                "batch": self.batch,
                "step": self.step,
                "seconds": self.seconds,
                "sums": [self._loss_sum, self._correct, self._seen, self._judged],
            },
            "generators": {"now": self._generator_states(), "epoch_start": self._epoch_start},
            "callbacks": [callback.state_dict() for callback in self.callbacks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`. CheckpointError when it does not fit the model or the optimiser."""
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.scheduler is not None:
                self.scheduler.load_state_dict(state["scheduler"])
            self.history = History(_checked("history", state["history"], list, dict))
            place = _checked("place", state["place"], dict)
            self.epoch, self.batch, self.step = _counts("place", [place[name] for name in ("epoch", "batch", "step")])
            self.seconds, *sums = _numbers("place", [place["seconds"], *place["sums"]])
            self._loss_sum, self._correct, self._seen, self._judged = sums  # type: ignore[assignment]
            generators = _checked("generators", state["generators"], dict)
            for name in ("now", "epoch_start"):
                _checked("generators", generators[name], list)
            self._restored = generators
            for callback, its_state in zip(self.callbacks, _checked("callbacks", state["callbacks"], list, dict)):
                callback.load_state_dict(its_state)
        except _MISFIT as error:
            raise CheckpointError(f"the checkpoint does not fit this model or optimiser: {brief(error)}") from error

    def _generator_states(self) -> list[Any]:
        return [numpy_generator(owner).bit_generator.state for owner in self._generators]

    def _put_generators(self, states: list[Any]) -> None:
        if len(states) != len(self._generators):
            raise CheckpointError(
                f"the checkpoint holds {len(states)} random generators, this data loader uses "
                f"{len(self._generators)}: continue with the loader it was made with"
            )
        for owner, state in zip(self._generators, states):
            try:
                numpy_generator(owner).bit_generator.state = state
            except _MISFIT as error:
                raise CheckpointError(f"the checkpoint holds no state of a random generator: {brief(error)}") from error


def _checked(name: str, value: Any, kind: Any, inner: Any = None) -> Any:
    """`value` if it is of that kind, and so is all in it; TypeError names the part of the state that is not."""
    if not isinstance(value, kind) or inner is not None and not all(isinstance(v, inner) for v in value):
        raise TypeError(f"its {name} is a {type(value).__name__} of something else")
    return value


def _counts(name: str, values: list[Any]) -> list[int]:
    if not all(type(v) is int and v >= 0 for v in values):
        raise TypeError(f"its {name} holds something other than counts")
    return values


def _numbers(name: str, values: list[Any]) -> list[float]:
    if not all(type(v) in (int, float) for v in values):
        raise TypeError(f"its {name} holds something other than numbers")
    return values


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def _generators_of(loader: Any) -> list[Any]:
    """Everything that draws: None for the global generator (dropout does), and the loader's own."""
    found: list[Any] = [None]
    sampler = getattr(loader, "sampler", None)
    batch_sampler = getattr(loader, "batch_sampler", None)
    for owner in (loader, sampler, batch_sampler, getattr(batch_sampler, "sampler", None)):
        own = getattr(owner, "generator", None)
        if own is not None and all(own is not other for other in found):
            found.append(own)
    return found
