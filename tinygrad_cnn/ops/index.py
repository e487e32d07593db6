"""Indexing: slices, index arrays, masks, and writing into a part.

Two primitives carry all of it: taking values at an index, and its transpose, adding values at an index into
zeros. The gradient of taking is a `Scattered`: it is laid out only when somebody looks, so a thousand slices
of one tensor cost a thousand small additions and not a thousand full-size arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT, Operand
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.fast.lazy import Lazy
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.op import Multilinear, unbroadcast
from tinygrad_cnn.ops.common import axis_of, like
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.shape import expand, movedim, ravel, reshape
from tinygrad_cnn.ops.views import PUT_BACK, view_of

ndarray = np.ndarray
#: What NumPy takes as an index: an int, a slice, an array, None, an Ellipsis, or a tuple of these.
Place: TypeAlias = Any
ALL = slice(None)


class Scattered(Lazy):
    """`g` at `index`, zeros elsewhere. `unique`: no place is named twice."""

    __slots__ = ("dtype", "g", "index", "shape", "unique")

    def __init__(self, g: ndarray, index: Place, shape: tuple[int, ...], unique: bool) -> None:
        self.g, self.index, self.shape, self.unique = g, index, shape, unique
        self.dtype = g.dtype

    def dense(self) -> ndarray:
        return scattered(self.g, self.index, self.shape, self.unique)

    def add_to(self, total: ndarray) -> None:
        if self.unique:
            total[self.index] += self.g
        else:
            _add_at(total, self.index, self.g)


def scattered(g: ndarray, index: Place, shape: tuple[int, ...], unique: bool) -> ndarray:
    """g added at the index into zeros; assigned where no place is named twice, which is faster."""
    total = np.zeros(shape, g.dtype)
    if unique:
        total[index] = g
    else:
        _add_at(total, index, g)
    return total


def _add_at(total: ndarray, index: Place, g: ndarray) -> None:
    """total[index] += g, where a place may be named more than once."""
    rows = index[0]
    if (
        len(index) == 1
        and isinstance(rows, ndarray)
        and rows.dtype.kind in "iu"
        and total.ndim > 1
        and g.size > 4096
    ):
        # Whole rows: sorted by place, equal places become runs that one call sums (measured: 2 to 4 times faster).
        places = np.ravel(rows) % len(total)
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        runs: Any = np.add.reduceat
        total[ordered[first]] += runs(g.reshape(-1, *total.shape[1:])[order], first, axis=0)
    else:
        np.add.at(total, index, g)


def _lazily(g: ndarray | Handle, x: Array, index: Place, unique: bool) -> Array | Scattered:
    if isinstance(g, Handle):
        return scatter_op(g, index=index, shape=tuple(x.shape), unique=unique)
    return Scattered(g, index, tuple(x.shape), unique)


#: Slices and integers: a view of the memory.
getitem_op = Multilinear(
    "getitem", lambda x, index, unique: x[index], _lazily, joint=True, selection=True, view=True,
    formula="x[index]", local=("1 at the index, 0 elsewhere",),
)  # fmt: skip
#: Index arrays and masks: a copy.
take_op = Multilinear(
    "index", lambda x, index, unique: x[index], _lazily, joint=True, selection=True,
    formula="x[index]", local=("1 at the index, 0 elsewhere",),
)  # fmt: skip
scatter_op = Multilinear(
    "scatter", lambda g, index, shape, unique: scattered(g, index, shape, unique),
    lambda g, _x, index, shape, unique: _at(g, index),
    joint=True, selection=True, formula="x added at the index into zeros", local=("1 at the index",),
)  # fmt: skip
setitem_op: Multilinear = Multilinear(
    "setitem", lambda x, value, index: _with(x, value, index),
    lambda g, _x, _value, index: setitem_op(g, 0, index=index),
    lambda g, _x, value, index: unbroadcast(g[index], value.shape),
    joint=True, selection=True,
    formula="x with x[index] = value", local=("0 at the index, 1 elsewhere", "1 at the index"),
)  # fmt: skip
PUT_BACK[getitem_op] = lambda x, new, index, unique: setitem_op(x, new, index=index)


def _at(g: Array, index: Place) -> Array:
    return getitem(g, index) if isinstance(g, Handle) else np.asarray(g[index])


def _with(x: ndarray, value: ndarray | float, index: Place) -> ndarray:
    y = np.array(x)
    y[index] = value
    return y


class Index(NamedTuple):
    """An index in the two steps that PyTorch takes: first all that gives a view (integers, slices, None, …), then, in
    what that leaves, the index arrays and masks. `unique`: the arrays name no place twice."""

    view: tuple[Place, ...] | None
    arrays: tuple[Place, ...] | None
    unique: bool = True


_BOUND = (int, type(None))
_IN_TUPLE = (Handle, ndarray, list, tuple, slice, type(None), type(Ellipsis))


def steps_of(index: Place, shape: tuple[int, ...]) -> Index:
    """An index as Python gives it, sorted into `Index`'s two steps, for a tensor of `shape`.

    NumPy would treat an integer beside an index array as one more array, and so move the arrays' dimensions to the
    front in `x[0, :, [0, 1]]`; PyTorch applies it first. A bool is a new dimension of size 1 or 0, and a uint8 tensor
    is a mask, as in PyTorch.
    """
    if isinstance(index, list) and len(index) < 32 and any(isinstance(p, _IN_TUPLE) for p in index):
        index = tuple(index)  # as PyTorch reads a list that holds more than numbers
    parts = index if isinstance(index, tuple) else (index,)
    plain: list[Place] = []
    arrays = False
    for part in parts:
        kind = type(part)
        if kind is slice:
            if not (type(part.start) in _BOUND and type(part.stop) in _BOUND and type(part.step) in _BOUND):
                part = slice(*[None if v is None else int(unwrap(v)) for v in (part.start, part.stop, part.step)])
        elif kind is not int and part is not None and part is not Ellipsis:
            part = _plain_part(part)
            arrays = arrays or type(part) is ndarray
        plain.append(part)
    if arrays:
        return _two_steps(plain, shape)
    if Ellipsis not in plain:
        plain.append(Ellipsis)  # so that a single entry is a 0-d view and no NumPy scalar
    return Index(tuple(plain), None)


def _plain_part(part: Place) -> Place:
    """One part of an index as an int, a slice or an array of integers or booleans."""
    if isinstance(part, slice):
        return part
    if isinstance(part, Handle):
        part = part.array
    elif isinstance(part, (list, tuple)):
        part = _nested(part)
    if isinstance(part, (np.integer, int)) and not isinstance(part, bool):
        return int(part)
    part = np.asarray(part)
    if part.dtype.kind == "f" and not part.size:
        part = part.astype(np.int64)
    if part.dtype == np.uint8:
        part = part != 0
    if part.dtype.kind not in "biu":
        raise IndexError(f"an index must be integers, slices or booleans, got a {part.dtype} tensor")
    return int(part) if part.ndim == 0 and part.dtype.kind in "iu" else part


def _nested(values: Place) -> Place:
    return [_nested(v) for v in values] if isinstance(values, (list, tuple)) else unwrap(values)


def _taken(part: Place) -> int:
    """How many of the tensor's dimensions a part of an index speaks of."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, ndarray) and part.dtype == bool else 1


