"""PyTorch's graph nodes in the form of `node.Node`, and their local gradients as linear maps.

A node of PyTorch that hands out several tensors (``split``, ``unbind``, an LSTM) is shown as one node whose value is
all of them in one row, and one small node per tensor that is used; each node has one value then, as everywhere here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch

from tinygrad_cnn.autograd.inspect import Scope, Site
from tinygrad_cnn.autograd.linear_map import LinearMap
from tinygrad_cnn.bridge.node import Node, Op
from tinygrad_cnn.bridge.torch_ops import Text, text_of
from tinygrad_cnn.support.errors import UsageError

ndarray = np.ndarray
#: PyTorch's own object of a node: what `Tensor.grad_fn` is.
TorchFn: TypeAlias = torch.autograd.graph.Node
#: Attributes of a node's settings that repeat what its shapes say.
_UNTOLD = ("_sym_sizes", "_sym_strides", "_sym_numel", "_options", "_layout")


def look(tensor: torch.Tensor) -> ndarray:
    """A tensor as an array. On a CPU it shares memory; from another device, and from bfloat16, it is a copy."""
    found = tensor.detach()
    if found.layout != torch.strided:
        found = found.to_dense()
    found = found.cpu().resolve_conj().resolve_neg()
    if found.dtype == torch.bfloat16:
        found = found.float()
    return found.numpy()


class Lazy:
    """A gradient that is turned into an array when somebody looks."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> ndarray:
        found = look(self.tensor)
        if dtype is not None:
            found = found.astype(dtype, copy=False)
        return found.copy() if copy else found


def numpy_dtype(dtype: torch.dtype) -> np.dtype:
    """The dtype of the arrays that `look` gives."""
    return np.dtype(np.float32) if dtype == torch.bfloat16 else np.dtype(str(dtype).removeprefix("torch."))


class Record:
    """What was noted of a node in the forward pass; see `torch_watch`.

    `call` is the operator with its arguments, as far as it can be run again; `version` is the value's counter of
    in-place changes at that time.
    """

    __slots__ = ("args", "call", "kwargs", "live", "scope", "stack", "value", "version")

    def __init__(
        self, value: torch.Tensor | None, stack: tuple[Site, ...], scope: Scope | None, call: Any = None,
        args: Any = (), kwargs: Mapping[str, Any] | None = None, live: Sequence[tuple[int, ...]] = (),
    ) -> None:  # fmt: skip
        self.value, self.stack, self.scope = value, stack, scope
        self.version = None if value is None else value._version
        self.call, self.args, self.kwargs, self.live = call, args, kwargs or {}, live


    def as_node(self, name: str) -> Node:
        """A node of what was noted, before PyTorch has made its own: the inputs are constants."""
        kept = [look(a.tensor) for a in tensors_in((self.args, self.kwargs))]
        return _RecordedNode(self, name, kept)


class Kept:
    """A tensor argument: its value then, and whether a gradient with respect to it is wanted."""

    __slots__ = ("live", "tensor", "version")

    def __init__(self, tensor: torch.Tensor, live: bool) -> None:
        self.tensor, self.live, self.version = tensor, live, tensor._version


def tensors_in(value: object) -> list[Kept]:
    """The tensors among the arguments of a recorded call, in order."""
    if isinstance(value, Kept):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [kept for v in value for kept in tensors_in(v)] if isinstance(value, (list, tuple)) else []


#: Under this key a node's `metadata`, which lives as long as the node does, holds its `Record`.
KEY = "tinygrad_cnn"


class TorchOp(Op):
    """The operation of one node: the texts, and (see `torch_check`) a way to run it again."""

    def __init__(self, text: Text, has_factor: bool) -> None:
        super().__init__(text.name, text.formula, text.inputs)
        self.has_factor, self.local = has_factor, text.local

    def local_text(self, i: int) -> str:
        return self.local[min(i, len(self.local) - 1)] if self.local else super().local_text(i)

    def structure(self, _node: object, _i: int) -> str:
        return "diagonal" if self.has_factor else "general"

    #: The noted arguments hold the inputs that are not live.
    holds_constants = True
    # What `autograd.node_check` asks, where the operator can be run again (see `torch_check`):
    rerun: Any = None

    def forward(self, *inputs: Any) -> ndarray:
        """The value for other inputs, in float64."""
        found: ndarray = self.rerun(*inputs)
        return found

    def given(self, _node: object) -> dict[str, object]:
        """No parameters: the noted arguments are part of `forward`."""
        return {}

    def pull_again(self, _node: object, inputs: Sequence[Any], u: ndarray) -> Any:
        """The rule at other inputs, in float64."""
        return self.rerun.pull(inputs, u)

    def pull_all(self, u: ndarray, _node: object, _saved: object) -> Any:
        """The rule as it is, in the node's own dtype."""
        return self.rerun.pull_in_own_dtype(u)


