"""The same values in another shape: views, joins, repetition, padding, flips.

Views look at their input's memory, as NumPy's do; all others copy. Indexing lives in `index`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, ArrayT, Dims, Shape
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.op import Multilinear, identity, unbroadcast
from tinygrad_cnn.autograd.promotion import promoted
from tinygrad_cnn.ops.common import axes_of, axis_of, sizes
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import cast
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.layout import check_format, contiguous_format, has_format, in_format, preserve_format
from tinygrad_cnn.ops.views import PUT_BACK, can_view, keep_layout, view_of
from tinygrad_cnn.support.dtypes import dtype as Dtype

# --- views -----------------------------------------------------------------------------------------

reshape_op = Multilinear(
    "reshape", lambda x, shape: np.reshape(x, shape), lambda g, x, shape: np.reshape(g, x.shape),
    joint=True, view=True, formula="x in another shape", local=("1",),
)  # fmt: skip
permute_op = Multilinear(
    "permute", lambda x, dims: np.transpose(x, dims), lambda g, _x, dims: np.transpose(g, _inverse(dims)),
    joint=True, view=True, formula="x with its dimensions permuted", local=("1, permuted back",),
)  # fmt: skip
PUT_BACK[reshape_op] = lambda x, new, shape: reshape_op(new, shape=x.array.shape)
PUT_BACK[permute_op] = lambda _x, new, dims: permute_op(new, dims=_inverse(dims))
expand_op = Multilinear(
    "expand",
    # What does not grow stays writable, as PyTorch's views do.
    lambda x, shape: np.reshape(x, shape) if np.size(x) == math.prod(shape) else np.broadcast_to(x, shape),
    lambda g, x, shape: unbroadcast(g, x.shape),
    joint=True, view=True, formula="x repeated without a copy", local=("1, summed over the repetitions",),
)  # fmt: skip

repeat_op = Multilinear(
    "repeat", lambda x, counts: np.tile(x, counts), lambda g, x, counts: _gathered(g, x.shape, counts),
    joint=True, formula="x, several times side by side", local=("1, summed over the repetitions",),
)  # fmt: skip


def _gathered(g: Array, shape: tuple[int, ...], counts: tuple[int, ...]) -> Array:
    """The sum over the copies: dimension k of g is (copy, place in x)."""
    full = (1,) * (len(counts) - len(shape)) + tuple(shape)
    pairs = [n for pair in zip(counts, full) for n in pair]
    return np.reshape(np.sum(np.reshape(g, pairs), axis=tuple(range(0, len(pairs), 2))), shape)


def _inverse(dims: Sequence[int]) -> tuple[int, ...]:
    back = [0] * len(dims)
    for k, d in enumerate(dims):
        back[d] = k
    return tuple(back)


@public(method=True)
def reshape(input: ArrayT, *shape: int | Sequence[int]) -> ArrayT:
    """The values in the same order in another shape; one size may be -1. Raises ValueError if it does not fit."""
    wanted = sizes(shape)
    array = unwrap(input)
    try:
        return view_of(reshape_op, input, {"shape": wanted})
    except ValueError:
        raise ShapeError(
            f"reshape cannot give {np.size(array)} value(s) of shape {np.shape(array)} the shape {wanted}"
        ) from None


@public(top_level=False, method=True)
def view(input: ArrayT, *shape: int | Sequence[int]) -> ArrayT:
    """The same memory in another shape; a dtype instead of a shape reinterprets the memory (no gradient).

    Raises ValueError (a RuntimeError too) where that needs a copy: `reshape` makes one.
    """
    if len(shape) == 1 and isinstance(shape[0], (Dtype, np.dtype, type)):
        return wrap(unwrap(input).view(shape[0]))
    wanted = sizes(shape)
    array = unwrap(input)
    if isinstance(input, Handle) and not array.flags.c_contiguous:
        try:
            shared = can_view(input, wanted)
        except ValueError:
            shared = True  # reshape says what does not fit
        if not shared:
            raise ShapeError(
                f"view cannot give a tensor of shape {array.shape}, whose strides are {input.stride()}, the shape "
                f"{wanted} without a copy; use reshape()"
            )
    return reshape(input, wanted)


@public(top_level=False, method=True)
def reshape_as(input: ArrayT, other: Array) -> ArrayT:
    """`input` in the shape of `other`."""
    return reshape(input, np.shape(unwrap(other)))


@public(method=True)
def flatten(input: ArrayT, start_dim: int = 0, end_dim: int = -1) -> ArrayT:
    """Dimensions start_dim to end_dim (both included) made one."""
    shape = np.shape(unwrap(input))
    if not shape:
        return reshape(input, (1,))
    first, last = axis_of(start_dim, len(shape)), axis_of(end_dim, len(shape))
    if first > last:
        raise ShapeError(f"flatten expected start_dim <= end_dim, got {start_dim} and {end_dim}")
    if first == last:
        return input
    size = 1
    for n in shape[first : last + 1]:
        size *= n
    return view_of(reshape_op, input, {"shape": (*shape[:first], size, *shape[last + 1 :])})


@public(method=True)
def unflatten(input: ArrayT, dim: int, sizes: Sequence[int]) -> ArrayT:
    """Dimension `dim` split into `sizes`."""
    shape = np.shape(unwrap(input))
    axis = axis_of(dim, len(shape))
    return reshape(input, (*shape[:axis], *sizes, *shape[axis + 1 :]))


@public(method=True)
def ravel(input: ArrayT) -> ArrayT:
    """All values in one dimension."""
    return reshape(input, (-1,)) if np.size(unwrap(input)) else reshape(input, (0,))


@public(method=True)
def permute(input: ArrayT, *order: int | Sequence[int], dims: Dims = None) -> ArrayT:
    """The dimensions in another order: dimension k of the result is dims[k] of the input."""
    order = sizes(order, dims)
    ndim = np.ndim(unwrap(input))
    axes = tuple([axis_of(d, ndim) for d in order]) if ndim else ()
    if sorted(axes) != list(range(ndim)):
        raise ShapeError(f"permute expected each of {ndim} dimensions once, got {order}")
    return view_of(permute_op, input, {"dims": axes})


@public(method=True, in_place="view", aliases=["swapaxes", "swapdims"])
def transpose(input: ArrayT, dim0: int, dim1: int) -> ArrayT:
    """Two dimensions exchanged."""
    ndim = np.ndim(unwrap(input))
    order = list(range(ndim))
    a, b = axis_of(dim0, ndim), axis_of(dim1, ndim)
    if ndim:
        order[a], order[b] = order[b], order[a]
    return view_of(permute_op, input, {"dims": tuple(order)})


@public(method=True, in_place="view")
def t(input: ArrayT) -> ArrayT:
    """The transpose of a matrix; 0-d and 1-d as they are. Raises ValueError for more dimensions."""
    ndim = np.ndim(unwrap(input))
    if ndim > 2:
        raise ShapeError(f"t() expected at most 2 dimensions, got {ndim}; use transpose(dim0, dim1) or .mT")
    return view_of(permute_op, input, {"dims": tuple(reversed(range(ndim)))})


@public(method=True)
def adjoint(input: ArrayT) -> ArrayT:
    """The last two dimensions exchanged (`.mT`)."""
    if np.ndim(unwrap(input)) < 2:
        raise ShapeError(f".mT expected at least 2 dimensions, got {np.ndim(unwrap(input))}")
    return transpose(input, -2, -1)


@public(method=True, aliases=["moveaxis"])
def movedim(input: ArrayT, source: int | Sequence[int], destination: int | Sequence[int]) -> ArrayT:
    """Dimensions at `source` moved to `destination`, the others in order around them."""
    ndim = np.ndim(unwrap(input))
    start, end = axes_of(source, ndim) or (), axes_of(destination, ndim) or ()
    if len(start) != len(end):
        raise ShapeError(f"movedim expected as many sources as destinations, got {source} and {destination}")
    order = [k for k in range(ndim) if k not in start]
    for to, where_from in sorted(zip(end, start)) if ndim else ():
        order.insert(to, where_from)
    return view_of(permute_op, input, {"dims": tuple(order)})


@public(method=True, in_place="view")
def squeeze(input: ArrayT, dim: Dims = None) -> ArrayT:
    """Without the dimensions of size 1, or without those of them that `dim` names."""
    shape = np.shape(unwrap(input))
    axes = axes_of(dim, len(shape))
    drop = [k for k, n in enumerate(shape) if n == 1 and (axes is None or k in axes)]
    return view_of(reshape_op, input, {"shape": tuple([n for k, n in enumerate(shape) if k not in drop])})


@public(method=True, in_place="view")
def unsqueeze(input: ArrayT, dim: int) -> ArrayT:
    """With a dimension of size 1 at `dim`."""
    shape = np.shape(unwrap(input))
    axis = axis_of(dim, len(shape) + 1)
    return view_of(reshape_op, input, {"shape": (*shape[:axis], 1, *shape[axis:])})


@public(top_level=False, method=True)
def expand(input: ArrayT, *sizes_: int | Sequence[int], size: Sequence[int] | None = None) -> ArrayT:
    """Dimensions of size 1 repeated up to `size` without a copy; -1 leaves one as it is."""
    wanted = sizes(sizes_, size)
    shape = np.shape(unwrap(input))
    lead = len(wanted) - len(shape)
    full = tuple([shape[k - lead] if n == -1 and k >= lead else n for k, n in enumerate(wanted)])
    fits = lead >= 0 and all(n in (1, m) for n, m in zip(shape, full[lead:]))
    if not fits:
        raise ShapeError(f"expand cannot repeat shape {shape} up to {wanted}: only dimensions of size 1 grow")
    return view_of(expand_op, input, {"shape": full})


@public(top_level=False, method=True)
def expand_as(input: ArrayT, other: Array) -> ArrayT:
    """`input` repeated up to the shape of `other`."""
    return expand(input, np.shape(unwrap(other)))


@public(method=True)
def broadcast_to(input: ArrayT, size: Sequence[int]) -> ArrayT:
    """As `expand`."""
    return expand(input, *size)


@public
def broadcast_tensors(*tensors: Array) -> tuple[Array, ...]:
    """All of them in their common shape."""
    shape = np.broadcast_shapes(*[np.shape(unwrap(x)) for x in tensors])
    return tuple([expand(x, shape) for x in tensors])


@public
def broadcast_shapes(*shapes: Shape) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to."""
    return np.broadcast_shapes(*shapes)


