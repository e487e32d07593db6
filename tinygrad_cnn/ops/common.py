"""What the rooms of ops share: turning arguments into what the primitives take.

Touches arrays and handles only. The families of ops import it; it imports none of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import AnyFunction, Array, ArrayT, Axes, Dims, Shaped
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.fast import calls
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.op import Elementwise, Op
from tinygrad_cnn.ops.declare import public

ndarray = np.ndarray
_INTEGRAL = "biu"
F = TypeVar("F", bound=AnyFunction)


def unary(op: Op, *numpy: Any, floats: bool = True, declared: bool = True, **forms: Any) -> Callable[[ArrayT], ArrayT]:
    """The function of a primitive with one input, taking PyTorch's argument name.

    With `floats`, integers are computed in the default floating dtype, as in PyTorch (NumPy would give
    float16 for bytes and float64 for long integers). The given NumPy functions are answered by it. Unless
    `declared` is False it is public in every form; `forms` are further arguments of `declare.public`.
    """
    call = calls.method(op) if isinstance(op, Elementwise) else op

    def function(input: ArrayT) -> ArrayT:
        if floats and isinstance(input, Handle) and input.array.dtype.kind in _INTEGRAL:
            input = wrap(input.array.astype(modes.get_default_dtype()))
        return call(input)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.__doc__
    if not declared:
        return implements(*numpy)(function)
    return public(numpy=numpy, **{"method": True, "in_place": True, "out": True, **forms})(function)


def as_float(x: Any) -> Any:
    """Integers and booleans in the default floating dtype; anything else as it is."""
    if isinstance(x, Handle):
        return wrap(x.array.astype(modes.get_default_dtype())) if x.array.dtype.kind in _INTEGRAL else x
    if isinstance(x, ndarray) and x.dtype.kind in _INTEGRAL:
        return x.astype(modes.get_default_dtype())
    return x


def is_floating(x: Any) -> bool:
    """Whether a tensor, array or number is of a floating (or complex) kind."""
    dtype = getattr(x, "dtype", None)
    return isinstance(x, (float, complex)) if dtype is None else dtype.kind in "fc"


def like(result: Any, *inputs: Any) -> Any:
    """`result` as a tensor when one of the inputs is one."""
    if any(isinstance(x, Handle) for x in inputs):
        return wrap(np.asarray(result))
    return result


def axes_of(dim: Dims, ndim: int) -> tuple[int, ...] | None:
    """PyTorch's `dim` (None, a number, or several) as non-negative axes; None means all of them.

    Raises IndexError for a dimension that does not exist, ValueError for one named twice.
    """
    if dim is None:
        return None
    if isinstance(dim, (int, np.integer)):
        return (axis_of(dim, ndim),)
    axes = tuple([axis_of(d, ndim) for d in dim])
    if len(set(axes)) != len(axes):
        raise ValueError(f"dim {tuple(dim)} names a dimension twice")
    return axes


def axis_of(dim: Any, ndim: int) -> int:
    """One dimension as a non-negative axis; a 0-d tensor counts as having one."""
    count = ndim or 1
    axis = int(unwrap(dim))
    if not -count <= axis < count:
        raise IndexError(
            f"dim {axis} is out of range: expected {-count} to {count - 1} for {ndim} dimensions"
        )
    return axis % count


def kept_shape(shape: Sequence[int], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape a reduction over `axes` has with keepdim=True."""
    if axes is None:
        return (1,) * len(shape)
    return tuple([1 if k in axes else n for k, n in enumerate(shape)])


def sizes(args: tuple[Any, ...], named: Any = None) -> tuple[int, ...]:
    """A shape given as ``f(2, 3)``, ``f((2, 3))`` or by its name; tensors of one entry count as numbers."""
    if named is not None:
        if args:
            raise TypeError(f"the sizes were given twice: {args} and {named}")
        args = (named,)
    if len(args) == 1 and not isinstance(args[0], (int, np.integer)):
        only = unwrap(args[0])
        args = (only.item(),) if isinstance(only, ndarray) and only.ndim == 0 else tuple(only)
    return tuple([n if type(n) is int else int(np.asarray(unwrap(n)).item()) for n in args])


def numpy_names(function: F) -> F:
    """Let a reduction's `dim` and `keepdim` also go by NumPy's names `axis` and `keepdims`, as PyTorch does.

    Raises TypeError for `dim` and `axis` together.
    """

    @functools.wraps(function)
    def call(*args: Any, axis: Dims = None, keepdims: bool | None = None, **options: Any) -> Any:
        if axis is not None:
            if len(args) > 1 and args[1] is not None or options.get("dim") is not None:
                raise TypeError("give dim or axis, not both: they are two names of the same argument")
            args, options["dim"] = args[:1], axis
        if keepdims is not None:
            options["keepdim"] = bool(keepdims)
        return function(*args, **options)

    own = inspect.signature(function)
    names = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
             for name, kind in (("axis", "Dims"), ("keepdims", "bool | None"))]  # fmt: skip
    call.__signature__ = own.replace(parameters=[*own.parameters.values(), *names])  # type: ignore[attr-defined]
    return cast(F, call)


def reduced_axes(input: Array, dim: Dims) -> tuple[int, ...] | None:
    """The axes a reduction goes over; None when it goes over all of them."""
    if dim is None:
        return None
    shape = np.shape(unwrap(input))
    axes = axes_of(dim, len(shape))
    return None if axes is None or not shape or axes == () else axes


def spread(g: Array, x: Shaped, axis: Axes, keepdims: bool) -> Array:
    """The transpose of a sum: every entry gets the gradient of the sum it went into."""
    if not keepdims and axis is not None and len(x.shape):
        g = np.reshape(g, kept_shape(x.shape, axis))
    return np.broadcast_to(g, x.shape)


def refuse_options(name: str, out: object, rest: dict[str, Any]) -> None:
    """Raise TypeError for options of a NumPy function that mean nothing here."""
    given = [k for k, v in rest.items() if v is not np._NoValue and v is not True] + (
        ["out"] if out is not None else []
    )
    if given:
        raise TypeError(f"np.{name} on tensors does not take {', '.join(given)}")
