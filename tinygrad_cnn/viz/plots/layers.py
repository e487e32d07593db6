"""Inside a model: its filters, the feature maps of an image, and how activations and gradients are spread."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.analysis.watch import as_batch, evaluating, layer_outputs, layer_path
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.plots.canvas import (
    COLOURS,
    ONE_SIDED,
    QUIET,
    TWO_SIDED,
    bare,
    finish,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None

#: Arrays of so many entries lose their outermost ones in a histogram.
MANY = 1000
#: Maps of one layer beyond this many are left out, and the title says so.
MOST_MAPS = 32
#: Of more layers than this, so many are drawn: a picture of forty could only be scrolled through.
MOST_LAYERS = 12


def filters(model: Any, path: Path = None, *, layer: Any = None, most: int = 64) -> Figure:
    """The kernels of a convolution as pictures, one per output channel; RGB where there are three inputs.

    `model` is a module (`layer` names the convolution; by default the first), or a weight (O, C, kh, kw).
    Kernels with another number of inputs show each input channel in a row of its own.
    """
    name, weight = _conv_weight(model, layer)
    out, inputs, height, width = weight.shape
    shown = min(out, most if inputs in (1, 3) else 12)
    limit = float(np.abs(weight).max()) or 1.0
    with styled():
        if inputs in (1, 3):
            columns = math.ceil(math.sqrt(shown * 1.6))
            rows = math.ceil(shown / columns)
            figure = new_figure(0.8 * columns + 1.0, 0.8 * rows + 0.7, gap=0.03)
            for k in range(shown):
                axes = bare(figure.add_subplot(rows, columns, k + 1))
                if inputs == 3:
                    axes.imshow(np.clip(weight[k].transpose(1, 2, 0) / (2 * limit) + 0.5, 0, 1))
                else:
                    picture = axes.imshow(weight[k, 0], cmap=TWO_SIDED, vmin=-limit, vmax=limit)
        else:
            columns, rows = shown, min(inputs, 12)
            figure = new_figure(0.62 * columns + 1.2, 0.62 * rows + 0.7, gap=0.03)
            for r in range(rows):
                for k in range(columns):
                    axes = bare(figure.add_subplot(rows, columns, r * columns + k + 1))
                    picture = axes.imshow(weight[k, r], cmap=TWO_SIDED, vmin=-limit, vmax=limit)
        if inputs not in (1, 3):
            figure.supxlabel(f"output channel, 0 to {columns - 1}", fontsize=8.5, color=QUIET)
            figure.supylabel(f"input channel, {rows - 1} to 0", fontsize=8.5, color=QUIET)
        if inputs != 3:
            bar = figure.colorbar(picture, ax=figure.axes, shrink=0.8, pad=0.02)
            bar.outline.set_visible(False)
        grey = f", colours around mid-grey = 0, up to ±{limit:.2g}" if inputs == 3 else ""
        more = "" if shown == out and (inputs <= 12 or inputs == 3) else f" (first {shown})"
        figure.suptitle(
            f"{name}: {out} kernels {inputs}×{height}×{width}{more}{grey}", x=0.01, ha="left", fontsize=11
        )
        return finish(figure, path)


def feature_maps(
    model: Any, image: Any, path: Path = None, *, layers: Sequence[Any] | None = None, most: int = MOST_MAPS
) -> Figure:
    """What each layer makes of one image: a row per layer, a picture per channel.

    `image` is (C, H, W) or (1, C, H, W). `layers` chooses by module path; by default convolutions,
    activations and poolings, of a deep network twelve that lie evenly between its ends. The model is called in
    evaluation mode and stays as it was.
    """
    x = as_batch(image)
    maps = {
        name: out.array[0]
        for name, out in _outputs(model, x, layers).items()
        if out.array.ndim == 4 and out.array.shape[2] > 1
    }  # fmt: skip
    if not maps:
        raise UsageError("feature_maps() found no layer that gives maps (N, C, H, W) for this image")
    found = len(maps)
    if layers is None and found > MOST_LAYERS:
        kept = np.unique(np.linspace(0, found - 1, MOST_LAYERS).round().astype(int))
        maps = {name: m for k, (name, m) in enumerate(maps.items()) if k in kept}
    columns = min(most, max(len(m) for m in maps.values()), 16)
    with styled():
        heights = [math.ceil(min(len(m), most) / columns) for m in maps.values()]
        figure = new_figure(1.4 + 0.62 * columns, 0.9 + sum(0.62 * h + 0.35 for h in heights), gap=0.03)
        parts: Any = figure.subfigures(len(maps) + 1, 1, height_ratios=[1.2, *[h + 0.45 for h in heights]])
        for k, axes in enumerate(parts[0].subplots(1, max(columns // 2, 1), squeeze=False).ravel()):
            if k:
                axes.set_visible(False)
            else:
                show_image(bare(axes), x.array[0])
        some = f"   {len(maps)} of {found} layers; layers=[…] chooses others" if len(maps) < found else ""
        parts[0].suptitle(f"image{some}", x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        for part, (name, stack), rows in zip(parts[1:], maps.items(), heights, strict=True):
            shown = min(len(stack), most)
            more = f", first {shown}" if shown < len(stack) else ""
            title = f"{name}  {_kind(model, name)}  {len(stack)} × {stack.shape[1]} × {stack.shape[2]}{more}"
            limit = float(np.abs(stack).max()) or 1.0
            two_sided = bool(stack.min() < 0)
            colours = f"blue {-limit:.2g} … red {limit:.2g}" if two_sided else f"dark 0 … bright {limit:.2g}"
            part.suptitle(f"{title}   {colours}", x=0.01, ha="left", fontsize=9.5, fontweight="bold")
            grid = part.subplots(rows, columns, squeeze=False).ravel()
            for k, axes in enumerate(grid):
                bare(axes)
                if k < shown:
                    axes.imshow(
                        stack[k],
                        cmap=TWO_SIDED if two_sided else ONE_SIDED,
                        vmin=-limit if two_sided else 0,
                        vmax=limit,
                    )
                else:
                    axes.set_visible(False)
        return finish(figure, path)


def activation_histograms(
    model: Any, images: Any, path: Path = None, *, layers: Sequence[Any] | None = None
) -> Figure:
    """How the outputs of each layer are spread for a batch; the share of exact zeros stands beside."""
    outputs = _outputs(model, as_batch(images), layers)
    return histograms(
        {f"{name}  {_kind(model, name)}": out.array for name, out in outputs.items()},
        path,
        title="activations per layer",
        kind="activation",
    )


def gradient_histograms(model: Any, path: Path = None) -> Figure:
    """How the gradients of each parameter are spread, behind a backward pass.

    Raises UsageError when no parameter has a gradient.
    """
    return histograms(_gradients(model), path, title="gradients per parameter", kind="gradient")


def histograms(
    arrays: Mapping[str, Any], path: Path = None, *, title: str = "", kind: str = "value"
) -> Figure:
    """One small histogram per named array, above each other, each with an axis of its own.

    Exact zeros are counted beside the bars, not in them: behind a ReLU they would dwarf all else.
    """
    names = list(arrays)
    if not names:
        raise UsageError("histograms() expected at least one array, got none")
    with styled():
        figure = new_figure(7.4, 0.8 + 0.55 * len(names))
        grid = figure.subplots(len(names), 1, sharex=False, squeeze=False).ravel()
        colour = COLOURS[1] if kind == "gradient" else COLOURS[0]
        for axes, name in zip(grid, names, strict=True):
            values = np.asarray(unwrap(arrays[name]), dtype=float).ravel()
            finite = values[np.isfinite(values)]
            axes.grid(False)
            axes.set_yticks([])
            if not finite.size:
                axes.set_xticks([])
            axes.spines["left"].set_visible(False)
            if finite.size:
                # Of many, the outer half per cent would squeeze everything else into one bin.
                ends = [0.0025, 0.9975] if finite.size >= MANY else [0, 1]
                low, high = np.quantile(finite, ends)
                if low == high:
                    low, high = low - 0.5, high + 0.5
                axes.hist(finite[finite != 0] if (finite == 0).mean() > 0.02 else finite, bins=60, range=(low, high),
                          color=colour, alpha=0.85)  # fmt: skip
                axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4))
            zeros = float((values == 0).mean()) if values.size else 0.0
            facts = f"std {finite.std():.2g}" if finite.size else "not finite" if values.size else "empty"
            facts += f", {zeros:.0%} zero" if zeros >= 0.005 else ""
            facts += f", {values.size - finite.size} not finite" if finite.size < values.size else ""
            axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
            axes.text(1.02, 0.3, facts, transform=axes.transAxes, ha="left", fontsize=8, color=QUIET)
            axes.tick_params(axis="x", labelsize=7.5, length=2)
        figure.suptitle(title or kind, x=0.01, ha="left", fontsize=11)
        figure.supxlabel(
            "value of an entry; bars: how many entries (exact zeros left out)", fontsize=8.5, color=QUIET
        )
        return finish(figure, path)


def gradient_flow(model: Any, path: Path = None) -> Figure:
    """Mean and largest |gradient| of each parameter, from the input's side to the loss's, behind a backward pass.

    A line that falls by decades towards the input is a vanishing gradient, one that rises an exploding one.
    """
    found = _gradients(model)
    names = list(found)
    sizes = [np.abs(np.asarray(g, dtype=float)) for g in found.values()]
    mean = np.array([s.mean() if s.size else 0.0 for s in sizes])
    most = np.array([s.max(initial=0.0) for s in sizes])
    with styled():
        figure = new_figure(_width(len(names)), 4.0)
        axes = figure.add_subplot()
        place = np.arange(len(names))
        axes.bar(place, most, color=COLOURS[0], alpha=0.25, width=0.7, label="largest")
        axes.plot(place, mean, "o-", color=COLOURS[0], markersize=4, label="mean")
        zero = mean == 0
        if zero.any():
            axes.plot(
                place[zero],
                np.full(zero.sum(), mean[~zero].min() if (~zero).any() else 1.0),
                "x",
                color=COLOURS[4],
                label="all zero",
            )
        if (mean > 0).any():
            axes.set_yscale("log")
        axes.set_xticks(
            place,
            names,
            rotation=90 if len(names) > 42 else 60 if len(names) > 6 else 20,
            ha="right",
            rotation_mode="anchor",
            fontsize=8,
        )
        axes.grid(axis="x", visible=False)
        axes.set_title("gradient flow, from the input's side to the loss's")
        axes.set_ylabel("|∂L/∂parameter|" + (", logarithmic" if (mean > 0).any() else ""))
        axes.legend()
        return finish(figure, path)


def update_ratio(model: Any, before: Mapping[str, Any], path: Path = None) -> Figure:
    """How far one optimiser step moved each parameter: ‖Δw‖ / ‖w‖. Healthy is around 10⁻³.

    `before` is the `state_dict` from before the step, copied: ``{k: v.clone() for k, v in …}``.
    """
    ratios = {}
    for name, parameter in model.named_parameters():
        if name in before:
            old = np.asarray(unwrap(before[name]), dtype=float)
            size = float(np.linalg.norm(old))
            ratios[name] = float(np.linalg.norm(parameter.array - old)) / size if size else 0.0
    if not ratios:
        raise UsageError(
            "update_ratio() expected the state before the step, with the model's parameter names"
        )
    with styled():
        figure = new_figure(_width(len(ratios)), 4.0)
        axes = figure.add_subplot()
        place = np.arange(len(ratios))
        values = np.array(list(ratios.values()))
        axes.bar(place, values, color=COLOURS[2], width=0.65)
        axes.axhline(1e-3, color=QUIET, linewidth=1, linestyle="--")
        axes.annotate("10⁻³", (1, 1e-3), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=8, color=QUIET)  # fmt: skip
        if (values > 0).any():
            axes.set_yscale("log")
            # Whole decades around the mark, so that the bars' lengths mean the same in every picture.
            axes.set_ylim(
                10 ** np.floor(np.log10(min(values[values > 0].min(), 1e-3)) - 0.3),
                10 ** np.ceil(np.log10(max(values.max(), 1e-3)) + 0.1),
            )
        axes.set_xticks(
            place,
            list(ratios),
            rotation=90 if len(ratios) > 42 else 60 if len(ratios) > 6 else 20,
            ha="right",
            rotation_mode="anchor",
            fontsize=8,
        )
        axes.grid(axis="x", visible=False)
        axes.set_title("update of one step, relative to the parameter")
        axes.set_ylabel("‖Δw‖ / ‖w‖, logarithmic")
        return finish(figure, path)


# --- helpers ------------------------------------------------------------------------------------------


def show_image(axes: Any, image: np.ndarray) -> None:
    """Draw (C, H, W): grey for one channel, colours for three, the mean for any other number."""
    if image.shape[0] == 3:
        low, high = image.min(), image.max()
        axes.imshow(((image - low) / ((high - low) or 1)).transpose(1, 2, 0))
    else:
        axes.imshow(image.mean(axis=0), cmap="gray")


def _width(bars: int) -> float:
    """Inches: room for each name, within what a page or a screen shows."""
    return min(max(5.0, 0.34 * bars + 1.6), 16.0)


def _outputs(model: Any, x: Handle, layers: Sequence[Any] | None) -> dict[str, Handle]:
    with evaluating(model), modes.no_grad():
        return layer_outputs(model, x, layers)


def _kind(model: Any, name: str) -> str:
    return type(dict(model.named_modules())[name]).__name__


def _gradients(model: Any) -> dict[str, np.ndarray]:
    found = {name: np.asarray(unwrap(p.grad)) for name, p in model.named_parameters() if p.grad is not None}
    if not found:
        raise UsageError("no parameter has a gradient: call loss.backward() first")
    return found


def _conv_weight(model: Any, layer: Any) -> tuple[str, np.ndarray]:
    if isinstance(model, (Handle, np.ndarray)):
        weight = np.asarray(unwrap(model))
        if weight.ndim != 4:
            raise UsageError(f"filters() expected a weight (out, in, kh, kw), got shape {weight.shape}")
        return "weight", weight
    modules = dict(model.named_modules())
    paths = [layer_path(model, layer)] if layer is not None else list(modules)
    for path in paths:
        weight_of = getattr(modules[path], "weight", None)
        if weight_of is not None and weight_of.array.ndim == 4:
            return path or type(model).__name__, weight_of.array
    raise UsageError(f"filters() found no 2-d convolution in {', '.join(repr(p) for p in paths[:5])}")