@public(top_level=False, method=True)
def view_as(input: ArrayT, other: Array) -> ArrayT:
    """As `view`, with the shape of `other`."""
    return view(input, np.shape(unwrap(other)))


def alias(input: ArrayT) -> ArrayT:
    """The same values as a node of their own."""
    return identity(input)


def _for_each(function: AnyFunction, tensors: tuple[Any, ...]) -> Any:
    """One tensor gives one, several (or a sequence of them) give a tuple."""
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return function(tensors[0])
    return tuple([function(x) for x in (tensors[0] if len(tensors) == 1 else tensors)])


@public
def atleast_1d(*tensors: Any) -> Any:
    """At least one dimension; several tensors, or a sequence of them, give a tuple."""
    return _for_each(lambda x: x if np.ndim(unwrap(x)) >= 1 else reshape(x, (1,)), tensors)


@public
def atleast_2d(*tensors: Any) -> Any:
    """At least two dimensions, new ones in front; several tensors, or a sequence of them, give a tuple."""
    return _for_each(lambda x: x if np.ndim(unwrap(x)) >= 2 else unsqueeze(atleast_1d(x), 0), tensors)


@public
def atleast_3d(*tensors: Any) -> Any:
    """At least three dimensions; a vector becomes (1, n, 1), a matrix (n, m, 1). Several tensors give a tuple."""
    return _for_each(lambda x: x if np.ndim(unwrap(x)) >= 3 else unsqueeze(atleast_2d(x), -1), tensors)


