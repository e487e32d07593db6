"""The multilinear kind: ops that are linear in each input, whose derivative is their own transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved, Shape
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.primitive import Op, needed

ndarray = np.ndarray


class Multilinear(Op):
    """Linear in each input by itself; with ``joint=True`` linear in all inputs together (a sum, a join).

    Rule i is the transpose with respect to input i: ``(g, *xs, **params) -> gradient of xᵢ``; slot i of the
    xs carries only `.shape` and `.dtype`. `each` replaces the rules of ops with any number of inputs:
    ``each(i, g, *xs, **params)``.
    """

    kind = "multilinear"
    is_linear = True

    def __init__(
        self, name: str, forward: AnyFunction, *rules: AnyFunction, joint: bool = False,
        each: AnyFunction | None = None, selection: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, forward, **options)
        self.rules = rules
        self.joint = joint
        self.each = each
        self.selection = selection or bool(options.get("choice"))

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        count = len(live) + 1
        found: set[int] = set()
        for i, alive in enumerate(live if not self.joint else ()):
            if alive:  # of its own input, a rule reads only shape and dtype
                rule, skip = (self.each, 2) if self.each is not None else (self.rules[i], 1)
                found |= needed(rule, count, skip, first=1) - {i + 1}
        return tuple(k in found for k in range(count))

    def record(self, out: ndarray, arrays: Any, parents: Any, params: Params) -> Node:
        node = super().record(out, arrays, parents, params)
        if self.joint and None in parents:
            # A push-forward needs zeros of the shape of the inputs that are not live.
            blanks = [
                Blank(np.shape(x), np.asarray(x).dtype) if parent is None else None
                for x, parent in zip(arrays, parents, strict=True)
            ]
            node.saved = (None, *blanks)
        return node

    def pull(self, i: int, g: Array, node: Node, saved: Saved) -> Array:
        xs = list(saved[1:])
        xs[i] = node.parents[i]
        return self.rules[i](g, *xs, **node.params) if self.each is None else self.each(i, g, *xs, **node.params)

    def rule_at(self, i: int, g: Array, node: Node, saved: Saved) -> tuple[AnyFunction, Sequence[Any], Params]:
        xs = list(saved[1:])
        xs[i] = node.parents[i]
        return (self.rules[i], (g, *xs), node.params) if self.each is None else (self.each, (i, g, *xs), node.params)

    def push(self, i: int, t: Array, node: Node, saved: Saved) -> Array:
        xs = list(saved[1:])
        if self.joint:
            known = zip(node.parents, saved[1:], strict=True)
            xs = [np.zeros(x.shape, x.dtype) for x in (parent or blank for parent, blank in known)]
        xs[i] = t
        # Its choices, if it makes any, are in the params: with them the op is linear.
        return self(*xs, **node.params)

    def structure(self, node: Node, i: int) -> str:
        return "selection" if self.selection else "linear"


class Blank:
    """Shape and dtype of an input whose value was not kept."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Shape, dtype: np.dtype) -> None:
        self.shape, self.dtype = shape, dtype


#: y = x, as a node of its own: where a function's inputs begin, and what `view_as` gives.
identity = Multilinear(
    "identity", lambda x: x, lambda g, _x: g, joint=True, view=True, formula="x", local=("1",)
)
