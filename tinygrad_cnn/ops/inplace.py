"""Changes in place: `t += 1`, `t.relu_()`, `t[index] = value`.

Where no gradient is at stake the memory changes and its version is noted. A tensor that carries a graph gets
a new value and a new node instead, so that whoever read it earlier keeps what was read; `views` sees to it that
those who look at the same memory get theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.annotations import AnyFunction
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops import views
from tinygrad_cnn.ops.elementwise import cast_op
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import setitem, setitem_op, steps_of

ndarray = np.ndarray


def replace_by(t: Any, new: Any, name: str = "in-place op") -> Any:
    """Give `t` the value (and, while recording, the graph) of `new`; returns `t`.

    Raises RuntimeError for a leaf that requires grad, or a view of one, while recording, ValueError when the
    result has another shape, TypeError when its dtype does not fit into the tensor's.
    """
    value = unwrap(new)
    if np.shape(value) != t.array.shape:
        raise ShapeError(
            f"{name} would give shape {np.shape(value)}, but in place the tensor keeps its shape {t.array.shape}"
        )
    node = new.node if isinstance(new, Handle) else None
    if node is None and not (modes.is_grad_enabled() and t.node is not None):
        _write(t.array, value, name)
        return t
    check_recordable(t, name)
    dtype = t.array.dtype
    if value.dtype != dtype:
        if not _fits(value.dtype, dtype):
            raise TypeError(
                f"{name} gives {value.dtype}, which does not fit into the tensor's {dtype} in place"
            )
        if isinstance(new, Handle) and node is not None:
            new = cast_op(new, dtype=dtype)
            value, node = new.array, new.node
        else:
            value = value.astype(dtype)
    if (
        node is None and t.node is not None
    ):  # still part of the graph, with gradient 0 for what was overwritten
        new = setitem_op(t, value, index=(Ellipsis,))
        value, node = new.array, new.node
    if views.observed(t):
        views.rebase(
            t, new if isinstance(new, Handle) and new.node is node else wrap(np.asarray(value), node)
        )
    else:
        views.put(t, np.asarray(value), node)
        t._family = None
    return t


def check_recordable(t: Any, name: str) -> None:
    """Raise RuntimeError where a recorded change in place would not mean what it says."""
    if t.node is not None and t.node.is_leaf:
        raise RuntimeError(
            f"{name}: a leaf tensor that requires grad is changed in place while gradients are recorded. "
            "Do it under no_grad(), or compute a new tensor."
        )
    unknown = object()
    if getattr(t, "_family", unknown) is unknown:
        if t.node is None or not t.node.op.is_view:
            return
        # Made elsewhere: whose memory it is, nobody knows.
        where = f" at {t.node.where}" if t.node.where else ""
        raise RuntimeError(
            f"{name} on a view, made by {t.node.op.name}{where}, while gradients are recorded: the change would "
            "have to reach the tensor it looks at. Change a copy (t.clone())."
        )
    base = views.base_of(t)
    if base.node is not None and base.node.is_leaf and base is not t and views.observed(t):
        raise RuntimeError(
            f"{name}: a view of a leaf tensor that requires grad is changed in place while gradients are recorded. "
            "Do it under no_grad(), or change a copy (t.clone())."
        )


def _write(array: ndarray, value: Any, name: str) -> None:
    found = np.asarray(value).dtype
    if not _fits(found, array.dtype):
        raise TypeError(f"{name} gives {found}, which does not fit into the tensor's {array.dtype} in place")
    _check_writable(array, name)
    np.copyto(array, value, casting="unsafe")
    versions.bump(array)


def _check_writable(array: ndarray, name: str) -> None:
    if not array.flags.writeable:
        raise RuntimeError(
            f"{name}: this tensor cannot be written to: several entries are one number in memory (expand), or "
            "its array is read-only. Change a copy (t.clone())."
        )


def _fits(found: np.dtype, wanted: np.dtype) -> bool:
    """Whether PyTorch puts the one into the other in place: within a kind always, else only upwards."""
    return np.can_cast(found, wanted, "same_kind") or (found.kind in "iu" and wanted.kind in "iu")


def in_place(fn: AnyFunction, name: str | None = None) -> AnyFunction:
    """The in-place form of a function: computes it, then puts the result into its first argument."""
    label = name or f"{fn.__name__}_"

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return replace_by(self, fn(self, *args, **kwargs), label)

    method.__name__ = method.__qualname__ = label
    method.__doc__ = f"`{fn.__name__}` in place."
    return method


def operator_in_place(ufunc: np.ufunc, op: Any, name: str) -> Callable[[Any, Any], Any]:
    """`t += x` and its like: without a graph, one pass over the memory and no temporary."""

    def method(self: Any, other: Any) -> Any:
        live = self.node is not None or (isinstance(other, Handle) and other.node is not None)
        if live and modes.is_grad_enabled():
            check_recordable(self, name)
            return replace_by(self, op(self, other), name)
        value = other.array if isinstance(other, Handle) else other
        array = self.array
        try:
            ufunc(array, value, out=array, casting="same_kind")
        except (TypeError, ValueError):  # op, or the writing, says what does not fit
            replace_by(self, op(self, other), name)
            return self
        versions.bump(array)
        return self

    method.__name__ = method.__qualname__ = name
    return method


def set_item(t: Any, index: Any, value: Any) -> None:
    """`t[index] = value`."""
    view, arrays, _unique = steps_of(index, t.array.shape)
    if modes.is_grad_enabled() and (
        t.node is not None or (isinstance(value, Handle) and value.node is not None)
    ):
        if arrays is None and isinstance(value, Handle) and _is_that_place(t, view, value):
            return  # the last step of `t[index] += x`, whose first two changed the view t[index]
        check_recordable(t, "t[index] = value")
        replace_by(t, setitem(t, index, value), "t[index] = value")
        return
    _check_writable(t.array, "t[index] = value")
    if view is None or arrays is None:
        t.array[view or arrays] = unwrap(value)
    else:
        t.array[view][arrays] = unwrap(value)
    versions.bump(t.array)


def _is_that_place(t: Any, index: Any, value: Handle) -> bool:
    family = getattr(value, "_family", None)
    if family is None or family is not getattr(t, "_family", None):
        return False
    place, array = t.array[index], value.array
    return (
        isinstance(place, ndarray)
        and (place.shape, place.strides) == (array.shape, array.strides)
        and place.__array_interface__["data"] == array.__array_interface__["data"]
    )