class _RecordedNode(Node):
    def __init__(self, record: Record, name: str, inputs: list[ndarray]) -> None:
        assert record.value is not None
        self.seq = 0
        self.parents, self.saved = (None,) * len(inputs), (None, *inputs)
        self.value = look(record.value)
        self.shape, self.dtype = self.value.shape, self.value.dtype
        text, has_factor = text_of(name, max(self.value.ndim - 2, 1), len(inputs))
        fits = all(_broadcasts(x.shape, self.shape) for x in inputs)
        self.op = TorchOp(text, has_factor and fits)
        self.scope, self.where = record.scope, record.stack[0] if record.stack else None


class TorchNode(Node):
    """A node of PyTorch's graph; `fn` is PyTorch's own object, `indices` the outputs whose gradients it takes."""

    op: TorchOp

    def __init__(self, fn: TorchFn, indices: Sequence[int], watched: bool = True) -> None:
        self.seq = 0
        self.fn, self.indices = fn, tuple(indices)
        self.parents: tuple[Any, ...] = ()
        metas = [fn._input_metadata[i] for i in self.indices]
        self.shapes = [tuple(m.shape) for m in metas]
        self.shape = self.shapes[0] if len(metas) == 1 else (sum(map(_size, self.shapes)),)
        self.torch_dtype, self.device = metas[0].dtype, metas[0].device
        self.dtype = numpy_dtype(self.torch_dtype)
        self.record: Record | None = fn.metadata.get(KEY) if watched else None
        if self.record is not None:
            self.scope, self.stack = self.record.scope, self.record.stack or None
            self.where = self.record.stack[0] if self.record.stack else None

    def describe(self) -> None:
        """Say what it is, once its parents are known."""
        name, arity = self.fn.name(), len(self.parents)
        dims = max(len(self.shape) - 2, 1)
        text, has_factor = text_of(name, dims, arity)
        fits = len(self.indices) == 1 and all(
            p is None or _broadcasts(p.shape, self.shape) for p in self.parents
        )
        self.op = TorchOp(text, has_factor and fits)
        self.params = settings_of(self.fn)

    @property
    def value(self) -> ndarray | None:
        record = self.record
        if record is None or record.value is None or record.value._version != record.version:
            return None
        return look(record.value) if len(self.indices) == 1 else None

    @functools.cached_property
    def places(self) -> list[int | None] | None:
        """For each input, which tensor of the noted arguments it is, as far as can be told (None for the others).

        None altogether when an input whose gradient is wanted is not among them.
        """
        record = self.record
        if record is None or record.call is None:
            return None
        kept = tensors_in((record.args, record.kwargs))
        at = [k for k, tensor in enumerate(kept) if tensor.live]
        free = list(zip(at, record.live, strict=True))
        places: list[int | None] = []
        for (target, index), parent in zip(self.fn.next_functions, self.parents, strict=True):
            if target is None:
                places.append(None)
                continue
            key = (-1, id(parent.variable)) if isinstance(parent, LeafNode) else (target._sequence_nr(), index)
            found = next((entry for entry in free if entry[1] == key), None)
            if found is None:
                return None
            free.remove(found)
            places.append(found[0])
        # A constant stands between the live arguments as its edge stands between theirs.
        after = -1
        for i, place in enumerate(places):
            if place is None:
                end = next((p for p in places[i + 1 :] if p is not None), len(kept))
                place = next((k for k in range(after + 1, end) if not kept[k].live), None)
                places[i] = place
            after = after if place is None else place
        return places

    def noted(self) -> list[ndarray | None]:
        """The values of the inputs as the noted arguments hold them; None where that is unknown."""
        if self.places is None or self.record is None:
            return [None] * len(self.parents)
        kept = tensors_in((self.record.args, self.record.kwargs))
        found = [None if place is None else kept[place] for place in self.places]
        return [None if k is None or k.tensor._version != k.version else look(k.tensor) for k in found]

    @property
    def saved(self) -> tuple[ndarray | None, ...]:
        """(None, and the values of the inputs that are constants)."""
        noted = self.noted() if None in self.parents else [None] * len(self.parents)
        return (None, *(v if p is None else None for p, v in zip(self.parents, noted, strict=True)))

    @property
    def formula(self) -> str:
        lines = [f"y = {self.op.formula}"]
        arity = len(self.parents)
        lines += [
            f"∂y/∂{self.op.input_name(i, arity)} = {self.op.local_text(i)}"
            for i, parent in enumerate(self.parents) if parent is not None
        ]  # fmt: skip
        return "; ".join(lines)

    def local_gradient(self, i: int = 0) -> TorchMap:
        return TorchMap(self, i)

    def upstream_of(self, gradient: torch.Tensor) -> list[torch.Tensor | None]:
        """The gradients of the node's outputs, as PyTorch's object takes them, out of the node's one gradient."""
        parts: list[torch.Tensor | None] = [None] * len(self.fn._input_metadata)
        start = 0
        for index, shape in zip(self.indices, self.shapes, strict=True):
            size = _size(shape)
            one = gradient if len(self.indices) == 1 else gradient.reshape(-1)[start : start + size].reshape(shape)
            parts[index], start = one, start + size
        return parts

    @property
    def runs_a_pass(self) -> bool:
        """Whether its rule is a backward pass of its own, which writes `.grad`: a reentrant checkpoint's is."""
        return str(self.fn.name()) == "CheckpointFunctionBackward"

    def pull(self, gradient: torch.Tensor, *, reduce: bool = True) -> list[torch.Tensor | None]:
        """What the node hands to each input for an upstream gradient, without any hook.

        With `reduce`, summed over what broadcasting repeated, as PyTorch's engine does. Raises UsageError for a node
        whose rule cannot be tried without consequences.
        """
        if self.runs_a_pass:
            raise UsageError(
                "a reentrant checkpoint runs a backward pass of its own, which writes .grad: step it to see what it "
                "hands on, or use checkpoint(…, use_reentrant=False)"
            )
        parts = self.upstream_of(gradient)
        fn = self.fn
        if callable(fn):
            found = fn(*parts)
        else:  # a function of the user's: its `backward`, which may not know None
            metas = fn._input_metadata
            if getattr(fn, "materialize_grads", True):
                parts = [
                    torch.zeros(m.shape, dtype=m.dtype, device=m.device) if p is None else p
                    for p, m in zip(parts, metas, strict=True)
                ]
            found = fn.apply(*parts)
        found = found if isinstance(found, tuple) else (found,)
        handed: list[torch.Tensor | None] = []
        for d, (target, index) in zip(found, fn.next_functions, strict=False):
            if d is not None and target is not None and reduce:
                shape = tuple(target._input_metadata[index].shape)
                d = d if tuple(d.shape) == shape else d.sum_to_size(shape)
            handed.append(None if target is None else d)
        return handed


