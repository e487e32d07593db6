"""`autograd.Function`: a user's own op, with its derivative written by hand, as in PyTorch."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved, Tensor
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.op import Multilinear, Op, push_through_vjp
from tinygrad_cnn.autograd.operands import remember_operands
from tinygrad_cnn.autograd.provenance import calling_site


class FunctionCtx:
    """What `forward` leaves for `backward`: tensors through `save_for_backward`, anything else as attributes.

    `needs_input_grad` says, per input, whether its gradient is wanted.
    """

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._saved: tuple[Any, ...] = ()
        self._for_forward: tuple[Any, ...] = ()
        self._no_grad_outputs: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._seq = 0
        self._parts: dict[int, weakref.ref[Node]] = {}

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors (inputs or outputs; None allowed) for the backward pass, their versions checked."""
        for t in tensors:
            if t is not None and not isinstance(t, Handle):
                raise TypeError(
                    f"save_for_backward expected tensors, got {type(t).__name__}; "
                    "keep other things as attributes of ctx"
                )
        self._saved = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `jvp`."""
        self._for_forward = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors kept by `save_for_backward`.

        Raises RuntimeError when one of them has been changed in place since.
        """
        tensors = []
        for k, item in enumerate(self._saved or self._for_forward):
            if isinstance(item, _SavedOutput):
                node = item.node()
                item = wrap(item.array, node)
            if item is not None and versions.changed_since(item.array, self._seq):
                raise RuntimeError(
                    f"saved tensor {k} of shape {tuple(item.array.shape)} has been changed in place since it was "
                    "saved; change a copy (t.clone()), or change it after backward()"
                )
            tensors.append(item)
        return tuple(tensors)

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say that these outputs carry no gradient."""
        self._no_grad_outputs = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Say that `forward` changed these inputs in place and returns them."""
        self._dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """With False, an output that got no gradient (or one of zeros) gives None to `backward` instead of zeros."""
        self.materialize_grads = bool(value)


class _SavedOutput:
    """An output that the context saved: its array and a weak way to its node, so that no cycle arises."""

    __slots__ = ("array", "node")

    def __init__(self, array: np.ndarray, node: Any) -> None:
        self.array, self.node = array, node


