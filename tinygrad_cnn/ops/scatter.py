"""Writing into a part of a tensor: fill, scatter, add at an index. Each gives a new tensor and records both sides.

The primitives, `setitem_op` and `scatter_op`, live in `index`; in-place forms in `inplace`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.ops.arithmetic import add_op, mul_op
from tinygrad_cnn.ops.common import Array, axis_of
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import where
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import (
    along,
    checked_integers,
    checked_within,
    getitem,
    scatter_op,
    scattered,
    setitem,
    setitem_op,
    steps_of,
)  # fmt: skip
from tinygrad_cnn.ops.shape import expand, ravel


@public(method=True)
def masked_fill(input: Array, mask: Array, value: Any) -> Array:
    """`value` where `mask` holds, `input` elsewhere."""
    return where(np.asarray(unwrap(mask), dtype=bool), value, input)


@public(method=True, in_place=True)
def masked_scatter(input: Array, mask: Array, source: Array) -> Array:
    """The entries where `mask` holds replaced by the first values of `source`."""
    chosen = np.broadcast_to(np.asarray(unwrap(mask), dtype=bool), np.shape(unwrap(input)))
    values = getitem(ravel(source), slice(int(np.count_nonzero(chosen))))
    return setitem_op(input, values, index=(chosen,))


def _source(name: str, input: Array, dim: int, index: Any, src: Any) -> tuple[tuple[Any, ...], Any]:
    places = checked_integers(name, index)
    array = unwrap(input)
    axis = axis_of(dim, array.ndim)
    checked_within(name, places, array.shape[axis] if array.ndim else 1, axis)
    if np.ndim(unwrap(src)):
        # PyTorch reads only as much of the source as the index has.
        corner = tuple([slice(n) for n in places.shape])
        if np.shape(unwrap(src)) != places.shape:
            src = getitem(src, corner)
    return along(places, axis), src


@public(method=True, in_place=True)
def scatter(
    input: Array, dim: int, index: Array, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Array:
    """y = input with y[i, index[i, j], k] = src[i, j, k] for dim 1; `reduce` 'add' adds instead."""
    src = value if src is None else src
    places, src = _source("scatter", input, dim, index, src)
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if reduce is not None:
        raise ShapeError(f"scatter expected reduce None or 'add', got {reduce!r}")
    return setitem_op(input, src, index=places)


@public(method=True, in_place=True)
def scatter_add(input: Array, dim: int, index: Array, src: Array) -> Array:
    """y = input with src[i, j, k] added at y[i, index[i, j, k], k] for dim 1; repeated places add up."""
    places, src = _source("scatter_add", input, dim, index, src)
    if not np.ndim(unwrap(src)):
        src = np.full(np.shape(unwrap(index)), unwrap(src), unwrap(input).dtype)
    return _plus(input, scatter_op(src, index=places, shape=np.shape(unwrap(input)), unique=False))


def _plus(input: Array, addend: Array) -> Array:
    return add_op(input, addend)


@public(method=True, in_place=True)
def index_add(input: Array, dim: int, index: Array, source: Array, *, alpha: float = 1) -> Array:
    """y = input with alpha · source[j] added at entry index[j] of dimension `dim`."""
    places = checked_integers("index_add", index).reshape(-1)
    axis = axis_of(dim, np.ndim(unwrap(input)))
    if np.ndim(unwrap(input)):
        checked_within("index_add", places, np.shape(unwrap(input))[axis], axis)
    if alpha != 1:
        source = mul_op(source, alpha)
    where_to = (slice(None),) * axis + (places,)
    return _plus(input, scatter_op(source, index=where_to, shape=np.shape(unwrap(input)), unique=False))


@public(method=True, in_place=True)
def index_copy(input: Array, dim: int, index: Array, source: Array) -> Array:
    """y = input with entry index[j] of dimension `dim` replaced by source[j]."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    return setitem_op(
        input, source, index=(slice(None),) * axis + (checked_integers("index_copy", index).reshape(-1),)
    )


@public(method=True, in_place=True)
def index_fill(input: Array, dim: int, index: Array, value: Any) -> Array:
    """y = input with the entries `index` of dimension `dim` set to `value`."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    return setitem_op(
        input, value, index=(slice(None),) * axis + (checked_integers("index_fill", index).reshape(-1),)
    )


@public(method=True, in_place=True)
def index_put(input: Array, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Array:
    """y = input with y[indices] = values, or += with `accumulate` (repeated places add up)."""
    if not accumulate:
        return setitem(input, tuple(indices), values)
    target = unwrap(input)
    view, arrays, unique = steps_of(tuple(indices), target.shape)
    # Numbered places: whatever the index's steps are, one array of positions in the flat tensor says where they lead.
    places = np.arange(target.size).reshape(target.shape)
    places = np.asarray(places if view is None else places[view])
    places = places if arrays is None else places[arrays]
    values = values if isinstance(values, Handle) else np.asarray(values, target.dtype)
    at = np.unravel_index(places, target.shape)
    return _plus(input, scatter_op(expand(values, places.shape), index=at, shape=target.shape, unique=unique))


@public(method=True)
def select_scatter(input: Array, src: Array, dim: int, index: int) -> Array:
    """y = input with entry `index` of dimension `dim` replaced by src."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    return setitem_op(input, src, index=(slice(None),) * axis + (index,))


@public(method=True)
def slice_scatter(
    input: Array, src: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Array:
    """y = input with input[start:end:step] along `dim` replaced by src."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    return setitem_op(input, src, index=(slice(None),) * axis + (slice(start, end, step),))


@public(method=True)
def scatter_reduce(
    input: Array, dim: int, index: Array, src: Array, reduce: str, *, include_self: bool = True
) -> Array:
    """As `scatter_add`, with reduce 'sum', 'mean', 'amax' or 'amin'; ties among extremes share the gradient.

    Without `include_self` only what is scattered counts.
    """
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise NotImplementedError(f"scatter_reduce knows reduce 'sum', 'mean', 'amax' and 'amin', got {reduce!r}")
    if reduce in ("amax", "amin"):
        return _scatter_extreme(input, dim, index, src, np.maximum if reduce == "amax" else np.minimum, include_self)
    places, src = _source("scatter_reduce", input, dim, index, src)
    shape = np.shape(unwrap(input))
    hits = scattered(np.ones(np.shape(unwrap(index)), unwrap(input).dtype), places, shape, False)
    if not include_self:
        input = masked_fill(input, hits > 0, 0)
    total = scatter_add(input, dim, index, src)
    return total if reduce == "sum" else total / np.maximum(hits + include_self, 1).astype(hits.dtype)


def _scatter_extreme(input: Array, dim: int, index: Array, src: Array, better: np.ufunc, include_self: bool) -> Array:
    places, src = _source("scatter_reduce", input, dim, index, src)
    x, new = unwrap(input), np.broadcast_to(unwrap(src), np.shape(unwrap(index)))
    best = np.array(x)
    if not include_self:
        best[places] = new
    better.at(best, places, new)
    # Once it is known who won, the result is a mean over the winners of each place.
    hit = np.zeros(x.shape, bool)
    hit[places] = True
    own = (x == best) & (include_self | ~hit)
    theirs = new == best[places]
    winners = own.astype(x.dtype)
    np.add.at(winners, places, theirs.astype(x.dtype))
    share = winners + (winners == 0)  # NaN wins nowhere
    total = scatter_add(where(own, input, 0), dim, index, where(theirs, src, 0)) / share
    return where(winners == 0, best, total)
