"""Adversarial examples in pictures: accuracy against the size of the change, and images beside what was made of
them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.plots.canvas import COLOURS, QUIET, TWO_SIDED, bare, finish, new_figure, styled
from tinygrad_cnn.viz.plots.layers import show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None


def robustness(curves: Any, path: Path = None, *, chance: float | None = None, title: str = "") -> Figure:
    """Accuracy against ε: one curve, or several by name, each with `eps` and `accuracy` (`attacks.Robustness`).

    `chance` draws the accuracy of guessing. Raises UsageError when there is nothing to draw.
    """
    named = curves if isinstance(curves, Mapping) else {"": curves}
    if not named or not all(len(curve.eps) for curve in named.values()):
        raise UsageError("robustness() expected a curve with at least one point, got none")
    with styled():
        figure = new_figure(6.4, 4.2)
        axes = figure.add_subplot()
        for k, (name, curve) in enumerate(named.items()):
            share = [100 * value for value in curve.accuracy]
            axes.plot(curve.eps, share, marker="o", markersize=4, color=COLOURS[k % len(COLOURS)], label=name or None)
        if chance is not None:
            axes.axhline(100 * chance, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                "guessing", (0, 100 * chance), xycoords=("axes fraction", "data"), xytext=(4, 4),
                textcoords="offset points", ha="left", fontsize=8.5, color=QUIET,
            )  # fmt: skip
        axes.set_ylim(-2, 102)
        axes.set_xlabel("ε: largest change of a pixel")
        axes.set_ylabel("accuracy in %")
        axes.set_title(title or "accuracy under attack")
        if any(named):
            axes.legend(loc="best")
        return finish(figure, path)


def adversarial(
    clean: Any, changed: Any, path: Path = None, *, before: Sequence[Any] | None = None,
    after: Sequence[Any] | None = None, title: str = "",
) -> Figure:  # fmt: skip
    """Images (N, C, H, W), the change, and the changed images below each other; `before` and `after` are what the
    network said. Up to 12 are shown. Raises UsageError for shapes that differ.
    """
    a, b = (np.asarray(getattr(x, "array", x)) for x in (clean, changed))
    if a.ndim != 4 or a.shape != b.shape:
        raise UsageError(f"adversarial() expected two batches (N, C, H, W) of one shape, got {a.shape} and {b.shape}")
    n = min(len(a), 12)
    limit = float(np.abs(b[:n] - a[:n]).max()) or 1.0
    with styled():
        figure = new_figure(0.9 * n + 1.1, 3.5, gap=0.03)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
        for i in range(n):
            rows = []
            for row in range(3):
                axes = bare(figure.add_subplot(3, n, row * n + i + 1))
                if row == 1:
                    axes.imshow((b[i] - a[i]).mean(0), cmap=TWO_SIDED, vmin=-limit, vmax=limit)
                else:
                    show_image(axes, (a, b)[row // 2][i])
                rows.append(axes)
            if before is not None:
                rows[0].set_title(str(before[i]), fontsize=10, loc="center", pad=3)
            if after is not None:
                wrong = before is not None and str(before[i]) != str(after[i])
                rows[2].set_xlabel(str(after[i]), fontsize=10, labelpad=3, color=COLOURS[4] if wrong else QUIET)
            if i == 0:
                for axes, name in zip(rows, ("image", f"change ±{limit:.2g}", "sum")):
                    axes.set_ylabel(name, fontsize=9, color=QUIET)
        return finish(figure, path)
