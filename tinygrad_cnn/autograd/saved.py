"""What nodes saved for their rules: read back, recomputed, or missed with an error that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.graph import RELEASED, Node
from tinygrad_cnn.autograd.handle import wrap

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
        raise RuntimeError(
            f"backward a second time through {node.op.name} ({_place(node)}): the values it saved were freed by "
            "the first pass. Pass retain_graph=True to the first backward() if you need two, "
            "or compute the output again."
        )
    return (None,) * (len(live) + 1)


def check_versions(node: Node, saved: tuple[Any, ...]) -> None:
    """Raise RuntimeError where an array that the node's rules need was changed in place after the node was made:
    what it saved, or an array among its parameters (a target, an index, a mask)."""
    for k, value in enumerate(saved):
        if versions.changed_since(value, node.seq):
            raise _changed(node, "its output" if k == 0 else f"its input {k - 1}", value)
    for name, value in node.params.items():
        for array in value if isinstance(value, (tuple, list)) else (value,):
            if versions.changed_since(array, node.seq):
                raise _changed(node, f"its {name}", array)


def _changed(node: Node, what: str, value: ndarray) -> RuntimeError:
    return RuntimeError(
        f"{node.op.name} ({_place(node)}) needs {what} of shape {value.shape} for its gradient, but that value has "
        "been changed in place since. Change a copy (t.clone()), or change it after backward()."
    )


def _place(node: Node) -> str:
    where = node.where
    text = f" `{where.text}`" if where is not None and where.text else ""
    return f"made at {where}{text}" if where is not None else "made in the engine"


def saved_tensors(node: Node) -> tuple[Any, ...]:
    """What a node saved, as tensors that lead back into the graph (see `saved_values`)."""
    saved = saved_values(node)
    values = [wrap(saved[0], node) if isinstance(saved[0], ndarray) else saved[0]]
    for value, parent in zip(saved[1:], node.parents, strict=True):
        values.append(wrap(value, parent) if isinstance(value, ndarray) else value)
    return tuple(values)
