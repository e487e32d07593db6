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

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved, Tensor
from tinygrad_cnn.autograd.formula import Described
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.operands import remember_operands
from tinygrad_cnn.autograd.provenance import calling_site, defining_place
from tinygrad_cnn.autograd.state import state

ndarray = np.ndarray
Rule = Callable[..., Any] | float

#: The params of a call without any; shared, never written to.
NO_PARAMS: dict[str, Any] = {}
#: Every primitive by name; the op table of tests and docs.
REGISTRY: dict[str, Op] = {}


class Op(Described):
    """What the kinds share: calling and recording.

    Args:
        name: the op's name in graphs and messages
        forward: ``forward(*arrays, **params)`` in NumPy
        formula: what it computes as text, e.g. ``"exp(x)"``
        local: per input, the local gradient as text, e.g. ``("y",)``
        choice: names of keyword parameters that the forward decides and returns behind its result
            (a maximum's positions, say); once recorded, the op is what it is *given* those choices
        view: whether the output looks at the input's memory
        doc: the docstring of the op, where the formula does not say enough

    Raises ValueError for a name that another op has; the op of a function that was defined at the same place (a
    notebook's cell that runs again) is replaced.
    """

    kind = "op"
    #: Whether the node's params hold the inputs that are not live (a user's Function does).
    holds_constants = False
    #: For `fast.loop`, which makes it: per input, the pull-back without any choice left to take.
    pullers: tuple[Callable[..., Any], ...] | None = None

    def __init__(
        self, name: str, forward: AnyFunction, *, formula: str = "", local: Sequence[str] = (),
        choice: Sequence[str] = (), view: bool = False, doc: str | None = None,
    ) -> None:  # fmt: skip
        self.defined_at = defining_place(self)
        if name in REGISTRY and self.defined_at != REGISTRY[name].defined_at:
            raise ValueError(f"an op named {name!r} exists already")
        self.name = self.__name__ = name
        self.forward = forward
        self.formula = formula or f"{name}(…)"
        self.local = tuple(local)
        self.choice = tuple(choice)
        self.is_view = view
        self.__doc__ = doc or f"{self.formula}, a primitive; differentiable."
        self._keep: dict[tuple[bool, ...], tuple[tuple[bool | None, ...], bool, bool]] = {}
        REGISTRY[name] = self

    # --- calling -------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        return self.apply(inputs, params)[0]

    def __get__(self, instance: Any, _owner: object | None = None) -> Any:
        # Ops may be assigned in a class body and work as methods.
        return self if instance is None else lambda *inputs, **params: self(instance, *inputs, **params)

    def apply(self, inputs: Sequence[Tensor], params: Params) -> tuple[Any, dict[str, Any]]:
        """Call the op; gives the result and the params with the forward's choices filled in.

        Arrays give an array, any tensor gives a tensor; a node is made only where some input has one.
        """
        arrays: list[Any] = []
        parents: list[Node | None] = []
        tensors = live = False
        for x in inputs:
            if isinstance(x, Handle):
                tensors = True
                live = live or x.node is not None
                arrays.append(x.array)
                parents.append(x.node)
            else:
                # NumPy scalars stay weak like Python's: np.sqrt(2.0) * t must not widen a float32 tensor.
                arrays.append(x.item() if isinstance(x, np.generic) else x)
                parents.append(None)
        try:
            out = self.forward(*arrays, **params)
        except ValueError as error:
            if state.now.on_failed is not None:
                state.now.on_failed(self, arrays, error)
            raise self.explained(arrays, error) from None
        if self.choice:
            out, *chosen = out
            params = {**params, **dict(zip(self.choice, chosen, strict=True))}
        if not tensors:
            return out, params
        out = self.settled(np.asarray(out), arrays)
        if live and state.now.grad and out.dtype.kind in "fc":
            return wrap(out, self.record(out, arrays, tuple(parents), params)), params
        if state.now.on_unrecorded is not None:
            state.now.on_unrecorded(self, arrays, parents, params, out)
        return wrap(out), params

    def explained(self, _arrays: Sequence[Any], error: ValueError) -> ValueError:
        """The forward's error in the words of the op, where a kind has better ones."""
        return error

    def settled(self, out: ndarray, _arrays: Sequence[Any]) -> ndarray:
        """The result in the dtype that PyTorch gives it, where a kind must correct NumPy's."""
        return out

    def record(
        self, out: ndarray, arrays: Sequence[Any], parents: tuple[Node | None, ...], params: Params
    ) -> Node:
        """Make the node of a result, keeping just the values that the rules of the live inputs need."""
        live = tuple([parent is not None for parent in parents])
        known = self._keep.get(live)
        if known is None:
            kept = self.keeps(live)
            # Where nothing is kept, one tuple of Nones serves every node.
            known = self._keep[live] = (
                kept if True in kept else (None,) * len(kept), True in kept, False in live
            )
        keep, some, others = known
        if some:
            saved = (out if keep[0] else None, *[x if k else None for x, k in zip(arrays, keep[1:])])
        else:
            saved = keep
        now = state.now
        node = Node(self, parents, params, saved, out.shape, out.dtype, calling_site(3), now.scope)
        if others:
            remember_operands(node, arrays)
        if now.on_record is not None:
            now.on_record(node, out)
        return node

    # --- what a kind defines --------------------------------------------------------------------

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        """For (output, *inputs): whether some rule of a live input needs the value."""
        raise NotImplementedError

    def pull(self, i: int, g: Array, node: Node, saved: Saved) -> Array:
        """The pull-back (vjp) to input `i`: gradient of the output in, gradient of the input out."""
        raise NotImplementedError

    def pull_all(self, g: Array, node: Node, saved: Saved, wanted: Sequence[bool] | None = None) -> list[Any]:
        """The pull-backs to the `wanted` inputs (all live ones unless given); None for the others."""
        if wanted is None:
            wanted = [parent is not None for parent in node.parents]
        return [self.pull(i, g, node, saved) if want else None for i, want in enumerate(wanted)]

    def push(self, i: int, t: Array, node: Node, saved: Saved) -> Array:
        """The push-forward (jvp) from input `i`: tangent of the input in, tangent of the output out."""
        raise NotImplementedError

    def given(self, node: Node) -> Params:
        """The params with which a call of the op gives the node's value again."""
        return node.params


@functools.cache
def needed(rule: Any, count: int, skip: int, first: int = 0) -> frozenset[int]:
    """Which of `count` values (y, *xs) a rule reads, from its parameters' names; `skip` leading ones are no values."""
    if not callable(rule):
        return frozenset()
    found: set[int] = set()
    for position, parameter in enumerate(list(inspect.signature(rule).parameters.values())[skip:], start=first):
        if parameter.name.startswith("_"):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            found.update(range(position, count))
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            found.add(position)
    return frozenset(found)