class OutputNode(Node):
    """One of the several tensors that a node of PyTorch hands out."""

    def __init__(self, main: TorchNode, index: int) -> None:
        self.seq = 0
        self.main, self.index = main, index
        meta = main.fn._input_metadata[index]
        self.shape, self.dtype = tuple(meta.shape), numpy_dtype(meta.dtype)
        self.parents = (main,)
        self.scope, self.stack, self.where, self.record = main.scope, main.stack, main.where, None

    def describe(self) -> None:
        """Say what it is, once the node behind it knows."""
        name = self.main.op.name
        self.op = Op(f"{name}[{self.index}]", f"output {self.index} of {name}", ("x",))

    def local_gradient(self, i: int = 0) -> LinearMap:
        return OutputMap(self, i)


class LeafNode(Node):
    """A parameter, or an input whose gradient is wanted."""

    def __init__(self, fn: TorchFn) -> None:
        self.seq = 0
        self.fn, self.variable = fn, fn.variable
        self.parents = ()
        self.op = Op("leaf", "leaf: its gradient is accumulated in .grad", ())
        self.op.kind = "leaf"
        self.shape, self.dtype = tuple(self.variable.shape), numpy_dtype(self.variable.dtype)
        self.tensor = LeafTensor(self.variable)

    def describe(self) -> None:
        """Nothing to add."""

    @property
    def formula(self) -> str:
        return self.op.formula

    @property
    def hooks(self) -> Any:
        return self.variable._backward_hooks or getattr(self.variable, "_post_accumulate_grad_hooks", None) or None


#: A node of a graph of PyTorch.
GraphNode: TypeAlias = "TorchNode | OutputNode | LeafNode"


class Typed(Protocol):
    """What has the dtype and the device of a tensor."""

    torch_dtype: torch.dtype
    device: torch.device