def _two_steps(plain: list[Place], shape: tuple[int, ...]) -> Index:
    ndim = len(shape)
    taken = sum([_taken(p) for p in plain])
    if taken > ndim:
        raise IndexError(f"too many indices: {taken} for a tensor of {ndim} dimension(s)")
    dots = [k for k, p in enumerate(plain) if p is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index holds at most one Ellipsis (…)")
    for k in dots:
        plain = [*plain[:k], *[ALL] * (ndim - taken), *plain[k + 1 :]]
    at = 0
    for part in plain:
        end = at + _taken(part)
        # NumPy lets a mask without entries select from any dimension.
        if isinstance(part, ndarray) and part.dtype == bool and part.shape != shape[at:end]:
            raise IndexError(f"a mask of shape {part.shape} cannot select from dimensions of shape {shape[at:end]}")
        at = end
    masks = [p.dtype == bool for p in plain if isinstance(p, ndarray)]
    if not any(type(p) is int or isinstance(p, ndarray) and not p.ndim for p in plain):
        return Index(None, tuple(plain), all(masks))
    view: list[Place] = []
    arrays: list[Place] = []
    for part in plain:
        if not isinstance(part, ndarray):
            view.append(part)
            if type(part) is not int:
                arrays.append(ALL)
        elif part.ndim:
            view += [ALL] * _taken(part)
            arrays.append(part)
        else:
            view.append(None)
            arrays.append(np.zeros(int(part), np.int64))
    return Index((*view, Ellipsis), tuple(arrays), all(masks))


def getitem(input: ArrayT, index: Place) -> ArrayT:
    """input[index] with PyTorch's meaning (and negative steps, as in NumPy); slices are views."""
    view, arrays, unique = steps_of(index, np.shape(unwrap(input)))
    if view is not None:
        input = view_of(getitem_op, input, {"index": view, "unique": True})
    return input if arrays is None else take_op.apply((input,), {"index": arrays, "unique": unique})[0]


def setitem(input: ArrayT, index: Place, value: Operand | Handle) -> ArrayT:
    """A copy of `input` with input[index] = value: what `t[index] = value` records."""
    view, arrays, _unique = steps_of(index, np.shape(unwrap(input)))
    if view is None:
        return setitem_op(input, _fitting(value, unwrap(input)[arrays].shape), index=arrays)
    part = unwrap(input)[view]
    if arrays is None:
        return setitem_op(input, _fitting(value, part.shape), index=view)
    value = _fitting(value, part[arrays].shape)
    changed = setitem_op(getitem_op(input, index=view, unique=True), value, index=arrays)
    return setitem_op(input, changed, index=view)


def _fitting(value: Operand | Handle, shape: tuple[int, ...]) -> Operand | Handle:
    """Leading dimensions of size 1 may be more than the place has."""
    if isinstance(value, Handle) and value.array.ndim > len(shape):
        return reshape(value, value.array.shape[value.array.ndim - len(shape) :])
    return value


# --- along one dimension ---------------------------------------------------------------------------


def along(index: ndarray, axis: int) -> tuple[ndarray, ...]:
    """The index arrays of ``y[i, j, k] = x[i, index[i, j, k], k]`` (for axis 1)."""
    if not index.ndim:
        return (index.reshape(1),)
    grid = [
        np.arange(n).reshape([-1 if j == k else 1 for j in range(index.ndim)])
        for k, n in enumerate(index.shape)
    ]
    grid[axis] = index
    return tuple(grid)


def scatter_along(g: Any, indices: Array, axis: int, shape: tuple[int, ...]) -> Any:
    """The transpose of taking one entry along `axis`: each place is named at most once."""
    index = along(np.asarray(unwrap(indices)), axis)
    if isinstance(g, Handle):
        return scatter_op(g, index=index, shape=tuple(shape), unique=True)
    return Scattered(g, index, tuple(shape), True)


def checked_integers(name: str, index: object) -> ndarray:
    """An index as an array. Raises TypeError when it is not of integers."""
    array = np.asarray(unwrap(index))
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} expected an index of integers, got {array.dtype}")
    return array


