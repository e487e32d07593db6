"""Windows at work: a kernel sliding over an image with its sums written out, and the positions max-pooling chose."""

from __future__ import annotations

import io
import os
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.kernels import correlate
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.support.extras import require
from tinygrad_cnn.viz.files import write_bytes
from tinygrad_cnn.viz.formula import number
from tinygrad_cnn.viz.plots.canvas import COLOURS, INK, TWO_SIDED, bare, finish, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Path = str | os.PathLike[str] | None

#: The lecture notes' example: cross-correlation gives rows -13 -16 -13 / 0 0 0 / 13 16 13.
SOBEL_IMAGE = np.array(
    [[1, 2, 3, 2, 1], [2, 4, 5, 4, 2], [3, 5, 8, 5, 3], [2, 4, 5, 4, 2], [1, 2, 3, 2, 1]], np.float32
)
SOBEL_KERNEL = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], np.float32)

#: Animations with more frames than this would be large and nobody would watch them.
MOST_FRAMES = 400


def sliding_window(
    image: Any = SOBEL_IMAGE, kernel: Any = SOBEL_KERNEL, path: Path = None, *, stride: int = 1, padding: int = 0,
    seconds: float = 0.8,
) -> list[Figure]:  # fmt: skip
    """The convolution of deep learning (cross-correlation), one frame per output: window · kernel, summed.

    `image` (H, W) and `kernel` (kh, kw); the defaults are the lecture notes' Sobel example. Gives one Figure
    per output position. With a path ending in .gif writes the animation (needs the extra ``images``); with
    any other ending writes the last frame.
    """
    x, w = _matrix(image, "image"), _matrix(kernel, "kernel")
    y = correlate(
        x[None, None],
        w[None, None],
        stride=(stride, stride),
        padding=((padding, padding),) * 2,
        dilation=(1, 1),
        groups=1,
    )[0, 0]
    if y.size > MOST_FRAMES:
        raise UsageError(
            f"sliding_window() would have {y.size} frames: give an image with at most {MOST_FRAMES} windows"
        )
    padded = np.pad(x, padding)
    frames = []
    with styled():
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                frames.append(_frame(padded, w, y, i, j, stride, padding))  # noqa: PERF401
    if path is not None:
        if FilePath(path).suffix.lower() == ".gif":
            _gif(frames, path, seconds)
        else:
            finish(frames[-1], path)
    return frames


def maxpool_choices(image: Any, kernel: int = 2, path: Path = None, *, stride: int | None = None) -> Figure:
    """Which entry of each window max-pooling took: its local gradient is 1 there and 0 elsewhere.

    `image` (H, W). Where several are equal, the first counts, as in the engine.
    """
    x = _matrix(image, "image")
    step = stride or kernel
    rows, columns = (x.shape[0] - kernel) // step + 1, (x.shape[1] - kernel) // step + 1
    if rows < 1 or columns < 1:
        raise UsageError(
            f"maxpool_choices() expected an image of at least {kernel} x {kernel}, got {x.shape[0]} x {x.shape[1]}"
        )
    pooled = np.empty((rows, columns), x.dtype)
    chosen = np.zeros(x.shape, int)
    for i in range(rows):
        for j in range(columns):
            window = x[i * step : i * step + kernel, j * step : j * step + kernel]
            at = np.unravel_index(int(np.argmax(window)), window.shape)
            pooled[i, j] = window[at]
            chosen[i * step + at[0], j * step + at[1]] += 1
    with styled():
        scale = 0.42 if max(x.shape) <= 12 else 0.24
        figure = new_figure(1.6 + scale * (x.shape[1] + columns) + 1.0, 1.0 + scale * x.shape[0])
        left, right = figure.subplots(1, 2, width_ratios=[x.shape[1], max(columns, 2)])
        text = max(x.shape) <= 14
        limit = float(np.abs(x).max())
        _grid(left, x, f"input: chosen entries of {kernel}×{kernel} windows", text=text, chosen=chosen > 0)
        _grid(right, pooled, "maximum", text=text, limit=limit)
        from matplotlib.patches import Rectangle

        for i, j in zip(*np.nonzero(chosen), strict=True):
            left.add_patch(
                Rectangle((j - 0.44, i - 0.44), 0.88, 0.88, fill=False, edgecolor=INK, linewidth=2)
            )
        if step == kernel:
            for k in range(1, rows):
                left.axhline(k * step - 0.5, color="white", linewidth=3)
            for k in range(1, columns):
                left.axvline(k * step - 0.5, color="white", linewidth=3)
        return finish(figure, path)