class LeafTensor:
    """A leaf's tensor as pictures and the debugger ask for it."""

    name = None

    def __init__(self, variable: torch.Tensor) -> None:
        self.variable, self.is_parameter = variable, isinstance(variable, torch.nn.Parameter)

    @property
    def array(self) -> ndarray:
        return look(self.variable)

    @property
    def grad(self) -> LeafTensor | None:
        grad = self.variable.grad
        return None if grad is None else LeafTensor(grad)


class TorchMap(LinearMap):
    """The local gradient of a node of PyTorch: pulls back by calling the node, pushes forward by transposing that."""

    __slots__ = ()
    node: Any

    def __init__(self, node: TorchNode, i: int) -> None:
        super().__init__(cast(Any, node), i)

    @property
    def factor(self) -> ndarray:
        if not self.node.op.has_factor:
            return super().factor
        ones = torch.ones(self.node.shape, dtype=self.node.torch_dtype, device=self.node.device)
        with torch.no_grad():
            found = self.node.pull(ones, reduce=False)[self.i]
        return np.broadcast_to(0.0 if found is None else look(found), self.node.shape)

    def T(self, g: npt.ArrayLike) -> ndarray:
        g = np.asarray(g, dtype=self.node.dtype)
        if g.shape != tuple(self.node.shape):
            raise ValueError(f"J.T expected an upstream gradient of shape {self.node.shape}, got {g.shape}")
        with torch.no_grad():
            found = self.node.pull(to_torch(g, self.node))[self.i]
        return np.zeros(self.node.parents[self.i].shape, self.node.dtype) if found is None else look(found)

    def __call__(self, t: npt.ArrayLike) -> ndarray:
        """J · t is the gradient of ⟨Jᵀ g, t⟩ with respect to g. Raises NotImplementedError where the rule of the node
        cannot be differentiated."""
        parent = self.node.parents[self.i]
        t = np.asarray(t, dtype=self.node.dtype)
        if t.shape != tuple(parent.shape):
            raise ValueError(f"J(t) expected a tangent of shape {parent.shape}, got {t.shape}")
        with torch.enable_grad():
            g = to_torch(np.zeros(self.node.shape, self.node.dtype), self.node).requires_grad_()
            found = self.node.pull(g)[self.i]
            if found is None or not found.requires_grad:
                raise NotImplementedError(f"the rule of {self.node.op.name} cannot be differentiated")
            tangent = torch.as_tensor(t).to(found.device, found.dtype)
            try:
                (pushed,) = torch.autograd.grad(found, g, tangent)
            except RuntimeError as error:
                raise NotImplementedError(
                    f"the rule of {self.node.op.name} cannot be differentiated: {error}"
                ) from error
        return look(pushed)

    def _saved(self) -> tuple[()]:
        return ()


class OutputMap(LinearMap):
    """The local gradient of one of several outputs: its part of the row."""

    __slots__ = ()
    node: Any

    def __init__(self, node: OutputNode, i: int) -> None:
        super().__init__(cast(Any, node), i)

    @property
    def structure(self) -> str:
        return "selection"

    def _part(self) -> tuple[int, int]:
        main = self.node.main
        start = sum(
            _size(shape) for k, shape in zip(main.indices, main.shapes, strict=True) if k < self.node.index
        )
        return start, start + _size(self.node.shape)

    def T(self, g: npt.ArrayLike) -> ndarray:
        first, last = self._part()
        row = np.zeros(self.node.main.shape, self.node.dtype)
        row[first:last] = np.asarray(g).reshape(-1)
        return row

    def __call__(self, t: npt.ArrayLike) -> ndarray:
        first, last = self._part()
        return np.asarray(t)[first:last].reshape(self.node.shape)


def to_torch(array: ndarray, node: Typed) -> torch.Tensor:
    """An array as a tensor of a node's dtype, on its device."""
    return torch.tensor(array).to(dtype=node.torch_dtype, device=node.device)


def settings_of(fn: TorchFn) -> dict[str, object]:
    """The settings that a node keeps: kernel sizes, dimensions, flags; tensors are values and not among them."""
    found: dict[str, object] = {}
    names = dir(fn)
    for name in names:
        # A tensor has a `_raw_saved_…` too; looking at one may run a checkpointed region again.
        if not name.startswith("_saved_") or name.endswith(_UNTOLD) or f"_raw{name}" in names:
            continue
        value = getattr(fn, name)
        if isinstance(value, (bool, int, float, str)) or (
            isinstance(value, tuple) and all(isinstance(v, (bool, int, float)) for v in value)
        ):
            found[name.removeprefix("_saved_")] = value
    return found


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    """Whether `shape` broadcasts to `target`."""
    if len(shape) > len(target):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(target), strict=False))
