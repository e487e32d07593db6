"""What `analysis` found, drawn: spectra, saturation, sweeps, and the axes that normalisations average over."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.analysis.spectra import spectrum as find_spectrum
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.plots.canvas import COLOURS, LINE, finish, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None


def spectrum(model: Any, path: Path = None, *, title: str = "singular values") -> Figure:
    """The singular values of each weight, largest first; `model` is a module, or what `analysis.spectrum` gave."""
    rows = model if isinstance(model, list) else find_spectrum(model)
    with styled():
        figure = new_figure(7.2, 3.6)
        axes = figure.add_subplot()
        _spectra(axes, rows)
        axes.set_title(title)
        return finish(figure, path)


def saturation(report: Any, path: Path = None) -> Figure:
    """A report of `analysis.saturation_report`: dead units, spread of activations and gradients, singular values."""
    layers = report.layers
    names = [row.layer for row in layers]
    at = np.arange(len(layers))
    with styled():
        figure = new_figure(11.5, 0.9 + max(2.6, 0.4 * len(layers)) + 2.9)
        (a, b), (c, d) = figure.subplots(2, 2)
        a.barh(at + 0.2, [row.saturated for row in layers], 0.4, color=COLOURS[0], label="entries without gradient")
        a.barh(at - 0.2, [row.dead for row in layers], 0.4, color=COLOURS[4], label="units dead for all samples")
        a.set_yticks(at, names)
        a.invert_yaxis()
        a.set_xlim(0, 1)
        a.set_title(f"saturated share, {report.samples:,} samples")
        a.legend(loc="lower right")
        b.plot(at, [row.spread for row in layers], "o-", color=COLOURS[0])
        b.set_title("spread of the activations")
        c.plot(at, [row.gradient for row in layers], "o-", color=COLOURS[1])
        c.set_title("spread of the gradients")
        for axes in (b, c):
            axes.set_xticks(at, names, rotation=30 if len(names) > 4 else 0)
            axes.set_yscale("log")
        _spectra(d, report.weights)
        d.set_title("singular values of the weights")
        return finish(figure, path)


def sweep(rows: Sequence[Mapping[str, Any]], path: Path = None, *, measure: str = "accuracy") -> Figure:
    """The records of `analysis.sweep`: training and validation over the size; where validation stays flat, more of the
    network brings nothing."""
    if not rows or measure not in rows[0]:
        raise UsageError(f"sweep() expected records with {measure!r}, got {list(rows[0]) if rows else 'none'}")
    at = np.arange(len(rows))
    with styled():
        figure = new_figure(5.6, 3.4)
        axes = figure.add_subplot()
        for k, (name, label) in enumerate(((measure, "training"), (f"val_{measure}", "validation"))):
            axes.plot(at, [row[name] for row in rows], "o-", color=COLOURS[k], label=label)
        axes.set_xticks(at, [f"{row['size']}\n{row['parameters']:,}" for row in rows])
        axes.set_xlabel("size, and parameters")
        axes.set_title(measure)
        axes.legend()
        return finish(figure, path)


def normalisation_axes(path: Path = None, *, samples: int = 4, channels: int = 4, groups: int = 2) -> Figure:
    """Over which entries of a batch (N, C, H·W) each normalisation takes one mean and one spread: the coloured ones."""
    sets: dict[str, tuple[Any, Any, str]] = {
        "batch": (np.arange(samples), [0], "all samples, one channel"),
        "layer": ([0], np.arange(channels), "one sample, all channels"),
        "instance": ([0], [0], "one sample, one channel"),
        "group": ([0], np.arange(channels // groups), f"one sample, {channels // groups} of {channels} channels"),
    }
    with styled():
        figure = new_figure(11.0, 3.1)
        for k, (name, (n, c, text)) in enumerate(sets.items()):
            axes = figure.add_subplot(1, 4, k + 1, projection="3d")
            filled = np.ones((channels, samples, channels), bool)
            colours = np.full(filled.shape, "#eef1f4", dtype=object)
            colours[np.ix_(list(c), list(n), np.arange(channels))] = COLOURS[k]
            axes.voxels(filled, facecolors=colours, edgecolor=LINE, linewidth=0.4)
            axes.set(xlabel="C", ylabel="N", zlabel="H, W", xticks=[], yticks=[], zticks=[])
            axes.view_init(24, -128)
            axes.set_title(f"{name}\n{text}", fontsize=9.5, loc="center")
        return finish(figure, path)


def _spectra(axes: Any, rows: Any) -> None:
    for k, row in enumerate(rows):
        share = np.linspace(0, 1, len(row.values)) if len(row.values) > 1 else np.zeros(1)
        label = f"{row.name} ({len(row.values)})"
        axes.plot(share, np.maximum(row.values, 1e-12), color=COLOURS[k % len(COLOURS)], label=label)
    axes.set_yscale("log")
    axes.set_xlabel("from the largest to the smallest")
    axes.legend(loc="lower left")