@public(top_level=False, method=True)
def sum_to_size(input: Array, *size: int | Sequence[int]) -> Array:
    """Broadcasting undone: summed to `size`."""
    shape = sizes(size)
    if np.broadcast_shapes(shape, np.shape(unwrap(input))) != np.shape(unwrap(input)):
        raise ShapeError(f"sum_to_size cannot sum shape {np.shape(unwrap(input))} to {shape}")
    return unbroadcast(input, shape)


# --- joins -----------------------------------------------------------------------------------------


def _cut(i: int, g: Array, *xs: Array, axis: int, starts: tuple[int, ...]) -> Array:
    end = starts[i] + xs[i].shape[axis]
    return g[(slice(None),) * axis + (slice(starts[i], end),)]


cat_op = Multilinear(
    "cat", lambda *xs, axis, starts: np.concatenate(xs, axis=axis), joint=True, each=_cut,
    formula="x₁, x₂, … joined", local=("1 in its own part",),
)  # fmt: skip


@public(out=True, aliases=["concat", "concatenate"])
def cat(tensors: Sequence[Array], dim: int = 0, *, axis: int | None = None) -> Array:
    """The tensors joined along `dim`; their other sizes must agree. Raises ValueError when they do not."""
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("cat expected at least one tensor, got an empty list")
    arrays = [np.asarray(unwrap(x)) for x in tensors]
    # PyTorch lets an empty 1-d tensor join anything: loops start with `torch.tensor([])`.
    if any(a.ndim != 1 or a.size for a in arrays):
        kept = [k for k, a in enumerate(arrays) if not (a.ndim == 1 and not a.size)]
        tensors, arrays = [tensors[k] for k in kept], [arrays[k] for k in kept]
    if any(a.dtype is not arrays[0].dtype for a in arrays[1:]):
        wanted = promoted(arrays)  # NumPy would make float64 of int64 and float32
        tensors = [cast(x, wanted) for x in tensors]
    along = axis_of(dim if axis is None else axis, arrays[0].ndim)
    starts, position = [], 0
    for a in arrays:
        starts.append(position)
        position += a.shape[along] if a.ndim > along else 0
    try:
        return cat_op.apply(tuple(tensors), {"axis": along, "starts": tuple(starts)})[0]
    except ValueError:
        raise ShapeError(
            f"cat expected shapes that agree in all dimensions but {along}, got {[a.shape for a in arrays]}"
        ) from None


