"""What `train` does when it is not told: epochs, batch, optimiser, rate and schedule for each data set.

Measured settings, not universal ones; every value is an option of the command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.optim import Optimizer, lr_scheduler

__all__ = ["OWN_PICTURES", "RECIPES", "SCHEDULES", "Recipe", "default_model"]


@dataclass(frozen=True)
class Recipe:
    """Defaults of one data set; `validation` is the share of the training data held out."""

    model: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    schedule: str
    validation: float
    weight_decay: float | None = None  # the optimiser's own default
    shift: int = 0  # pixels by which training images are moved at random


RECIPES: dict[str, Recipe] = {
    # Shifts of one pixel: 98.9 to 99.2 % over four seeds, 97.9 to 98.2 % without.
    "digits": Recipe("mnist-cnn", 8, 50, "adam", 2e-3, "onecycle", 0.1, shift=1),
    "mnist": Recipe("mnist-cnn", 5, 64, "adam", 2e-3, "onecycle", 0.1),
    "fashion-mnist": Recipe("mnist-cnn", 10, 64, "adam", 2e-3, "onecycle", 0.1),
    # The paper's rate, batch and length (6,000 steps on all its training data), but with weight decay, and the
    # rate lowered at the end: over four seeds 93.6 to 94.9 % instead of 92.5 to 94.2 %. A cosine's long low
    # rates let the network learn its 4,000 signals by heart: 91 to 93 %.
    "mnist1d": Recipe("mnist1d-cnn", 150, 100, "adamw", 1e-2, "cooldown", 0.0, weight_decay=0.03),
}

#: Learning-rate schedules by name: (optimizer, lr, batches in all) -> a scheduler that steps after each batch.
SCHEDULES: dict[str, Callable[[Optimizer, float, int], Any]] = {
    "constant": lambda _optimizer, _lr, _total: None,
    # Constant, then straight down to 0 over the last tenth.
    "cooldown": lambda optimizer, _lr, total: lr_scheduler.LambdaLR(
        optimizer, lambda t: min(1.0, max(0.0, (total - t) / (0.1 * total)))
    ),
    "cosine": lambda optimizer, _lr, total: lr_scheduler.CosineAnnealingLR(optimizer, total),
    "onecycle": lambda optimizer, lr, total: lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=total + 1, cycle_momentum=False
    ),
}

#: Pictures of the user's. On 60 noisy drawings of each of three shapes in random colours: 94 and 100 % of 36 over two
#: seeds, 81 % without shifts.
OWN_PICTURES = Recipe("image-cnn", 60, 16, "adamw", 2e-3, "onecycle", 0.15, weight_decay=0.01, shift=3)


def default_model(data: str) -> str:
    """The network trained on this data set unless another is named."""
    return RECIPES[data].model
