"""Errors about what nodes saved: which op, which line, and what to do."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd.graph import Node


def released(node: Node) -> RuntimeError:
    """The error of a second backward pass through a graph whose saved values are gone."""
    return RuntimeError(
        f"backward a second time through {node.op.name} ({_place(node)}): the values it saved were freed by "
        "the first pass. Pass retain_graph=True to the first backward() if you need two, "
        "or compute the output again."
    )


def changed(node: Node, what: str, value: np.ndarray) -> RuntimeError:
    """The error of a value that was changed in place between its use and the backward pass."""
    return RuntimeError(
        f"{node.op.name} ({_place(node)}) needs {what} of shape {value.shape} for its gradient, but that value has "
        "been changed in place since. Change a copy (t.clone()), or change it after backward()."
    )


def _place(node: Node) -> str:
    where = node.where
    text = f" `{where.text}`" if where is not None and where.text else ""
    return f"made at {where}{text}" if where is not None else "made in the engine"
