"""`fit`: a model, some data, a number of epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.trainer import Trainer

__all__ = ["fit"]


def fit(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    epochs: int | None = None,
    validation: Any = None,
    optimizer: Any = "adam",
    lr: float | None = None,
    loss: Any = None,
    metrics: Any = (),
    batch_size: int | None = None,
    augment: Callable[..., Any] | None = None,
    scheduler: Any = None,
    schedule_per: str = "epoch",
    callbacks: Sequence[Any] = (),
    shuffle: bool | None = None,
    generator: Any = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    validation_data: Any = None,
    validation_split: float = 0.0,
    steps_per_epoch: int | None = None,
    initial_epoch: int | None = None,
    class_weight: Mapping[int, float] | None = None,
    verbose: int | str = "auto",
    **unknown: Any,
) -> History:
    """Train `model` and return what was measured: ``fit(model, X, y, epochs=5)`` or ``fit(model, train, 5)``.

    It makes a `Trainer`, whose constructor explains the optimiser, loss, metrics, augmentation, schedule, clipping and
    accumulation, and whose `fit` explains the data and everything else. Make the trainer yourself to train again, or
    to continue a saved run.

    Raises UsageError for unknown names and for an option that would not be read (`lr` with an optimiser that has its
    own, `batch_size` with a loader), DivergedError when the loss is no longer a number.
    """
    trainer = Trainer(
        model, optimizer, loss, lr=lr, metrics=metrics, augment=augment, scheduler=scheduler, schedule_per=schedule_per,
        callbacks=callbacks, clip_norm=clip_norm, clip_value=clip_value, accumulate=accumulate,
    )  # fmt: skip
    return trainer.fit(
        x, y, validation, epochs=epochs, batch_size=batch_size, shuffle=shuffle, generator=generator,
        validation_data=validation_data, validation_split=validation_split, steps_per_epoch=steps_per_epoch,
        initial_epoch=initial_epoch, class_weight=class_weight, verbose=verbose, **unknown,
    )  # fmt: skip