class Function:
    """Base class of user-defined ops.

        class Cube(tg.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x ** 3

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 3 * x ** 2 * g

        y = Cube.apply(x)

    `forward` may also leave out ctx if `setup_context(ctx, inputs, output)` is defined. `backward` returns
    one gradient per argument of `forward` (None for those that have none); written with tensor operations it
    can be differentiated again. An optional static ``jvp(ctx, *tangents)`` is the push-forward.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("an autograd.Function needs a static forward(ctx, *inputs)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError("an autograd.Function needs a static backward(ctx, *grad_outputs)")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and record it as one node."""
        ctx = FunctionCtx()
        nodes = tuple(a.node if isinstance(a, Handle) else None for a in args)
        live = modes.state.grad and any(node is not None for node in nodes)
        ctx.needs_input_grad = tuple(node is not None for node in nodes)
        with modes.no_grad():
            returned = cls.run(ctx, args, kwargs)
        outputs = returned if isinstance(returned, tuple) else (returned,)
        for k, output in enumerate(outputs):
            if not isinstance(output, Handle) and output is not None:
                raise TypeError(
                    f"{cls.__name__}.forward should return tensors, but result {k} is {type(output).__name__}"
                )
        if not live:
            return returned
        results = _record(cls, ctx, nodes, outputs, args)
        return tuple(results) if isinstance(returned, tuple) else results[0]

    @classmethod
    def run(cls, ctx: FunctionCtx, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """`forward` in either of its styles, with nothing recorded around it."""
        if "setup_context" not in _names_defined(cls):
            return cls.forward(ctx, *args, **kwargs)
        returned = cls.forward(*args, **kwargs)
        cls.setup_context(ctx, args, returned)  # type: ignore[attr-defined]
        return returned


def _names_defined(cls: type) -> set[str]:
    return {name for base in cls.__mro__ if base not in (Function, object) for name in vars(base)}


def once_differentiable(backward: AnyFunction) -> Any:
    """Mark a Function's `backward` as not differentiable again; doing so raises RuntimeError."""

    def wrapped(ctx: Any, *gs: Any) -> Any:
        if modes.state.grad and any(isinstance(g, Handle) and g.node is not None for g in gs):
            raise RuntimeError(
                "this Function's backward is marked @once_differentiable: it has no second derivative"
            )
        with modes.no_grad():
            return backward(ctx, *gs)

    return wrapped


#: One output of a Function that has several: the node holds them end to end, this takes one out.
_part = Multilinear(
    "function_output",
    lambda x, *, start, stop, shape: x[start:stop].reshape(shape),
    lambda g, x, *, start, stop, shape: np.concatenate(
        [np.zeros(start, x.dtype), np.reshape(g, -1), np.zeros(x.shape[0] - stop, x.dtype)]
    ),
    selection=True, formula="outputs[start:stop]", local=("selection",),
)  # fmt: skip


class FunctionOp(Op):
    """The op of one Function class. Its node's only parameter is the context."""

    kind = "general"
    is_view = False
    choice = ("ctx",)
    holds_constants = True

    def __init__(self, cls: type[Function]) -> None:
        self.cls = cls
        self.name = self.__name__ = cls.__name__
        self.forward = self._forward
        self.formula = f"{cls.__name__}(…)"
        self.local = (f"{cls.__name__}.backward",)
        self.definition = None
        self.vjp = cls.backward
        self._keep = {}

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        return (False,) * (len(live) + 1)

    def input_name(self, i: int, arity: int) -> str:
        """What `forward` calls its argument."""
        names = list(inspect.signature(self.cls.forward).parameters)
        if "setup_context" not in _names_defined(self.cls):
            names = names[1:]  # ctx
        return names[i] if len(names) >= arity else super().input_name(i, arity)

    def given(self, node: Node) -> Params:
        """The params without what `forward` left in the context."""
        return {k: v for k, v in node.params.items() if k != "ctx"}

    def rule_at(self, i: int, g: Array, node: Node, saved: Saved) -> tuple[AnyFunction, Sequence[Any], Params]:
        """The user's `backward`, and what it is called with for the gradient `g` of the node."""
        ctx = node.params["ctx"]
        upstream: Tensor = g if isinstance(g, Handle) else wrap(np.asarray(g))
        return self.cls.backward, (ctx, *_unpacked(upstream, node.params["shapes"], ctx)), {}

    def apply(self, inputs: Sequence[Tensor], params: Params) -> tuple[Any, dict[str, Any]]:
        """Run the Function again, on other values of its tensor inputs."""
        returned = self.cls.apply(*_filled_in(inputs, params))
        outputs = returned if isinstance(returned, tuple) else (returned,)
        live: Any = next(o for o in outputs if isinstance(o, Handle) and o.node is not None)
        node = live.node if live.node.op is self else live.node.parents[0]
        return wrap(live.array, node), node.params

    def _forward(self, *arrays: Any, **params: Any) -> tuple[np.ndarray, FunctionCtx]:
        tensors = [wrap(a) if isinstance(a, np.ndarray) else a for a in arrays]
        ctx = FunctionCtx()
        with modes.no_grad():
            returned = self.cls.run(ctx, _filled_in(tensors, params), {})
        if not isinstance(returned, tuple):
            return returned.array, ctx
        flowing = [o for o, shape in zip(returned, params["shapes"], strict=True) if shape is not None]
        return np.concatenate([o.array.ravel() for o in flowing]), ctx

    def pull(self, i: int, g: Array, node: Node, saved: Saved) -> Array:
        return self.pull_all(g, node, saved)[i]

    def pull_all(self, g: Array, node: Node, saved: Saved, wanted: Sequence[bool] | None = None) -> list[Any]:
        record = isinstance(g, Handle)
        with modes.set_grad_enabled(record):
            backward, args, _ = self.rule_at(0, g, node, saved)
            grads = backward(*args)
        if not isinstance(grads, (tuple, list)):
            grads = (grads,)
        grads = list(grads)
        if len(grads) > len(node.parents) and all(extra is None for extra in grads[len(node.parents) :]):
            grads = grads[: len(node.parents)]
        if len(grads) != len(node.parents):
            raise RuntimeError(
                f"{self.name}.backward returned {len(grads)} gradients, expected {len(node.parents)}: one per "
                "argument of forward, None for those without"
            )
        return [
            None if parent is None or d is None else self._checked(d, parent, i, record)
            for i, (parent, d) in enumerate(zip(node.parents, grads, strict=True))
        ]

    def _checked(self, d: Any, parent: Node, i: int, record: bool) -> Any:
        if tuple(d.shape) != tuple(parent.shape):
            raise RuntimeError(
                f"{self.name}.backward returned a gradient of shape {tuple(d.shape)} for argument {i}, "
                f"expected {tuple(parent.shape)}"
            )
        return d if record and isinstance(d, Handle) else unwrap(d)

    def push(self, i: int, t: Array, node: Node, saved: Saved) -> Array:
        jvp = getattr(self.cls, "jvp", None)
        if jvp is None:
            return push_through_vjp(self, i, t, node, saved)
        tangents: list[Any] = [None] * len(node.parents)
        tangents[i] = t if isinstance(t, Handle) else wrap(np.asarray(t))
        pushed = jvp(node.params["ctx"], *tangents)
        parts = pushed if isinstance(pushed, tuple) else (pushed,)
        if len(parts) > 1:
            pushed = np.concatenate([np.reshape(p, -1) for p in parts])
        else:
            pushed = parts[0]
        return pushed if isinstance(t, Handle) else unwrap(pushed)

    def structure(self, node: Node, i: int) -> str:
        return "general"


_ops: dict[type, FunctionOp] = {}


def _record(
    cls: type[Function],
    ctx: FunctionCtx,
    parents: tuple[Node | None, ...],
    outputs: tuple[Any, ...],
    args: Any,
) -> list[Any]:
    op = _ops.setdefault(cls, FunctionOp(cls))
    live = [
        o is not None and o.array.dtype.kind == "f" and all(o is not n for n in ctx._no_grad_outputs)
        for o in outputs
    ]
    flowing = [o for o, alive in zip(outputs, live, strict=True) if alive]
    if not flowing:
        return list(outputs)
    packed = len(outputs) > 1
    shape = (sum(o.array.size for o in flowing),) if packed else flowing[0].array.shape
    dtype = np.result_type(*[o.array.dtype for o in flowing])
    shapes = (
        [o.array.shape if alive else None for o, alive in zip(outputs, live, strict=True)] if packed else None
    )
    constants = tuple(None if p is not None else a for a, p in zip(args, parents, strict=True))
    node = Node(
        op, parents, {"ctx": ctx, "shapes": shapes, "args": constants}, (None,) * (len(parents) + 1), shape, dtype,
        calling_site(3), modes.state.scope,
    )  # fmt: skip
    remember_operands(node, [unwrap(a) for a in args])
    ctx._seq = node.seq
    results: list[Any] = []
    made: dict[int, tuple[np.ndarray, Node]] = {}
    whole = wrap(np.concatenate([o.array.ravel() for o in flowing]), node) if packed else None
    if modes.state.now.on_record is not None:
        modes.state.now.on_record(node, flowing[0].array if whole is None else whole.array)
    start = 0
    for output, alive in zip(outputs, live, strict=True):
        if not alive:
            results.append(output)
            continue
        if any(output is d for d in ctx._dirty):
            result = output  # changed in place: the same handle goes on, with the new node
        else:
            result = wrap(output.array)
        if packed:
            stop = start + output.array.size
            result.node = _part(whole, start=start, stop=stop, shape=output.array.shape).node
            start = stop
        else:
            result.node = node
        made[id(output)] = (output.array, result.node)
        results.append(result)
    by_input = {id(a) for a in args}
    ctx._saved = tuple(
        _SavedOutput(made[id(s)][0], weakref.ref(made[id(s)][1]))
        if id(s) in made and id(s) not in by_input
        else s
        for s in ctx._saved
    )
    return results


def _filled_in(inputs: Sequence[Tensor], params: Params) -> list[Any]:
    """The arguments of forward: the live inputs, and the others as they were."""
    return [x if constant is None else constant for x, constant in zip(inputs, params["args"], strict=True)]


def _unpacked(g: Array, shapes: list[Any] | None, ctx: FunctionCtx) -> list[Any]:
    """The gradient of the packed outputs, one per output of forward (None for those without)."""
    if shapes is None:
        return [g]
    parts: list[Any] = []
    start = 0
    for shape in shapes:
        if shape is None:
            parts.append(None)
            continue
        stop = start + int(np.prod(shape, dtype=np.int64))
        # The outputs' gradients arrive end to end; that of an output which got none is zeros.
        arrived = ctx.materialize_grads or np.any(unwrap(g)[start:stop])
        parts.append(_part(g, start=start, stop=stop, shape=shape) if arrived else None)
        start = stop
    return parts
