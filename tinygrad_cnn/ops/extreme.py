"""Extremes: the largest and smallest values, where they are, and whether anything or everything is true.

Once their choice is recorded they are linear: `max` over a dimension takes the first maximum, `amax` and the
maximum over everything share the gradient among ties, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, ArrayT, Axes, Dims
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.op import Multilinear
from tinygrad_cnn.ops.arithmetic import maximum, minimum
from tinygrad_cnn.ops.common import axis_of, like, numpy_names, reduced_axes, refuse_options, spread
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import scatter_along

ndarray = np.ndarray
_total: Callable[..., Any] = np.add.reduce


class values_indices(NamedTuple):
    """What reductions that choose an entry give: the values, and where along `dim` they were."""

    values: Array
    indices: Array


def _extreme(reduce: AnyFunction) -> Callable[..., tuple[ndarray, ndarray]]:
    def forward(x: ndarray, axis: Axes, keepdims: bool, share: ndarray | None = None) -> tuple[ndarray, ndarray]:
        x = np.asarray(x)
        if share is None:
            y = reduce(x, axis=axis, keepdims=True)
            chosen = (x == y) | np.isnan(x) if x.dtype.kind == "f" else x == y
            dtype = x.dtype if x.dtype.kind == "f" else np.float64
            share = chosen / _total(chosen, axis=axis, keepdims=True, dtype=dtype)
        else:
            y = _total(np.where(share != 0, x * share, 0), axis=axis, keepdims=True)
        return (y if keepdims or not x.ndim else np.squeeze(y, axis=axis)), share

    return forward


def _shared(g: Array, x: Array, axis: Axes, keepdims: bool, share: Array) -> Array:
    return spread(g, x, axis, keepdims) * share


amax_op = Multilinear(
    "amax", _extreme(np.max), _shared, joint=True, choice=("share",),
    formula="max x", local=("1 at the maximum, shared at ties",),
)  # fmt: skip
amin_op = Multilinear(
    "amin", _extreme(np.min), _shared, joint=True, choice=("share",),
    formula="min x", local=("1 at the minimum, shared at ties",),
)  # fmt: skip


def _picked(pick: AnyFunction) -> Callable[..., tuple[ndarray, ndarray]]:
    def forward(x: ndarray, axis: int, keepdims: bool, indices: ndarray | None = None) -> tuple[ndarray, ndarray]:
        x = np.asarray(x)
        if not x.ndim:
            return x.copy(), np.zeros((), np.int64)
        if indices is None:
            indices = pick(x, axis=axis, keepdims=True)
        y = np.take_along_axis(x, indices, axis)
        return (y if keepdims else np.squeeze(y, axis)), indices

    return forward


def _at_pick(g: Array, x: Array, axis: int, keepdims: bool, indices: Array) -> Array:
    if not len(x.shape):
        return g
    if not keepdims:
        g = np.expand_dims(g, axis)
    return scatter_along(g, indices, axis, x.shape)


max_op = Multilinear(
    "max", _picked(np.argmax), _at_pick, joint=True, choice=("indices",),
    formula="max x", local=("1 at the first maximum",),
)  # fmt: skip
min_op = Multilinear(
    "min", _picked(np.argmin), _at_pick, joint=True, choice=("indices",),
    formula="min x", local=("1 at the first minimum",),
)  # fmt: skip


@public(method=True)
@numpy_names
def amax(input: ArrayT, dim: Dims = None, keepdim: bool = False) -> ArrayT:
    """The largest value over `dim`; ties share the gradient. Raises ValueError when there is none."""
    return amax_op(input, axis=_of_something("max", input, reduced_axes(input, dim)), keepdims=keepdim)


@public(method=True)
@numpy_names
def amin(input: ArrayT, dim: Dims = None, keepdim: bool = False) -> ArrayT:
    """The smallest value over `dim`; ties share the gradient. Raises ValueError when there is none."""
    return amin_op(input, axis=_of_something("min", input, reduced_axes(input, dim)), keepdims=keepdim)


def _of_something(name: str, input: Array, axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    shape = np.shape(unwrap(input))
    if 0 in (shape if axes is None else [shape[k] for k in axes]):
        over = "" if axes is None else f" over the dimensions {axes}"
        raise ShapeError(f"{name} expected at least one entry{over}, got shape {shape}: nothing has no extreme")
    return axes


@public(method=True)
def aminmax(input: ArrayT, *, dim: Dims = None, keepdim: bool = False) -> tuple[ArrayT, ArrayT]:
    """(smallest, largest)."""
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


def _extremes(
    input: ArrayT, dim: Dims | Array, keepdim: bool, along: Multilinear, over_all: AnyFunction, pairwise: AnyFunction
) -> ArrayT | values_indices:
    if dim is None:
        return over_all(input)
    if isinstance(dim, (Handle, ndarray)):
        return pairwise(input, dim)
    axis = axis_of(dim, np.ndim(unwrap(input)))
    y, params = along.apply((input,), {"axis": axis, "keepdims": keepdim})
    indices = params["indices"]
    if not keepdim and indices.ndim:
        indices = np.squeeze(indices, axis)
    return values_indices(y, like(indices, input))


@public(method=True)
@numpy_names
def max(
    input: ArrayT, dim: Dims | Array = None, keepdim: bool = False, *, other: Array | None = None
) -> ArrayT | values_indices:
    """The largest value; with `dim`, (values, indices); with a second tensor in its place, `maximum`."""
    return _extremes(input, dim if other is None else other, keepdim, max_op, amax, maximum)


@public(method=True)
@numpy_names
def min(
    input: ArrayT, dim: Dims | Array = None, keepdim: bool = False, *, other: Array | None = None
) -> ArrayT | values_indices:
    """The smallest value; with `dim`, (values, indices); with a second tensor in its place, `minimum`."""
    return _extremes(input, dim if other is None else other, keepdim, min_op, amin, minimum)


@public(method=True)
@numpy_names
def argmax(input: ArrayT, dim: int | None = None, keepdim: bool = False) -> ArrayT:
    """Where the (first) maximum is along `dim`, or in the flattened tensor; int64."""
    return _place("argmax", np.argmax, input, dim, keepdim)


@public(method=True)
@numpy_names
def argmin(input: ArrayT, dim: int | None = None, keepdim: bool = False) -> ArrayT:
    """Where the (first) minimum is along `dim`, or in the flattened tensor; int64."""
    return _place("argmin", np.argmin, input, dim, keepdim)


def _place(name: str, find: AnyFunction, input: ArrayT, dim: Dims, keepdim: bool) -> ArrayT:
    x = np.asarray(unwrap(input))
    axis = None if dim is None else axis_of(dim, x.ndim)
    if not (x.size if axis is None or not x.ndim else x.shape[axis]):
        raise IndexError(f"{name} expected at least one entry, got shape {x.shape} with dim={dim}")
    return like(find(x, axis=axis if x.ndim else None, keepdims=keepdim), input)


@public(method=True)
@numpy_names
def any(input: ArrayT, dim: Dims = None, keepdim: bool = False) -> ArrayT:
    """Whether something is non-zero over `dim`."""
    return _truth(np.any, input, dim, keepdim)


@public(method=True)
@numpy_names
def all(input: ArrayT, dim: Dims = None, keepdim: bool = False) -> ArrayT:
    """Whether everything is non-zero over `dim`."""
    return _truth(np.all, input, dim, keepdim)


def _truth(judge: AnyFunction, input: ArrayT, dim: Dims, keepdim: bool) -> ArrayT:
    x = np.asarray(unwrap(input))
    # PyTorch reduces everything for sum(dim=()), but nothing for any(dim=()) and all(dim=()); so do we.
    axes = () if isinstance(dim, (tuple, list)) and not dim and x.ndim else reduced_axes(input, dim)
    truth = judge(x, axis=axes, keepdims=keepdim)
    return like(np.asarray(truth, x.dtype) if x.dtype == np.uint8 else truth, input)


@public(method=True)
def count_nonzero(input: ArrayT, dim: Dims = None) -> ArrayT:
    """How many entries are non-zero over `dim`."""
    return like(np.count_nonzero(unwrap(input), axis=reduced_axes(input, dim)), input)


def _numpy_form(own: AnyFunction, theirs: AnyFunction) -> None:
    @implements(theirs)
    def adapter(
        a: Array, axis: Dims = None, out: object = None, keepdims: bool = False, **rest: object
    ) -> Array:
        refuse_options(theirs.__name__, out, rest)
        return own(a, axis, bool(keepdims))


_numpy_form(amax, np.max)
_numpy_form(amin, np.min)
