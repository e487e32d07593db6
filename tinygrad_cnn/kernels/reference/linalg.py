"""Matrix product: NumPy's own, which is BLAS. Arrays go back to `ops.linalg` through `kernels`."""

from __future__ import annotations

import numpy as np

from ..layout import Array


def matmul(a: Array, b: Array) -> Array:
    """See `kernels.matmul`."""
    return np.asarray(np.matmul(a, b))