def checked_within(name: str, index: ndarray, size: int, axis: int) -> None:
    """Raise IndexError for an index outside 0 … size - 1 (there are no negative ones here, as in PyTorch)."""
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = index.min() if index.min() < 0 else index.max()
        raise IndexError(f"{name}: index {int(wrong)} is out of range for dimension {axis} of size {size}")


@public(method=True)
def gather(input: ArrayT, dim: int, index: Array) -> ArrayT:
    """y[i, j, k] = input[i, index[i, j, k], k] for dim 1. `index` may be smaller in the other dimensions."""
    array = unwrap(input)
    places = checked_integers("gather", index)
    if not places.size:  # whatever its shape, as in PyTorch
        return reshape(take_op(ravel(input), index=(np.zeros(0, np.intp),), unique=False), places.shape)
    ndim = max(np.ndim(array), 1)
    if ndim != max(places.ndim, 1):
        raise ShapeError(f"gather expected an index of {np.ndim(array)} dimensions, got {places.ndim}")
    axis = axis_of(dim, ndim)
    input = input if np.ndim(array) else reshape(input, (1,))
    checked_within("gather", places, np.shape(unwrap(input))[axis], axis)
    return take_op(input, index=along(places, axis) if places.ndim else (places,), unique=False)


@public(method=True)
def take_along_dim(input: ArrayT, indices: Array, dim: int | None = None) -> ArrayT:
    """As `gather`, with broadcasting in the other dimensions; without `dim`, of the flat tensor."""
    places = checked_integers("take_along_dim", indices)
    if dim is None:
        return take_op(ravel(input), index=(places.ravel(),), unique=False)
    array = unwrap(input)
    axis = axis_of(dim, array.ndim)
    shape = np.broadcast_shapes(
        array.shape[:axis] + (1,) + array.shape[axis + 1 :],
        places.shape[:axis] + (1,) + places.shape[axis + 1 :],
    )
    full = np.broadcast_to(places, shape[:axis] + (places.shape[axis],) + shape[axis + 1 :])
    if array.shape[:axis] + array.shape[axis + 1 :] != shape[:axis] + shape[axis + 1 :]:
        input = expand(input, shape[:axis] + (array.shape[axis],) + shape[axis + 1 :])
    return take_op(input, index=along(full, axis), unique=False)


