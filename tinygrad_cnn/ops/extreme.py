"""Extremes: the largest and smallest values, where they are, and whether anything or everything is true.

Once their choice is recorded they are linear: `max` over a dimension takes the first maximum, `amax` and the
maximum over everything share the gradient among ties, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.op import Multilinear
from tinygrad_cnn.ops.arithmetic import maximum, minimum
from tinygrad_cnn.ops.common import Array, axis_of, both_names, like, reduced_axes, refuse_options, spread
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import scatter_along

ndarray = np.ndarray
_total: Callable[..., Any] = np.add.reduce


class values_indices(NamedTuple):
    """What reductions that choose an entry give: the values, and where along `dim` they were."""

    values: Any
    indices: Any


def _extreme(reduce: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    def forward(x: ndarray, axis: Any, keepdims: bool, share: Any = None) -> tuple[Any, Any]:
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


def _shared(g: Any, x: Any, axis: Any, keepdims: bool, share: Any) -> Any:
    return spread(g, x, axis, keepdims) * share


amax_op = Multilinear(
    "amax",
    _extreme(np.max),
    _shared,
    joint=True,
    choice=("share",),
    formula="max x",
    local=("1 at the maximum, shared at ties",),
)
amin_op = Multilinear(
    "amin",
    _extreme(np.min),
    _shared,
    joint=True,
    choice=("share",),
    formula="min x",
    local=("1 at the minimum, shared at ties",),
)


def _picked(pick: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    def forward(x: ndarray, axis: int, keepdims: bool, indices: Any = None) -> tuple[Any, Any]:
        x = np.asarray(x)
        if not x.ndim:
            return x.copy(), np.zeros((), np.int64)
        if indices is None:
            indices = pick(x, axis=axis, keepdims=True)
        y = np.take_along_axis(x, indices, axis)
        return (y if keepdims else np.squeeze(y, axis)), indices

    return forward


def _at_pick(g: Any, x: Any, axis: int, keepdims: bool, indices: Any) -> Any:
    if not len(x.shape):
        return g
    if not keepdims:
        g = np.expand_dims(g, axis)
    return scatter_along(g, indices, axis, x.shape)


max_op = Multilinear(
    "max",
    _picked(np.argmax),
    _at_pick,
    joint=True,
    choice=("indices",),
    formula="max x",
    local=("1 at the first maximum",),
)
min_op = Multilinear(
    "min",
    _picked(np.argmin),
    _at_pick,
    joint=True,
    choice=("indices",),
    formula="min x",
    local=("1 at the first minimum",),
)


@public(method=True)
def amax(
    input: Array, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None
) -> Array:
    """The largest value over `dim`; ties share the gradient. Raises ValueError when there is none."""
    dim, keepdim = both_names(dim, axis, keepdim, keepdims)
    return amax_op(input, axis=_of_something("max", input, reduced_axes(input, dim)), keepdims=keepdim)


@public(method=True)
def amin(
    input: Array, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None
) -> Array:
    """The smallest value over `dim`; ties share the gradient. Raises ValueError when there is none."""
    dim, keepdim = both_names(dim, axis, keepdim, keepdims)
    return amin_op(input, axis=_of_something("min", input, reduced_axes(input, dim)), keepdims=keepdim)


def _of_something(name: str, input: Array, axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    shape = np.shape(unwrap(input))
    if 0 in (shape if axes is None else [shape[k] for k in axes]):
        over = "" if axes is None else f" over the dimensions {axes}"
        raise ShapeError(f"{name} expected at least one entry{over}, got shape {shape}: nothing has no extreme")
    return axes


@public(method=True)
def aminmax(input: Array, *, dim: Any = None, keepdim: bool = False) -> tuple[Array, Array]:
    """(smallest, largest)."""
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


def _extremes(input: Array, dim: Any, keepdim: bool, along: Any, over_all: Any, pairwise: Any) -> Any:
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
def max(
    input: Array, dim: Any = None, keepdim: bool = False, *, other: Any = None, axis: Any = None, keepdims: Any = None
) -> Any:
    """The largest value; with `dim`, (values, indices); with a second tensor in its place, `maximum`."""
    dim, keepdim = both_names(dim if other is None else other, axis, keepdim, keepdims)
    return _extremes(input, dim, keepdim, max_op, amax, maximum)


@public(method=True)
def min(
    input: Array, dim: Any = None, keepdim: bool = False, *, other: Any = None, axis: Any = None, keepdims: Any = None
) -> Any:
    """The smallest value; with `dim`, (values, indices); with a second tensor in its place, `minimum`."""
    dim, keepdim = both_names(dim if other is None else other, axis, keepdim, keepdims)
    return _extremes(input, dim, keepdim, min_op, amin, minimum)


@public(method=True)
def argmax(
    input: Array, dim: int | None = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None
) -> Array:
    """Where the (first) maximum is along `dim`, or in the flattened tensor; int64."""
    dim, keepdim = both_names(dim, axis, keepdim, keepdims)
    return _place("argmax", np.argmax, input, dim, keepdim)


@public(method=True)
def argmin(
    input: Array, dim: int | None = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None
) -> Array:
    """Where the (first) minimum is along `dim`, or in the flattened tensor; int64."""
    dim, keepdim = both_names(dim, axis, keepdim, keepdims)
    return _place("argmin", np.argmin, input, dim, keepdim)


def _place(name: str, find: Callable[..., Any], input: Array, dim: Any, keepdim: bool) -> Array:
    x = np.asarray(unwrap(input))
    axis = None if dim is None else axis_of(dim, x.ndim)
    if not (x.size if axis is None or not x.ndim else x.shape[axis]):
        raise IndexError(f"{name} expected at least one entry, got shape {x.shape} with dim={dim}")
    return like(find(x, axis=axis if x.ndim else None, keepdims=keepdim), input)


@public(method=True)
def any(
    input: Array, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None
) -> Array:
    """Whether something is non-zero over `dim`."""
    dim, keepdim = both_names(dim, axis, keepdim, keepdims)
    return _truth(np.any, input, dim, keepdim)


@public(method=True)
def all(
    input: Array, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None
) -> Array:
    """Whether everything is non-zero over `dim`."""
    dim, keepdim = both_names(dim, axis, keepdim, keepdims)
    return _truth(np.all, input, dim, keepdim)


def _truth(judge: Callable[..., Any], input: Array, dim: Any, keepdim: bool) -> Array:
    x = np.asarray(unwrap(input))
    # No dimensions are all of them in a sum, and none in a judgement: PyTorch's rules, both.
    axes = () if isinstance(dim, (tuple, list)) and not dim and x.ndim else reduced_axes(input, dim)
    truth = judge(x, axis=axes, keepdims=keepdim)
    return like(np.asarray(truth, x.dtype) if x.dtype == np.uint8 else truth, input)


@public(method=True)
def count_nonzero(input: Array, dim: Any = None) -> Array:
    """How many entries are non-zero over `dim`."""
    return like(np.count_nonzero(unwrap(input), axis=reduced_axes(input, dim)), input)


@implements(np.max)
def _np_max(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, **rest: Any) -> Any:
    refuse_options("max", out, rest)
    return amax(a, axis, bool(keepdims))


@implements(np.min)
def _np_min(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, **rest: Any) -> Any:
    refuse_options("min", out, rest)
    return amin(a, axis, bool(keepdims))
