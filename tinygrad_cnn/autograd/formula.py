"""What an op is called and what it computes, as text: for pictures, the debugger and messages."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.linear_map import LinearMap


class Described:
    """What pictures and the debugger ask of an op: its texts, its inputs' names, its local gradients and rules."""

    name: str
    formula: str
    local: tuple[str, ...]
    #: How many leading parameters of a rule are not inputs: y or g here, g and y for a general op's vjp.
    leading = 1
    #: Whether a local gradient is one factor per entry, which `LinearMap.factor` gives.
    has_factor = False
    #: Whether the op is linear in each input by itself.
    is_linear = False

    def __repr__(self) -> str:
        return f"<op {self.name} ({getattr(self, 'kind', 'op')})>"

    def formula_of(self, node: Any) -> str:
        """What a node computed and its local gradients."""
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
        """The local gradient with respect to input `i`."""
        return self.local[min(i, len(self.local) - 1)] if self.local else f"local gradient of {self.name}"

    def rule_at(self, i: int, g: Array, node: Node, saved: Saved) -> tuple[AnyFunction | float, Sequence[Any], Params]:
        """The rule for input `i` with what it is called with: (function, arguments, params), for whoever steps in."""
        raise NotImplementedError

    def structure(self, node: Node, i: int) -> str:
        """One word on the local gradient: diagonal, identity, selection, linear, general."""
        raise NotImplementedError

    def linear_map(self, node: Node, i: int) -> LinearMap:
        """The local gradient of a node of this op with respect to input `i`."""
        return LinearMap(node, i)


@functools.cache
def _rule_names(op: Described) -> tuple[str, ...]:
    """The inputs' names in the first rule that names them, without the underscores that mean "not kept"."""
    rules = getattr(op, "rules", ()) or (getattr(op, "vjp", None),)
    for rule in rules:
        if callable(rule):
            found = list(inspect.signature(rule).parameters.values())[op.leading :]
            if any(p.kind is p.VAR_POSITIONAL for p in found):
                return ()
            return tuple(p.name.lstrip("_") for p in found if p.kind is p.POSITIONAL_OR_KEYWORD)
    return ()
