"""Matrix product on the register tile, in the same threads as all other kernels: BLAS's own workers would keep spinning
beside them for a while after each product.

One factor is packed into panels of 32 columns, the other is read as it lies. Which one is packed, and in which order
the tile goes over the result, is decided by the sizes:

- *by rows*: the panels fit the second-level cache together; a few rows of the other factor go over all of them.
- *by panels*: a panel is packed, then all rows go over it while it is in the cache.
- *in place*: few rows, so that each number of the large factor is used once: it is not packed, but read in the order in
  which it lies.

The product may also be computed as (Bᵀ Aᵀ)ᵀ, tile by tile: the weights of a dense layer, which are the larger factor
and lie along the sum, then need not be packed. Float32 matrices of any strides; everything else, and small ones, go to
NumPy. Called through `kernels`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..layout import Array
from ..reference import linalg as reference
from .jit import njit
from .native import Task, address
from .sweep import pack_weights
from .tiles import FLOAT, PANEL_BYTES, VECTOR_BYTES, exact_tile, lanes_tile, rows_tile, strip
from .vector import LANES, PANEL, ROWS, integers, load, load_float, store, store_float, transpose

# Multiplications up to which NumPy is done sooner (and OpenBLAS stays in one thread), and that are worth a thread.
SMALL, WORTH_A_THREAD = 1 << 18, 600_000
# Panels that stay in the second-level cache together.
PACKED_BYTES = 1 << 19
# Rows of the large factor that are read together when it is not packed.
TOGETHER = 32
# Steps in memory that are multiples of this share few cache sets; such a factor is copied to rows a little longer.
ALIASING, SPARE = 1024, 16

IN_PLACE, BY_PANELS, BY_ROWS, BY_ROWS_TRANSPOSED = range(4)


def matmul(a: Array, b: Array) -> Array:
    """See `reference`."""
    if not a.dtype == b.dtype == np.float32 or not a.ndim == b.ndim == 2 or a.shape[1] != b.shape[0]:
        return reference.matmul(a, b)
    (m, k), n = a.shape, b.shape[1]
    if m * n * k <= SMALL or m < 4 or n < 4:
        return reference.matmul(a, b)
    c = np.empty((m, n), np.float32)
    way, units, grain = _way(m, k, n, a.strides, b.strides)
    if way == BY_ROWS_TRANSPOSED:
        left, right, rows, columns = b.T, a.T, n, m
    else:
        left, right, rows, columns = a, b, m, n
    if left.strides[0] == FLOAT and left.strides[1] % ALIASING == 0 and k > 8:
        spread = np.empty((k, rows + SPARE), np.float32)[:, :rows]
        spread[...] = left.T
        left = spread.T
    entries = (address(left), *left.strides, address(right), *right.strides, address(c), rows, k, columns, n * FLOAT)
    if way == IN_PLACE:
        in_place.run(entries, units, grain)
    elif way == BY_PANELS:
        by_panels.run(entries, units, grain)
    else:
        panels = -(-columns // PANEL)
        packed = np.empty(panels * k * PANEL, np.float32)
        entries = (*entries, address(packed), way == BY_ROWS_TRANSPOSED)
        pack_right.run(entries, panels, max(1, 20_000 // (k * PANEL)))
        by_rows.run(entries, units, grain)
    return c


@lru_cache(1024)
def _way(m: int, k: int, n: int, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int, int]:
    """(the order, units of work, units worth a thread). Costs are estimated in multiplications of vectors."""
    work = m * n * k
    if m <= ROWS and b[1] == FLOAT and n >= 4 * PANEL and k >= 4 * TOGETHER:
        units = -(-n // PANEL)
        return IN_PLACE, units, max(1, WORTH_A_THREAD * units // work)
    straight = _cost(m, k, n, a[1], b[1], False)
    turned = _cost(n, k, m, b[0], a[0], True)
    if min(straight, turned) == turned:
        units = -(-n // ROWS)
        return BY_ROWS_TRANSPOSED, units, max(1, WORTH_A_THREAD * units // work)
    panels = -(-n // PANEL)
    if panels * k * PANEL_BYTES <= PACKED_BYTES or panels < 4:
        units = -(-m // ROWS)
        return BY_ROWS, units, max(1, WORTH_A_THREAD * units // work)
    return BY_PANELS, panels, max(1, WORTH_A_THREAD * panels // work)


def _cost(rows: int, k: int, columns: int, left_step: int, right_step: int, transposed: bool) -> float:
    """Of `rows` x k times k x `columns`, the right one packed."""
    panels = -(-columns // PANEL)
    cost = rows * k * panels + k * columns * (0.1 if right_step == FLOAT else 0.25)
    if left_step != FLOAT and rows * k * FLOAT > PACKED_BYTES:
        cost += rows * k  # large, and read across its rows
    return cost + (rows * columns * 1.5 if transposed else 0)


@njit(nogil=True, cache=True)
def pack_panel(right, row, column, k, lanes, packed, start):
    """`lanes` columns as (k, PANEL), zeros beyond."""
    if column == FLOAT and lanes == PANEL:
        for i in range(k):
            for j in range(0, PANEL_BYTES, VECTOR_BYTES):
                store(packed + i * PANEL_BYTES + j, load(right + i * row + j))
    elif row == FLOAT and lanes == PANEL:
        whole = k // LANES * LANES
        for i in range(0, whole, LANES):
            for j in range(0, PANEL, LANES):
                source = right + j * column + i * FLOAT
                transpose(source, column, packed + i * PANEL_BYTES + j * FLOAT, PANEL_BYTES)
        pack_weights(
            right + whole * FLOAT, column, row, start, 1, k - whole, lanes, 0, 1, packed + whole * PANEL_BYTES
        )
    else:
        pack_weights(right, column, row, start, 1, k, lanes, 0, 1, packed)


# Tasks. Tables are (left and its two steps, right and its two steps, result, rows, products per sum, columns, step of
# the result's rows), and by rows (panels, transposed?).


@Task
def in_place(table, first, last):
    """Panels of columns; TOGETHER rows of the right factor go to all of them before the next are read."""
    t = integers(table)
    rows, k, columns = t[7], t[8], t[9]
    scratch = np.empty(ROWS * PANEL, np.float32)
    zero = np.zeros(1, np.int64)
    start = zero.ctypes.data
    whole = min(last, columns // PANEL)
    for low in range(0, k, TOGETHER):
        many = min(TOGETHER, k - low)
        for panel in range(first, whole):
            tile_in_place(
                rows, t[0] + low * t[2], t[1], t[2], start, many, t[3] + low * t[4] + panel * PANEL_BYTES, t[4],
                t[6] + panel * PANEL_BYTES, t[10], low > 0,
            )  # fmt: skip
    if whole < last:
        packed = np.empty(k * PANEL, np.float32)
        lanes = columns - whole * PANEL
        pack_panel(t[3] + whole * PANEL_BYTES, t[4], t[5], k, lanes, packed.ctypes.data, start)
        strip(
            rows, t[0], t[1], t[2], start, 1, k, packed.ctypes.data, t[6] + whole * PANEL_BYTES, t[10], lanes, False,
            scratch.ctypes.data,
        )  # fmt: skip
        packed[0] = 0
    scratch[0] = 0  # alive to here: the loops know them by address only
    zero[0] = 0


@njit(nogil=True, cache=True)
def tile_in_place(rows, left, row, step, start, count, right, right_step, result, result_row, add):
    """A tile of any number of rows; the panel's rows lie `right_step` apart, so they go through a small copy."""
    packed = np.empty(TOGETHER * PANEL, np.float32)
    at = packed.ctypes.data
    for i in range(count):
        for j in range(0, PANEL_BYTES, VECTOR_BYTES):
            store(at + i * PANEL_BYTES + j, load(right + i * right_step + j))
    rows_tile(rows, left, row, step, start, 1, count, at, result, result_row, add)
    packed[0] = 0