@public(method=True)
def index_select(input: ArrayT, dim: int, index: Array) -> ArrayT:
    """The entries of `dim` that `index` (1-d integers) names, in its order."""
    places = checked_integers("index_select", index).reshape(-1)
    vector = input if np.ndim(unwrap(input)) else reshape(input, (1,))
    axis = axis_of(dim, np.ndim(unwrap(vector)))
    checked_within("index_select", places, np.shape(unwrap(vector))[axis], axis)
    selected = take_op(vector, index=(ALL,) * axis + (places,), unique=False)
    return selected if vector is input else reshape(selected, ())


@public(method=True)
def take(input: ArrayT, index: Array) -> ArrayT:
    """The entries of the flat tensor that `index` names, in the index's shape."""
    return take_op(ravel(input), index=(checked_integers("take", index),), unique=False)


@public(method=True)
def masked_select(input: ArrayT, mask: Array) -> ArrayT:
    """The entries where `mask` holds, in one dimension."""
    chosen = np.asarray(unwrap(mask), dtype=bool)
    shape = np.broadcast_shapes(np.shape(unwrap(input)), chosen.shape)
    if np.shape(unwrap(input)) != shape:
        input = expand(input, shape)
    return take_op(input, index=(np.broadcast_to(chosen, shape),), unique=True)


@public(method=True)
def select(input: ArrayT, dim: int, index: int) -> ArrayT:
    """Entry `index` of dimension `dim`, without that dimension."""
    return getitem(input, (slice(None),) * axis_of(dim, np.ndim(unwrap(input))) + (int(unwrap(index)),))


