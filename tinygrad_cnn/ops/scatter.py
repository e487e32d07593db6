"""Writing into a part of a tensor: fill, scatter, add at an index. Each gives a new tensor and records both sides.

The primitives, `setitem_op` and `scatter_op`, live in `index`; in-place forms in `inplace`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT, Operand, Tensor
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.ops.arithmetic import add_op, mul_op
from tinygrad_cnn.ops.common import axis_of
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import cast, where
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import (
    ALL,
    Place,
    along,
    checked_integers,
    checked_within,
    getitem,
    scatter_op,
    scattered,
    setitem,
    setitem_op,
    steps_of,
    take_op,
)  # fmt: skip
from tinygrad_cnn.ops.shape import atleast_1d, broadcast_to, cat, expand, ravel, reshape

ndarray = np.ndarray


@public(method=True)
def masked_fill(input: ArrayT, mask: Array, value: Operand) -> ArrayT:
    """`value` (one number) where `mask` holds, `input` elsewhere; in the dtype of `input`, as in PyTorch."""
    if np.ndim(unwrap(value)):
        raise ShapeError(f"masked_fill expected one number as value, got shape {np.shape(unwrap(value))}; use where()")
    dtype = unwrap(input).dtype
    value = cast(value, dtype) if isinstance(value, Handle) else np.asarray(value).astype(dtype)
    return where(np.asarray(unwrap(mask), dtype=bool), value, input)


@public(method=True, in_place=True)
def masked_scatter(input: ArrayT, mask: Array, source: Array) -> ArrayT:
    """The entries where `mask` holds replaced by the first values of `source`; `input` and `mask` broadcast."""
    chosen = np.asarray(unwrap(mask), dtype=bool)
    shape = np.broadcast_shapes(chosen.shape, np.shape(unwrap(input)))
    chosen = np.broadcast_to(chosen, shape)
    count = int(np.count_nonzero(chosen))
    if np.size(unwrap(source)) < count:
        raise ShapeError(
            f"masked_scatter expected a source of at least {count} entries, got {np.size(unwrap(source))}"
        )
    return setitem_op(broadcast_to(input, shape), getitem(ravel(source), slice(count)), index=(chosen,))


def _source(name: str, input: ArrayT, dim: int, index: Array, src: Any) -> tuple[ArrayT, tuple[ndarray, ...], Any]:
    """The input and the source with at least one dimension, and the index arrays of their places."""
    places = checked_integers(name, index)
    source_ndim = np.ndim(unwrap(src))
    if max(np.ndim(unwrap(input)), 1) != max(places.ndim, 1):
        raise ShapeError(
            f"{name} expected an index of {np.ndim(unwrap(input))} dimension(s), as the input has, got {places.ndim}"
        )
    input, places = atleast_1d(input), np.atleast_1d(places)
    axis = axis_of(dim, places.ndim)
    checked_within(name, places, np.shape(unwrap(input))[axis], axis)
    if source_ndim and np.shape(unwrap(src)) != places.shape:
        # PyTorch reads only as much of the source as the index has.
        src = getitem(src, tuple([slice(n) for n in places.shape]))
        if np.shape(unwrap(src)) != places.shape:
            shape = np.shape(unwrap(src))
            raise ShapeError(f"{name} expected a source of at least the index's shape {places.shape}, got {shape}")
    return input, along(places, axis), src


def _like(result: ArrayT, input: ArrayT) -> ArrayT:
    """In the shape of the input: a 0-d one was computed as a vector."""
    return result if np.ndim(unwrap(input)) else reshape(result, ())


@public(method=True, in_place=True)
def scatter(
    input: ArrayT, dim: int, index: Array, src: Operand | None = None, *, value: Operand | None = None,
    reduce: str | None = None,
) -> ArrayT:  # fmt: skip
    """y = input with y[i, index[i, j], k] = src[i, j, k] for dim 1; `reduce` 'add' or 'multiply' combines instead."""
    src = value if src is None else src
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if reduce == "multiply":
        return scatter_reduce(input, dim, index, src, "prod")
    if reduce is not None:
        raise ShapeError(f"scatter expected reduce None, 'add' or 'multiply', got {reduce!r}")
    vector, places, src = _source("scatter", input, dim, index, src)
    return _like(setitem_op(vector, src, index=places), input)


@public(method=True, in_place=True)
def scatter_add(input: ArrayT, dim: int, index: Array, src: Array) -> ArrayT:
    """y = input with src[i, j, k] added at y[i, index[i, j, k], k] for dim 1; repeated places add up."""
    vector, places, src = _source("scatter_add", input, dim, index, src)
    src = _full(src, places, unwrap(input).dtype)
    return _like(add_op(vector, scatter_op(src, index=places, shape=np.shape(unwrap(vector)), unique=False)), input)


def _full(src: Any, places: tuple[ndarray, ...], dtype: np.dtype) -> Any:
    """One number for all places as one for each."""
    if np.ndim(unwrap(src)):
        return src
    shape = np.broadcast_shapes(*[p.shape for p in places])
    one: Tensor = src if isinstance(src, Handle) else np.asarray(src, dtype)
    return expand(one, shape)


def _entries(name: str, input: ArrayT, dim: int, index: Array) -> tuple[ArrayT, ndarray, tuple[Place, ...]]:
    """The input with at least one dimension, the checked index as a vector, and the entries it names along `dim`."""
    vector = atleast_1d(input)
    places = checked_integers(name, index).reshape(-1)
    axis = axis_of(dim, np.ndim(unwrap(vector)))
    places = np.where(places < 0, places + np.shape(unwrap(vector))[axis], places) if name == "index_fill" else places
    checked_within(name, places, np.shape(unwrap(vector))[axis], axis)
    return vector, places, (ALL,) * axis + (places,)


@public(method=True, in_place=True)
def index_add(input: ArrayT, dim: int, index: Array, source: Array, *, alpha: float = 1) -> ArrayT:
    """y = input with alpha · source[j] added at entry index[j] of dimension `dim`."""
    vector, _places, where_to = _entries("index_add", input, dim, index)
    source = atleast_1d(source if alpha == 1 else mul_op(source, alpha))
    added = scatter_op(source, index=where_to, shape=np.shape(unwrap(vector)), unique=False)
    return _like(add_op(vector, added), input)


@public(method=True, in_place=True)
def index_copy(input: ArrayT, dim: int, index: Array, source: Array) -> ArrayT:
    """y = input with entry index[j] of dimension `dim` replaced by source[j]."""
    vector, _places, where_to = _entries("index_copy", input, dim, index)
    return _like(setitem_op(vector, atleast_1d(source), index=where_to), input)


@public(method=True, in_place=True)
def index_fill(input: ArrayT, dim: int, index: Array, value: Operand) -> ArrayT:
    """y = input with the entries `index` of dimension `dim` set to `value`, one number."""
    if np.ndim(unwrap(value)):
        raise ShapeError(f"index_fill expected one number as value, got shape {np.shape(unwrap(value))}")
    vector, places, where_to = _entries("index_fill", input, dim, index)
    # An entry that is named twice is filled once: the value's gradient counts it once.
    return _like(setitem_op(vector, value, index=(*where_to[:-1], np.unique(places))), input)


@public(method=True, in_place=True)
def index_put(input: ArrayT, indices: Sequence[Array], values: Operand, accumulate: bool = False) -> ArrayT:
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
    return add_op(input, scatter_op(expand(values, places.shape), index=at, shape=target.shape, unique=unique))


@public(method=True)
def select_scatter(input: ArrayT, src: Array, dim: int, index: int) -> ArrayT:
    """y = input with entry `index` of dimension `dim` replaced by src."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    return setitem_op(input, src, index=(slice(None),) * axis + (index,))


