"""Arrays as pictures: a heat map, a batch of images, a function of one variable with its derivative, upsampling."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.autograd.gradients import grad
from tinygrad_cnn.autograd.handle import leaf, unwrap, wrap
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.formula import number
from tinygrad_cnn.viz.plots.canvas import (
    COLOURS,
    INK,
    ONE_SIDED,
    TWO_SIDED,
    bare,
    finish,
    new_figure,
    scale_beside,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None


def heatmap(array: Any, path: Path = None, *, title: str = "", numbers: bool | None = None) -> Figure:
    """A matrix in colours, its numbers in the cells where they fit (`numbers` says otherwise): a kernel, probabilities,
    how often each input of a convolution is used.

    Colours are two-sided around zero where there are negative entries. UsageError for more than two dimensions.
    """
    a = np.atleast_2d(np.squeeze(np.asarray(unwrap(array), np.float64)))
    if a.ndim != 2 or not a.size:
        raise UsageError(f"heatmap() expected a matrix, got shape {np.shape(unwrap(array))}")
    rows, columns = a.shape
    written = max(a.shape) <= 16 if numbers is None else numbers
    cell = 0.5 if written else max(0.02, min(0.3, 6 / max(a.shape)))
    top = float(np.nanmax(np.abs(a))) or 1.0
    two_sided = bool(np.nanmin(a) < 0)
    with styled():
        figure = new_figure(max(2.2, cell * columns + 1.3), max(1.4, cell * rows + 0.9))
        axes = bare(figure.add_subplot())
        picture = axes.imshow(
            a, cmap=TWO_SIDED if two_sided else ONE_SIDED, vmin=-top if two_sided else 0, vmax=top, aspect="equal"
        )
        if title:
            axes.set_title(title)
        if written:
            for i in range(rows):
                for j in range(columns):
                    dark = abs(a[i, j]) > 0.6 * top if two_sided else a[i, j] < 0.55 * top
                    axes.text(
                        j, i, number(float(a[i, j]), 3), ha="center", va="center", fontsize=8.5,
                        color="white" if dark else INK,
                    )  # fmt: skip
        scale_beside(figure, picture, axes)
        return finish(figure, path)


def images(
    batch: Any, path: Path = None, *, labels: Sequence[Any] | None = None, columns: int | None = None, most: int = 64
) -> Figure:
    """A batch (N, C, H, W) or (N, H, W) side by side, with a label above each; grey, or colour where C is 3.

    Each image is drawn from its own darkest to its own brightest value. UsageError for another shape.
    """
    a = np.asarray(unwrap(batch))
    if a.ndim == 3:
        a = a[:, None]
    if a.ndim != 4 or a.shape[1] not in (1, 3) or not len(a):
        raise UsageError(f"images() expected a batch (N, C, H, W) with 1 or 3 channels, got {np.shape(unwrap(batch))}")
    shown = min(len(a), most)
    across = columns or min(shown, max(4, math.ceil(math.sqrt(shown * 1.8))))
    down = math.ceil(shown / across)
    with styled():
        figure = new_figure(0.85 * across + 0.2, (0.85 + (0.25 if labels is not None else 0)) * down + 0.2, gap=0.03)
        for k in range(shown):
            axes = bare(figure.add_subplot(down, across, k + 1))
            one = a[k].astype(np.float64)
            one = (one - one.min()) / (np.ptp(one) or 1.0)
            axes.imshow(one[0] if len(one) == 1 else one.transpose(1, 2, 0), cmap="gray")
            if labels is not None:
                axes.set_title(str(labels[k]), fontsize=8.5, loc="center", pad=3)
        return finish(figure, path)


def activation(
    function: Callable[[Any], Any] | Sequence[Callable[[Any], Any]], path: Path = None, *, low: float = -5.0,
    high: float = 5.0,
) -> Figure:  # fmt: skip
    """An activation, or several, with the derivative that autograd gives: where it is flat, nothing flows back.

    `function` takes a tensor: ``F.relu``, ``nn.GELU()``, or one of your own.
    """
    functions: list[Any] = list(function) if isinstance(function, (list, tuple)) else [function]
    x = np.linspace(low, high, 401)
    with styled():
        figure = new_figure(7.6, 3.0)
        left, right = figure.subplots(1, 2)
        for k, f in enumerate(functions):
            at = leaf(x.copy())
            y = f(at)
            (slope,) = grad(y, at, wrap(np.ones_like(x)))
            name = getattr(f, "__name__", type(f).__name__)
            for axes, values in ((left, unwrap(y)), (right, unwrap(slope))):
                axes.plot(x, values, color=COLOURS[k % len(COLOURS)], label=name)
        left.set_title("value")
        right.set_title("derivative")
        for axes in (left, right):
            axes.set_xlabel("x")
            axes.legend()
        return finish(figure, path)


def upsampling(array: Any = ((1.0, 2.0), (3.0, 4.0)), path: Path = None, *, factor: int = 2) -> Figure:
    """A small matrix enlarged by duplication, by bilinear interpolation, by max-unpooling and by a transposed
    convolution with a kernel of ones."""
    from tinygrad_cnn.nn import functional as F

    x = wrap(np.asarray(unwrap(array), np.float64)[None, None])
    if x.array.ndim != 4:
        raise UsageError(f"upsampling() expected a matrix, got shape {np.shape(unwrap(array))}")
    kernel = wrap(np.ones((1, 1, factor + 1, factor + 1)))
    n, m = x.array.shape[2:]
    places = (np.arange(n)[:, None] * factor) * (m * factor) + np.arange(m) * factor
    pictures = {
        "input": x,
        "duplicate": F.interpolate(x, scale_factor=factor, mode="nearest"),
        "bilinear": F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False),
        "max-unpooling": F.max_unpool2d(x, wrap(places[None, None]), factor),
        f"transposed {factor + 1}×{factor + 1}, stride {factor}": F.conv_transpose2d(x, kernel, stride=factor),
    }
    top = max(float(np.abs(unwrap(p)).max()) for p in pictures.values()) or 1.0
    with styled():
        figure = new_figure(12.5, 2.9)
        for axes, (title, picture) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
            a = unwrap(picture)[0, 0]
            bare(axes).imshow(a, cmap=TWO_SIDED, vmin=-1.6 * top, vmax=1.6 * top)
            axes.set_title(title, fontsize=9.5, loc="center")
            for i, j in np.ndindex(*a.shape):
                axes.text(j, i, number(float(a[i, j]), 3), ha="center", va="center", fontsize=8, color=INK)
        return finish(figure, path)
