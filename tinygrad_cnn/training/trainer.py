"""The training loop, and all that it depends on as one state that can be saved after any batch.

A run that is continued from such a state takes the same steps, in the same order, on the same numbers as one
that was never interrupted: weights, buffers, the optimiser's and the schedule's memory, the history, the
place in the epoch, and where each random generator stood.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_
from tinygrad_cnn.support.errors import CheckpointError, UsageError, UserError, brief
from tinygrad_cnn.training import evaluation
from tinygrad_cnn.training.batch import call_model, sizes, split_batch
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.keras_words import refuse
from tinygrad_cnn.training.loading import Batches, as_loader, paired, split_last
from tinygrad_cnn.training.losses import applies_sigmoid, make_loss, warn_of_second_softmax, with_class_weight
from tinygrad_cnn.training.metric_objects import make_metrics
from tinygrad_cnn.training.optimizers import make_optimizer
from tinygrad_cnn.training.progress import reporting
from tinygrad_cnn.training.state import (
    MISFIT,
    checked,
    counts,
    generators_of,
    numbers,
    put_generators,
    states_of,
)
from tinygrad_cnn.training.totals import Totals

__all__ = ["DivergedError", "Trainer"]


class DivergedError(UserError, ArithmeticError):
    """The loss is no longer a number."""


class Trainer:
    """Trains `model`; `fit` runs epochs and may be called again to run more.

        trainer = Trainer(model).compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
        history = trainer.fit(X_train, Y_train, validation_data=(X_valid, Y_valid), epochs=10, batch_size=64)
        loss, accuracy = trainer.evaluate(X_test, Y_test)

    What `compile` takes may be given at once: ``Trainer(model, "adam", lr=1e-3)``.

    augment      a function of a training batch's inputs, called before the network sees them (`RandomShift`, an
                 `ImageDataGenerator`); of inputs and targets where its attribute `uses_targets` is true
    scheduler    takes a step after each epoch, or with ``schedule_per="batch"`` after each batch
    callbacks    see `callbacks.Callback`; called in this order

    Attributes that callbacks may read
        epoch    epochs completed;  batch: batches done of the present one;  step: batches in all
        epochs   the number at which this `fit` ends;  batches: per epoch (None for a stream of unknown length)
        seconds  time spent in the present epoch
        fresh    whether no batch was trained on yet;  resumed: whether this `fit` goes on from a restored state
        inputs   the inputs of the last batch, as the model got them
        running  `loss`, `accuracy` and metrics so far in the present epoch;  history: of the epochs completed
    and set: `stop = True` ends the training after this epoch, `interrupted = True` after this batch.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any = "adam",
        loss: Any = None,
        *,
        lr: float | None = None,
        metrics: Any = (),
        augment: Callable[..., Any] | None = None,
        scheduler: Any = None,
        schedule_per: str = "epoch",
        callbacks: Sequence[Any] = (),
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
    ) -> None:
        if schedule_per not in ("epoch", "batch"):
            raise ValueError(f"schedule_per expected 'epoch' or 'batch', got {schedule_per!r}")
        if scheduler is None and schedule_per != "epoch":
            raise UsageError(
                f"schedule_per={schedule_per!r} says when a scheduler steps, and there is none: leave it out"
            )
        self.model = model
        self.augment = augment
        self.scheduler = scheduler
        self.schedule_per = schedule_per
        self.callbacks = list(callbacks)
        self.history = History()
        self.epoch = self.batch = self.step = self.epochs = 0
        self.batches: int | None = None
        self.seconds = 0.0
        self.inputs: Any = None
        self.stop = self.interrupted = False
        #: Whether this call of `fit` goes on from a state that `load_state_dict` restored.
        self.resumed = False
        self._pending = 0  # batches whose gradients wait for the optimiser's step
        self._told: list[Any] = self.callbacks
        self._generators: list[Any] = []
        self._epoch_start: list[Any] = []
        self._restored: dict[str, Any] | None = None
        self.compile(
            optimizer, loss, metrics, lr=lr, clip_norm=clip_norm, clip_value=clip_value, accumulate=accumulate
        )

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = (), *, lr: float | None = None,
        clip_norm: float | None = None, clip_value: float | None = None, accumulate: int = 1, **unknown: Any,
    ) -> Trainer:  # fmt: skip
        """Choose how to train.

        Args:
            optimizer: an optimiser of the model's parameters, its name ("adam"), or its class
            loss: a function (outputs, targets) -> mean over the batch, or a name (see `LOSSES`: Keras's and PyTorch's);
                a list or dict of them for several outputs; cross-entropy unless given
            metrics: names ("auc"), metrics (`Precision()`) or functions, measured beside loss and accuracy
            lr: the learning rate of an optimiser given by name or class
            clip_norm: the largest norm of all gradients together; larger ones are scaled down to it
            clip_value: the largest size of a gradient's entry
            accumulate: batches whose mean gradient makes one step of the optimiser
            **unknown: any other word is an error that names ours for it

        Returns:
            this trainer

        Raises:
            UsageError: for unknown names, and options that would not be read
        """
        refuse("compile", unknown)
        if accumulate < 1:
            raise UsageError(f"accumulate expected a number of batches from 1 up, got {accumulate}")
        self.optimizer = make_optimizer(optimizer, self.model.parameters(), lr)
        self.loss = make_loss(loss)
        self.totals = Totals(make_metrics(metrics, binary=applies_sigmoid(self.loss)))
        self.clip_norm, self.clip_value, self.accumulate = clip_norm, clip_value, accumulate
        return self

    def fit(
        self, x: Any, y: Any = None, validation: Any = None, *, epochs: int | None = None,
        batch_size: int | None = None, shuffle: bool | None = None, generator: Any = None,
        validation_data: Any = None, validation_split: float = 0.0,
        callbacks: Sequence[Any] = (), steps_per_epoch: int | None = None, initial_epoch: int | None = None,
        class_weight: Mapping[int, float] | None = None, verbose: int | str = "auto", **unknown: Any,
    ) -> History:  # fmt: skip
        """Train until `epochs` epochs are completed in all, and return what was measured.

        Args:
            x: inputs with their targets in `y`; or a pair of both, a Dataset, a DataLoader, a list of batches, or a
                generator of batches (inputs, targets). Several inputs or targets are a tuple, list or dict of arrays.
            y: the targets: classes (N,), or one-hot rows (N, C), or numbers. An int here is the number of epochs.
            validation: what is evaluated after each epoch, in the same forms; Keras calls it `validation_data`
            epochs: how many in all, those of earlier calls included; 1 more unless given
            batch_size: samples per batch of what is no loader already; 64 unless given
            shuffle: draw a new order in each epoch; yes unless given, for what is no loader already
            generator: draws that order; the global one unless given
            validation_data: the same as `validation`
            validation_split: the share of the samples that is held out for validation: the last ones
            callbacks: of this call, beside those of the trainer
            steps_per_epoch: batches that make an epoch, for a generator that has no end, or to see less of the data
            initial_epoch: the number of epochs that count as completed
            class_weight: how often a sample of each class counts, {class: weight}, in the named cross-entropy
            verbose: 0 says nothing, 1 a line per epoch with a bar on a terminal, 2 only the line; "auto" is 1
            **unknown: any other word is an error that names ours for it

        Returns:
            the history of all epochs so far

        Raises:
            UsageError: for options that would not be read, and words that are unknown
            DivergedError: when the loss becomes infinite or NaN
        """
        refuse("fit", unknown)
        if isinstance(y, int) and not isinstance(y, bool):
            if epochs is not None:
                raise UsageError(f"fit got the number of epochs twice, {y} and epochs={epochs}")
            y, epochs = None, y
        validation = _one_of(validation, validation_data, validation_split)
        data = paired(x, y)
        if validation_split:
            data, validation = split_last(data, validation_split)
        if validation is not None:  # what is no data is an error before the first epoch, not after it
            validation = as_loader(validation, usual=evaluation.EVALUATED)
            if isinstance(validation, Batches) and validation.once:
                raise UsageError("validation data are needed in each epoch, and a generator has them once: use a list")
        loader = as_loader(data, batch_size, shuffle=shuffle, generator=generator, usual=(64, True))
        if steps_per_epoch is not None:
            loader = Batches(loader.source if isinstance(loader, Batches) else loader, steps_per_epoch)
        if initial_epoch is not None:
            self.epoch = initial_epoch
        self.epochs = self.epoch + 1 if epochs is None else epochs
        if self.epoch >= self.epochs and self._restored is None:
            warnings.warn(
                f"nothing to do: {self.epoch} epochs are completed, and epochs={self.epochs} counts these too "
                "(initial_epoch=0 counts from the beginning)",
                stacklevel=2,
            )
        own_loss = self.loss
        if class_weight is not None:
            self.loss = with_class_weight(self.loss, class_weight)
        try:
            with ExitStack() as stack:
                told = [] if verbose == 0 or verbose is False else [stack.enter_context(reporting(verbose == 2))]
                self._told = [*self.callbacks, *callbacks, *told]
                self._run(loader, validation)
        finally:
            self._told, self.loss = self.callbacks, own_loss
        return self.history

    def evaluate(self, x: Any, y: Any = None, *, batch_size: int | None = None) -> evaluation.Evaluation:
        """Loss, accuracy and metrics on data: ``loss, accuracy = trainer.evaluate(X, y)`` (see `evaluate`)."""
        return evaluation.evaluate(
            self.model, x, y, loss=self.loss, metrics=self.totals.metrics, batch_size=batch_size
        )

    def predict(self, x: Any, *, probabilities: bool = False, batch_size: int | None = None) -> Any:
        """The model's outputs, or probabilities (see `predict`)."""
        return evaluation.predict(self.model, x, probabilities=probabilities, batch_size=batch_size)

    @property
    def fresh(self) -> bool:
        """Whether no batch was trained on yet."""
        return self.step == 0

    @property
    def running(self) -> dict[str, float]:
        """Mean loss, of a classifier accuracy, and metrics over the samples seen in this epoch."""
        return self.totals.results()

    @property
    def samples(self) -> int:
        """Samples seen in the present epoch."""
        return self.totals.seen

    # --- one training, one epoch, one batch --------------------------------------------------------

    def _run(self, loader: Any, validation: Any) -> None:
        self.stop = self.interrupted = False
        self.batches = _length(loader)
        self._generators = generators_of(loader)
        self.resumed = self._restored is not None
        if self._restored is not None:
            if self.batches is not None and self.batch > self.batches:
                raise CheckpointError(
                    f"the checkpoint stands at batch {self.batch} of an epoch, and this data loader gives "
                    f"{self.batches}: continue with the loader it was made with"
                )
            put_generators(self._generators, self._restored["now"])
            self._epoch_start = self._restored["epoch_start"]
            self._restored = None
        self._tell("on_train_begin")
        while self.epoch < self.epochs and not self.stop and not self.interrupted:
            self._run_epoch(loader, validation)
        self._tell("on_train_end")

    def _run_epoch(self, loader: Any, validation: Any) -> None:
        self.model.train()
        batches = self._batches(loader)
        self._tell("on_epoch_begin")
        clock = time.perf_counter() - self.seconds
        for batch in batches:
            if not self._train_on(*split_batch(batch)):
                return
            self.batch += 1
            self.step += 1
            self.seconds = time.perf_counter() - clock
            if self.scheduler is not None and self.schedule_per == "batch":
                self._advance(self.scheduler)
            self._tell("on_batch_end")
            if self.interrupted:
                self._tell("on_interrupt")
                return
        if self.totals.seen == 0 and self.batch == 0:
            raise ValueError("fit expected at least one batch per epoch, got none")
        if self._pending:
            self._step()
        self._finish_epoch(validation)

    def _train_on(self, inputs: Any, targets: Any) -> bool:
        """Train on a batch. False, with nothing changed, when the loss is no number and a callback stops for it."""
        if not self._pending:
            self.optimizer.zero_grad()
        if self.augment is not None:
            uses = getattr(self.augment, "uses_targets", False)
            inputs = self.augment(inputs, targets) if uses else self.augment(inputs)
        self.inputs = inputs
        outputs = call_model(self.model, inputs)
        if self.step == 0:
            warn_of_second_softmax(outputs, self.loss)
        loss = self.loss(outputs, targets)
        value = float(unwrap(loss))
        if not math.isfinite(value):
            self._tell("on_nan")
            if self.stop:
                return False
            raise DivergedError(
                f"the loss became {value} in epoch {self.epoch + 1}, batch {self.batch + 1}: a smaller learning "
                "rate usually helps; autograd.set_detect_anomaly names the first op that went wrong"
            )
        loss.backward()
        self._pending += 1
        if self._pending >= self.accumulate:
            self._step()
        self.totals.update(value, sizes(inputs), outputs, targets)
        return True

    def _step(self) -> None:
        """One step of the optimiser, with the mean gradient of the batches since the last one."""
        if self._pending > 1:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad /= self._pending
        self._pending = 0
        if self.clip_value is not None:
            clip_grad_value_(self.model.parameters(), self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self._advance(self.optimizer)

    def _finish_epoch(self, validation: Any) -> None:
        record: dict[str, Any] = {"epoch": self.epoch + 1, **self.running}
        if validation is not None:
            found = self.evaluate(validation)
            record["val_loss"] = found.loss
            if found.accuracy is not None:
                record["val_accuracy"] = found.accuracy
            record.update({f"val_{name}": value for name, value in found.metrics.items()})
        record["lr"] = self.optimizer.param_groups[0]["lr"]
        record["seconds"] = round(self.seconds, 3)
        record["samples_per_second"] = round(self.samples / self.seconds, 1) if self.seconds else None
        self.history.append(**record)
        if self.scheduler is not None and self.schedule_per == "epoch":
            if type(self.scheduler).__name__ == "ReduceLROnPlateau":
                self._advance(self.scheduler, record.get("val_loss", record["loss"]))
            else:
                self._advance(self.scheduler)
        self.epoch += 1
        self.batch, self.seconds = 0, 0.0
        self.totals.reset()
        self._tell("on_epoch_end")

    def _advance(self, stepper: Any, *args: Any) -> None:
        """One step of the optimiser or the schedule.

        What kinds of values their state may hold is known to them alone: whether they can use one that was restored
        shows in their steps.
        """
        try:
            stepper.step(*args)
        except MISFIT as error:
            if not self.resumed:
                raise
            raise CheckpointError(
                f"the checkpoint's state does not fit the {type(stepper).__name__}: {brief(error)}"
            ) from error

    def _batches(self, loader: Any) -> Iterator[Any]:
        """The batches of this epoch that are still to do."""
        if self.batch == 0:
            self._epoch_start = states_of(self._generators)
            return iter(loader)
        # Draw the epoch's order again as it was drawn, then let each generator stand where it stood.
        now = states_of(self._generators)
        put_generators(self._generators, self._epoch_start)
        batches = (
            loader.batches(self.batch) if hasattr(loader, "batches") else islice(loader, self.batch, None)
        )
        put_generators(self._generators, now)
        return batches

    def _tell(self, event: str) -> None:
        for callback in self._told:
            getattr(callback, event)(self)

    # --- the state ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the training depends on; tensors by reference: save or copy before going on."""
        waiting = self.model.named_parameters() if self._pending else ()
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
                "sums": self.totals.sums,
            },
            "metrics": [metric.state_dict() for metric in self.totals.metrics],
            "pending": [self._pending, {name: p.grad for name, p in waiting if p.grad is not None}],
            "generators": {"now": states_of(self._generators), "epoch_start": self._epoch_start},
            "callbacks": [callback.state_dict() for callback in self.callbacks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`. CheckpointError when it does not fit the model or the optimiser."""
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.scheduler is not None:
                self.scheduler.load_state_dict(state["scheduler"])
            self.history = History(checked("history", state["history"], list, dict))
            place = checked("place", state["place"], dict)
            self.epoch, self.batch, self.step = counts("place", [place[name] for name in ("epoch", "batch", "step")])
            self.seconds, *sums = numbers("place", [place["seconds"], *place["sums"]])
            self.totals.sums = sums
            generators = checked("generators", state["generators"], dict)
            for name in ("now", "epoch_start"):
                checked("generators", generators[name], list)
            self._restored = generators
            for metric, its_state in zip(self.totals.metrics, checked("metrics", state.get("metrics", []), list, dict)):
                metric.load_state_dict(its_state)
            self._load_pending(state.get("pending", [0, {}]))
            for callback, its_state in zip(self.callbacks, checked("callbacks", state["callbacks"], list, dict)):
                callback.load_state_dict(its_state)
        except MISFIT as error:
            raise CheckpointError(f"the checkpoint does not fit this model or optimiser: {brief(error)}") from error

    def _load_pending(self, pending: Any) -> None:
        (self._pending,) = counts("pending", [checked("pending", pending, list)[0]])
        gradients = checked("pending", pending[1], dict)
        for name, parameter in self.model.named_parameters():
            if name in gradients:
                parameter.grad = gradients[name]


def _one_of(validation: Any, validation_data: Any, validation_split: float) -> Any:
    given = {"validation": validation, "validation_data": validation_data, "validation_split": validation_split or None}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} say the same twice: give one of them")
    return validation if validation_data is None else validation_data


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None