@Task
def by_panels(table, first, last):
    """Panels of columns."""
    t = integers(table)
    rows, k, columns = t[7], t[8], t[9]
    packed = np.empty(k * PANEL, np.float32)
    scratch = np.empty(ROWS * PANEL, np.float32)
    zero = np.zeros(1, np.int64)
    start = zero.ctypes.data
    for panel in range(first, last):
        lanes = min(PANEL, columns - panel * PANEL)
        pack_panel(t[3] + panel * PANEL * t[5], t[4], t[5], k, lanes, packed.ctypes.data, start)
        strip(
            rows, t[0], t[1], t[2], start, 1, k, packed.ctypes.data, t[6] + panel * PANEL_BYTES, t[10], lanes, False,
            scratch.ctypes.data,
        )  # fmt: skip
    packed[0] = scratch[0] = 0  # alive to here: the loops know them by address only
    zero[0] = 0


@Task
def pack_right(table, first, last):
    """Panels of the right factor."""
    t = integers(table)
    k = t[8]
    zero = np.zeros(1, np.int64)
    for panel in range(first, last):
        lanes = min(PANEL, t[9] - panel * PANEL)
        at = t[11] + panel * k * PANEL_BYTES
        pack_panel(t[3] + panel * PANEL * t[5], t[4], t[5], k, lanes, at, zero.ctypes.data)
    zero[0] = 0


@Task
def by_rows(table, first, last):
    """Shares of the rows, in tiles."""
    t = integers(table)
    k, columns = t[8], t[9]
    scratch = np.empty(ROWS * PANEL, np.float32)
    zero = np.zeros(1, np.int64)
    start, at = zero.ctypes.data, scratch.ctypes.data
    units = (t[7] + ROWS - 1) // ROWS
    for unit in range(first, last):
        low, high = t[7] * unit // units, t[7] * (unit + 1) // units
        rows = high - low
        left = t[0] + low * t[1]
        for panel in range((columns + PANEL - 1) // PANEL):
            lanes = min(PANEL, columns - panel * PANEL)
            right = t[11] + panel * k * PANEL_BYTES
            if t[12] == 0:
                to = t[6] + low * t[10] + panel * PANEL_BYTES
                exact_tile(rows, lanes, left, t[1], t[2], start, 1, k, right, to, t[10], False, at)
                continue
            lanes_tile(rows, lanes, left, t[1], t[2], start, 1, k, right, at, PANEL_BYTES, False)
            for j in range(lanes):
                to = t[6] + (panel * PANEL + j) * t[10] + low * FLOAT
                for i in range(rows):
                    store_float(to + i * FLOAT, load_float(at + i * PANEL_BYTES + j * FLOAT))
    scratch[0] = 0  # alive to here: the loops know them by address only
    zero[0] = 0
