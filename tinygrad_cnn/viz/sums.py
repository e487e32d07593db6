"""Each entry of a gradient as the sum it is: Σ upstream · local over the outputs that the entry reached.

Reads a node's local gradient and what a backward pass handed through it; gives `Sums` records of the description.
The local gradients are a column of the Jacobian, for any op; where such a number is an entry of the op's other input (a
weight, a row of a matrix), that entry is found, too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import dense
from tinygrad_cnn.autograd.inspect import Node, saved_values
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.description import Sums

#: Jacobians up to this many entries are looked at whole, so that every entry of the gradient can be told of.
WHOLE = 20_000
#: Terms that one edge, and one description, may hold.
TERMS = 1_500
ALL_TERMS = 8_000
#: Terms told of an entry, the largest ones, where not all entries are told of.
LARGEST = 12
#: Of larger inputs so many entries are told of, for at most so many numbers of tangents in all.
CHOSEN = 3
WORK = 4_000_000
#: Ops that cannot push forward are pulled back row by row, up to so many outputs.
MAX_ROWS = 4096


class Writer:
    """Writes the sums of one graph within the limits above."""

    def __init__(self) -> None:
        self.terms = ALL_TERMS
        self.work = WORK

    def edge(self, node: Node, i: int, upstream: np.ndarray, pulled: np.ndarray) -> Sums | None:
        """The sums of what `node` handed to its input `i`; None where they are too many or cannot be known."""
        parent = node.parents[i]
        if parent is None or not pulled.size or self.terms <= 0 or "c" in (pulled.dtype.kind, upstream.dtype.kind):
            return None
        if node.op.holds_constants:
            return None  # a user's own function, which may do more than compute
        entries = upstream.size * pulled.size
        with np.errstate(all="ignore"):
            try:
                if entries <= WHOLE:
                    found = self._whole(node, i, upstream, pulled)
                    if found is not None:
                        return found
                return self._some(node, i, upstream, pulled)
            except (NotImplementedError, RuntimeError, TypeError, ValueError, UsageError):
                return None  # a push-forward that is not stated, or a value that is gone

    def _whole(self, node: Node, i: int, upstream: np.ndarray, pulled: np.ndarray) -> Sums | None:
        local = _jacobian(node, i, pulled.size)
        u = upstream.reshape(-1)
        used = local != 0
        count = int(np.count_nonzero(used))
        if count + pulled.size > min(TERMS, self.terms):
            return None
        self.terms -= count + pulled.size
        whose, other = _other(node, i, local)
        out = Sums(list(upstream.shape), list(pulled.shape), whose, [] if other is None else list(other[1]), True)
        values = pulled.reshape(-1)
        for k in range(pulled.size):
            rows = np.flatnonzero(used[:, k])
            order = rows[np.argsort(-np.abs(np.nan_to_num(u[rows] * local[rows, k], nan=np.inf)), kind="stable")]
            tags = None if other is None else other[0]
            terms = [_term(int(r), u[r], local[r, k], None if tags is None else int(tags[r, k])) for r in order]
            out.entries.append([k, _number(values[k]), terms, 0, 0.0])
        return out

    def _some(self, node: Node, i: int, upstream: np.ndarray, pulled: np.ndarray) -> Sums | None:
        """The largest entry, and two others."""
        largest = int(np.nan_to_num(np.abs(pulled), nan=np.inf).argmax())
        chosen = list(dict.fromkeys([largest, pulled.size // 2, pulled.size // 3]))
        cost = len(chosen) * (upstream.size + pulled.size)
        # Without a push-forward, each column would be as many pull-backs as the op has outputs.
        if cost > self.work or not (node.op.has_factor or node.op.is_linear):
            return None
        self.work -= cost
        out = Sums(list(upstream.shape), list(pulled.shape), "", [], False)
        u, values = upstream.reshape(-1), pulled.reshape(-1)
        for k in chosen[:CHOSEN]:
            at = tuple(int(a) for a in np.unravel_index(k, pulled.shape))
            column_ = column(node, i, at).reshape(-1)
            products = u.astype(np.float64) * column_
            rows = np.flatnonzero(products != 0)
            sizes = -np.nan_to_num(np.abs(products[rows]), nan=np.inf)
            if rows.size > LARGEST:
                rows = rows[np.argpartition(sizes, LARGEST)]
                told, rest = rows[:LARGEST], rows[LARGEST:]
            else:
                told, rest = rows, rows[:0]
            told = told[np.argsort(-np.nan_to_num(np.abs(products[told]), nan=np.inf), kind="stable")]
            terms = [_term(int(r), u[r], column_[r], None) for r in told]
            self.terms -= len(terms) + 1
            out.entries.append([k, _number(values[k]), terms, int(rest.size), _number(products[rest].sum())])
        return out


def column(node: Node, i: int, index: tuple[int, ...]) -> np.ndarray:
    """∂y/∂xᵢ[index] of a node, of y's shape, in float64.

    Raises UsageError where the op states no push-forward and has too many outputs to pull each of them back.
    """
    local = node.local_gradient(i)
    parent = node.parents[i]
    assert parent is not None
    unit = np.zeros(parent.shape, node.dtype)
    unit[index] = 1
    try:
        with np.errstate(all="ignore"):
            if node.op.has_factor:
                # Only where the entry is used: elsewhere 0 · inf would give nan.
                used = np.broadcast_to(unit, node.shape) != 0
                return np.where(used, local.factor, 0).astype(np.float64)
            return local(unit).astype(np.float64)
    except NotImplementedError:
        rows = math.prod(node.shape)
        if rows > MAX_ROWS:
            raise UsageError(
                f"explain needs the push-forward of {node.op.name}, which it does not state, and {rows:,} outputs are "
                "too many to pull back one by one; `check` still works"
            ) from None
        return _rows(node, i)[:, int(np.ravel_multi_index(index, parent.shape))].reshape(node.shape)


def _jacobian(node: Node, i: int, inputs: int) -> np.ndarray:
    """∂y/∂xᵢ as a matrix (entries of y, entries of xᵢ), in float64."""
    parent = node.parents[i]
    assert parent is not None
    if node.op.has_factor:
        places = np.broadcast_to(np.arange(inputs).reshape(parent.shape), node.shape).reshape(-1)
        matrix = np.zeros((math.prod(node.shape), inputs))
        matrix[np.arange(places.size), places] = node.local_gradient(i).factor.reshape(-1)
        return matrix
    return _rows(node, i)


def _rows(node: Node, i: int, saved: tuple[Any, ...] | None = None, dtype: Any = None) -> np.ndarray:
    """The Jacobian by pulling back one output after the other; with other `saved` values where given."""
    parent = node.parents[i]
    assert parent is not None
    held = saved_values(node) if saved is None else saved
    count = math.prod(node.shape)
    unit = np.zeros(node.shape, node.dtype if dtype is None else dtype)
    rows = np.zeros((count, math.prod(parent.shape)))
    with modes.no_grad():
        for k in range(count):
            unit.flat[k] = 1
            pulled = node.op.pull(i, unit.copy(), node, held)
            if pulled is not None:
                rows[k] = dense(pulled).reshape(-1)
            unit.flat[k] = 0
    return rows


def _other(node: Node, i: int, local: np.ndarray) -> tuple[str, tuple[np.ndarray, tuple[int, ...]] | None]:
    """Of an op that is linear in each of two inputs: the letter of the other one, and which of its entries each local
    gradient is (-1 where it is none of them)."""
    op = node.op
    if op.has_factor or not op.is_linear or op.joint or len(node.parents) != 2:
        return "", None
    saved = list(saved_values(node))
    value = saved[2 - i]
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return "", None
    # With the other input's entries replaced by their own numbers, the pull-back says which entry each one is.
    saved[2 - i] = np.arange(1, value.size + 1, dtype=np.float64).reshape(value.shape)
    try:
        tags = _rows(node, i, tuple(saved), np.float64)
    except (TypeError, ValueError, RuntimeError):
        return "", None
    places = np.rint(tags).astype(np.int64) - 1
    inside = (places >= 0) & (places < value.size) & (np.abs(tags - places - 1) < 1e-6)
    flat = value.reshape(-1).astype(np.float64)
    same = np.isclose(flat[np.where(inside, places, 0)], local, rtol=1e-5, atol=0, equal_nan=True)
    return op.input_name(1 - i, 2), (np.where(inside & same, places, -1), value.shape)


def _term(at: int, upstream: Any, local: Any, other: int | None) -> list[Any]:
    term = [at, _number(upstream), _number(local)]
    return term if other is None or other < 0 else [*term, other]


def _number(value: Any) -> float:
    value = np.asarray(value)
    # float32 numbers with the digits that they have: 0.1, not 0.10000000149.
    return float(str(value[()])) if value.dtype == np.float32 else float(value)