@public(out=True)
def stack(tensors: Sequence[Array], dim: int = 0, *, axis: int | None = None) -> Array:
    """The tensors side by side along a new dimension `dim`. Raises ValueError for unequal shapes."""
    tensors = list(tensors)
    shapes = [np.shape(unwrap(x)) for x in tensors]
    if not shapes or any(s != shapes[0] for s in shapes):
        raise ShapeError(f"stack expected tensors of one shape, got {shapes}")
    along = dim if axis is None else axis
    return cat([unsqueeze(x, along) for x in tensors], axis_of(along, len(shapes[0]) + 1))


@public
def hstack(tensors: Sequence[Array]) -> Array:
    """Joined along dimension 1 (along 0 for 1-d tensors)."""
    tensors = [atleast_1d(x) for x in tensors]
    return cat(tensors, 0 if np.ndim(unwrap(tensors[0])) == 1 else 1)


@public(aliases=["row_stack"])
def vstack(tensors: Sequence[Array]) -> Array:
    """Joined along dimension 0, 1-d tensors as rows."""
    return cat([x if np.ndim(unwrap(x)) > 1 else reshape(x, (1, -1)) for x in tensors], 0)


@public
def dstack(tensors: Sequence[Array]) -> Array:
    """Joined along dimension 2."""
    return cat([atleast_3d(x) for x in tensors], 2)


@public
def column_stack(tensors: Sequence[Array]) -> Array:
    """1-d tensors as columns, others as they are, joined along dimension 1."""
    return cat([x if np.ndim(unwrap(x)) > 1 else reshape(x, (-1, 1)) for x in tensors], 1)


# --- repetition ------------------------------------------------------------------------------------


@public(top_level=False, method=True)
def repeat(input: ArrayT, *repeats: int | Sequence[int]) -> ArrayT:
    """The whole tensor repeated repeats[k] times along dimension k, as np.tile; new dimensions come in front."""
    counts = sizes(repeats)
    shape = np.shape(unwrap(input))
    if len(counts) < len(shape):
        raise ShapeError(f"repeat expected at least {len(shape)} numbers for shape {shape}, got {counts}")
    if min(counts, default=0) < 0:
        raise ShapeError(f"repeat expected numbers of at least 0, got {counts}")
    return repeat_op(input, counts=counts)


@public(method=True)
def tile(input: ArrayT, *dims: int | Sequence[int]) -> ArrayT:
    """As `repeat`; too few numbers are filled up with ones in front."""
    counts = sizes(dims)
    return repeat(input, (1,) * (np.ndim(unwrap(input)) - len(counts)) + counts)


