"""Sorting, ranking and running totals along one dimension.

Sorting is a selection once its order is recorded, so it is indexing with an index that the values decided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT, DType, Operand
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.op import General, Multilinear
from tinygrad_cnn.ops.common import axis_of, is_floating, like
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import cast, where
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.extreme import values_indices
from tinygrad_cnn.ops.index import gather
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import cat, expand, movedim, ravel, reshape, squeeze, unsqueeze

ndarray = np.ndarray


def _accumulate(ufunc: np.ufunc, x: ndarray, axis: int) -> ndarray:
    if not x.ndim:
        return x.copy()
    if x.dtype == np.float16:  # the running total has float32's digits
        return ufunc.accumulate(x, axis=axis, dtype=np.float32).astype(np.float16)
    return ufunc.accumulate(x, axis=axis)


def _cumsum(x: ndarray, axis: int) -> Array:
    x = np.asarray(x)
    if x.dtype.kind in "biu":
        x = x.astype(np.int64)
    return _accumulate(np.add, x, axis)


def _from_behind(g: Array, _x: Array, axis: int) -> Array:
    """Every entry went into all later totals."""
    if not len(g.shape):
        return g
    return np.flip(cumsum_op(np.flip(g, axis), axis=axis), axis)


cumsum_op: Multilinear = Multilinear(
    "cumsum", _cumsum, _from_behind, joint=True, formula="running Σ x", local=("1 in all later totals",)
)


@public(method=True, in_place=True, out=True)
def cumsum(input: ArrayT, dim: int, *, dtype: DType = None) -> ArrayT:
    """Running sums along `dim`; integers add up as int64."""
    input = input if dtype is None else cast(input, dtype)
    return cumsum_op(input, axis=axis_of(dim, np.ndim(unwrap(input))))


def _cumprod(x: ndarray, axis: int) -> Array:
    x = np.asarray(x)
    if x.dtype.kind in "biu":
        x = x.astype(np.int64)
    return _accumulate(np.multiply, x, axis)


def _cumprod_vjp(g: ndarray, _y: Array, x: ndarray, axis: int) -> Array:
    """Horner's scheme from behind, r_k = g_k + x_{k+1} r_{k+1}, times the product of all before: no division."""
    if not x.ndim or not x.size:
        return g
    xs, gs = np.moveaxis(x, axis, 0), np.moveaxis(g, axis, 0)
    rest = np.empty_like(gs)
    rest[-1] = gs[-1]
    for k in range(len(gs) - 2, -1, -1):
        rest[k] = gs[k] + xs[k + 1] * rest[k + 1]
    before = np.concatenate([np.ones_like(xs[:1]), np.cumprod(xs[:-1], axis=0)])
    return np.moveaxis(before * rest, 0, axis)


def _cumprod_definition(x: Array, axis: int) -> Array:
    if not len(x.shape) or not x.shape[axis]:
        return x * 1
    lead = (slice(None),) * axis
    parts = [x[(*lead, slice(0, 1))]]
    for k in range(1, x.shape[axis]):
        parts.append(parts[-1] * x[(*lead, slice(k, k + 1))])
    return np.concatenate(parts, axis=axis)


cumprod_op = General(
    "cumprod",
    _cumprod,
    vjp=_cumprod_vjp,
    definition=_cumprod_definition,
    formula="running Π x",
    local=("products of the others",),
)


@public(method=True, in_place=True)
def cumprod(input: ArrayT, dim: int, *, dtype: DType = None) -> ArrayT:
    """Running products along `dim`."""
    input = input if dtype is None else cast(input, dtype)
    return cumprod_op(input, axis=axis_of(dim, np.ndim(unwrap(input))))


def _running(input: Array, dim: int, better: np.ufunc) -> values_indices:
    x = unwrap(input)
    axis = axis_of(dim, np.ndim(x))
    if not np.ndim(x):
        return values_indices(gather(input, 0, np.zeros((), np.int64)), like(np.zeros((), np.int64), input))
    totals = better.accumulate(x, axis=axis)
    # The latest place at which the running extreme was reached, as in PyTorch.
    places = np.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
    reached = x == totals
    if x.dtype.kind == "f":
        reached |= np.isnan(x)  # once a NaN has come, every later extreme is one
    indices = np.maximum.accumulate(np.where(reached, places, 0), axis=axis)
    return values_indices(gather(input, axis, indices), like(indices, input))


@public(method=True)
def cummax(input: Array, dim: int) -> values_indices:
    """Running maxima along `dim`: (values, indices)."""
    return _running(input, dim, np.maximum)


