"""Primitives: a NumPy forward plus, for each input, its local derivative stated as data.

Three kinds are enough for everything:

* `Elementwise`: rule i gives the factor ∂y/∂xᵢ, entry by entry. Pull back: multiply by it.
* `Multilinear`: linear in each input (or in all together, ``joint=True``). Rule i *is* the transpose.
* `General`: a `vjp` for all inputs at once, and a `definition` in terms of other primitives that gives
  everything else (jvp, higher orders, a debugger's "step into").

An op is called with arrays and gives an array, or with any tensor and gives a tensor; a node is made only
while recording is on and some input wants a gradient. The signature of a rule is its save list: the value
of a parameter whose name begins with an underscore is not kept for the backward pass.

Rules are pure NumPy: nothing in place, no branching on values. On an ordinary backward pass they receive
arrays. Under ``create_graph=True`` they receive tensors, and NumPy's own dispatch records what they do.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from sys import _getframe
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import handle, modes
from tinygrad_cnn.autograd.graph import Node, _inside, calling_site
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.versions import tick

ndarray = np.ndarray
_new = object.__new__
_F64 = np.dtype(np.float64)
Rule = Callable[..., Any] | float

#: The params of a call without any; shared, never written to.
_NONE: dict[str, Any] = {}
#: Every primitive by name; the op table of tests and docs.
REGISTRY: dict[str, Op] = {}


class Blank:
    """Shape and dtype of an input whose value was not kept."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape, self.dtype = shape, dtype


