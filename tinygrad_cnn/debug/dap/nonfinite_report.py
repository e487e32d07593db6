"""Which numbers made something bad: the operands where a NaN, an infinity or a dead gradient is born."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd.inspect import Node
from tinygrad_cnn.debug.backward_session import BackwardSession


def describe(session: BackwardSession, node: Node) -> str:
    """One sentence on what the paused node does to its upstream gradient."""
    said = []
    for i, d in enumerate(session.downstream):
        if d is None:
            continue
        name = node.op.input_name(i, len(node.parents))
        bad = ~np.isfinite(d)
        if bad.any():
            index = tuple(int(k) for k in np.argwhere(bad)[0])
            said.append(f"∂L/∂{name}[{_index(index)}] = {d[index]}{_operands(session, index, d.shape)}")
        elif d.size and not d.any():
            said.append(f"∂L/∂{name} is zero everywhere")
    return f"{session.label(node)}: " + ("; ".join(said) or "nothing unusual")


def _operands(session: BackwardSession, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The upstream gradient and the inputs at the same place, as far as they have one."""
    node = session.node
    assert node is not None
    values = [("∂L/∂y", session.upstream)]
    values += [
        (node.op.input_name(k, len(node.parents)), v)
        for k, v in enumerate(session.input_values())
        if v is not None
    ]
    at = [f"{name} = {np.broadcast_to(v, shape)[index]:.6g}" for name, v in values if _fits(v.shape, shape)]
    return f" where {', '.join(at)}" if at else ""


def _fits(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, shape) == shape
    except ValueError:
        return False


def _index(index: tuple[int, ...]) -> str:
    return ", ".join(map(str, index))
