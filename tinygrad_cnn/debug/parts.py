"""Inside a composite op: the backward pass of its definition, in smaller ops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import make_leaf, wrap
from tinygrad_cnn.debug.walking import Stop
from tinygrad_cnn.support.errors import UsageError

if TYPE_CHECKING:
    from tinygrad_cnn.debug.session import BackwardSession


def session_inside(session: BackwardSession) -> BackwardSession:
    """A session inside the paused node: the backward pass of its definition in smaller ops.

    It writes no `.grad`; what it finds is in `captured`. Raises UsageError for ops without parts.
    """
    from tinygrad_cnn.debug.session import BackwardSession

    node = session._paused()
    definition = getattr(node.op, "definition", None)
    if definition is None:
        raise UsageError(f"{node.op.name} is a primitive without parts; `explain` writes out what it does")
    values = session.input_values(node)
    xs: list[Any] = []
    wanted: list[Any] = []
    with modes.enable_grad():
        for i, (value, parent) in enumerate(zip(values, node.parents, strict=True)):
            if parent is None:
                saved = node.saved[i + 1] if isinstance(node.saved, tuple) else None
                xs.append(wrap(saved) if isinstance(saved, np.ndarray) else saved)
                continue
            if value is None:
                raise UsageError(f"cannot step into {node.op.name}: the value of its input {i} is gone")
            x = _fresh_leaf(value, node.op.input_name(i, len(values)))
            xs.append(x)
            wanted.append(x)
        y = definition(*xs, **node.op.given(node))
    inner = BackwardSession(
        y,
        session.upstream,
        inputs=wanted,
        accumulate=False,
        breakpoints=session.breakpoints,
        scopes=session.user_scopes,
    )
    inner._kept_alive = xs
    inner.stop = Stop("start", f"inside {session.label(node)}")
    return inner


def _fresh_leaf(value: np.ndarray, name: str) -> Any:
    x = wrap(value)
    x.name = name
    x.node = make_leaf(x)
    return x
