"""Changing numbers of a paused pass: a gradient, what one edge carries, a value that rules read.

Each function makes the change and gives back what undoes it and a sentence; the session keeps both. No
array that anybody else may hold is ever written to: new ones take their place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.support.errors import UsageError

if TYPE_CHECKING:
    from tinygrad_cnn.debug.session import BackwardSession

ndarray = np.ndarray
Done = tuple[Callable[[], None], str]
MISSING: Any = object()


def edit_gradient(session: BackwardSession, node: Node, gradient: Any, index: Any) -> Done:
    grads, owned = session._pass.grads, session._pass.owned
    if session._index.get(node.seq, -1) < session.position:
        raise UsageError(
            f"edit: {session.label(node)} is done (step {session._index.get(node.seq, 0) + 1}); goto it first"
        )
    old = grads.get(node.seq, MISSING)
    was_owned = node.seq in owned
    new = _replaced(
        None if old is MISSING else np.asarray(old.dense() if hasattr(old, "dense") else unwrap(old)),
        gradient,
        index,
        node,
    )
    grads[node.seq] = wrap(new) if session.create_graph else new
    owned.discard(node.seq)

    def undo() -> None:
        put(grads, node.seq, old)
        (owned.add if was_owned else owned.discard)(node.seq)

    return undo, f"edited the gradient of {session.label(node)}" + _at(index)


def edit_edge(session: BackwardSession, node: Node, input: int, gradient: Any, index: Any) -> Done:
    if node is not session.node:
        raise UsageError("edit(input=…) changes what the paused node hands on; goto that node first")
    if not 0 <= input < len(node.parents) or node.parents[input] is None:
        raise UsageError(f"edit: no gradient flows to input {input} of {node.op.name}")
    parent = node.parents[input]
    assert parent is not None
    edits = session._edge_edits
    old = edits.get(input, MISSING)
    new = _replaced(session.downstream[input], gradient, index, parent)
    edits[input] = wrap(new) if session.create_graph else new
    return lambda: put(edits, input, old), f"edited what {session.label(node)} hands to input {input}" + _at(
        index
    )


def edit_value(session: BackwardSession, node: Node, value: Any, index: Any) -> Done:
    old = session.value_of(node)
    new = _replaced(old, value, index, node)
    changed: list[tuple[Node, Any]] = []
    for user in session.nodes:
        if not isinstance(user.saved, tuple):
            continue
        saved = list(user.saved)
        if user is node and saved and saved[0] is not None:
            saved[0] = new
        for i, parent in enumerate(user.parents):
            if parent is node and saved[i + 1] is not None:
                saved[i + 1] = new
        if any(a is not b for a, b in zip(saved, user.saved, strict=True)):
            changed.append((user, user.saved))
            user.saved = tuple(saved)
    if not changed:
        raise UsageError(f"edit: no rule of this pass reads the value of {session.label(node)}")
    edited = session._edited_values
    before = edited.get(node.seq, MISSING)
    edited[node.seq] = new
    session._value_cache = None

    def undo() -> None:
        for user, saved in changed:
            user.saved = saved
        put(edited, node.seq, before)
        session._value_cache = None

    session._restore_values.append(undo)
    return undo, f"edited the value of {session.label(node)}" + _at(index)


def put(table: dict[int, Any], key: int, old: Any) -> None:
    """Put an old entry back; `MISSING` takes it out."""
    if old is MISSING:
        table.pop(key, None)
    else:
        table[key] = old


def _at(index: Any) -> str:
    return "" if index is None else f" at {index}"


def _replaced(old: ndarray | None, new: Any, index: Any, node: Node) -> ndarray:
    """A fresh array of the node's shape: `new`, or `old` with `new` at `index`."""
    try:
        given = np.asarray(unwrap(new), dtype=node.dtype)
        if index is None:
            return np.broadcast_to(given, node.shape).copy()
        fresh = np.zeros(node.shape, node.dtype) if old is None else np.array(old, dtype=node.dtype)
        fresh[index] = given
        return fresh
    except (ValueError, TypeError, IndexError) as error:
        raise UsageError(
            f"edit expected a number or an array of shape {tuple(node.shape)}: {error}"
        ) from None
