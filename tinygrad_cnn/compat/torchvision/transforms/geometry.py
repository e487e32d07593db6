"""The arithmetic of where pixels go: sizes after scaling, affine and perspective maps. Plain numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["inverse_affine", "perspective_coefficients", "resized", "rotated_size", "sides"]


def resized(
    height: int, width: int, size: Sequence[int] | None, max_size: int | None = None
) -> tuple[int, int]:
    """(height, width) of an image that is scaled to `size`.

    Two numbers of size are height and width. One number is the shorter side; the longer one follows, at most
    `max_size`. None scales the longer side to `max_size`. Raises ValueError when `max_size` does not go with them.
    """
    if size is not None and len(size) == 2:
        if max_size is not None:
            raise ValueError(f"max_size goes with one number of size, got size={list(size)}")
        return int(size[0]), int(size[1])
    short, long = sorted((height, width))
    if size is None:
        if max_size is None:
            raise ValueError("resize expected size or max_size, got neither")
        new_short, new_long = int(max_size * short / long), max_size
    else:
        new_short, new_long = int(size[0]), int(size[0] * long / short)
        if max_size is not None:
            if max_size <= size[0]:
                raise ValueError(
                    f"max_size bounds the longer side and must be above size, got size={size[0]}, max_size={max_size}"
                )
            if new_long > max_size:
                new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from one number, (left and right, top and bottom), or all four."""
    values = [padding] if isinstance(padding, int) else list(padding)
    if len(values) not in (1, 2, 4) or not all(isinstance(value, (int, np.integer)) for value in values):
        raise ValueError(f"padding expected 1, 2 or 4 whole numbers, got {padding!r}")
    left, top, right, bottom = (int(value) for value in values * (4 // len(values)))
    return left, top, right, bottom


def inverse_affine(
    center: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float]
) -> list[float]:
    """The six numbers that take a pixel of the result to its place in the image.

    The map there and back is T(translate) C R(angle) Shear(shear) S(scale) C⁻¹, angles in degrees, C the shift to
    `center`; its linear part has the rows (cos(r−y)/cos y, −cos(r−y) tan x / cos y − sin r) and
    (sin(r−y)/cos y, −sin(r−y) tan x / cos y + cos r), r the angle, x and y the shears.
    """
    r, x, y = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(r - y) / math.cos(y)
    b = -math.cos(r - y) * math.tan(x) / math.cos(y) - math.sin(r)
    c = math.sin(r - y) / math.cos(y)
    d = -math.sin(r - y) * math.tan(x) / math.cos(y) + math.cos(r)
    # The determinant of the part without the scale is 1, so its inverse is (d, -b; -c, a).
    m = [value / scale for value in (d, -b, 0.0, -c, a, 0.0)]
    away_x, away_y = -center[0] - translate[0], -center[1] - translate[1]
    m[2] += m[0] * away_x + m[1] * away_y
    m[5] += m[3] * away_x + m[4] * away_y
    m[2] += center[0]
    m[5] += center[1]
    return m


def rotated_size(matrix: Sequence[float], width: int, height: int) -> tuple[int, int]:
    """(width, height) of the frame that holds the image turned by the inverse map `matrix` about its middle."""
    corners = np.array(
        [[x * width, y * height, 1.0] for x, y in ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))],
        np.float32,
    )
    turned = (
        corners @ np.array(matrix, np.float32).reshape(2, 3).T + np.array([width, height], np.float32) / 2
    )
    low, high = turned.min(0), turned.max(0)
    # Rounding to 1e-4 first: a corner that lies on a pixel's edge must not claim one more.
    first, last = np.floor(np.trunc(low / 1e-4) * 1e-4), np.ceil(np.trunc(high / 1e-4) * 1e-4)
    size = last - first
    return int(size[0]), int(size[1])


def perspective_coefficients(
    startpoints: Sequence[Sequence[int]], endpoints: Sequence[Sequence[int]]
) -> list[float]:
    """The eight numbers a…h of (x, y) ↦ ((ax + by + c) / (gx + hy + 1), (dx + ey + f) / (gx + hy + 1)) that takes the
    four `endpoints` to the `startpoints`."""
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(f"perspective expected 4 corners each, got {len(startpoints)} and {len(endpoints)}")
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    target = np.array(startpoints, np.float64).reshape(8)
    solution, *_ = np.linalg.lstsq(np.array(rows, np.float64), target, rcond=None)
    return [float(value) for value in solution.astype(np.float32)]
