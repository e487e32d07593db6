"""What all plots share: a figure without any window, the palette, and saving.

Figures are made without pyplot, so nothing depends on a display and nothing stays registered behind them.
"""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.support.extras import require
from tinygrad_cnn.viz.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Blue, orange, green, purple, red, grey: told apart by colour-blind readers, in print and on a projector.
COLOURS = ("#2f6fb4", "#d9762b", "#3f8f5f", "#7d5ba6", "#b8423f", "#5c6773")
INK = "#22303c"
QUIET = "#6b7885"
LINE = "#d5dbe1"
#: One-sided pictures (images, activations), and two-sided ones around zero (weights, gradients).
ONE_SIDED = "viridis"
TWO_SIDED = "RdBu_r"

_STYLE = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 10,
    "text.color": INK, "axes.labelcolor": QUIET, "axes.edgecolor": LINE, "axes.titlecolor": INK,
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#e9edf0", "grid.linewidth": 0.8, "xtick.color": QUIET, "ytick.color": QUIET,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.frameon": False, "legend.fontsize": 9,
    "figure.facecolor": "white", "savefig.facecolor": "white", "lines.linewidth": 1.8,
    "figure.titlesize": 13, "figure.titleweight": "bold",
}  # fmt: skip


def styled() -> Any:
    """A context in which figures get this package's look; the user's own settings return behind it."""
    matplotlib = require("matplotlib", extra="plots", purpose="this picture")
    return matplotlib.rc_context(_STYLE)


def new_figure(width: float, height: float, *, gap: float = 0.08) -> Figure:
    """A figure of this size in inches, laid out so that labels do not collide, with so many inches around
    each part. Call it inside `styled()`."""
    require("matplotlib", extra="plots", purpose="this picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _picture()(figsize=(width, height), layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(h_pad=gap, w_pad=gap)
    FigureCanvasAgg(figure)
    return figure


@cache
def _picture() -> Any:
    """Figure's subclass that shows itself at the end of a notebook cell, where pyplot was never imported."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            with styled():
                self.savefig(buffer, format="png", dpi=100)
            return buffer.getvalue()

    return Picture


def finish(figure: Figure, path: str | os.PathLike[str] | None, dpi: int = 130) -> Figure:
    """Write the figure when there is a path (the ending chooses the format), and hand it back."""
    if path is not None:
        ending = Path(path).suffix.lower().lstrip(".") or "png"
        known = figure.canvas.get_supported_filetypes()
        if ending not in known:
            from tinygrad_cnn.support.errors import UsageError

            raise UsageError(f"a picture cannot be written as .{ending}; known: {', '.join(sorted(known))}")
        buffer = io.BytesIO()
        with styled():
            # No date inside, so that the same picture gives the same bytes.
            metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(ending)
            figure.savefig(buffer, format=ending, dpi=dpi, metadata=metadata)
        write_bytes(path, buffer.getvalue())
    return figure


def scale_beside(figure: Any, picture: Any, axes: Any, unit: str = "") -> None:
    """A colour bar for a picture: what its colours mean, in numbers."""
    bar = figure.colorbar(picture, ax=axes, shrink=0.85, pad=0.03, fraction=0.05)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    if unit:
        bar.set_label(unit, fontsize=9, color=QUIET)


def bare(axes: Any) -> Any:
    """An axes for a picture: no ticks, no grid, a thin frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(LINE)
    return axes
