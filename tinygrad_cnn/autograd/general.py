"""The general kind: fused ops, with a definition in other primitives for everything beyond the first derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.higher_order import pull_definition, push_through, push_through_vjp
from tinygrad_cnn.autograd.primitive import Op, needed


class General(Op):
    """An op with a fused backward pass.

    ``vjp(g, y, *xs, **params)`` gives a sequence with the gradient of every input (None where there is
    none). `definition(*xs, **params)` states the same function with other primitives: derivatives of
    higher order and push-forwards go through it, tests hold it equal to the fused pair, and a debugger
    steps into it. It receives the params as the caller gave them, without the forward's choices.

    With `symmetric` the inputs are symmetric matrices, of which the forward may read one triangle; the gradients are
    symmetric too, and hold for changes of both triangles.
    """

    kind = "general"
    leading = 2

    def __init__(
        self, name: str, forward: AnyFunction, *, vjp: AnyFunction,
        definition: AnyFunction | None = None, symmetric: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, forward, **options)
        self.vjp = vjp
        self.definition = definition
        self.symmetric = symmetric

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        found = needed(self.vjp, len(live) + 1, skip=1)
        inputs = self.definition is not None  # it needs every input
        return (0 in found, *[inputs or k + 1 in found for k in range(len(live))])

    def pull_all(self, g: Array, node: Node, saved: Saved, wanted: Sequence[bool] | None = None) -> list[Any]:
        if isinstance(g, Handle) and self.definition is not None:
            return pull_definition(self.definition, g, node, saved, self.given(node))
        grads = self.vjp(g, *saved, **node.params)
        if not isinstance(grads, (tuple, list)):
            grads = (grads,)
        return [None if parent is None else d for parent, d in zip(node.parents, grads, strict=True)]

    def pull(self, i: int, g: Array, node: Node, saved: Saved) -> Array:
        return self.pull_all(g, node, saved)[i]

    def rule_at(self, i: int, g: Array, node: Node, saved: Saved) -> tuple[AnyFunction, Sequence[Any], Params]:
        return self.vjp, (g, *saved), node.params

    def given(self, node: Node) -> Params:
        return {k: v for k, v in node.params.items() if k not in self.choice}

    def push(self, i: int, t: Array, node: Node, saved: Saved) -> Array:
        if self.definition is not None:
            return push_through(self.definition, list(saved[1:]), i, t, self.given(node))
        # The transpose of the transpose: the vjp is linear in g, so its own pull-back is the push-forward.
        return push_through_vjp(self, i, t, node, saved)

    def structure(self, node: Node, i: int) -> str:
        return "general"