@public(method=True)
def slice_scatter(
    input: ArrayT, src: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> ArrayT:
    """y = input with input[start:end:step] along `dim` replaced by src."""
    axis = axis_of(dim, np.ndim(unwrap(input)))
    return setitem_op(input, src, index=(slice(None),) * axis + (slice(start, end, step),))


@public(method=True)
def scatter_reduce(
    input: ArrayT, dim: int, index: Array, src: Array, reduce: str, *, include_self: bool = True
) -> ArrayT:
    """As `scatter_add`, with reduce 'sum', 'prod', 'mean', 'amax' or 'amin'; ties among extremes share the gradient.

    Without `include_self` only what is scattered counts.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise ValueError(f"scatter_reduce expected reduce 'sum', 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    vector, places, src = _source("scatter_reduce", input, dim, index, src)
    shape, dtype = np.shape(unwrap(vector)), unwrap(vector).dtype
    src = _full(src, places, dtype)
    if reduce in ("amax", "amin"):
        better = np.maximum if reduce == "amax" else np.minimum
        return _like(_scatter_extreme(vector, places, src, better, include_self), input)
    if reduce == "prod":
        return _like(_scatter_product(vector, places, src, include_self), input)
    hits = scattered(np.ones(np.shape(unwrap(src)), np.int64), places, shape, False)
    total = vector if include_self else masked_fill(vector, hits > 0, 0)
    total = add_op(total, scatter_op(src, index=places, shape=shape, unique=False))
    if reduce == "mean":
        count = np.maximum(hits + include_self, 1)
        total = total / count.astype(dtype) if dtype.kind == "f" else total // count
    return _like(total, input)


def _scatter_extreme(
    x: ArrayT, places: tuple[ndarray, ...], src: Array, better: np.ufunc, include_self: bool
) -> ArrayT:
    old, new = unwrap(x), unwrap(src)
    best = np.array(old)
    if not include_self:
        best[places] = new
    better.at(best, places, new)
    # Once it is known who won, the result is a mean over the winners of each place.
    hit = np.zeros(old.shape, bool)
    hit[places] = True
    own = (old == best) & (include_self | ~hit)
    theirs = new == best[places]
    winners = own.astype(old.dtype)
    np.add.at(winners, places, theirs.astype(old.dtype))
    share = winners + (winners == 0)  # NaN wins nowhere
    sent = scatter_op(where(theirs, src, 0), index=places, shape=old.shape, unique=False)
    return where(winners == 0, best, add_op(where(own, x, 0), sent) / share)


def _scatter_product(x: ArrayT, places: tuple[ndarray, ...], src: Array, include_self: bool) -> ArrayT:
    """Products of what goes to each place, by multiplying neighbours until each place has one factor left: the
    gradient is right where factors are zero, which a division of the whole product is not."""
    shape = np.shape(unwrap(x))
    cells = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    theirs = np.broadcast_to(cells[places], np.shape(unwrap(src))).ravel()
    own = cells.ravel() if include_self else np.setdiff1d(cells, theirs)
    at = np.concatenate([own, theirs])
    order = np.argsort(at, kind="stable")
    factors = cat([ravel(x) if include_self else take_op(ravel(x), index=(own,), unique=True), ravel(src)])
    factors, at = take_op(factors, index=(order,), unique=True), at[order]
    while (repeated := at[1:] == at[:-1]).any():
        starts = np.flatnonzero(np.concatenate([[True], ~repeated]))
        rank = np.arange(at.size) - np.repeat(starts, np.diff([*starts, at.size]))
        first = np.flatnonzero(rank % 2 == 0)
        paired = np.append(repeated, False)[first]
        partner = np.where(paired, first + 1, at.size)  # behind the last stands a 1
        padded = cat([factors, np.ones(1, unwrap(factors).dtype)])
        factors = mul_op(
            take_op(factors, index=(first,), unique=True), take_op(padded, index=(partner,), unique=False)
        )
        at = at[first]
    return reshape(factors, shape)


@public(method=True, in_place=True)
def index_reduce(
    input: ArrayT, dim: int, index: Array, source: Array, reduce: str, *, include_self: bool = True
) -> ArrayT:
    """y = input with source[j] combined into entry index[j] of `dim`; `reduce` is 'prod', 'mean', 'amax' or 'amin'."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise ValueError(f"index_reduce expected reduce 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    vector, places, _where_to = _entries("index_reduce", input, dim, index)
    source = atleast_1d(source)
    axis = axis_of(dim, np.ndim(unwrap(vector)))
    wanted = list(np.shape(unwrap(vector)))
    wanted[axis] = places.size
    if np.shape(unwrap(source)) != tuple(wanted):
        raise ShapeError(f"index_reduce expected a source of shape {tuple(wanted)}, got {np.shape(unwrap(source))}")
    full = np.broadcast_to(places.reshape([-1 if k == axis else 1 for k in range(len(wanted))]), wanted)
    return _like(scatter_reduce(vector, axis, full, source, reduce, include_self=include_self), input)
