"""One array → one `Summary`: the only place where pictures decide what to tell of a tensor.

Reads plain arrays; gives records of `description`. How much it tells is the caller's choice, since a graph
of 10,000 nodes cannot afford a histogram on each.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from tinygrad_cnn.viz.description import Histogram, Image, Summary

#: Arrays up to this many entries are written out in `data`.
SMALL = 25
#: Matrices with longer sides than this times the shorter are drawn pressed together: 10 x 1024 as 10 x 80.
FLATTEST = 8
#: Bins of a histogram.
BINS = 24


def summarise(
    array: Any, *, data: bool = True, histogram: bool = False, pixels: int = 0, signed: bool = False
) -> Summary:
    """Summarise an array of any shape.

    `data` writes out the entries of small ones; `histogram` adds counts; `pixels` > 0 allows a picture of
    about so many bytes; `signed` asks for a two-sided picture around zero (gradients) even where all
    entries have one sign.
    """
    a = np.asarray(array)
    n = a.size
    shape = list(a.shape)
    if n == 1:
        value = float(np.real(a.item()))
        if math.isfinite(value):
            return Summary(1, shape, norm=abs(value), zeros=float(value == 0), scalar=value)
        nan = int(value != value)
        return Summary(1, shape, nan=nan, inf=1 - nan, scalar=value)
    if n == 0:
        return Summary(0, shape)
    x = np.abs(a) if a.dtype.kind == "c" else a
    flat = x.reshape(-1)
    # In float64, so that squares of float16 and float32 do not overflow; one copy, freed on return.
    wide = flat.astype(np.float64)
    total = float(wide.sum())
    nan = inf = 0
    if not math.isfinite(total):
        finite = np.isfinite(wide)
        nan = int(np.count_nonzero(np.isnan(wide)))
        inf = n - int(np.count_nonzero(finite)) - nan
        wide = wide[finite]
        total = float(wide.sum())
    out = Summary(n, shape, nan=nan, inf=inf)
    m = wide.size
    if m:
        lo, hi, mean = float(wide.min()), float(wide.max()), total / m
        with np.errstate(over="ignore"):
            squares = float(np.dot(wide, wide))
        out.zeros = _digits((n - int(np.count_nonzero(flat))) / n)
        out.min, out.max, out.mean, out.norm = (
            _digits(lo),
            _digits(hi),
            _digits(mean),
            _digits(math.sqrt(squares)),
        )
        variance = squares / m - mean * mean
        # The quick formula loses its digits when the mean is large beside the spread: then the slow one.
        if variance < 1e-6 * mean * mean:
            centred = wide - mean
            variance = float(np.dot(centred, centred)) / m
        out.std = _digits(math.sqrt(max(variance, 0.0)))
        if histogram and n > SMALL:
            out.histogram = _histogram(wide, lo, hi)
    if data and n <= SMALL:
        out.data = _written(x)
    if pixels and n > 2:
        out.image = picture(x, pixels, signed=signed)
    return out


def _written(a: np.ndarray) -> list[Any]:
    """The entries as nested lists, each with the digits that its own dtype has: 0.1, not 0.10000000149."""
    if a.dtype.kind != "f" or a.dtype.itemsize == 8:
        return a.tolist()
    short = [float(str(v)) for v in a.reshape(-1)]
    for n in reversed(a.shape[1:]):
        short = [short[k : k + n] for k in range(0, len(short), n)]  # type: ignore[misc]
    return short


def _digits(value: float) -> float:
    # Seven significant digits: all that float32 has, and a third of the bytes on a page.
    return float(f"{value:.7g}")


def _histogram(finite: np.ndarray, lo: float, hi: float) -> Histogram:
    if lo == hi:
        return Histogram(lo, hi, [int(finite.size)])
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (finite - lo) * (BINS / (hi - lo))
    if not np.isfinite(scaled).all():  # a span beyond float64's range
        scaled = (finite / 4 - lo / 4) * (BINS / (hi / 4 - lo / 4))
    place = np.minimum(scaled.astype(np.int64), BINS - 1)
    return Histogram(lo, hi, np.bincount(place, minlength=BINS).tolist())


# --- pictures -------------------------------------------------------------------------------------


def picture(a: np.ndarray, pixels: int, *, signed: bool = False) -> Image | None:
    """A down-sampled picture of some 2-D slices of `a`, within about `pixels` bytes.

    Layouts: ``(…, H, W)`` gives tiles of H x W: the channels of the first image, or kernels; a 2-D array
    is one tile; a vector becomes rows of a compact grid. Down-sampling averages blocks, so nothing aliases.
    """
    tiles, caption = _tiles(np.asarray(a), pixels)
    if tiles is None or tiles.size == 0:
        return None
    count, rows, cols = tiles.shape
    # A wide range in float16 or float32 overflows in means: work in float64.
    work = tiles.astype(np.float64)
    side = max(4.0, math.sqrt(pixels / count))
    new_rows, new_cols = _fit(rows, cols, side)
    small = _shrink(_shrink(work, new_rows, axis=1), new_cols, axis=2)
    finite = np.isfinite(small)
    if not finite.any():
        lo = hi = 0.0
    else:
        lo, hi = float(small[finite].min()), float(small[finite].max())
    diverging = signed or lo < 0 < hi
    if diverging:
        hi = max(abs(lo), abs(hi))
        lo = -hi
    span = hi - lo
    with np.errstate(all="ignore"):
        level = (
            np.rint((small - lo) / span * 254)
            if span > 0 and math.isfinite(span)
            else np.full(small.shape, 127.0)
        )
    codes = np.where(finite, np.clip(np.nan_to_num(level), 0, 254) + 1, 0).astype(np.uint8)
    return Image(
        new_rows, new_cols, count, lo, hi, base64.b64encode(codes.tobytes()).decode("ascii"),
        diverging=diverging, caption=caption, source_rows=rows, source_cols=cols,
        channels=3 if count == 3 and a.ndim in (3, 4) and a.shape[-3] == 3 and not signed else 1,
    )  # fmt: skip


def _tiles(a: np.ndarray, pixels: int) -> tuple[np.ndarray | None, str]:
    """Some 2-D slices of `a` as (tiles, rows, columns), and a sentence that says which."""
    if a.ndim == 0:
        return None, ""
    if a.ndim == 1:
        cols = math.ceil(math.sqrt(a.size)) if a.size > 64 else a.size
        rows = math.ceil(a.size / cols)
        grid = np.full(rows * cols, np.nan)
        grid[: a.size] = a
        return grid.reshape(1, rows, cols), "" if rows == 1 else f"{a.size} entries in rows of {cols}"
    if a.ndim == 2:
        return a[None], ""
    rows, cols = a.shape[-2:]
    if rows * cols == 1:  # a value per channel: (N, C, 1, 1)
        flat = a.reshape(a.shape[0], -1)
        return flat[None], f"{a.shape[0]} x {flat.shape[1]}"
    stack = a.reshape(-1, rows, cols)
    # Tiles of at least 8 x 8 (or the slice itself, when smaller) stay legible; never more than 64 tiles.
    need = min(rows, 8) * min(cols, 8)
    count = max(1, min(len(stack), pixels // need, 64))
    if a.ndim == 4 and a.shape[0] > 1 and a.shape[1] <= count < len(stack) and a.shape[1] > 1:
        count -= count % a.shape[1]
    caption = "" if count == len(stack) == 1 else f"{count} of {len(stack)} slices {rows} x {cols}"
    return stack[:count], caption


def _fit(rows: int, cols: int, side: float) -> tuple[int, int]:
    """A size not above (rows, cols), with about side² pixels: of the same proportions, but never a mere line."""
    cols, rows = min(cols, max(rows, 2) * FLATTEST if rows > 1 else cols), min(rows, cols * FLATTEST)
    scale = min(1.0, side / math.sqrt(rows * cols))
    new_rows = min(rows, max(1, round(rows * scale)))
    new_cols = min(cols, max(1, round(min(cols * scale, side * side / new_rows))))
    new_rows = min(rows, max(1, min(new_rows, round(side * side / new_cols))))
    return new_rows, new_cols


def _shrink(a: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Means of `size` blocks of nearly equal length along an axis."""
    length = a.shape[axis]
    if size >= length:
        return a
    edges = np.arange(size + 1) * length // size
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(a, edges[:-1], axis=axis)
    shape = [1] * a.ndim
    shape[axis] = size
    return sums / np.diff(edges).reshape(shape)
