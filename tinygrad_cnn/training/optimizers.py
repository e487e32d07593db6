"""Optimisers by name, as `fit` and the command line take them."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import optim
from tinygrad_cnn.support.errors import UsageError

__all__ = ["OPTIMIZERS", "make_optimizer"]

#: Optimisers by name.
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


def make_optimizer(optimizer: Any, params: Any, lr: float | None = None, **options: Any) -> optim.Optimizer:
    """The optimiser of that name (in any case), or `optimizer(params, lr=lr)` of a class or function.

    "momentum" is SGD with momentum 0.9. An optimiser that is made already is returned as it is.

    Raises UsageError for an unknown name, and for a learning rate beside an optimiser that has its own.
    """
    if isinstance(optimizer, optim.Optimizer) or (not callable(optimizer) and hasattr(optimizer, "step")):
        if lr is not None:
            kind = type(optimizer).__name__
            raise UsageError(f"the {kind} optimizer has its own learning rate: leave lr={lr} out, or name an optimizer")
        return optimizer
    if lr is not None:
        options["lr"] = lr
    if callable(optimizer):
        return optimizer(params, **options)
    name = str(optimizer).lower()
    if name == "momentum":
        name, options = "sgd", {"momentum": 0.9, **options}
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {optimizer!r}; known: {', '.join([*OPTIMIZERS, 'momentum'])}")
    return OPTIMIZERS[name](params, **options)
