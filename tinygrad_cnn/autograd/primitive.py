"""What every primitive is: a name, a NumPy forward, and how a call of it is recorded.

The three kinds (`elementwise`, `multilinear`, `general`) add what their derivatives are; `op` is the door to
all of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.broadcast import explained
from tinygrad_cnn.autograd.graph import Node, calling_site
from tinygrad_cnn.autograd.handle import Handle, wrap

ndarray = np.ndarray
Rule = Callable[..., Any] | float

#: The params of a call without any; shared, never written to.
NO_PARAMS: dict[str, Any] = {}
#: Every primitive by name; the op table of tests and docs.
REGISTRY: dict[str, Op] = {}


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
        self._keep: dict[tuple[bool, ...], tuple[bool | None, ...]] = {}
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
        try:
            out = self.forward(*arrays, **params)
        except ValueError as error:
            if self.kind == "elementwise":
                raise explained(self.name, arrays, error) from None
            raise
        if self.choice:
            out, *chosen = out
            params = {**params, **dict(zip(self.choice, chosen, strict=True))}
        if not tensors:
            return out, params
        if type(out) is not ndarray:
            out = np.asarray(out)
        if self.kind == "elementwise":
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
        live = tuple([parent is not None for parent in parents])
        keep = self._keep.get(live)
        if keep is None:
            keep = self.keeps(live)
            # Where nothing is kept, one tuple of Nones serves every node.
            keep = self._keep[live] = keep if True in keep else (None,) * len(keep)
        if True in keep:
            saved = (out if keep[0] else None, *[x if k else None for x, k in zip(arrays, keep[1:])])
        else:
            saved = keep
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
    general = op.kind == "general"
    rules = getattr(op, "rules", ()) or (getattr(op, "vjp", None),)
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


def needed(rule: Any, skip: int, first: int = 0) -> frozenset[int]:
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


def union(needs: Sequence[frozenset[int]], live: tuple[bool, ...]) -> frozenset[int]:
    return frozenset().union(*[need for need, alive in zip(needs, live, strict=False) if alive])
