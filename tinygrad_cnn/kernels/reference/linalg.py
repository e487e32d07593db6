"""Matrix product: NumPy's own, which is BLAS. Arrays go back to `ops.linalg` through `kernels`."""

from __future__ import annotations

import numpy as np

from ..layout import Array
from .shards import in_shards

# Products that OpenBLAS does in the calling thread whatever its setting.
SMALL = 1 << 18


def matmul(a: Array, b: Array) -> Array:
    """a @ b; two float32 matrices (m, k) and (k, n) of any strides run in the kernels' own threads.

    A large product of two matrices is done in shards of the result's longer side, BLAS held
    to one thread in each: its own would spin for a while afterwards, on the cores that the next kernel needs.
    """
    dtype = np.result_type(a, b)
    plain = a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0] and dtype.kind == "f"
    if not plain or a.size * b.shape[1] <= SMALL:
        return np.asarray(np.matmul(a, b))
    y = np.empty((a.shape[0], b.shape[1]), dtype)

    def some_rows(start: int, stop: int) -> None:
        np.matmul(a[start:stop], b, out=y[start:stop])

    def some_columns(start: int, stop: int) -> None:
        np.matmul(a, b[:, start:stop], out=y[:, start:stop])

    # Sixteen products take as long as one number in a pass (see `shards`).
    in_shards(some_rows if len(y) > y.shape[1] else some_columns, max(y.shape), a.size * b.shape[1] // 16)
    return y