# --- frames -------------------------------------------------------------------------------------------


def _frame(x: np.ndarray, w: np.ndarray, y: np.ndarray, i: int, j: int, stride: int, padding: int) -> Figure:
    from matplotlib.patches import Rectangle

    scale = 0.5
    figure = new_figure(1.4 + scale * (x.shape[1] + w.shape[1] + y.shape[1]) + 0.6, 1.5 + scale * x.shape[0])
    left, middle, right = figure.subplots(1, 3, width_ratios=[x.shape[1], w.shape[1], y.shape[1]])
    _grid(left, x, "input" + (f", padded by {padding}" if padding else ""))
    _grid(middle, w, "kernel")
    done = np.full(y.shape, np.nan)
    done.ravel()[: i * y.shape[1] + j + 1] = y.ravel()[: i * y.shape[1] + j + 1]
    _grid(right, done, "output", limit=float(np.abs(y).max()))
    top, first = i * stride, j * stride
    left.add_patch(
        Rectangle(
            (first - 0.5, top - 0.5), w.shape[1], w.shape[0], fill=False, edgecolor=COLOURS[1], linewidth=3
        )
    )
    right.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=3))
    window = x[top : top + w.shape[0], first : first + w.shape[1]]
    terms = [
        f"{number(float(a))}·{_signed(float(b))}"
        for a, b in zip(window.ravel(), w.ravel(), strict=True)
        if b != 0
    ]
    text = " + ".join(terms[:9]) + (" + …" if len(terms) > 9 else "") + f" = {number(float(y[i, j]))}"
    figure.supxlabel(text, fontsize=10, color=INK)
    return figure


def _grid(
    axes: Any, values: np.ndarray, title: str, *, text: bool = True, limit: float | None = None,
    chosen: np.ndarray | None = None,
) -> None:  # fmt: skip
    """A matrix as coloured cells with their numbers; the `chosen` ones in bold."""
    top = (
        limit if limit is not None else float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    )
    bare(axes)
    axes.imshow(np.nan_to_num(values), cmap=TWO_SIDED, vmin=-1.6 * (top or 1), vmax=1.6 * (top or 1))
    axes.set_title(title, fontsize=10, loc="center")
    if text:
        for i in range(values.shape[0]):
            for j in range(values.shape[1]):
                if np.isfinite(values[i, j]):
                    axes.text(
                        j, i, number(float(values[i, j]), 3), ha="center", va="center", fontsize=9, color=INK,
                        fontweight="bold" if chosen is not None and chosen[i, j] else "normal",
                    )  # fmt: skip


def _signed(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def _gif(frames: list[Figure], path: str | os.PathLike[str], seconds: float) -> None:
    pillow = require("PIL.Image", extra="images", purpose="an animation as GIF")
    pictures = []
    for figure in frames:
        buffer = io.BytesIO()
        with styled():
            figure.savefig(buffer, format="png", dpi=100)
        pictures.append(
            pillow.open(io.BytesIO(buffer.getvalue())).convert(
                "P", palette=pillow.Palette.ADAPTIVE, colors=128
            )
        )
    out = io.BytesIO()
    # The last frame stays three times as long, since it shows the whole result.
    durations = [int(seconds * 1000)] * (len(pictures) - 1) + [int(seconds * 3000)]
    pictures[0].save(out, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    write_bytes(path, out.getvalue())


def _matrix(value: Any, what: str) -> np.ndarray:
    a = np.asarray(unwrap(value), dtype=np.float32)
    while a.ndim > 2 and a.shape[0] == 1:
        a = a[0]
    if a.ndim != 2:
        raise UsageError(f"expected the {what} as (height, width), got shape {np.shape(unwrap(value))}")
    return a
