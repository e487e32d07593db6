"""Which tensors look at the same memory, so that a change in place reaches all of them.

A view's values live in its base's memory, but a recorded change makes new values instead of overwriting old
ones (whoever read these keeps them). So each view remembers the steps that lead to it from its base, and
`rebase` writes the change into a new base and takes every living view of it again: for the graph it is as if
the base had been changed first and the views taken afterwards, which is what PyTorch does too.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, Params
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.op import Op

Steps = tuple[tuple[Op, Params], ...]


class Family:
    """A base and its views. It holds the base's array and node, which every view holds anyway, but no tensor.

    `fixed`: the base's memory was laid out by the user (a NumPy array), so nothing here may lay it out anew.
    """

    __slots__ = ("_limit", "array", "base", "fixed", "node", "views")

    def __init__(self, base: Any) -> None:
        self.base = weakref.ref(base)
        self.array = base.array
        self.node = base.node
        self.fixed = False
        self.views: list[weakref.ref[Any]] = []
        self._limit = 16

    def add(self, view: Any) -> None:
        """Remember a view for as long as it lives."""
        self.views.append(weakref.ref(view))
        if len(self.views) > self._limit:
            self.views = [ref for ref in self.views if ref() is not None]
            self._limit = 2 * len(self.views) + 16

    def living_base(self) -> Any:
        """The base tensor, or None when it is gone or was given other memory since."""
        base = self.base()
        return base if base is not None and base.array is self.array else None

    def living_views(self) -> list[Any]:
        """The views that still look at this memory."""
        found = [ref() for ref in self.views]
        return [v for v in found if v is not None and getattr(v, "_family", None) is self]


def view_of(op: Op, x: Any, params: Params) -> Any:
    """Apply a view op and note, for changes in place, whose memory the result looks at."""
    y = op.apply((x,), params)[0]
    if isinstance(y, Handle) and isinstance(x, Handle):
        if x.array.flags.c_contiguous or np.may_share_memory(x.array, y.array):
            _join(y, x, op, params)
        else:
            y._family = None  # type: ignore[attr-defined]  # another shape could be had by copying only
    return y


def _join(y: Any, x: Any, op: Op, params: Params) -> None:
    family = getattr(x, "_family", None)
    if family is None:
        family = x._family = Family(x)
        x._steps = ()
    y._family = family
    y._steps = (*x._steps, (op, params))
    family.add(y)


def strided_places(size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> np.ndarray:
    """Which entry of the memory stands at each place of a strided view of it."""
    grid = [np.arange(n).reshape(-1, *[1] * (len(size) - 1 - k)) * s for k, (n, s) in enumerate(zip(size, stride))]
    return np.broadcast_to(offset + sum(grid, np.zeros((), np.int64)), size)


def keep_layout(t: Any) -> None:
    """Note that the memory of the new tensor `t` has the layout that its user gave it."""
    t._family = Family(t)
    t._family.fixed = True
    t._steps = ()


def can_view(x: Any, shape: tuple[int, ...]) -> bool:
    """Whether `x` can be seen in another shape without a copy.

    Kernels lay out their results channels-last, where PyTorch's are row-major. What would be a view there is one here
    as well: such memory is then laid out anew, row-major, for all who look at it.
    """
    array = x.array
    if array.flags.c_contiguous or not array.size or np.may_share_memory(array, np.reshape(array, shape)):
        return True
    family = getattr(x, "_family", None)
    if family is None:
        return row_major(x)
    if family.fixed or family.array.flags.c_contiguous:
        return False
    model = np.empty(family.array.shape, np.bool_)  # what the steps would lead to from a row-major base
    for op, params in x._steps:
        model = op.forward(model, **params)
    if not np.may_share_memory(model, np.reshape(model, shape)):
        return False
    return row_major(x)


def row_major(x: Any) -> bool:
    """Lay out the memory that `x` looks at row-major, for all tensors on it.

    False, and nothing changed, where the user gave the memory its layout.
    """
    family = getattr(x, "_family", None)
    if family is None:
        x.array = np.ascontiguousarray(x.array)
        return True
    if family.array.flags.c_contiguous:
        return True
    if family.fixed:
        return False
    base, others = family.living_base(), family.living_views()
    family.array = np.ascontiguousarray(family.array)
    if base is not None:
        base.array = family.array
    for view in others:
        seen = family.array
        for op, params in view._steps:
            seen = op.forward(seen, **params)
        view.array = seen
    return True


def copy_memory(t: Any, twin: Any, memo: dict[Any, Any]) -> None:
    """Give `twin` a copy of what `t` holds; tensors that shared memory share the copy, which `memo` remembers."""
    family = getattr(t, "_family", None)
    if family is None or not np.may_share_memory(family.array, t.array):
        key = ("memory", id(t.array))
        if key not in memo:
            memo[key] = np.array(t.array, order="K")
        twin.array = memo[key]
        return
    if ("memory", id(family)) not in memo:
        key = ("memory", id(family.array))
        if key not in memo:
            memo[key] = np.array(family.array, order="K")
        memo["memory", id(family)] = Family(wrap(memo[key]))
    copied = memo["memory", id(family)]
    twin.array = copied.array
    twin._family, twin._steps = copied, t._steps
    if t._steps:
        for op, params in t._steps:
            twin.array = op.forward(twin.array, **params)
        copied.add(twin)
    else:
        copied.base = weakref.ref(twin)


def replace_by_view(t: Any, new: Any) -> None:
    """Make `t` the view `new` of itself, as `t.squeeze_()` does."""
    family, steps = new._family, new._steps
    t.array, t.node = new.array, new.node
    t._family, t._steps = family, steps
    family.add(t)


def observed(t: Any) -> bool:
    """Whether another living tensor may look at the memory of `t`."""
    family = getattr(t, "_family", None)
    if family is None:
        return False
    base = family.living_base()
    if base is not None and base is not t and np.may_share_memory(base.array, t.array):
        return True
    return any(v is not t and np.may_share_memory(v.array, t.array) for v in family.living_views())


def base_of(t: Any) -> Any:
    """The base as a tensor (the living one, or one of the same value and node); `t` itself when it is no view."""
    family = getattr(t, "_family", None)
    if family is None:
        return t
    base = family.living_base()
    return base if base is not None else wrap(family.array, family.node)


def rebase(t: Any, new: Any) -> None:
    """Give the view (or viewed base) `t` the value of `new`, and every tensor that shares its memory accordingly."""
    family: Family = t._family
    handle = family.living_base()
    views = family.living_views()
    base = wrap(family.array, handle.node if handle is not None else family.node)
    passed = [base]
    for op, params in t._steps[:-1]:
        passed.append(op.apply((passed[-1],), params)[0])
    for (op, params), x in zip(reversed(t._steps), reversed(passed[: len(t._steps)]), strict=True):
        new = _put_back(op, params, x, new)
    array = new.array
    if array.strides != family.array.strides or not array.flags.writeable:
        # The same layout as before, so that what was a view and no copy is one again.
        array = np.empty_like(family.array)
        np.copyto(array, new.array)
    family.array, family.node = array, new.node
    if handle is not None:
        put(handle, array, new.node)
    for view in views:
        again = wrap(array, new.node)
        for op, params in view._steps:
            again = op.apply((again,), params)[0]
        put(view, again.array, again.node)


def put(t: Any, array: np.ndarray, node: Any) -> None:
    """Give the handle another value; `retain_grad()` keeps speaking of the tensor's present one."""
    old = t.node
    t.array, t.node = array, node
    if old is None or node is None or node is old or old.is_leaf or node.is_leaf or old.target is None:
        return
    if old.target() is t:
        node.target, old.target = old.target, None


#: Per view op: a function (x, new, **params) that gives the `x` whose view is `new`, or None where several entries of
#: the view are one place in memory. The op's own file adds it.
PUT_BACK: dict[Op, Callable[..., Any]] = {}


def _put_back(op: Op, params: Params, x: Array, new: Any) -> Any:
    """The `x` whose view by `op` is `new`."""
    found = PUT_BACK[op](x, new, **params) if op in PUT_BACK else None
    if found is None:
        raise RuntimeError(
            f"a change in place of what {op.name} gives, while gradients are recorded: several of its entries may be "
            "one place in memory. Change a copy (t.clone())."
        )
    return found
