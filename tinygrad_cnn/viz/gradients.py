"""All gradients of a graph, without leaving a trace: a backward pass that writes nothing and frees nothing.

Walks `autograd.backward_pass.BackwardPass` and tells a visitor about each step. `.grad`, what nodes saved,
versions and hooks stay as they are; hooks are not called, since they may count, print or change things.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.backward_pass import BackwardPass
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import unwrap

#: (node, upstream, downstream per input, totals of its inputs before the step by seq)
Visitor = Callable[[Node, np.ndarray, list[Any], dict[int, Any]], None]


def walk(outputs: Sequence[Node], seeds: Sequence[np.ndarray], nodes: Sequence[Node], visit: Visitor) -> None:
    """Run the pass and call `visit` behind each step.

    Raises RuntimeError, as the engine does, when something that a rule needs was freed or changed in place.
    """
    work = BackwardPass(outputs, seeds, retain_graph=True, accumulate=False, keep=True)
    with _unobserved(), _without_hooks(nodes), modes.no_grad(), np.errstate(all="ignore"):
        steps = work.steps()
        while True:
            before = _totals(work)
            step = next(steps, None)
            if step is None:
                return
            node, upstream, downstream = step
            visit(node, dense(upstream), [None if d is None else dense(d) for d in downstream], before)


def dense(value: Any) -> np.ndarray:
    """A gradient as an array: lazy ones are laid out, tensors unwrapped."""
    return np.asarray(value.dense() if hasattr(value, "dense") else unwrap(value))


def at_hand(node: Node) -> bool:
    """Whether what a node saved is there: neither freed, nor to be had only by running the user's code again."""
    return type(node.saved) is tuple or hasattr(node.saved, "peek")


def under_way(roots: Sequence[Node]) -> BackwardPass | None:
    """The backward pass of these outputs that has begun and not ended, if there is one.

    Passes are kept nowhere (that would cost every one of them): the collector of garbage knows them. Asked
    only when a graph's saved values are partly gone.
    """
    wanted = {node.seq for node in roots}
    for found in gc.get_objects():
        begun = type(found) is BackwardPass and 0 < found.position < len(found.order) and found.grads
        if begun and any(node.seq in wanted for node in found.order[: len(wanted)]):
            return found
    return None


def left(nodes: Sequence[Node]) -> dict[int, np.ndarray]:
    """What a finished backward pass left: `.grad` of leaves and of tensors with retain_grad(), by seq."""
    found = {}
    for node in nodes:
        tensor = node.tensor
        if tensor is not None and tensor.grad is not None:
            found[node.seq] = dense(tensor.grad)
    return found


def _totals(work: BackwardPass) -> dict[int, Any]:
    """What the inputs of the next node have received so far."""
    for k in range(work.position, len(work.order)):
        node = work.order[k]
        if node.seq in work.grads:
            return {p.seq: work.grads.get(p.seq) for p in node.parents if p is not None}
    return {}


@contextlib.contextmanager
def _without_hooks(nodes: Sequence[Node]) -> Iterator[None]:
    held = [(node, node.hooks) for node in nodes if node.hooks is not None]
    for node, _hooks in held:
        node.hooks = None
    try:
        yield
    finally:
        for node, hooks in held:
            node.hooks = hooks


@contextlib.contextmanager
def _unobserved() -> Iterator[None]:
    state = modes.state
    watching = state.on_record, state.on_backward
    state.on_record = state.on_backward = None
    try:
        yield
    finally:
        state.on_record, state.on_backward = watching
