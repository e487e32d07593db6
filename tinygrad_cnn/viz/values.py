"""The values of a graph's nodes: those that something still holds, and those that follow from them.

Most ops keep little. What they did not keep is computed again by their own forwards, from inputs that are
known and unchanged; a user's own function is never called again, since it may do more than compute.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.inspect import Node, saved_of, values_of
from tinygrad_cnn.autograd.op import REGISTRY

#: The number that the source names as input i of a node, of which the op kept nothing; None without one.
Literal = Callable[[Node, int], int | float | None]


def known_values(
    nodes: Sequence[Node], tensors: Sequence[Handle], literal: Literal
) -> tuple[dict[int, np.ndarray], list[str]]:
    """Values by `seq`, and sentences on what could not be told truly.

    `nodes` in the order of computation; `tensors` are handles that the caller holds on some of them.
    """
    values = values_of(list(nodes))
    present = {node.seq for node in nodes}
    for tensor in tensors:
        if tensor.node is not None and tensor.node.seq in present:
            values[tensor.node.seq] = tensor.array
    notes = []
    stale = _changed_since_used(nodes, values)
    if stale:
        notes.append(
            f"{len(stale)} value(s) were changed in place after they were used (an optimiser's step, say); "
            "they are shown as they are now."
        )
    with modes.no_grad(), np.errstate(all="ignore"):
        for node in nodes:
            if node.seq not in values and node.parents:
                inputs = _inputs(node, values, stale, literal)
                if inputs is not None:
                    value = _computed_again(node, inputs)
                    if value is not None:
                        values[node.seq] = value
    return values, notes


def _changed_since_used(nodes: Sequence[Node], values: dict[int, np.ndarray]) -> set[int]:
    if not nodes or not versions.any_change_since(nodes[0].seq):
        return set()
    first_use: dict[int, int] = {}
    for node in nodes:
        for parent in node.parents:
            if parent is not None:
                first_use.setdefault(parent.seq, node.seq)
    return {seq for seq, value in values.items() if versions.changed_since(value, first_use.get(seq, seq))}


def _inputs(node: Node, values: dict[int, np.ndarray], stale: set[int], literal: Literal) -> list[Any] | None:
    """The inputs of a node, or None when one is unknown or no longer what it was."""
    saved = saved_of(node)
    if saved is None or REGISTRY.get(node.op.name) is not node.op:
        return None
    inputs: list[Any] = []
    for i, parent in enumerate(node.parents):
        if parent is None:
            value = saved[i + 1] if i + 1 < len(saved) else None
            if not isinstance(value, (np.ndarray, numbers.Number)):
                value = literal(node, i)
            if not isinstance(value, (np.ndarray, numbers.Number)) or versions.changed_since(value, node.seq):
                return None
        else:
            value = values.get(parent.seq)
            if value is None or parent.seq in stale:
                return None
        inputs.append(value)
    return inputs


def _computed_again(node: Node, inputs: list[Any]) -> np.ndarray | None:
    op = node.op
    made = op.forward(*inputs, **{k: v for k, v in node.params.items() if k not in op.choice})
    value, *chosen = made if op.choice else (made,)
    # A forward that decides something (a maximum's positions) must have decided the same again.
    if not all(_same(c, node.params.get(name)) for name, c in zip(op.choice, chosen, strict=True)):
        return None
    value = np.asarray(value)
    return value.astype(node.dtype, copy=False) if value.shape == tuple(node.shape) else None


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))
