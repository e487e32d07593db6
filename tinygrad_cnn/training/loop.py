"""`fit`: a model, some data, a number of epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn import optim
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loading import as_loader
from tinygrad_cnn.training.trainer import Trainer

__all__ = ["OPTIMIZERS", "fit", "make_optimizer"]

#: Optimisers by the names `fit` and the command line use.
OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "adamax": optim.Adamax,
}


def fit(
    model: Any,
    train: Any,
    epochs: int = 1,
    *,
    validation: Any = None,
    optimizer: str | optim.Optimizer = "adam",
    lr: float | None = None,
    loss: Callable[[Any, Any], Any] | None = None,
    batch_size: int | None = None,
    scheduler: Any = None,
    schedule_per: str = "epoch",
    augment: Callable[[Any], Any] | None = None,
    callbacks: Sequence[Any] = (),
    shuffle: bool | None = None,
    generator: Any = None,
) -> History:
    """Train `model` and return what was measured.

    train, validation   a DataLoader, a Dataset, or a pair of arrays (inputs, targets)
    optimizer           an optimiser, or the name of one, with `lr` (its default rate unless given)
    loss                (outputs, targets) -> mean over the batch; cross-entropy unless given
    scheduler           made for the same optimiser; steps once per epoch, or per "batch" (`schedule_per`)
    augment             changes a training batch's inputs before the network sees them: `RandomShift`, an
                        `ImageDataGenerator`, or any function
    batch_size (64), shuffle (True), generator   for data that is not a loader already

    Raises UsageError for an unknown optimiser and for an option that would not be read (`lr` with an optimiser that has
    its own, `batch_size` with a loader), DivergedError when the loss is no longer a number.
    """
    if lr is not None and not isinstance(optimizer, str):
        kind = type(optimizer).__name__
        raise UsageError(f"the {kind} optimizer has its own learning rate: leave lr={lr} out, or name an optimizer")
    loader = as_loader(train, batch_size, shuffle=shuffle, generator=generator, usual=(64, True))
    chosen = make_optimizer(optimizer, model.parameters(), lr) if isinstance(optimizer, str) else optimizer
    trainer = Trainer(
        model, chosen, loss, augment=augment, scheduler=scheduler, schedule_per=schedule_per, callbacks=callbacks
    )
    return trainer.fit(loader, epochs, validation)


def make_optimizer(name: str, params: Any, lr: float | None = None, **options: Any) -> optim.Optimizer:
    """The optimiser of that name; "momentum" is SGD with momentum 0.9. UsageError names the known ones."""
    if name == "momentum":
        name, options = "sgd", {"momentum": 0.9, **options}
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name!r}; known: {', '.join([*OPTIMIZERS, 'momentum'])}")
    if lr is not None:
        options["lr"] = lr
    return OPTIMIZERS[name](params, **options)
