"""Matrix product on the register tile, in the same threads as all other kernels: BLAS's own workers would keep spinning
beside them for a while after each product.

One unit of work is a panel of columns: it is packed, then all rows go over it while it is in the cache. Float32
matrices of any strides; everything else, and small ones, go to NumPy. Called through `kernels`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from ..layout import Array
from ..reference import linalg as reference
from .native import Task, address
from .sweep import FLOAT, PANEL, PANEL_BYTES, VECTOR_BYTES, pack_weights, strip
from .vector import ROWS, integers, load, store

# Multiplications below which NumPy is done sooner, and that are worth a thread.
SMALL, WORTH_A_THREAD = 100_000, 500_000


def matmul(a: Array, b: Array) -> Array:
    """See `kernels.matmul`."""
    if (
        not a.dtype == b.dtype == np.float32
        or not a.ndim == b.ndim == 2
        or a.shape[1] != b.shape[0]
        or a.shape[0] < ROWS // 2
        or a.shape[0] * b.size < SMALL
    ):
        return reference.matmul(a, b)
    m, k, n = a.shape[0], a.shape[1], b.shape[1]
    c = np.empty((m, n), np.float32)
    panels = -(-n // PANEL)
    entries = (address(a), *a.strides, address(b), *b.strides, address(c), m, k, n)
    columns.run(entries, panels, max(1, WORTH_A_THREAD // (m * k * PANEL)))
    return c


@Task
def columns(table, first, last):
    """Panels of columns: (a and its two steps, b and its two steps, c, rows, products per sum, columns)."""
    t = integers(table)
    m, k, n = t[7], t[8], t[9]
    packed = np.empty(k * PANEL, np.float32)
    scratch = np.empty(ROWS * PANEL, np.float32)
    zero = np.zeros(1, np.int64)
    start = zero.ctypes.data
    for panel in range(first, last):
        lanes = min(PANEL, n - panel * PANEL)
        right = t[3] + panel * PANEL * t[5]
        if t[5] == FLOAT and lanes == PANEL:
            for i in range(k):
                for j in range(0, PANEL_BYTES, VECTOR_BYTES):
                    store(packed.ctypes.data + i * PANEL_BYTES + j, load(right + i * t[4] + j))
        else:
            pack_weights(right, t[5], t[4], start, 1, k, lanes, 0, 1, packed.ctypes.data)
        strip(
            m, t[0], t[1], t[2], start, 1, k, packed.ctypes.data, t[6] + panel * PANEL_BYTES, n * FLOAT, lanes, False,
            scratch.ctypes.data,
        )  # fmt: skip
    packed[0] = scratch[0] = 0  # alive to here: the loops know them by address only
    zero[0] = 0
