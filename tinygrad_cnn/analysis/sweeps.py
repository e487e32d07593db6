"""Does a wider or deeper network help? The same training for several sizes, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_cnn.ops.random import manual_seed
from tinygrad_cnn.training.evaluation import evaluate
from tinygrad_cnn.training.loop import fit

__all__ = ["sweep", "sweep_table"]


def sweep(
    build: Callable[[Any], Any], sizes: Iterable[Any], train: Any, validation: Any, *, seed: int = 0, **options: Any
) -> list[dict[str, Any]]:
    """Train ``build(size)`` for each size and measure it: a network is saturated when more of it brings nothing.

    Args:
        build: makes a network of a width, a depth or whatever the sizes are
        sizes: what `build` is called with
        train: the data of `training.fit`
        validation: the data that decide
        seed: set before each network is built
        **options: of `training.fit` (epochs, lr, …); verbose=0 unless given

    Returns:
        for each size a record: size, parameters, loss and val_loss, of a classifier accuracy and val_accuracy
    """
    found = []
    for size in sizes:
        manual_seed(seed)
        model = build(size)
        fit(model, train, **{"verbose": 0, **options})
        record: dict[str, Any] = {"size": size, "parameters": sum(p.numel() for p in model.parameters())}
        for prefix, data in (("", train), ("val_", validation)):
            measured = evaluate(model, data, loss=options.get("loss"))
            record[f"{prefix}loss"] = measured.loss
            if measured.accuracy is not None:
                record[f"{prefix}accuracy"] = measured.accuracy
        found.append(record)
    return found


def sweep_table(rows: list[dict[str, Any]]) -> str:
    """The records as aligned text."""
    names = list(rows[0])
    cells = [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(len(n), *(len(row[k]) for row in cells)) for k, n in enumerate(names)]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths)) for line in [names, *cells])


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else str(value)
