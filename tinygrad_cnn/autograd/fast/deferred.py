"""Values that are known but not yet computed, so that consecutive ops can be done in one pass over the memory.

An op that may be fused with the next one gives a *deferred* tensor: its node, shape and dtype are there from the
start, its array is computed by a *recipe* the moment anybody asks for it. An op that can go on from the recipe
(ReLU behind a bias, say) is called by `apply` instead of reading the array, and both are done in one pass. Each op
still records its own node; what such a node saved is restored when somebody looks (see `saved`).

Nothing can tell the difference but a clock: reading `.array`, by whatever way, computes it, and the tensor is a
plain one from then on. Deferred tensors exist only inside the outermost module's call (`Module.__call__` settles what
it returns), never while an observer (a debugger, `keep_values`, a checkpoint) watches, and not at all after
``set_fusion(False)``. The recipes themselves are in `ops.fused`.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Params, Tensor
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.support.dtypes import OF
from tinygrad_cnn.support.size import Size

_dtype_of = OF.get

#: Below this many numbers a pass costs less than the bookkeeping.
WORTH_IT = 4_000

_enabled = True
_computing = threading.RLock()


def _after_fork_in_child() -> None:
    global _computing
    _computing = threading.RLock()  # whoever held it is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def set_fusion(enabled: bool) -> None:
    """Say whether consecutive ops inside a module may be done in one pass: bias and ReLU and 2x2 max-pooling
    behind a convolution, ReLU behind batch normalisation.

    On at first. Inside a module, a deferred tensor is of a subclass of `Tensor` until its value is asked for: test
    ``isinstance(y, Tensor)``, never ``type(y) is Tensor``.

    The graph, its nodes and all numbers are the same either way (the intermediate values are computed
    again when somebody looks at them); off, every op is computed on its own at once.
    """
    global _enabled
    _enabled = bool(enabled)


def is_fusion_enabled() -> bool:
    """Whether consecutive ops may be done in one pass; see `set_fusion`."""
    return _enabled


class Recipe:
    """How to compute the value of a deferred tensor from `z`, an array of the same shape.

    It may also stand in the `saved` of the node that will need that value. Subclasses define `compute` and, where
    another op can follow in the same pass, `then`. Nobody else may hold z, since it is read late (another recipe may:
    see `read_by`); parameters are copied for the same reason.
    """

    __slots__ = ("__weakref__", "_readers", "_value", "dtype", "shape", "z")

    def __init__(self, z: np.ndarray) -> None:
        self.z: np.ndarray | None = z
        self.shape, self.dtype = z.shape, z.dtype
        self._value: np.ndarray | None = None
        self._readers: list[weakref.ref[Recipe]] = []

    def compute(self, z: np.ndarray) -> np.ndarray:
        """The value from z; called once."""
        raise NotImplementedError

    def then(self, x: Tensor, op: Any, inputs: tuple[Any, ...], params: Params) -> Any:
        """(result, params with choices) of ``op(x, *inputs, **params)`` in the same pass; None where it cannot be."""
        return None

    def value(self) -> np.ndarray:
        """The value, computed at most once, for the engine's own use."""
        if self._value is None:
            with _computing:
                if self.z is not None:
                    self._value, self.z = self.compute(self.z), None
        assert self._value is not None
        return self._value

    def read_by(self, other: Recipe) -> None:
        """Note that `other` still reads this value, which must therefore not be handed out before it has."""
        self._readers.append(weakref.ref(other))

    def hand_out(self) -> np.ndarray:
        """The value for everybody, who may write to it: whatever reads it late has read it now."""
        value = self.value()
        for ref in self._readers:
            reader = ref()
            if reader is not None:
                reader.value()
        self._readers.clear()
        return value

    def restore(self, _node: Node) -> tuple[Any, ...]:
        """What the node in whose `saved` this stands would have saved: its output."""
        return (self.value(), None)

    peek = restore

    @property
    def held(self) -> tuple[np.ndarray, ...]:
        """The arrays that are held for the value."""
        return tuple(a for a in (self.z, self._value) if a is not None)


_slot: Any = vars(Handle)["array"]
#: What is in the slot of a tensor's array: ``stored(x)`` gives the array, or the recipe of a deferred tensor.
stored, store = _slot.__get__, _slot.__set__


class Deferred(Handle):
    """The part of a deferred tensor that differs from a plain one. Its recipe is in the slot of the array."""

    __slots__ = ()

    @property
    def array(self) -> np.ndarray:
        return settle(self)

    @array.setter
    def array(self, value: np.ndarray) -> None:
        store(self, value)
        _make_plain(self)

    @property
    def shape(self) -> Size:
        return Size(stored(self).shape)

    @property
    def dtype(self) -> Any:
        return _dtype_of(found := stored(self).dtype, found)

    @property
    def ndim(self) -> int:
        return len(stored(self).shape)

    def dim(self) -> int:
        """The number of dimensions."""
        return len(stored(self).shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    def __reduce_ex__(self, protocol: Any) -> Any:
        settle(self)
        return self.__reduce_ex__(protocol)  # the plain tensor's


#: The type of deferred tensors: compare with `type(x) is deferred.kind`, which costs plain tensors nothing.
kind: type[Handle] = Deferred


def register(tensor_type: type) -> None:
    """Make the type of deferred tensors from that of plain ones (called once, by `tinygrad_cnn.tensors.tensor`)."""
    global kind
    body = {name: value for name, value in vars(Deferred).items() if name not in ("__doc__", "__weakref__")}
    kind = type(tensor_type.__name__, (tensor_type,), {**body, "__module__": tensor_type.__module__})


def possible(array: np.ndarray) -> bool:
    """Whether a result like `array`, just made by an op of this thread, may be deferred."""
    now = modes.state.now
    return (
        _enabled
        and now.scope is not None
        and now.on_record is None
        and array.ndim > 2
        and array.size >= WORTH_IT
        and array.dtype.char == "f"
    )


def defer(recipe: Recipe, node: Node | None) -> Any:
    """A deferred tensor."""
    t: Any = object.__new__(kind)
    store(t, recipe)
    t.node = node
    t._grad = t.name = None
    return t


def apply(op: Any, x: Tensor, inputs: tuple[Any, ...], params: Params) -> tuple[Any, dict[str, Any]]:
    """``op.apply((x, *inputs), params)``, in one pass with what a deferred `x` waits for where that can be."""
    if type(x) is kind and modes.state.now.on_record is None:
        recipe = stored(x)
        if isinstance(recipe, Recipe):
            fused = recipe.then(x, op, inputs, params)
            if fused is not None:
                return fused
    return op.apply((x, *inputs), params)


def take_over(x: Tensor, y: Any) -> bool:
    """Make a deferred `x` what `y`, an op of it, is: the change in place, without computing what x was. False for a
    plain x, and where the two differ in whether they are part of a graph."""
    if type(x) is not kind or (x.node is None) != (y.node is None):
        return False
    x.node = y.node
    if type(y) is kind:
        store(x, stored(y))
    else:
        x.array = y.array
    return True


def settle(x: Tensor) -> np.ndarray:
    """The array of a deferred tensor, which is a plain one afterwards."""
    with _computing:
        recipe = stored(x)
        if not isinstance(recipe, Recipe):  # by another thread, meanwhile
            return recipe
        value = recipe.hand_out()
        node = x.node
        if node is not None and node.saved is recipe:
            node.saved = recipe.restore(node)
        store(x, value)
        _make_plain(x)
        return value


def _make_plain(x: Tensor) -> None:
    x.__class__ = kind.__base__
