"""What nodes saved for their rules: read back, recomputed, or missed with an error that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.annotations import Saved
from tinygrad_cnn.autograd.graph import RELEASED, Node
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.autograd.messages import changed, released

ndarray = np.ndarray


def saved_values(node: Node) -> tuple[Any, ...]:
    """What a node saved: (output, *inputs), None where no rule needs the value.

    Recomputes it for nodes made under `utils.checkpoint`. Raises RuntimeError when a backward pass has
    released it.
    """
    saved = node.saved
    if type(saved) is tuple:
        return saved
    if saved is not RELEASED:
        return saved.restore(node)
    live = tuple(parent is not None for parent in node.parents)
    if any(node.op.keeps(live)) or node.op.choice:
        raise released(node)
    return (None,) * (len(live) + 1)


def saved_tensors(node: Node) -> tuple[Any, ...]:
    """What a node saved, as tensors that lead back into the graph: rules that are given them record themselves."""
    saved = saved_values(node)
    nodes = (node, *node.parents)
    return tuple(wrap(v, n) if isinstance(v, ndarray) else v for v, n in zip(saved, nodes, strict=True))


def check_versions(node: Node, saved: Saved) -> None:
    """Raise RuntimeError where an array that the node's rules need was changed in place after the node was made:
    what it saved, or an array among its parameters (a target, an index, a mask)."""
    for k, value in enumerate(saved):
        if versions.changed_since(value, node.seq):
            raise changed(node, "its output" if k == 0 else f"its input {k - 1}", value)
    for name, value in node.params.items():
        for array in value if isinstance(value, (tuple, list)) else (value,):
            if versions.changed_since(array, node.seq):
                raise changed(node, f"its {name}", array)


def release(node: Node) -> None:
    """Let go of what the node saved, and of the choices that its forward made."""
    node.saved = RELEASED
    if node.op.choice:
        node.params = {k: v for k, v in node.params.items() if k not in node.op.choice}
