"""The general kind: fused ops, with a definition in other primitives for everything beyond the first derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, make_leaf, wrap
from tinygrad_cnn.autograd.multilinear import identity
from tinygrad_cnn.autograd.primitive import Op, needed

ndarray = np.ndarray


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
        self._needed = needed(vjp, skip=1)

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
        v.node = make_leaf(v)
        values = [wrap(s) if isinstance(s, ndarray) else s for s in saved]
        pulled = op.pull(i, v, node, tuple(values))
        if not isinstance(pulled, Handle) or pulled.node is None:
            raise NotImplementedError(
                f"the op {op.name!r} has no push-forward: its vjp is not written in differentiable operations"
            )
        return gradients([pulled], [v], [t], create_graph=isinstance(t, Handle), retain_graph=True)[0]


def _alias(x: Any) -> Any:
    if not isinstance(x, Handle) or x.node is None:
        return x
    return identity(x)