@public(method=True)
def cummin(input: Array, dim: int) -> values_indices:
    """Running minima along `dim`: (values, indices)."""
    return _running(input, dim, np.minimum)


@public(method=True)
def argsort(input: ArrayT, dim: int = -1, descending: bool = False, stable: bool = True) -> ArrayT:
    """The indices that sort along `dim`; equal values keep their order."""
    x = unwrap(input)
    dim = axis_of(dim, np.ndim(x))
    if not np.ndim(x):
        return like(np.zeros((), np.int64), input)
    if descending:
        # Stable also downwards: sort what is reversed, then reverse.
        backwards = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
        return like(np.flip(np.shape(x)[dim] - 1 - backwards, dim).copy(), input)
    return like(np.argsort(x, axis=dim, kind="stable"), input)


@public(method=True)
def sort(input: Array, dim: int = -1, descending: bool = False, stable: bool = True) -> values_indices:
    """Sorted along `dim`: (values, indices)."""
    indices = argsort(input, dim, descending)
    return values_indices(gather(input, dim, indices), indices)


@public(method=True)
def msort(input: ArrayT) -> ArrayT:
    """Sorted along dimension 0."""
    return sort(input, 0).values


@public(method=True)
def topk(input: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> values_indices:
    """The k largest (or smallest) along `dim`, in order: (values, indices)."""
    x = unwrap(input)
    axis = axis_of(dim, np.ndim(x))
    size = np.shape(x)[axis] if np.ndim(x) else 1
    if not 0 <= k <= size:
        raise ShapeError(f"topk expected 0 <= k <= {size} (the size of dim {dim}), got {k}")
    order = unwrap(argsort(input, axis, descending=largest))
    indices = order[(slice(None),) * axis + (slice(0, k),)] if np.ndim(x) else order
    return values_indices(gather(input, axis, indices), like(indices, input))


@public(method=True)
def kthvalue(input: Array, k: int, dim: int = -1, keepdim: bool = False) -> values_indices:
    """The k-th smallest along `dim`, counted from 1: (values, indices)."""
    x = unwrap(input)
    axis = axis_of(dim, np.ndim(x))
    size = np.shape(x)[axis] if np.ndim(x) else 1
    if not 1 <= k <= size:
        raise ShapeError(f"kthvalue expected 1 <= k <= {size}, got {k}")
    order = unwrap(argsort(input, axis))
    if not np.ndim(x):
        return values_indices(gather(input, 0, order), like(order, input))
    indices = order[(slice(None),) * axis + (slice(k - 1, k),)]
    values = gather(input, axis, indices)
    if keepdim:
        return values_indices(values, like(indices, input))
    return values_indices(squeeze(values, axis), like(np.squeeze(indices, axis), input))


@public(method=True)
def median(input: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median; with `dim`, (values, indices)."""
    if dim is None:
        x = np.ravel(unwrap(input))
        if not len(x):
            if x.dtype.kind != "f":
                raise ValueError(
                    f"median expected at least one entry, got shape {np.shape(unwrap(input))} of {x.dtype}"
                )
            return sum(input) * np.nan
        middle = np.sort(x)[(len(x) - 1) // 2]
        if x.dtype.kind != "f":
            return like(middle, input)
        if np.isnan(x).any():
            middle = x.dtype.type(np.nan)
        equal = like(np.isnan(x) if np.isnan(middle) else x == middle, input).reshape(np.shape(unwrap(input)))
        return sum(where(equal, input, 0)) / np.count_nonzero(unwrap(equal))  # ties share the gradient
    x = unwrap(input)
    size = np.shape(x)[dim] if np.ndim(x) else 1
    found = kthvalue(input, (size + 1) // 2, dim, keepdim)
    lost = np.isnan(x) if is_floating(input) else np.zeros((), bool)
    if not np.ndim(x) or not lost.any():
        return found
    # A NaN is the median of the entries beside it: the first one.
    axis = axis_of(dim, np.ndim(x))
    first, indices = np.argmax(lost, axis=axis, keepdims=True), unwrap(found.indices)
    indices = np.where(lost.any(axis, keepdims=True), first, indices if keepdim else np.expand_dims(indices, axis))
    values = gather(input, axis, indices)
    if keepdim:
        return values_indices(values, like(indices, input))
    return values_indices(squeeze(values, axis), like(np.squeeze(indices, axis), input))


@public(method=True)
def quantile(
    input: ArrayT, q: Operand, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> ArrayT:
    """The values below which a share `q` (a number, or several in 1-d) of the entries lies, along `dim` or of all.

    Between two entries `interpolation` is linear, lower, higher, nearest or midpoint. Several q give a first
    dimension, as in PyTorch. Where an entry is NaN the quantile is. Raises ValueError for q outside 0 to 1 and an
    unknown interpolation.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@public(method=True)
def nanquantile(
    input: ArrayT, q: Operand, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> ArrayT:
    """`quantile` of the entries that are not NaN; NaN where there are none."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(name: str, input: ArrayT, q: Operand, dim: int | None, keepdim: bool, interpolation: str) -> ArrayT:
    shares = np.asarray(unwrap(q), np.float64)
    if not ((shares >= 0) & (shares <= 1)).all() or shares.ndim > 1:
        raise ShapeError(f"{name} expected q between 0 and 1, a number or 1-d, got {q}")
    if interpolation not in ("linear", "lower", "higher", "nearest", "midpoint"):
        raise ValueError(f"{name} expected linear, lower, higher, nearest or midpoint, got {interpolation!r}")
    ndim = np.ndim(unwrap(input))
    axis = 0 if dim is None else axis_of(dim, ndim)
    # A 0-d input is all there is of itself, whichever way it is asked.
    flat = dim is None or not ndim
    ordered = sort(reshape(input, (-1,)) if flat else movedim(input, axis, -1), -1).values  # NaN comes last
    values = unwrap(ordered)
    lost = np.isnan(values)
    size = values.shape[-1]
    count = np.full((1,) * values.ndim, size)
    if name == "nanquantile":
        count = np.maximum(size - lost.sum(-1, keepdims=True), 1)
    places = shares.reshape(-1) * (count - 1)
    low, high = np.floor(places).astype(np.int64), np.ceil(places).astype(np.int64)
    shape = (*values.shape[:-1], shares.size)
    below, above = (gather(ordered, -1, np.broadcast_to(at, shape)) for at in (low, high))
    parts = {
        "lower": 0 * places, "higher": low < places, "midpoint": (low < places) / 2, "nearest": np.rint(places) - low,
    }  # fmt: skip
    part: Array = np.asarray(parts.get(interpolation, places - low), values.dtype)
    if interpolation == "linear" and isinstance(q, Handle) and q.node is not None:
        part = cast(reshape(q, (-1,)) * (count - 1) - low, values.dtype)
    # From the nearer end, so that an infinite one at the other side counts only where it has a share.
    step = where(low == high, 0, above - below)
    found = where(unwrap(part) < 0.5, below + step * part, above - step * (1 - part))
    if name == "quantile" and lost.any():
        found = where(np.broadcast_to(lost[..., -1:], shape), expand(ordered[..., -1:], shape), found)
    found = movedim(found, -1, 0)
    if keepdim:
        found = found[(slice(None),) + (None,) * ndim] if flat else unsqueeze(found, axis + 1)
    return found if shares.ndim else found[0]


@public(method=True)
def diff(
    input: ArrayT, n: int = 1, dim: int = -1, prepend: Array | None = None, append: Array | None = None
) -> ArrayT:
    """Differences of neighbours along `dim`, n times, of `prepend`, `input` and `append` one after the other."""
    if not np.ndim(unwrap(input)):
        raise ShapeError("diff expected a tensor of at least one dimension, got a 0-d tensor")
    if n < 0:
        raise ValueError(f"diff expected n >= 0, got {n}")
    axis = axis_of(dim, np.ndim(unwrap(input)))
    if n and (prepend is not None or append is not None):
        input = cat([part for part in (prepend, input, append) if part is not None], axis)
    lead = (slice(None),) * axis
    for _ in range(n):
        later, earlier = input[(*lead, slice(1, None))], input[(*lead, slice(None, -1))]
        input = later ^ earlier if unwrap(input).dtype == np.bool_ else later - earlier
    return input


@public(method=True)
def unique(
    input: Array,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct values in order, with the inverse mapping and the counts when asked."""
    distinct: Any = np.unique
    if dim is not None:
        dim = axis_of(dim, np.ndim(unwrap(input)))
        input = input if np.ndim(unwrap(input)) else reshape(input, (1,))
    found = distinct(unwrap(input), return_inverse=return_inverse, return_counts=return_counts, axis=dim)
    if not isinstance(found, tuple):
        return like(found, input)
    return tuple([like(x, input) for x in found])


@public(method=True)
def unique_consecutive(
    input: Array, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The values without immediate repetitions: of the flat tensor, or whole slices along `dim`."""
    x = unwrap(input)
    axis = 0 if dim is None else axis_of(dim, np.ndim(x))
    rows = np.ravel(x) if dim is None else np.moveaxis(np.atleast_1d(x), axis, 0)
    changes = (rows[1:] != rows[:-1]).any(tuple(range(1, rows.ndim)))
    first = np.concatenate([np.ones(min(len(rows), 1), bool), changes])
    found = [np.moveaxis(rows[first], 0, axis)]
    if return_inverse:
        inverse = np.cumsum(first) - 1
        found.append(inverse.reshape(np.shape(x)) if dim is None else inverse)
    if return_counts:
        found.append(np.diff(np.append(np.flatnonzero(first), len(rows))))
    results = tuple([like(part, input) for part in found])
    return results if len(results) > 1 else results[0]


@public
def isin(elements: ArrayT, test_elements: Array, *, invert: bool = False) -> ArrayT:
    """Whether each entry is among `test_elements`."""
    return like(np.isin(unwrap(elements), unwrap(test_elements), invert=invert), elements, test_elements)


@public
def bucketize(input: ArrayT, boundaries: Array, *, out_int32: bool = False, right: bool = False) -> ArrayT:
    """Into which interval between sorted boundaries each value falls."""
    if np.ndim(unwrap(boundaries)) != 1:
        raise ShapeError(f"bucketize expected boundaries of one dimension, got shape {np.shape(unwrap(boundaries))}")
    return like(unwrap(searchsorted(boundaries, input, out_int32=out_int32, right=right)), input)


@public(method=True)
def bincount(input: ArrayT, weights: Array | None = None, minlength: int = 0) -> ArrayT:
    """How often each number from 0 on occurs."""
    if weights is None:
        return like(np.bincount(unwrap(input), minlength=minlength), input)
    w = unwrap(weights)
    counts = np.bincount(unwrap(input), w, minlength)
    return like(counts.astype(np.float32 if w.dtype == np.float32 else np.float64, copy=False), input)


@public
def searchsorted(
    sorted_sequence: ArrayT, input: Array, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Array | None = None,
) -> ArrayT:  # fmt: skip
    """Where each value would be put into a sorted sequence: one of 1 dimension, or one for each row of values.

    `side="right"` is `right=True`; `sorter` holds the indices that sort the sequence along its last dimension.
    """
    if side not in (None, "left", "right"):
        raise ValueError(f"searchsorted expected side 'left' or 'right', got {side!r}")
    if right and side == "left":
        raise ValueError("searchsorted got right=True and side='left', which contradict each other")
    rows, values = np.asarray(unwrap(sorted_sequence)), np.asarray(unwrap(input))
    if sorter is not None:
        order = unwrap(sorter)
        if order.shape != rows.shape:
            raise ShapeError(f"searchsorted expected a sorter of shape {rows.shape}, got {order.shape}")
        rows = np.take_along_axis(rows, order, -1)
    where: Any = "right" if right or side == "right" else "left"
    if rows.ndim == 1:
        found = np.searchsorted(rows, values, where)
    elif rows.shape[:-1] != values.shape[:-1] or not rows.ndim:
        raise ShapeError(
            f"searchsorted expected a sequence of one dimension, or one for each row of values; got shapes "
            f"{rows.shape} and {values.shape}"
        )
    else:
        found = np.empty(values.shape, np.int64)
        for place in np.ndindex(rows.shape[:-1]):
            found[place] = np.searchsorted(rows[place], values[place], where)
    return like(np.asarray(found, np.int32 if out_int32 else np.int64), sorted_sequence)


@public(method=True)
def histc(input: ArrayT, bins: int = 100, min: float = 0, max: float = 0) -> ArrayT:
    """How many values fall into each of `bins` equal intervals of [min, max] (of the data's, when both are 0)."""
    x = np.asarray(unwrap(input))
    low, high = (float(x.min()), float(x.max())) if min == max == 0 and x.size else (min, max)
    counts, _ = np.histogram(x, bins=bins, range=(low, high))
    return like(counts.astype(x.dtype), input)


implements(np.cumsum)(
    lambda a, axis=None, dtype=None, out=None: cumsum(ravel(a) if axis is None else a, axis or 0, dtype=dtype)
)
implements(np.cumprod)(
    lambda a, axis=None, dtype=None, out=None: cumprod(
        ravel(a) if axis is None else a, axis or 0, dtype=dtype
    )
)
implements(np.sort)(
    lambda a, axis=-1, **_: sort(ravel(a) if axis is None else a, 0 if axis is None else axis).values
)
implements(np.diff)(lambda a, n=1, axis=-1: diff(a, n, axis))
