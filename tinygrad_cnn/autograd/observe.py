"""Watching the engine at work: what pictures, anomaly detection and the debugger switch on.

Off, it costs one `is None` test per op and one per backward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.graph import Node, calling_stack
from tinygrad_cnn.autograd.saved import peek


@contextlib.contextmanager
def observing(
    on_record: Callable[[Node, np.ndarray], None] | None = None,
    on_backward: Callable[[Node, Any, Any], None] | None = None,
) -> Iterator[None]:
    """Call `on_record(node, output)` for each node made in this thread inside the block, and
    `on_backward(node, upstream, downstream)` behind each backward step. Observers nest; all are called."""
    state = modes.state
    before = state.on_record, state.on_backward
    state.on_record = _both(before[0], on_record)
    state.on_backward = _both(before[1], on_backward)
    try:
        yield
    finally:
        state.on_record, state.on_backward = before


@contextlib.contextmanager
def keep_values(*, stack: bool = False) -> Iterator[None]:
    """Keep each node's output in `node.value` (and its creating Python frames in `node.stack`).

    Without it a node keeps only what its rules need. The arrays are kept by reference, not copied.
    """

    def keep(node: Node, out: np.ndarray) -> None:
        node.value = out
        if stack:
            node.stack = calling_stack(4)

    with observing(on_record=keep):
        yield


def value_of(node: Node) -> np.ndarray | None:
    """The value of a node as far as anything still holds it: kept, a leaf's, or saved by its own op."""
    if node.value is not None:
        return node.value
    tensor = node.tensor
    if tensor is not None:
        return tensor.array
    saved = peek(node)
    return saved[0] if saved and isinstance(saved[0], np.ndarray) else None


def values_of(nodes: list[Node]) -> dict[int, np.ndarray]:
    """The values that anything among the nodes still holds, by `seq`: consumers save their inputs."""
    found: dict[int, np.ndarray] = {}
    for node in nodes:
        own = value_of(node)
        if own is not None:
            found[node.seq] = own
        if isinstance(node.saved, tuple):
            for parent, value in zip(node.parents, node.saved[1:], strict=False):
                if parent is not None and isinstance(value, np.ndarray):
                    found.setdefault(parent.seq, value)
    return found


def leaf_names(nodes: list[Node]) -> dict[int, str]:
    """Readable names of the leaves among the nodes, by `seq`.

    A parameter's is the path of the module that used it first and its own name there
    (``features.0.weight``), as in `Module.named_parameters`; a named tensor's is its name.
    """
    names: dict[int, str] = {}
    for node in sorted(nodes, key=lambda n: n.seq):
        for parent in node.parents:
            if parent is not None and parent.is_leaf and parent.seq not in names:
                tensor = parent.tensor
                name = (tensor.name if tensor is not None else None) or parent.name
                if name is None:
                    continue
                is_parameter = type(tensor).__name__ == "Parameter"
                names[parent.seq] = f"{node.module}.{name}" if is_parameter and node.module else name
    return names


def _both(
    first: Callable[..., None] | None, second: Callable[..., None] | None
) -> Callable[..., None] | None:
    if first is None or second is None:
        return first or second

    def both(*args: Any) -> None:
        first(*args)
        second(*args)

    return both
