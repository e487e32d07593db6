"""The elementwise kind: ops whose local gradient is one factor per entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved
from tinygrad_cnn.autograd.broadcast import unbroadcast
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.primitive import Op, Rule, needed
from tinygrad_cnn.autograd.promotion import explained, settle

ndarray = np.ndarray


class Elementwise(Op):
    """y = f(x₁, x₂, …) entry by entry, with broadcasting.

    Rule i is a factor: ``(y, *xs, **params) -> ∂y/∂xᵢ``, an array that broadcasts to y, or a constant.
    `vjp` may give fused pull-backs ``(g, y, *xs, **params)`` for inputs where factor-then-multiply costs a
    temporary on a hot path or would give 0·inf; tests hold the two equal.
    """

    kind = "elementwise"
    has_factor = True

    def __init__(
        self, name: str, forward: AnyFunction, *rules: Rule,
        vjp: Sequence[Callable[..., Any] | None] = (), **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, forward, **options)
        self.rules = rules
        self.constants = tuple(rule if isinstance(rule, (int, float)) else None for rule in rules)
        self.fused = tuple(vjp) + (None,) * (len(rules) - len(vjp))

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        count = len(live) + 1
        found: set[int] = set()
        for rule, fused, alive in zip(self.rules, self.fused, live, strict=False):
            if alive and callable(rule):
                found |= needed(rule, count, skip=0) | needed(fused, count, skip=1)
        return tuple(k in found for k in range(count))

    def explained(self, arrays: Sequence[Any], error: ValueError) -> ValueError:
        return explained(self.name, arrays, error)

    def settled(self, out: ndarray, arrays: Sequence[Any]) -> ndarray:
        dtype = out.dtype
        for x in arrays:
            if type(x) is ndarray and x.dtype is not dtype:
                return settle(out, arrays)
        return out

    def factor(self, i: int, node: Node, saved: Saved) -> Array | float:
        """∂y/∂xᵢ as an array (or a constant)."""
        constant = self.constants[i]
        if constant is not None:
            return constant
        return self.rules[i](*saved, **node.params)  # type: ignore[operator]

    def pull(self, i: int, g: Array, node: Node, saved: Saved) -> Array:
        fused = self.fused[i]
        if self.constants[i] == 1:
            d = g
        elif fused is not None and self.constants[i] is None:
            d = fused(g, *saved, **node.params)
        else:
            d = g * self.factor(i, node, saved)
        return unbroadcast(d, node.parents[i].shape)  # type: ignore[union-attr]

    def push(self, i: int, t: Array, node: Node, saved: Saved) -> Array:
        d = t * self.factor(i, node, saved)
        return d if d.shape == node.shape else np.broadcast_to(d, node.shape)

    def rule_at(self, i: int, g: Array, node: Node, saved: Saved) -> tuple[Rule, Sequence[Any], Params]:
        fused = self.fused[i]
        return (self.rules[i], saved, node.params) if fused is None else (fused, (g, *saved), node.params)

    def structure(self, node: Node, i: int) -> str:
        return "identity" if self.constants[i] == 1 else "diagonal"