class Op:
    """What the kinds share: calling, recording, and the text of the formula.

    Parameters
        name: the op's name in graphs and messages
        forward: ``forward(*arrays, **params)`` in NumPy
        formula: what it computes as text, e.g. ``"exp(x)"``
        local: per input, the local gradient as text, e.g. ``("y",)``
        choice: names of keyword parameters that the forward decides and returns behind its result
            (a maximum's positions, say); once recorded, the op is what it is *given* those choices
        view: whether the output looks at the input's memory
    """

    kind = "op"
    #: For elementwise ops: per input, (g, saved, params) -> g · ∂y/∂xᵢ, before broadcasting is undone.
    pullers: tuple[Callable[..., Any], ...] | None = None
    #: Whether the node's params hold the inputs that are not live (a user's Function does).
    holds_constants = False

    def __init__(
        self, name: str, forward: Callable[..., Any], *, formula: str = "", local: Sequence[str] = (),
        choice: Sequence[str] = (), view: bool = False, doc: str | None = None,
    ) -> None:  # fmt: skip
        if name in REGISTRY:
            raise ValueError(f"an op named {name!r} exists already")
        self.name = self.__name__ = name
        self.forward = forward
        self.formula = formula or f"{name}(…)"
        self.local = tuple(local)
        self.choice = tuple(choice)
        self.is_view = view
        self.__doc__ = doc or f"{self.formula}, a primitive; differentiable."
        self._keep: dict[Any, tuple[bool, ...]] = {}
        REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<op {self.name} ({self.kind})>"

    def __get__(self, instance: Any, _owner: Any = None) -> Any:
        # Ops may be assigned in a class body and work as methods.
        return self if instance is None else _Bound(self, instance)

    # --- calling -------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        return self.apply(inputs, params)[0]

    def apply(self, inputs: Sequence[Any], params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Call the op; gives the result and the params with the forward's choices filled in."""
        arrays: list[Any] = []
        parents: list[Node | None] = []
        tensors = live = False
        for x in inputs:
            if isinstance(x, Handle):
                tensors = True
                arrays.append(x.array)
                node = x.node
                parents.append(node)
                if node is not None:
                    live = True
            else:
                # NumPy scalars stay weak like Python's: np.sqrt(2.0) * t must not widen a float32 tensor.
                arrays.append(x.item() if isinstance(x, np.generic) else x)
                parents.append(None)
        out = self.forward(*arrays, **params)
        if self.choice:
            out, *chosen = out
            params = {**params, **dict(zip(self.choice, chosen, strict=True))}
        if not tensors:
            return out, params
        if type(out) is not ndarray:
            out = np.asarray(out)
        out = self._settle(out, arrays)
        if live and modes.state.now.grad and out.dtype.kind in "fc":
            return wrap(out, self.record(out, arrays, tuple(parents), params)), params
        return wrap(out), params

    def _settle(self, out: ndarray, _arrays: Sequence[Any]) -> ndarray:
        return out

    def record(
        self, out: ndarray, arrays: Sequence[Any], parents: tuple[Node | None, ...], params: dict[str, Any]
    ) -> Node:
        """Make the node of a result, keeping just the values that the rules of the live inputs need."""
        key = (*[parent is not None for parent in parents],)
        keep = self._keep.get(key)
        if keep is None:
            keep = self._keep[key] = self.keeps(key)
        values = (out, *arrays)
        saved = tuple([value if wanted else None for value, wanted in zip(values, keep, strict=True)])
        now = modes.state.now
        node = Node(self, parents, params, saved, out.shape, out.dtype, calling_site(3), now.scope)
        if now.on_record is not None:
            now.on_record(node, out)
        return node

    # --- what a kind defines --------------------------------------------------------------------

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        """For (output, *inputs): whether some rule of a live input needs the value."""
        raise NotImplementedError

    def pull(self, i: int, g: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        """The pull-back (vjp) to input `i`: gradient of the output in, gradient of the input out."""
        raise NotImplementedError

    def pull_all(self, g: Any, node: Node, saved: tuple[Any, ...]) -> list[Any]:
        """The pull-backs to all live inputs; None for the others."""
        return [
            None if parent is None else self.pull(i, g, node, saved) for i, parent in enumerate(node.parents)
        ]

    def push(self, i: int, t: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        """The push-forward (jvp) from input `i`: tangent of the input in, tangent of the output out."""
        raise NotImplementedError

    def structure(self, node: Node, i: int) -> str:
        """One word on the local gradient: diagonal, identity, selection, linear, general."""
        raise NotImplementedError

    def formula_of(self, node: Node) -> str:
        lines = [f"y = {self.formula}"]
        for i, parent in enumerate(node.parents):
            if parent is not None:
                lines.append(f"∂y/∂{self.input_name(i, len(node.parents))} = {self.local_text(i)}")
        return "; ".join(lines)

    def input_name(self, i: int, arity: int) -> str:
        """What formulas call input `i` of `arity`: the name it has in the rules, else a letter."""
        names = _rule_names(self)
        if len(names) >= arity:
            return names[i]
        return "x" if arity == 1 else ("a", "b", "c", "d")[i] if arity <= 4 else f"x{i}"

    def local_text(self, i: int) -> str:
        return self.local[min(i, len(self.local) - 1)] if self.local else f"local gradient of {self.name}"


@functools.cache
def _rule_names(op: Op) -> tuple[str, ...]:
    """The inputs' names in the first rule that names them, without the underscores that mean "not kept"."""
    general = isinstance(op, General)
    rules = (op.vjp,) if isinstance(op, General) else getattr(op, "rules", ())
    for rule in rules:
        if callable(rule):
            found = list(inspect.signature(rule).parameters.values())[2 if general else 1 :]
            if any(p.kind is p.VAR_POSITIONAL for p in found):
                return ()
            return tuple(p.name.lstrip("_") for p in found if p.kind is p.POSITIONAL_OR_KEYWORD)
    return ()


class _Bound:
    """An op bound to its first input, as methods are."""

    __slots__ = ("instance", "op")

    def __init__(self, op: Op, instance: Any) -> None:
        self.op, self.instance = op, instance

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        return self.op(self.instance, *inputs, **params)


class Elementwise(Op):
    """y = f(x₁, x₂, …) entry by entry, with broadcasting.

    Rule i is a factor: ``(y, *xs, **params) -> ∂y/∂xᵢ``, an array that broadcasts to y, or a constant.
    `vjp` may give fused pull-backs ``(g, y, *xs, **params)`` for inputs where factor-then-multiply costs a
    temporary on a hot path or would give 0·inf; tests hold the two equal.
    """

    kind = "elementwise"

    def __init__(
        self, name: str, forward: Callable[..., Any], *rules: Rule,
        vjp: Sequence[Callable[..., Any] | None] = (), **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, forward, **options)
        self.rules = rules
        self.constants = tuple(rule if isinstance(rule, (int, float)) else None for rule in rules)
        self.fused = tuple(vjp) + (None,) * (len(rules) - len(vjp))
        self._needs = tuple(
            frozenset()
            if constant is not None
            else _needed(rule, skip=0) | (_needed(fused, 1) if fused else frozenset())
            for rule, constant, fused in zip(rules, self.constants, self.fused, strict=True)
        )
        self.pullers = tuple(map(_puller, rules, self.constants, self.fused))  # fmt: skip

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        needed = _union(self._needs, live)
        return tuple(k in needed for k in range(len(live) + 1))

    def method(self, reflected: bool = False) -> Callable[..., Any]:
        """The op as a plain function of one or two tensors, for operators and methods.

        It does what `__call__` does, unrolled for the commonest case: this is the hot path of small tensors.
        """
        fast = _unary(self) if len(self.rules) == 1 else _binary(self)
        if not reflected:
            return fast
        slow = self.__call__

        def method(b: Any, a: Any) -> Any:
            return slow(a, b)

        return method

    def _settle(self, out: ndarray, arrays: Sequence[Any]) -> ndarray:
        # NumPy widens where PyTorch does not: integers become float64, and a 0-d float64 counts in full.
        if out.dtype is _F64:
            wanted = _float_dtype(arrays)
            if wanted is not _F64:
                return out.astype(wanted)
        return out

    def factor(self, i: int, node: Node, saved: tuple[Any, ...]) -> Any:
        """∂y/∂xᵢ as an array (or a constant)."""
        constant = self.constants[i]
        if constant is not None:
            return constant
        return self.rules[i](*saved, **node.params)  # type: ignore[operator]

    def pull(self, i: int, g: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        assert self.pullers is not None
        d = self.pullers[i](g, saved, node.params)
        shape = node.parents[i].shape  # type: ignore[union-attr]
        return d if d.shape == shape else unbroadcast(d, shape)

    def push(self, i: int, t: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        d = t * self.factor(i, node, saved)
        return d if d.shape == node.shape else np.broadcast_to(d, node.shape)

    def structure(self, node: Node, i: int) -> str:
        return "identity" if self.constants[i] == 1 else "diagonal"


def _unary(op: Elementwise) -> Callable[..., Any]:
    forward, state, keep = op.forward, modes.state, op.keeps((True,))
    keep_y, keep_x = keep

    def method(x: Any) -> Any:
        now = state.now
        if now.on_record is not None or not isinstance(x, Handle):
            return op(x)
        array, parent = x.array, x.node
        out = forward(array)
        if type(out) is not ndarray or out.dtype is _F64:
            out = op._settle(np.asarray(out), (array,))
        if parent is None or not now.grad or out.dtype.kind != "f":
            return wrap(out)
        saved = (out if keep_y else None, array if keep_x else None)
        frame = _getframe(1)
        code = frame.f_code
        site = (code, frame.f_lasti) if _inside.get(code.co_filename) is False else calling_site()
        return wrap(out, Node(op, (parent,), _NONE, saved, out.shape, out.dtype, site, now.scope))

    return method


def _binary(op: Elementwise) -> Callable[..., Any]:
    forward, state = op.forward, modes.state
    keep_first, keep_second, keep_both = (op.keeps(k) for k in ((True, False), (False, True), (True, True)))

    def method(a: Any, b: Any) -> Any:
        x, first = a.array, a.node
        if isinstance(b, Handle):
            y, second = b.array, b.node
        elif type(b) is float or type(b) is int:
            y, second = b, None
        elif isinstance(b, (ndarray, np.generic, int, float)):
            return op(a, b)
        else:
            return NotImplemented
        now = state.now
        if now.on_record is not None:
            return op(a, b)
        out = forward(x, y)
        if type(out) is not ndarray or out.dtype is _F64:
            out = op._settle(np.asarray(out), (x, y))
        if first is None:
            if second is None:
                return wrap(out)
            keep = keep_second
        else:
            keep = keep_first if second is None else keep_both
        dtype = out.dtype
        if not now.grad or dtype.kind != "f":
            return wrap(out)
        # Slot by slot instead of Node(...) and wrap(...): a third of this function's time would be calls.
        node = _new(Node)
        node.op = op
        node.parents = (first, second)
        node.params = _NONE
        node.saved = (out if keep[0] else None, x if keep[1] else None, y if keep[2] else None)
        node.shape = out.shape
        node.dtype = dtype
        node.seq = tick()
        frame = _getframe(1)
        node.code = code = frame.f_code
        node.lasti = frame.f_lasti
        if _inside.get(code.co_filename) is not False:
            node.code, node.lasti = calling_site() or (None, 0)
        node.scope = now.scope
        node.extra = None
        result: Any = _new(handle._tensor_type)
        result.array = out
        result.node = node
        result.grad = result.name = None
        return result

    return method


class Multilinear(Op):
    """Linear in each input by itself; with ``joint=True`` linear in all inputs together (a sum, a join).

    Rule i is the transpose with respect to input i: ``(g, *xs, **params) -> gradient of xᵢ``; slot i of the
    xs carries only `.shape` and `.dtype`. `each` replaces the rules of ops with any number of inputs:
    ``each(i, g, *xs, **params)``.
    """

    kind = "multilinear"

    def __init__(
        self, name: str, forward: Callable[..., Any], *rules: Callable[..., Any], joint: bool = False,
        each: Callable[..., Any] | None = None, selection: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, forward, **options)
        self.rules = rules
        self.joint = joint
        self.each = each
        self.selection = selection or bool(options.get("choice"))
        # positions as in `saved`: the output is 0, the inputs follow
        self._needs = tuple(_needed(rule, skip=1, first=1) - {i + 1} for i, rule in enumerate(rules))

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        if self.joint or self.each is not None:
            return (False,) * (len(live) + 1)
        needed = _union(self._needs, live)
        return tuple(k in needed for k in range(len(live) + 1))

    def record(self, out: ndarray, arrays: Any, parents: Any, params: dict[str, Any]) -> Node:
        node = super().record(out, arrays, parents, params)
        if self.joint and None in parents:
            # A push-forward needs zeros of the shape of the inputs that are not live.
            blanks = [
                Blank(np.shape(x), np.asarray(x).dtype) if parent is None else None
                for x, parent in zip(arrays, parents, strict=True)
            ]
            node.saved = (None, *blanks)
        return node

    def pull(self, i: int, g: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        xs = list(saved[1:])
        xs[i] = node.parents[i]
        if self.each is not None:
            return self.each(i, g, *xs, **node.params)
        return self.rules[i](g, *xs, **node.params)

    def push(self, i: int, t: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        xs = list(saved[1:])
        if self.joint:
            xs = [np.zeros(s.shape, s.dtype) for s in map(_first, node.parents, saved[1:])]
        xs[i] = t
        if not self.choice:
            return self(*xs, **node.params)
        # The choices are in the params: with them the op is linear.
        return self(*xs, **node.params)

    def structure(self, node: Node, i: int) -> str:
        return "selection" if self.selection else "linear"


class General(Op):
    """An op with a fused backward pass.

    ``vjp(g, y, *xs, **params)`` gives a sequence with the gradient of every input (None where there is
    none). `definition(*xs, **params)` states the same function with other primitives: derivatives of
    higher order and push-forwards go through it, tests hold it equal to the fused pair, and a debugger
    steps into it. It receives the params as the caller gave them, without the forward's choices.
    """

    kind = "general"

    def __init__(
        self, name: str, forward: Callable[..., Any], *, vjp: Callable[..., Any],
        definition: Callable[..., Any] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, forward, **options)
        self.vjp = vjp
        self.definition = definition
        self._needed = _needed(vjp, skip=1)

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        # The definition needs every input.
        inputs = self.definition is not None
        return (0 in self._needed, *[inputs or k + 1 in self._needed for k in range(len(live))])

    def pull_all(self, g: Any, node: Node, saved: tuple[Any, ...]) -> list[Any]:
        if isinstance(g, Handle) and self.definition is not None:
            return self._pull_definition(g, node, saved)
        grads = self.vjp(g, *saved, **node.params)
        if not isinstance(grads, (tuple, list)):
            grads = (grads,)
        return [None if parent is None else d for parent, d in zip(node.parents, grads, strict=True)]

    def pull(self, i: int, g: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        return self.pull_all(g, node, saved)[i]

    def given(self, node: Node) -> dict[str, Any]:
        """The params as the caller gave them."""
        return {k: v for k, v in node.params.items() if k not in self.choice}

    def _pull_definition(self, g: Any, node: Node, saved: tuple[Any, ...]) -> list[Any]:
        from tinygrad_cnn.autograd.backward import gradients

        assert self.definition is not None
        with modes.enable_grad():
            # Fresh identity nodes, so that the inner pass ends at the inputs of this op and not beyond.
            xs = [_alias(x) for x in saved[1:]]
            y = self.definition(*xs, **self.given(node))
            wanted = [x for x, parent in zip(xs, node.parents, strict=True) if parent is not None]
            found = iter(gradients([y], wanted, [g], create_graph=True, retain_graph=True))
        return [None if parent is None else next(found) for parent in node.parents]

    def push(self, i: int, t: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        from tinygrad_cnn.autograd.transforms import push_through

        if self.definition is not None:
            return push_through(self.definition, list(saved[1:]), i, t, self.given(node))
        # The transpose of the transpose: the vjp is linear in g, so its own pull-back is the push-forward.
        return push_through_vjp(self, i, t, node, saved)

    def structure(self, node: Node, i: int) -> str:
        return "general"


def push_through_vjp(op: Op, i: int, t: Any, node: Node, saved: tuple[Any, ...]) -> Any:
    """J·t as the gradient of ⟨Jᵀv, t⟩ with respect to v, for ops that state only a vjp."""
    from tinygrad_cnn.autograd.backward import gradients

    with modes.enable_grad():
        v = wrap(np.zeros(node.shape, node.dtype))
        v.node = _leaf_node(v)
        values = [wrap(s) if isinstance(s, ndarray) else s for s in saved]
        pulled = op.pull(i, v, node, tuple(values))
        if not isinstance(pulled, Handle) or pulled.node is None:
            raise NotImplementedError(
                f"the op {op.name!r} has no push-forward: its vjp is not written in differentiable operations"
            )
        return gradients([pulled], [v], [t], create_graph=isinstance(t, Handle), retain_graph=True)[0]


def unbroadcast(d: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum `d` over the axes along which an input of `shape` was repeated.

    The one place in the engine where this is done. float16 sums accumulate in float32.
    """
    if d.shape == shape:
        return d
    lead = len(d.shape) - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + k for k, n in enumerate(shape) if n == 1 and d.shape[lead + k] != 1
    )
    if axes:
        wide = np.float32 if d.dtype == np.float16 else None
        d = np.sum(d, axis=axes, keepdims=True, dtype=wide)
    return np.reshape(d, shape)


def _float_dtype(arrays: Sequence[Any]) -> np.dtype:
    """The floating dtype PyTorch gives a result: dimensioned floats first, then 0-d ones, then the default."""
    dims = [x.dtype for x in arrays if isinstance(x, ndarray) and x.ndim and x.dtype.kind == "f"]
    if not dims:
        dims = [x.dtype for x in arrays if isinstance(x, ndarray) and x.dtype.kind == "f"]
    return np.result_type(*dims) if dims else modes.get_default_dtype()


def _needed(rule: Any, skip: int, first: int = 0) -> frozenset[int]:
    """Positions in (y, *xs) that a rule reads, from its parameters' names; `skip` leading ones are not values."""
    if not callable(rule):
        return frozenset()
    found: set[int] = set()
    position = first
    names = list(inspect.signature(rule).parameters.values())[skip:]
    for parameter in names:
        if parameter.kind is parameter.VAR_POSITIONAL:
            if not parameter.name.startswith("_"):
                found.update(range(position, position + 16))
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            if not parameter.name.startswith("_"):
                found.add(position)
            position += 1
    return frozenset(found)


def _union(needs: Sequence[frozenset[int]], live: tuple[bool, ...]) -> frozenset[int]:
    return frozenset().union(*[need for need, alive in zip(needs, live, strict=False) if alive])


def _puller(rule: Any, constant: float | None, fused: Callable[..., Any] | None) -> Callable[..., Any]:
    """Upstream times local for one input, decided once instead of at every call."""
    if constant is not None:
        return (lambda g, _saved, _params: g) if constant == 1 else (lambda g, _saved, _params: g * constant)
    if fused is not None:
        return lambda g, saved, params: fused(g, *saved, **params)
    slot = _plain_slot(rule)
    if slot is not None:
        return lambda g, saved, _params: g * saved[slot]

    def pull(g: Any, saved: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return g * (rule(*saved, **params) if params else rule(*saved))

    return pull


def _plain_slot(rule: Any) -> int | None:
    """Which of (y, *xs) the rule gives back as it is, as those of mul and exp do; None when it computes."""
    count = len(inspect.signature(rule).parameters)
    marks = [object() for _ in range(count)]
    try:
        found = rule(*marks)
    except Exception:
        return None
    return next((k for k, mark in enumerate(marks) if mark is found), None)


def _first(parent: Node | None, blank: Any) -> Any:
    return parent if parent is not None else blank


def _alias(x: Any) -> Any:
    if not isinstance(x, Handle) or x.node is None:
        return x
    return identity(x)


def _leaf_node(handle: Any) -> Node:
    from tinygrad_cnn.autograd.handle import make_leaf

    return make_leaf(handle)


#: y = x, as a node of its own: where a function's inputs begin, and what `view_as` gives.
identity = Multilinear(
    "identity", lambda x: x, lambda g, _x: g, joint=True, view=True, formula="x", local=("1",)
)

__all__ = [
    "REGISTRY",
    "Elementwise",
    "General",
    "Multilinear",
    "Op",
    "identity",
    "unbroadcast",
]
