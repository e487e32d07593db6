"""Affine resampling of an image: where each pixel of the result is taken from, and what lies beyond the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FILL_MODES", "affine_transform"]

Array = npt.NDArray[Any]

#: What lies beyond the edges of an image ``abcd``: ``kkkk|abcd|kkkk`` with k = cval, ``aaaa|abcd|dddd``,
#: ``dcba|abcd|dcba``, ``abcd|abcd|abcd``.
FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def affine_transform(
    image: Array, matrix: Array, offset: Array, fill_mode: str = "nearest", cval: float = 0.0
) -> Array:
    """Pixel (i, j) of the result is `image` (C, H, W) at ``matrix @ (i, j) + offset``, bilinearly between its pixels.

    The meaning is that of ``scipy.ndimage.affine_transform(order=1)``, except that "wrap" repeats the image every
    H rows
    (SciPy's "grid-wrap"). With "constant", whatever is taken from outside the outermost pixels' centres is `cval`.
    """
    _, height, width = image.shape
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    source = [matrix[k, 0] * rows + matrix[k, 1] * columns + offset[k] for k in (0, 1)]
    # A rotation by 90° or a whole shift must not miss a pixel by a rounding error.
    source = [np.where(np.abs(s - np.rint(s)) < 1e-9, np.rint(s), s) for s in source]
    start = [np.floor(s).astype(np.int64) for s in source]
    kind = np.result_type(image.dtype, np.float32)
    down, right = ((s - t).astype(kind) for s, t in zip(source, start))
    top, bottom = (_inside(start[0] + k, height, fill_mode) for k in (0, 1))
    left, after = (_inside(start[1] + k, width, fill_mode) for k in (0, 1))
    upper = image[:, top, left] * (1 - right) + image[:, top, after] * right
    lower = image[:, bottom, left] * (1 - right) + image[:, bottom, after] * right
    result = upper * (1 - down) + lower * down
    if fill_mode == "constant":
        outside = (source[0] < 0) | (source[0] > height - 1) | (source[1] < 0) | (source[1] > width - 1)
        result[:, outside] = cval
    return result


def _inside(index: Array, n: int, fill_mode: str) -> Array:
    if fill_mode == "wrap":
        return index % n
    if fill_mode == "reflect":
        index = index % (2 * n)
        return np.minimum(index, 2 * n - 1 - index)
    return np.clip(index, 0, n - 1)