# --- the same size, other places -------------------------------------------------------------------

flip_op = Multilinear(
    "flip", lambda x, axis: np.flip(x, axis).copy(), lambda g, _x, axis: np.flip(g, axis),
    joint=True, formula="x in reverse order", local=("1, reversed",),
)  # fmt: skip
roll_op = Multilinear(
    "roll", lambda x, shift, axis: np.roll(x, shift, axis),
    lambda g, _x, shift, axis: np.roll(g, _negative(shift), axis),
    joint=True, formula="x shifted round", local=("1, shifted back",),
)  # fmt: skip


def _negative(shift: int | tuple[int, ...]) -> int | tuple[int, ...]:
    return tuple([-s for s in shift]) if isinstance(shift, tuple) else -shift


@public(method=True)
def flip(input: ArrayT, *along: int | Sequence[int], dims: Dims = None) -> ArrayT:
    """Reversed along `dims`."""
    if not np.ndim(unwrap(input)):
        return clone(input)
    return flip_op(input, axis=axes_of(sizes(along, dims), np.ndim(unwrap(input))))


@public(method=True)
def fliplr(input: ArrayT) -> ArrayT:
    """Reversed along dimension 1."""
    return flip(input, 1)


@public(method=True)
def flipud(input: ArrayT) -> ArrayT:
    """Reversed along dimension 0."""
    return flip(input, 0)


@public(method=True)
def roll(input: ArrayT, shifts: int | Sequence[int], dims: Dims = None) -> ArrayT:
    """Shifted along `dims`; what leaves at one end comes in at the other. Without `dims`, of the flat tensor."""
    if dims is None:
        return roll_op(
            input, shift=int(shifts) if isinstance(shifts, (int, np.integer)) else tuple(shifts), axis=None
        )
    shift = (shifts,) if isinstance(shifts, (int, np.integer)) else tuple(shifts)
    axis = (dims,) if isinstance(dims, (int, np.integer)) else tuple(dims)
    if len(shift) != len(axis):
        raise ShapeError(f"roll expected as many shifts as dims, got {shifts} and {dims}")
    return roll_op(input, shift=shift, axis=axis)


@public(method=True)
def rot90(input: ArrayT, k: int = 1, dims: Sequence[int] = (0, 1)) -> ArrayT:
    """Turned by k · 90° in the plane of two dimensions, from the first towards the second."""
    first, second = dims
    k %= 4
    if k == 0:
        return clone(input)
    if k == 2:
        return flip(input, first, second)
    return (
        flip(transpose(input, first, second), first)
        if k == 1
        else transpose(flip(input, first), first, second)
    )


tril_op = Multilinear(
    "tril",
    lambda x, k: np.tril(x, k),
    lambda g, _x, k: np.tril(g, k),
    joint=True,
    formula="lower triangle of x",
    local=("1 in the triangle",),
)
triu_op = Multilinear(
    "triu",
    lambda x, k: np.triu(x, k),
    lambda g, _x, k: np.triu(g, k),
    joint=True,
    formula="upper triangle of x",
    local=("1 in the triangle",),
)


@public(method=True, in_place=True, out=True)
def tril(input: ArrayT, diagonal: int = 0) -> ArrayT:
    """The lower triangle of the last two dimensions, zeros above `diagonal`."""
    return tril_op(input, k=diagonal)


@public(method=True, in_place=True, out=True)
def triu(input: ArrayT, diagonal: int = 0) -> ArrayT:
    """The upper triangle of the last two dimensions, zeros below `diagonal`."""
    return triu_op(input, k=diagonal)


clone_op = Multilinear(
    "clone", lambda x, memory_format=None: in_format(x, memory_format), lambda g, _x, **_format: g, joint=True,
    formula="x", local=("1",),
)  # fmt: skip
contiguous_op = Multilinear(
    "contiguous", lambda x, memory_format=contiguous_format: in_format(x, memory_format), lambda g, _x, **_format: g,
    joint=True, formula="x", local=("1",),
)  # fmt: skip


@public(method=True)
def clone(input: ArrayT, *, memory_format: object | None = None) -> ArrayT:
    """A copy of the values, laid out as they are or in a `memory_format`; gradients flow through."""
    if memory_format in (None, preserve_format):
        return clone_op(input)
    return _laid_out(clone_op(input, memory_format=memory_format))


