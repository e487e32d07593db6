"""How training went: curves over epochs, and the confusion matrix at its end."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.plots.canvas import COLOURS, INK, QUIET, bare, finish, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None


def curves(history: Any, path: Path = None, *, title: str = "") -> Figure:
    """Loss and metrics over the epochs: one panel per measure, training and validation in one.

    `history` maps names to one number per epoch (or is an object whose `.history` does): ``loss`` and
    ``val_loss`` share a panel, so do ``accuracy`` and ``val_accuracy`` (``train_`` and ``test_`` are
    understood too). The best validation epoch is marked. A key ``epoch`` gives the horizontal axis; what the
    clock measured (``seconds``, ``samples_per_second``) is left out.

    Raises UsageError when there is nothing to draw.
    """
    series = {name: np.asarray(values, dtype=float) for name, values in _columns(history).items()}
    epochs = series.pop("epoch", None)
    panels: dict[str, list[tuple[str, str]]] = {}
    for name, values in series.items():
        if values.ndim == 1 and values.size and name not in _CLOCK:
            measure, part = _part(name)
            panels.setdefault(measure, []).append((part, name))
    if not panels:
        raise UsageError("curves() expected a history with at least one list of numbers, got none")
    order = sorted(panels, key=lambda m: (m != "loss", "acc" not in m, m))
    columns = min(len(order), 3)
    rows = -(-len(order) // columns)
    with styled():
        figure = new_figure(1.2 + 4.2 * columns, 0.4 + 3.1 * rows)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
        for k, measure in enumerate(order):
            axes = figure.add_subplot(rows, columns, k + 1)
            _panel(axes, measure, [(part, series[name]) for part, name in panels[measure]], epochs)
        return finish(figure, path)


_CLOCK = ("seconds", "samples_per_second", "time")


def _columns(history: Any) -> dict[str, Sequence[float]]:
    found = getattr(history, "history", history)
    if not isinstance(found, Mapping):
        raise UsageError(
            f"curves() expected a dict of lists (or an object with .history), got {type(history).__name__}"
        )
    columns = {}
    for name, values in found.items():
        try:
            np.asarray(values, dtype=float)
        except (TypeError, ValueError):
            continue  # texts in a history (a schedule's name, say) are no curve
        columns[str(name)] = values
    return columns


def _part(name: str) -> tuple[str, str]:
    for prefix, part in (
        ("val_", "validation"),
        ("valid_", "validation"),
        ("test_", "test"),
        ("train_", "training"),
    ):
        if name.startswith(prefix):
            return name[len(prefix) :], part
    return name, "training"


def _panel(axes: Any, measure: str, lines: list[tuple[str, np.ndarray]], epochs: np.ndarray | None) -> None:
    axes.set_title(measure.replace("_", " "))
    axes.set_xlabel("epoch")
    colour = {"training": COLOURS[0], "validation": COLOURS[1], "test": COLOURS[2]}
    for part, values in sorted(lines, key=lambda line: list(colour).index(line[0])):
        x = epochs if epochs is not None and epochs.size == values.size else np.arange(1, values.size + 1)
        few = values.size <= 40
        axes.plot(x, values, color=colour[part], label=part, marker="o" if few else None, markersize=3.5)
        finite = np.isfinite(values)
        if part != "training" and finite.any():
            best = int((np.nanargmin if "loss" in measure or "err" in measure else np.nanargmax)(values))
            axes.plot(
                x[best], values[best], "o", markersize=9, markerfacecolor="none", markeredgecolor=colour[part]
            )
            axes.annotate(
                f"best {values[best]:.4g}", (x[best], values[best]), textcoords="offset points", xytext=(0, 10),
                ha="right" if best > 0.7 * values.size else "center", fontsize=8.5, color=colour[part],
            )  # fmt: skip
    values = np.concatenate([line[1] for line in lines])
    values = values[np.isfinite(values)]
    if "loss" in measure and values.size and values.min() > 0 and values.max() / values.min() > 50:
        axes.set_yscale("log")
    if measure in ("lr", "learning_rate"):
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.03, y=0.14)
    if len(lines) > 1:
        axes.legend(loc="best")


def confusion_matrix(
    matrix: Any, path: Path = None, *, classes: Sequence[Any] | None = None, title: str = ""
) -> Figure:
    """How often each class (row) was taken for each other (column), with counts and each class's recall.

    `matrix` is (classes, classes) of counts, rows the true class as in scikit-learn. Colour is the share of
    the row, so that rare classes show as clearly as frequent ones.
    """
    counts = np.asarray(getattr(matrix, "array", matrix))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise UsageError(
            f"confusion_matrix() expected counts of shape (classes, classes), got {counts.shape}"
        )
    n = len(counts)
    names = [str(c) for c in classes] if classes is not None else [str(k) for k in range(n)]
    if len(names) != n:
        raise UsageError(f"confusion_matrix() got {len(names)} class names for {n} classes")
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape, float), where=totals > 0)
    right, all_of_them = float(np.trace(counts)), float(counts.sum())
    with styled():
        side = min(max(3.6, 0.52 * n + 1.6), 16)
        figure = new_figure(side + 0.9, side)
        axes = bare(figure.add_subplot())
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(n), names, rotation=45 if max(map(len, names)) > 3 else 0, ha="center")
        axes.set_yticks(range(n), names)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        if n <= 30:
            for i in range(n):
                for j in range(n):
                    if counts[i, j]:
                        axes.text(
                            j, i, f"{counts[i, j]:g}", ha="center", va="center", fontsize=9 if n <= 14 else 6.5,
                            color="white" if share[i, j] > 0.55 else INK,
                        )  # fmt: skip
        recall = axes.secondary_yaxis("right")
        recall.set_yticks(range(n), [f"{share[k, k]:.0%}" if totals[k, 0] else "–" for k in range(n)])
        recall.tick_params(length=0, labelsize=8.5, labelcolor=QUIET)
        recall.set_ylabel("recall", color=QUIET)
        recall.spines["right"].set_visible(False)
        rate = f"{right / all_of_them:.2%} of {all_of_them:,.0f} right" if all_of_them else "no samples"
        axes.set_title(f"{title} · {rate}" if title else rate)
        return finish(figure, path)
