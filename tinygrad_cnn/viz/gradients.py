"""All gradients of a graph, without leaving a trace: a backward pass that writes nothing and frees nothing.

Walks a `BackwardPass` and tells a visitor about each step. `.grad`, what nodes saved,
versions and hooks stay as they are; hooks are not called, since they may count, print or change things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import inspect, modes
from tinygrad_cnn.autograd.inspect import BackwardPass, Node

#: (node, upstream, downstream per input, totals of its inputs before the step by seq)
Visitor = Callable[[Node, np.ndarray, list[Any], dict[int, Any]], None]


def walk(outputs: Sequence[Node], seeds: Sequence[np.ndarray], nodes: Sequence[Node], visit: Visitor) -> None:
    """Run the pass and call `visit` behind each step.

    Raises RuntimeError, as the engine does, when something that a rule needs was freed or changed in place.
    """
    work = BackwardPass(outputs, seeds, retain_graph=True, accumulate=False, keep=True)
    with inspect.unobserved(), inspect.without_hooks(nodes), modes.no_grad(), np.errstate(all="ignore"):
        steps = work.steps()
        while True:
            before = _totals(work)
            step = next(steps, None)
            if step is None:
                return
            node, upstream, downstream = step
            visit(node, inspect.dense(upstream), [None if d is None else inspect.dense(d) for d in downstream], before)


def left(nodes: Sequence[Node]) -> dict[int, np.ndarray]:
    """What a finished backward pass left: `.grad` of leaves and of tensors with retain_grad(), by seq."""
    found = {}
    for node in nodes:
        tensor = node.tensor
        if tensor is not None and tensor.grad is not None:
            found[node.seq] = inspect.dense(tensor.grad)
    return found


def _totals(work: BackwardPass) -> dict[int, Any]:
    """What the inputs of the next node have received so far."""
    for k in range(work.position, len(work.order)):
        node = work.order[k]
        if node.seq in work.grads:
            return {p.seq: work.grads.get(p.seq) for p in node.parents if p is not None}
    return {}
