"""`tg.utils.checkpoint`: trade time for memory.

What a region's nodes saved is dropped, and computed again when first needed.

The region's graph is recorded as always, so pictures and the debugger show every node. Only the arrays go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import AnyFunction
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, leaf
from tinygrad_cnn.autograd.observe import observing
from tinygrad_cnn.ops.random import get_rng_state, set_rng_state

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: AnyFunction, *args: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Call ``function(*args, **kwargs)`` without keeping what its nodes need for the backward pass.

    The backward pass runs the function once more to get it back (with the random state of the first run, so
    that dropout draws the same mask). The function must do the same operations both times; RuntimeError
    names the first that differs. `use_reentrant` is accepted for PyTorch's sake and changes nothing.
    """
    region = _Region(function, args, kwargs, preserve_rng_state)
    with observing(on_record=region.collect):
        result = function(*args, **kwargs)
    region.forget()
    return result


def checkpoint_sequential(functions: Any, segments: int, input: Any, **options: Any) -> Any:
    """`checkpoint` over a sequence of modules, cut into `segments` parts; the last part is not checkpointed."""
    layers = list(functions)
    if not 1 <= segments <= max(1, len(layers)):
        raise ValueError(f"checkpoint_sequential expected 1 to {len(layers)} segments, got {segments}")
    size = len(layers) // segments

    def run(part: list[Any]) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for layer in part:
                x = layer(x)
            return x

        return forward

    for k in range(segments - 1):
        input = checkpoint(run(layers[k * size : (k + 1) * size]), input, **options)
    return run(layers[(segments - 1) * size :])(input)


class _Region:
    """The nodes made by one call, and how to make their saved values again."""

    def __init__(self, function: AnyFunction, args: Any, kwargs: Any, preserve_rng_state: bool) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.scope = modes.state.scope
        self.random_state = get_rng_state() if preserve_rng_state else None
        self.names: list[str] = []
        self.made: list[Node] = []
        self.again: list[tuple[tuple[Any, ...], dict[str, Any]] | None] = []

    def collect(self, node: Node, _out: object) -> None:
        self.made.append(node)

    def forget(self) -> None:
        self.names = [node.op.name for node in self.made]
        for k, node in enumerate(self.made):
            node.saved = _Recomputed(self, k)
            if node.op.choice:
                node.params = {key: v for key, v in node.params.items() if key not in node.op.choice}
        self.made = []  # nodes hold the region; the region must not hold nodes

    def restore(self, k: int, node: Node) -> tuple[Any, ...]:
        if not self.again:
            self._run_again()
        entry = self.again[k]
        if entry is None:
            raise RuntimeError(
                f"the values of {node.op.name} under checkpoint were recomputed and released already"
            )
        self.again[k] = None
        if all(e is None for e in self.again):
            self.again = []
        node.saved, node.params = entry
        return node.saved

    def _run_again(self) -> None:
        made: list[Node] = []
        before = get_rng_state()
        scope, modes.state.scope = modes.state.scope, self.scope
        # Fresh leaves: the second run needs nodes to save things, not a way back into the graph.
        args = [_fresh(a) for a in self.args]
        kwargs = {key: _fresh(v) for key, v in self.kwargs.items()}
        try:
            if self.random_state is not None:
                set_rng_state(self.random_state)
            with modes.enable_grad(), observing(on_record=lambda node, _out: made.append(node)):
                self.function(*args, **kwargs)
        finally:
            modes.state.scope = scope
            if self.random_state is not None:
                set_rng_state(before)
        names = [node.op.name for node in made]
        if names != self.names:
            at = next(
                (i for i, (a, b) in enumerate(zip(self.names, names, strict=False)) if a != b),
                min(len(names), len(self.names)),
            )
            first = self.names[at] if at < len(self.names) else "the end"
            second = names[at] if at < len(names) else "the end"
            raise RuntimeError(
                f"checkpoint: the second run of the function differs from the first at operation {at}: "
                f"{first} then, {second} now. It must not depend on anything that changes in between."
            )
        self.again = [(node.saved, node.params) for node in made]


class _Recomputed:
    """Stands in `Node.saved` until somebody needs it."""

    __slots__ = ("k", "region")

    def __init__(self, region: _Region, k: int) -> None:
        self.region, self.k = region, k

    def restore(self, node: Node) -> tuple[Any, ...]:
        return self.region.restore(self.k, node)


def _fresh(value: Any) -> Any:
    if not isinstance(value, Handle) or value.node is None:
        return value
    return leaf(value.array)
