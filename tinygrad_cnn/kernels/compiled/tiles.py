"""The register tile for any number of rows, for full and for half panels, and strips of such tiles.

A *panel* is PANEL output channels, of which fewer may exist: then a tile is written to scratch memory first. Where a
single vector holds those that exist, the tile is half as wide. All addresses and steps are in bytes. Used by `sweep`,
`winograd` and `linalg`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

from .jit import njit
from .vector import LANES, PANEL, ROWS, VECTORS, load_float, store_float, tile

FLOAT = 4
VECTOR_BYTES = LANES * FLOAT
PANEL_BYTES = PANEL * FLOAT


@njit(nogil=True, cache=True)
def rows_tile(rows, a, row_a, step_a, offsets, segments, count, b, c, row_c, add):
    """`vector.tile` for any number of rows up to ROWS and one panel."""
    if rows == 12:
        tile(12, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 11:
        tile(11, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 10:
        tile(10, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 9:
        tile(9, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 8:
        tile(8, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 7:
        tile(7, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 6:
        tile(6, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 5:
        tile(5, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 4:
        tile(4, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 3:
        tile(3, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 2:
        tile(2, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 1:
        tile(1, VECTORS, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)


@njit(nogil=True, cache=True)
def half_tile(rows, a, row_a, step_a, offsets, segments, count, b, c, row_c, add):
    """The first vector of `rows_tile`."""
    if rows == 12:
        tile(12, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 11:
        tile(11, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 10:
        tile(10, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 9:
        tile(9, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 8:
        tile(8, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 7:
        tile(7, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 6:
        tile(6, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 5:
        tile(5, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 4:
        tile(4, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 3:
        tile(3, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 2:
        tile(2, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)
    elif rows == 1:
        tile(1, 1, a, row_a, step_a, offsets, segments, count, b, PANEL_BYTES, c, row_c, add)


@njit(nogil=True, cache=True)
def lanes_tile(rows, lanes, a, row_a, step_a, offsets, segments, count, b, c, row_c, add):
    """`rows_tile`, of which at least the first `lanes` columns are computed; c must have room for a panel."""
    if lanes <= LANES:
        half_tile(rows, a, row_a, step_a, offsets, segments, count, b, c, row_c, add)
    else:
        rows_tile(rows, a, row_a, step_a, offsets, segments, count, b, c, row_c, add)


@njit(nogil=True, cache=True)
def exact_tile(rows, lanes, a, row_a, step_a, offsets, segments, count, b, c, row_c, add, scratch):
    """`rows_tile` that writes just `lanes` columns of c (through the tile `scratch` if they are no whole vectors)."""
    if lanes == PANEL:
        rows_tile(rows, a, row_a, step_a, offsets, segments, count, b, c, row_c, add)
    elif lanes == LANES:
        half_tile(rows, a, row_a, step_a, offsets, segments, count, b, c, row_c, add)
    else:
        lanes_tile(rows, lanes, a, row_a, step_a, offsets, segments, count, b, scratch, PANEL_BYTES, False)
        for i in range(rows):
            target, source = c + i * row_c, scratch + i * PANEL_BYTES
            for j in range(lanes):
                value = load_float(source + j * FLOAT)
                if add:
                    value += load_float(target + j * FLOAT)
                store_float(target + j * FLOAT, value)


@njit(nogil=True, cache=True)
def strip(total, a, row_a, step_a, offsets, segments, count, b, c, row_c, lanes, add, scratch):
    """`total` rows in tiles of equal height; only `lanes` of the panel exist in c."""
    tiles = (total + ROWS - 1) // ROWS
    for t in range(tiles):
        first, last = total * t // tiles, total * (t + 1) // tiles
        if lanes == PANEL:
            rows_tile(
                last - first, a + first * row_a, row_a, step_a, offsets, segments, count, b, c + first * row_c, row_c,
                add,
            )  # fmt: skip
        else:
            exact_tile(
                last - first, lanes, a + first * row_a, row_a, step_a, offsets, segments, count, b, c + first * row_c,
                row_c, add, scratch,
            )  # fmt: skip


@njit(nogil=True, cache=True)
def wide_strip(total, a, row_a, step_a, offsets, segments, count, b, panel_size, c, row_c, lanes_in_all, scratch):
    """`strip` over all panels, which together stay in the first-level cache: each tile of rows is read once for all."""
    tiles = (total + ROWS - 1) // ROWS
    for t in range(tiles):
        first, last = total * t // tiles, total * (t + 1) // tiles
        for panel in range((lanes_in_all + PANEL - 1) // PANEL):
            exact_tile(
                last - first, min(PANEL, lanes_in_all - panel * PANEL), a + first * row_a, row_a, step_a, offsets,
                segments, count, b + panel * panel_size, c + first * row_c + panel * PANEL_BYTES, row_c, False, scratch,
            )  # fmt: skip