@public(top_level=False, method=True)
def contiguous(input: ArrayT, *, memory_format: object | None = None) -> ArrayT:
    """The same values in row-major memory, or in a `memory_format`: itself when they are already, else a copy."""
    check_format(memory_format, unwrap(input).ndim)
    if memory_format == preserve_format or has_format(unwrap(input), memory_format):
        return input
    if memory_format in (None, contiguous_format):
        return contiguous_op(input)
    return _laid_out(contiguous_op(input, memory_format=memory_format))


def _laid_out(copy: ArrayT) -> ArrayT:
    """The layout was asked for, so that nothing here may lay it out anew."""
    if isinstance(copy, Handle):
        keep_layout(copy)
    return copy


@public
def meshgrid(*tensors: Array, indexing: str = "ij") -> tuple[Array, ...]:
    """Coordinate grids of 1-d tensors; `indexing` 'ij' (rows first, PyTorch's default) or 'xy'."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ShapeError(f"meshgrid expected indexing 'ij' or 'xy', got {indexing!r}")
    lengths = [np.size(unwrap(x)) for x in tensors]
    grids = [
        expand(reshape(x, (1,) * k + (-1,) + (1,) * (len(tensors) - k - 1)), lengths)
        for k, x in enumerate(tensors)
    ]
    if indexing == "xy" and len(grids) > 1:  # x varies along columns
        grids = [transpose(g, 0, 1) for g in grids]
    return tuple(grids)


# --- under NumPy's names ---------------------------------------------------------------------------

implements(np.flip)(lambda m, axis=None: flip_op(m, axis=axes_of(axis, np.ndim(unwrap(m)))))
implements(np.roll)(lambda a, shift, axis=None: roll_op(a, shift=shift, axis=axis))
implements(np.tril)(lambda m, k=0: tril_op(m, k=k))
implements(np.triu)(lambda m, k=0: triu_op(m, k=k))
implements(np.reshape)(lambda a, /, shape, order="C", **_: view_of(reshape_op, a, {"shape": shape}))
implements(np.ravel)(lambda a, order="C": ravel(a))
implements(np.swapaxes)(lambda a, axis1, axis2: transpose(a, axis1, axis2))
implements(np.moveaxis)(lambda a, source, destination: movedim(a, source, destination))
implements(np.squeeze)(lambda a, axis=None: squeeze(a, axis))
implements(np.broadcast_to)(lambda array, shape, subok=False: expand_op(array, shape=sizes((shape,))))
implements(np.tile)(lambda A, reps: tile(A, reps))
implements(np.rot90)(lambda m, k=1, axes=(0, 1): rot90(m, k, axes))
implements(np.copy)(lambda a, order="K", subok=False: clone(a))
implements(np.atleast_1d)(
    lambda *arrays: atleast_1d(arrays[0]) if len(arrays) == 1 else [atleast_1d(a) for a in arrays]
)


@implements(np.transpose)
def _np_transpose(a: Array, axes: Dims = None) -> Array:
    ndim = np.ndim(unwrap(a))
    return view_of(
        permute_op, a, {"dims": tuple(reversed(range(ndim))) if axes is None else axes_of(axes, ndim)}
    )


@implements(np.expand_dims)
def _np_expand_dims(a: Array, axis: int | Sequence[int]) -> Array:
    return view_of(reshape_op, a, {"shape": np.expand_dims(unwrap(a), axis).shape})


@implements(np.concatenate)
def _np_concatenate(arrays: Sequence[Array], /, axis: int | None = 0, **_: object) -> Array:
    return cat([ravel(a) for a in arrays] if axis is None else arrays, 0 if axis is None else axis)


@implements(np.stack)
def _np_stack(arrays: Sequence[Array], axis: int = 0, **_: object) -> Array:
    return stack(arrays, axis)


implements(np.hstack)(lambda tup, **_: hstack(tup))
implements(np.vstack)(lambda tup, **_: vstack(tup))
implements(np.column_stack)(lambda tup: column_stack(tup))
implements(np.meshgrid)(lambda *xi, indexing="xy", **_: meshgrid(*xi, indexing=indexing))
implements(np.broadcast_arrays)(lambda *args, subok=False: broadcast_tensors(*args))
