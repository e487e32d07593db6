"""Values of nodes that nothing kept: computed again from what the graph still holds.

The engine keeps of a forward pass only what rules read. A value that a check or a look at the forward
step needs is recomputed from the nearest values that exist, without recursion.
"""

from __future__ import annotations

import contextlib

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.graph import RELEASED
from tinygrad_cnn.autograd.inspect import Node, saved_values
from tinygrad_cnn.autograd.node_check import forward
from tinygrad_cnn.debug.paused import Paused

#: So many nodes are computed again at most.
LIMIT = 200


def recover(session: Paused, node: Node) -> np.ndarray | None:
    """The value of a node, held or recomputed; None when a constant it was made from is gone."""
    known: dict[int, np.ndarray | None] = {}
    stack = [node]
    for _ in range(20 * LIMIT):
        if not stack:
            break
        top = stack[-1]
        if top.seq in known:
            stack.pop()
            continue
        value = session.value_of(top)
        if value is not None or not top.parents or len(known) > LIMIT:
            known[top.seq] = value
            stack.pop()
            continue
        with contextlib.suppress(RuntimeError):  # released
            saved_values(top)  # under `checkpoint` this runs the region again, as the pass will
        inputs = session.input_values(top)
        waiting = [
            p
            for p, v in zip(top.parents, inputs, strict=True)
            if v is None and p is not None and p.seq not in known
        ]
        if waiting:
            stack += waiting
            continue
        filled = [
            v if v is not None or p is None else known[p.seq]
            for p, v in zip(top.parents, inputs, strict=True)
        ]
        known[top.seq] = None if any(v is None for v in filled) else _recomputed(top, filled)
        stack.pop()
    return known.get(node.seq)


def recovered_inputs(session: Paused, node: Node) -> list[np.ndarray | None]:
    """The values of a node's inputs, held or recomputed."""
    return [
        v if v is not None or p is None else recover(session, p)
        for p, v in zip(node.parents, session.input_values(node), strict=True)
    ]


def _recomputed(node: Node, inputs: list[np.ndarray | None]) -> np.ndarray | None:
    if node.saved is RELEASED and node.op.choice:
        return None
    op = node.op
    with modes.no_grad(), np.errstate(all="ignore"):
        if op.choice:
            # Chosen anew: a recorded choice alone does not say what stands where nothing was chosen, as in a window of
            # max_pool that sees padding only.
            made = op.forward(*inputs, **{k: v for k, v in op.given(node).items() if k not in op.choice})
            value, chosen = np.asarray(made[0]), made[1:]
            recorded = [node.params[name] for name in op.choice]
            if not all(np.array_equal(now, then) for now, then in zip(chosen, recorded, strict=True)):
                value = forward(node, inputs)
        else:
            value = forward(node, inputs)
    return value.astype(node.dtype, copy=False) if value.shape == tuple(node.shape) else None