@public(method=True)
def narrow(input: ArrayT, dim: int, start: int, length: int) -> ArrayT:
    """Entries start to start + length of dimension `dim`."""
    array = unwrap(input)
    axis = axis_of(dim, array.ndim)
    start = int(unwrap(start))
    start = start + array.shape[axis] if start < 0 else start
    if not 0 <= start <= start + length <= array.shape[axis]:
        raise IndexError(
            f"narrow: entries {start} to {start + length} do not exist in dimension {axis} of size {array.shape[axis]}"
        )
    return getitem(input, (slice(None),) * axis + (slice(start, start + length),))


@public(method=True)
def split(tensor: ArrayT, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[ArrayT, ...]:
    """Parts of the given size (the last may be smaller), or of the given sizes, along `dim`; views."""
    total = np.shape(unwrap(tensor))[axis_of(dim, np.ndim(unwrap(tensor)))]
    if isinstance(split_size_or_sections, (int, np.integer)):
        size = int(split_size_or_sections)
        if size <= 0 and total:
            raise ShapeError(f"split expected a positive size, got {size}")
        lengths = [min(size, total - k) for k in range(0, total, size)] if total else [0]
    else:
        lengths = [int(n) for n in split_size_or_sections]
        if sum(lengths) != total:
            raise ShapeError(f"split expected sizes that add up to {total} (dimension {dim}), got {lengths}")
    parts, start = [], 0
    for n in lengths:
        parts.append(narrow(tensor, dim, start, n))
        start += n
    return tuple(parts)


@public(method=True)
def chunk(input: ArrayT, chunks: int, dim: int = 0) -> tuple[ArrayT, ...]:
    """At most `chunks` parts of equal size (the last may be smaller) along `dim`; views."""
    if chunks <= 0:
        raise ShapeError(f"chunk expected a positive number of chunks, got {chunks}")
    total = np.shape(unwrap(input))[axis_of(dim, np.ndim(unwrap(input)))]
    return split(input, max(-(-total // chunks), 1), dim)


@public(method=True)
def split_with_sizes(input: ArrayT, split_sizes: Sequence[int], dim: int = 0) -> tuple[ArrayT, ...]:
    """Parts of the given sizes along `dim`; views."""
    return split(input, list(split_sizes), dim)


@public(top_level=False, method=True)
def unfold(input: ArrayT, dimension: int, size: int, step: int) -> ArrayT:
    """All windows of `size` along `dimension`, `step` apart; the window becomes the last dimension."""
    if not np.ndim(unwrap(input)):
        return getitem(unfold(reshape(input, (1,)), dimension, size, step), 0)
    array = unwrap(input)
    axis = axis_of(dimension, array.ndim)
    if step <= 0 or not 0 <= size <= array.shape[axis]:
        raise ShapeError(
            f"unfold expected 0 <= size <= {array.shape[axis]} and step > 0, got {size} and {step}"
        )
    starts = np.arange(0, array.shape[axis] - size + 1, step)
    places = starts[:, None] + np.arange(size)
    return movedim(take_op(input, index=(slice(None),) * axis + (places,), unique=False), axis + 1, -1)


@public(method=True)
def tensor_split(input: ArrayT, indices_or_sections: Any, dim: int = 0) -> tuple[ArrayT, ...]:
    """Parts of as equal size as possible, or cut at the given places; either may be a tensor of integers."""
    total = np.shape(unwrap(input))[axis_of(dim, np.ndim(unwrap(input)))]
    if isinstance(indices_or_sections, (Handle, ndarray)):
        indices_or_sections = checked_integers("tensor_split", indices_or_sections).tolist()
    if isinstance(indices_or_sections, (int, np.integer)):
        n = int(indices_or_sections)
        if n < 1:
            raise ShapeError(f"tensor_split expected at least one part, got {n}")
        ends = np.cumsum([total // n + (k < total % n) for k in range(n)]).tolist()
    else:
        ends = [
            *[min(max(int(k) if k >= 0 else int(k) + total, 0), total) for k in indices_or_sections],
            total,
        ]
    starts = [0, *ends[:-1]]
    return tuple([narrow(input, dim, a, max(b - a, 0)) for a, b in zip(starts, ends)])


@public(method=True)
def unbind(input: ArrayT, dim: int = 0) -> tuple[ArrayT, ...]:
    """The entries of dimension `dim`, one tensor each."""
    if not np.ndim(unwrap(input)):
        raise ShapeError("unbind expected at least one dimension, got a 0-d tensor")
    axis = axis_of(dim, np.ndim(unwrap(input)))
    return tuple([select(input, axis, k) for k in range(unwrap(input).shape[axis])])


@public(method=True)
def diagonal(input: ArrayT, offset: int = 0, dim1: int = 0, dim2: int = 1) -> ArrayT:
    """The diagonal of two dimensions, as the last dimension."""
    array = unwrap(input)
    a, b = axis_of(dim1, array.ndim), axis_of(dim2, array.ndim)
    if a == b:
        raise ShapeError(f"diagonal expected two different dimensions, got {dim1} and {dim2}")
    rows = np.arange(max(min(array.shape[a] + min(offset, 0), array.shape[b] - max(offset, 0)), 0))
    moved = transpose_to_front(input, a, b)
    taken = take_op(moved, index=(rows - min(offset, 0), rows + max(offset, 0)), unique=True)
    return move_first_to_last(taken)


def transpose_to_front(x: ArrayT, a: int, b: int) -> ArrayT:
    return movedim(x, (a, b), (0, 1))


def move_first_to_last(x: ArrayT) -> ArrayT:
    return movedim(x, 0, -1) if np.ndim(unwrap(x)) > 1 else x


_of_matrix = diagonal  # `diag` has an argument of that name, as in PyTorch


@public(method=True)
def diag(input: ArrayT, diagonal: int = 0) -> ArrayT:
    """The diagonal of a matrix, or the matrix with the given diagonal."""
    ndim = np.ndim(unwrap(input))
    if ndim == 1:
        return diag_embed(input, diagonal)
    if ndim == 2:
        return _of_matrix(input, diagonal)
    raise ShapeError(f"diag expected 1 or 2 dimensions, got {ndim}; use diagonal or diag_embed")


@public(method=True)
def diag_embed(input: ArrayT, offset: int = 0, dim1: int = -2, dim2: int = -1) -> ArrayT:
    """Matrices, in dimensions `dim1` and `dim2` of the result, with the last dimension of `input` on their diagonal."""
    shape = np.shape(unwrap(input))
    size = shape[-1] + abs(offset)
    rows = np.arange(shape[-1])
    index = (Ellipsis, rows - min(offset, 0), rows + max(offset, 0))
    result = scatter_op(input, index=index, shape=(*shape[:-1], size, size), unique=True)
    first, second = axis_of(dim1, len(shape) + 1), axis_of(dim2, len(shape) + 1)
    if first == second:
        raise ShapeError(f"diag_embed expected two different dimensions, got dim1={dim1} and dim2={dim2}")
    return movedim(result, (-2, -1), (first, second))


def one_hot(tensor: ArrayT, num_classes: int = -1) -> ArrayT:
    """int64 rows with a 1 at each class. Raises ValueError for negative or too large classes."""
    classes = checked_integers("one_hot", tensor)
    if classes.size and classes.min() < 0:
        raise ShapeError(f"one_hot expected classes from 0 on, got {int(classes.min())}")
    count = (int(classes.max()) + 1 if classes.size else 0) if num_classes == -1 else num_classes
    if classes.size and classes.max() >= count:
        raise ShapeError(f"one_hot expected classes below num_classes={count}, got {int(classes.max())}")
    return like((classes[..., None] == np.arange(count)).astype(np.int64), tensor)


@public(method=True, aliases=["argwhere"])
def nonzero(input: ArrayT, *, as_tuple: bool = False) -> ArrayT | tuple[ArrayT, ...]:
    """Where it is non-zero: one row of indices per entry, or with `as_tuple` one tensor per dimension."""
    found = np.nonzero(np.atleast_1d(unwrap(input)))
    if as_tuple:
        return tuple([like(k, input) for k in found])
    return like(
        np.stack(found, axis=1) if np.ndim(unwrap(input)) else np.zeros((found[0].size, 0), np.int64), input
    )


# --- under NumPy's names ---------------------------------------------------------------------------


@implements(np.take)
def _np_take(a: Array, indices: Array, axis: int | None = None, **_: object) -> Array:
    if axis is None:
        return take(a, indices)
    places = np.asarray(unwrap(indices))
    return take_op(a, index=(slice(None),) * axis_of(axis, np.ndim(unwrap(a))) + (places,), unique=False)


implements(np.take_along_axis)(lambda arr, indices, axis=-1: take_along_dim(arr, indices, axis))
implements(np.diagonal)(lambda a, offset=0, axis1=0, axis2=1: diagonal(a, offset, axis1, axis2))
implements(np.diag)(lambda v, k=0: diag(v, k))


@implements(np.split, np.array_split)
def _np_split(ary: Array, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Array]:
    return list(tensor_split(ary, indices_or_sections, axis))


@public
def unravel_index(indices: ArrayT, shape: Sequence[int]) -> tuple[ArrayT, ...]:
    """Flat positions as one index per dimension."""
    return tuple(
        [
            wrap(np.asarray(k))
            for k in np.unravel_index(checked_integers("unravel_index", indices), tuple(shape))
        ]
    )


@public(method=True)
def repeat_interleave(
    input: ArrayT, repeats: int | Array, dim: int | None = None, *, output_size: int | None = None
) -> ArrayT:
    """Each entry along `dim` repeated in place; `repeats` is one number or one per entry.

    Raises ShapeError when the result does not have `output_size` entries along `dim`.
    """
    if dim is None:
        input, dim = ravel(input), 0
    count = np.shape(unwrap(input))[axis_of(dim, np.ndim(unwrap(input)))]
    places = np.repeat(np.arange(count), unwrap(repeats))
    if output_size is not None and output_size != len(places):
        raise ShapeError(f"repeat_interleave expected output_size={len(places)}, got {output_size}")
    return index_select(input, dim, places)


implements(np.repeat)(lambda a, repeats, axis=None: repeat_interleave(a, repeats, axis))


@public(method=True)
def hsplit(input: Array, indices_or_sections: Any) -> tuple[Array, ...]:
    """Parts along the second dimension (of a vector: along its only one), as `tensor_split` cuts, but of equal size."""
    return _split_evenly("hsplit", input, indices_or_sections, 1 if np.ndim(unwrap(input)) > 1 else 0, 1)


@public(method=True)
def vsplit(input: Array, indices_or_sections: Any) -> tuple[Array, ...]:
    """Parts along the first dimension, as `tensor_split` cuts, but of equal size."""
    return _split_evenly("vsplit", input, indices_or_sections, 0, 2)


@public(method=True)
def dsplit(input: Array, indices_or_sections: Any) -> tuple[Array, ...]:
    """Parts along the third dimension, as `tensor_split` cuts, but of equal size."""
    return _split_evenly("dsplit", input, indices_or_sections, 2, 3)


def _split_evenly(name: str, input: Array, indices_or_sections: Any, dim: int, least: int) -> tuple[Array, ...]:
    shape = np.shape(unwrap(input))
    if len(shape) < least:
        raise ShapeError(f"{name} expected a tensor of at least {least} dimensions, got shape {shape}")
    if isinstance(indices_or_sections, (int, np.integer)) and (
        indices_or_sections < 1 or shape[dim] % int(indices_or_sections)
    ):
        raise ShapeError(f"{name} expected parts of equal size, got {indices_or_sections} of dimension {shape[dim]}")
    return tensor_split(input, indices_or_sections, dim)
