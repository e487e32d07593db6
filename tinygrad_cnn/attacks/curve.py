"""Accuracy against the size of the change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.training.batch import split_batch
from tinygrad_cnn.training.evaluation import evaluate
from tinygrad_cnn.training.loading import as_loader

__all__ = ["Robustness", "robustness"]


@dataclass(frozen=True)
class Robustness:
    """Accuracy (0 to 1) at each size of the change; `viz.robustness` draws one or several."""

    eps: tuple[float, ...]
    accuracy: tuple[float, ...]


def robustness(
    model: Any, data: Any, attack: Callable[..., Any], eps: Sequence[float] = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3), *,
    batch_size: int | None = None, **options: Any,
) -> Robustness:  # fmt: skip
    """The accuracy of `model` on `data` under ``attack(model, images, labels, eps, **options)``, for each eps.

    `data` is a loader, a data set, or a pair (images, labels); at eps 0 the images are left as they are.
    """
    found = []
    for size in eps:
        right = total = 0
        for batch in as_loader(data, batch_size, usual=(256, False)):
            x, y = split_batch(batch)
            moved = attack(model, x, y, size, **options) if size else x
            n = len(x.array)
            right += round((evaluate(model, (wrap(moved.array), y), batch_size=n).accuracy or 0.0) * n)
            total += n
        found.append(right / total)
    return Robustness(tuple(float(size) for size in eps), tuple(found))
