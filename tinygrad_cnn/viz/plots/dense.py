"""What a segmenter and a detector answer, beside what is true."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.support.extras import require
from tinygrad_cnn.viz.plots.canvas import INK, QUIET, bare, finish, new_figure, styled
from tinygrad_cnn.viz.plots.layers import show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None


def segmentation(
    images: Any, targets: Any, predictions: Any, path: Path = None, *, classes: Sequence[str] | None = None,
    title: str = "",
) -> Figure:  # fmt: skip
    """Images (N, C, H, W), their true classes (N, H, W) and those a network gave, below each other; up to 12.

    Class 0 is dark, each other one has a colour of its own. Raises UsageError for shapes that do not fit.
    """
    x, true, said = (np.asarray(getattr(a, "array", a)) for a in (images, targets, predictions))
    if x.ndim != 4 or true.shape != said.shape or true.shape != (len(x), *x.shape[2:]):
        raise UsageError(
            f"segmentation() expected images (N, C, H, W) and classes (N, H, W) twice, got {x.shape}, {true.shape}, "
            f"{said.shape}"
        )
    n, count = min(len(x), 12), max(int(true.max()), int(said.max()), len(classes or ()) - 1) + 1
    with styled():
        colours = _colours(count)
        figure = new_figure(1.15 * n + 1.3, 4.3, gap=0.03)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
        for i in range(n):
            for row, name in enumerate(("image", "true", "answer")):
                axes = bare(figure.add_subplot(3, n, row * n + i + 1))
                if row == 0:
                    show_image(axes, x[i])
                else:
                    axes.imshow(colours[(true, said)[row - 1][i]], interpolation="nearest")
                if i == 0:
                    axes.set_ylabel(name, fontsize=9, color=QUIET)
        if classes is not None:
            patch = require("matplotlib.patches", extra="plots", purpose="this picture").Patch
            handles = [patch(color=colours[k], label=str(name)) for k, name in enumerate(classes) if k]
            figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8.5, handlelength=1)
        return finish(figure, path)


def detections(
    images: Any, found: Sequence[Any], true: Sequence[Any] | None = None, path: Path = None, *,
    classes: Sequence[str] | None = None, threshold: float = 0.3, title: str = "",
) -> Figure:  # fmt: skip
    """Images (N, C, H, W) with the boxes a detector found, named and with its certainty; true ones are dotted; up
    to 12.

    `found` are (boxes, scores, labels) and `true` (boxes, labels) of each image, a box (left, top, right, bottom)
    in pixels. What is less sure than `threshold` is left out. Raises UsageError for shapes that do not fit.
    """
    x = np.asarray(getattr(images, "array", images))
    if x.ndim != 4 or len(found) < len(x) or (true is not None and len(true) < len(x)):
        raise UsageError(
            f"detections() expected images (N, C, H, W) and boxes for each, got {x.shape} and {len(found)}"
        )
    n = min(len(x), 12)
    columns = min(n, 4)
    rows = -(-n // columns)
    with styled():
        rectangle = require("matplotlib.patches", extra="plots", purpose="this picture").Rectangle
        count = max([int(np.max(labels, initial=0)) for _b, _s, labels in found] + [len(classes or ()) - 1]) + 2
        colours = _colours(count)
        figure = new_figure(2.4 * columns, 2.4 * rows + 0.5, gap=0.03)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
        for i in range(n):
            axes = bare(figure.add_subplot(rows, columns, i + 1))
            show_image(axes, x[i])
            for left, top, right, bottom in np.reshape(true[i][0], (-1, 4)) if true is not None else ():
                axes.add_patch(
                    rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec="white", ls=":", lw=1)
                )
            for (left, top, right, bottom), score, label in zip(*found[i]):
                if score < threshold:
                    continue
                colour = colours[int(label) + 1]
                axes.add_patch(
                    rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec=colour, lw=1.6)
                )
                name = classes[int(label)] if classes is not None else label
                axes.text(
                    left - 0.5, max(top - 1, 5), f"{name} {score:.0%}", fontsize=7, color=INK, va="bottom",
                    clip_on=True, bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
                )  # fmt: skip
        return finish(figure, path)


def _colours(count: int) -> np.ndarray:
    """(count, 3): dark for the background, then matplotlib's ten, again from the first where there are more."""
    ten = require("matplotlib", extra="plots", purpose="this picture").colormaps["tab10"].colors
    return np.array([(0.07, 0.09, 0.12), *(ten[k % 10] for k in range(count - 1))])
