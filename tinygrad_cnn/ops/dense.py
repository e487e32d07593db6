"""The dense layer's product and the table look-up: x·Wᵀ, and rows of a table.

The weight keeps PyTorch's shape (outputs, inputs), so one op does what would be a transposition and a
product. Arguments are checked in `nn.functional`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Array
from tinygrad_cnn.autograd.op import Multilinear
from tinygrad_cnn.ops.expect import check_unwrapped
from tinygrad_cnn.ops.linalg import as_rows, product


def _rows(x: Array) -> Any:
    return x if len(x.shape) == 2 else as_rows(x)


linear = Multilinear(
    "linear", lambda x, w: product(x, w.T),
    lambda g, _x, w: product(g, w),
    lambda g, x, _w: product(_rows(g).T, _rows(x)),
    formula="x · wᵀ", local=("g · w", "gᵀ · x"),
    doc="x (…, inputs) times w (outputs, inputs) transposed; gives (…, outputs).",
)  # fmt: skip


def _add_rows(g: np.ndarray, *, indices: np.ndarray, rows: int) -> np.ndarray:
    check_unwrapped("embedding", indices)
    table = np.zeros((rows, g.shape[-1]), g.dtype)
    np.add.at(table, indices.reshape(-1), as_rows(g))
    return table


embedding = Multilinear(
    "embedding", lambda w, *, indices: w[indices],
    lambda g, w, *, indices: add_rows(g, indices=indices, rows=w.shape[0]),
    selection=True, formula="w[indices]", local=("g added to its rows",),
    doc="Rows of the table w (rows, size) at integer `indices` of any shape.",
)  # fmt: skip
add_rows: Multilinear = Multilinear(
    "add_rows", _add_rows, lambda u, _g, *, indices, rows: embedding(u, indices=indices),
    formula="zeros (rows, size) with x added at the indices", local=("u[indices]",),
)  # fmt: skip


dropout: Multilinear = Multilinear(
    "dropout", lambda x, *, mask: x * mask, lambda g, _x, *, mask: dropout(g, mask=mask),
    formula="x · mask", local=("mask: 0 or 1 / (1 − p)",),
    doc="x times a recorded mask that is 0 with probability p, else 1 / (1 − p).",
)  # fmt: skip

__all__ = ["add_rows", "dropout", "embedding", "linear"]
