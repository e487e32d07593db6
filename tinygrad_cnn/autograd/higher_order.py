"""Tangents carried forward, and general ops differentiated by their definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved, Tensor
from tinygrad_cnn.autograd.gradients import gradients
from tinygrad_cnn.autograd.graph import Node, reachable
from tinygrad_cnn.autograd.handle import Handle, leaf, unwrap, wrap
from tinygrad_cnn.autograd.multilinear import identity
from tinygrad_cnn.autograd.saved import saved_tensors, saved_values


def push_forward(
    outputs: Sequence[Node | None], tangents: dict[int, Any], create_graph: bool = False
) -> list[Any]:
    """Carry tangents (by `node.seq`) forward through the graph to `outputs`; None where nothing arrives."""
    known = dict(tangents)
    for node in reversed(reachable(outputs)):
        if node.seq in known:
            continue
        total = None
        saved: Any = None
        for i, parent in enumerate(node.parents):
            t = known.get(parent.seq) if parent is not None else None
            if t is None:
                continue
            if saved is None:
                saved = saved_tensors(node) if create_graph else saved_values(node)
            part = node.op.push(i, t, node, saved)
            total = part if total is None else total + part
        if total is not None:
            if isinstance(total, np.generic):  # what NumPy makes of 0-d arrays, and ops would take for a number
                total = np.asarray(total)
            if total.dtype != node.dtype:
                total = total.astype(node.dtype)
            known[node.seq] = total
    return [known.get(node.seq) if node is not None else None for node in outputs]


def push_through(
    definition: AnyFunction, values: Sequence[Any], i: int, t: Array, params: Params
) -> Any:
    """The push-forward of ``definition(*values, **params)`` from its input `i`."""
    live = isinstance(t, Handle) or any(isinstance(x, Handle) and x.node is not None for x in values)
    with modes.enable_grad():
        inputs = list(values)
        inputs[i] = entered_at(values[i])
        output = definition(*inputs, **params)
        found = push_forward([output.node], {inputs[i].node.seq: t}, create_graph=live)[0]
    if found is None:
        return np.zeros_like(output.array)
    return found if live else unwrap(found)


def pull_definition(
    definition: AnyFunction, g: Array, node: Node, saved: Saved, params: Params
) -> list[Any]:
    """The pull-back of ``definition(*inputs, **params)``, as tensors that can be differentiated again."""
    with modes.enable_grad():
        # Where an input leads further back, the inner pass must end here and not go on.
        xs = [entered_at(x) if isinstance(x, Handle) and x.node is not None else x for x in saved[1:]]
        y = definition(*xs, **params)
        wanted = [x for x, parent in zip(xs, node.parents, strict=True) if parent is not None]
        found = iter(gradients([y], wanted, [g], create_graph=True, retain_graph=True))
    return [None if parent is None else next(found) for parent in node.parents]


def push_through_vjp(op: Any, i: int, t: Array, node: Node, saved: Saved) -> Any:
    """J·t as the gradient of ⟨Jᵀv, t⟩ with respect to v, for ops that state only a vjp."""
    with modes.enable_grad():
        v = leaf(np.zeros(node.shape, node.dtype))
        values = [wrap(s) if isinstance(s, np.ndarray) else s for s in saved]
        pulled = op.pull(i, v, node, tuple(values))
        if not isinstance(pulled, Handle) or pulled.node is None:
            raise NotImplementedError(
                f"the op {op.name!r} has no push-forward: its vjp is not written in differentiable operations"
            )
        return gradients([pulled], [v], [t], create_graph=isinstance(t, Handle), retain_graph=True)[0]


def entered_at(x: Tensor) -> Tensor:
    """A fresh beginning on the same value: an identity node where an outer graph leads on, else a leaf."""
    if isinstance(x, Handle) and x.node is not None and modes.state.grad:
        return identity(x)
    return leaf(np.asarray(unwrap(x)))
