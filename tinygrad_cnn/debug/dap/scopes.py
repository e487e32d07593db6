"""The headings of the variables view at a stop: Upstream, Local, Downstream, Saved, Formula, Stats.

Reads a session, gives `values.Item`s; an item that can be changed carries how (`BackwardSession.edit`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.inspect import Node
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.conditions import dead_share, norm
from tinygrad_cnn.debug.dap.values import Group, Item
from tinygrad_cnn.debug.snapshot import show
from tinygrad_cnn.viz.summary import summarise

#: Jacobians up to this many entries are offered in full.
DENSE = 4096

Items = Callable[[], list[Item]]


def node_scopes(session: BackwardSession) -> list[tuple[str, Items, bool]]:
    """(name, its items, whether they are expensive) of the paused node; at the end, the leaves' gradients."""
    node = session.node
    if node is None:
        return [("Gradients", lambda: leaves(session, ""), False)]
    scopes: list[tuple[str, Items, bool]] = [("Upstream", lambda: upstream(session, node), False)]
    if node.parents:
        scopes += [
            ("Local", lambda: local(session, node), False),
            ("Downstream", lambda: downstream(session, node), False),
        ]
    scopes += [
        ("Saved", lambda: saved(session, node), False),
        ("Formula", lambda: formula(session, node), False),
        ("Stats", lambda: stats(session, node), False),
    ]
    return scopes


def upstream(session: BackwardSession, node: Node) -> list[Item]:
    """∂L/∂y, which can be edited."""
    return [
        Item(
            "∂L/∂y", session.upstream, "g",
            lambda new: _edit(session, gradient=new), lambda index, new: _edit(session, gradient=new, index=index),
            written=_written(session, node),
        )
    ]  # fmt: skip


def local(session: BackwardSession, node: Node) -> list[Item]:
    """∂y/∂xᵢ of each input that gets a gradient."""
    out = []
    for i, parent in enumerate(node.parents):
        if parent is not None:
            map = node.local_gradient(i)
            out.append(
                Item(
                    f"∂y/∂{_name(node, i)}",
                    Group(f"{map.formula}  ({map.structure}, {map.shape})", lambda i=i: _local(node, i)),  # type: ignore[misc]
                )
            )
    return out


def _local(node: Node, i: int) -> list[Item]:
    map = node.local_gradient(i)
    base = f"local[{i}]"
    out = [
        Item("formula", map.formula), Item("structure", map.structure, f"{base}.structure"),
        Item("shape", map.shape, f"{base}.shape"),
    ]  # fmt: skip
    if node.op.has_factor:
        out.append(Item("factor", map.factor, f"{base}.factor"))
    if int(np.prod(map.shape, dtype=np.int64)) <= DENSE:
        out.append(
            Item("dense", Group(f"the Jacobian, {map.shape}", lambda: _dense(node, i)), f"{base}.dense()")
        )
    out.append(
        Item("norm", Group("largest singular value", lambda: [Item("norm", map.norm(), f"{base}.norm()")]))
    )
    return out


def _dense(node: Node, i: int) -> list[Item]:
    return [Item("dense", node.local_gradient(i).dense(), f"local[{i}].dense()")]


def downstream(session: BackwardSession, node: Node) -> list[Item]:
    """Per input, what this node will hand back; the contribution can be edited."""
    try:
        handed = session.downstream
    except Exception as error:  # the rule fails here: that is what the user came to see
        return [Item("error", f"{type(error).__name__} in {node.op.name}.backward: {error}")]
    return [
        Item(
            f"∂L/∂{_name(node, i)}", Group(f"→ {session.label(parent)}  {show(d)}", _contribution(session, node, i)),
            f"downstream[{i}]", _setter(session, i), written=_written(session, parent),
        )
        for i, (parent, d) in enumerate(zip(node.parents, handed, strict=True))
        if parent is not None and d is not None
    ]  # fmt: skip


def _contribution(session: BackwardSession, node: Node, i: int) -> Items:
    def items() -> list[Item]:
        parent, d = node.parents[i], session.downstream[i]
        assert parent is not None and d is not None
        before = session.arrived(parent)
        return [
            Item(
                "contribution", d, f"downstream[{i}]", _setter(session, i),
                lambda index, new: _edit(session, gradient=new, input=i, index=index),
                written=_written(session, parent),
            ),
            Item("before", before, text=None if before is not None else "nothing yet"),
            Item("after", d if before is None else before + d),
        ]  # fmt: skip

    return items


def saved(session: BackwardSession, node: Node) -> list[Item]:
    """The values the rules read: output, inputs, and the op's parameters."""
    out = []
    value = session.value_of(node)
    if value is not None:
        out.append(_value(session, node, "param" if node.is_leaf else "y", value, "value"))
    for i, (parent, x) in enumerate(zip(node.parents, session.input_values(), strict=True)):
        if x is not None:
            name = _name(node, i)
            expression = f"inputs[{i}]"
            out.append(
                _value(session, parent, name, x, expression)
                if parent is not None
                else Item(name, x, expression)
            )
    out += [Item(name, setting, f"node.params[{name!r}]") for name, setting in node.params.items()]
    if node.is_leaf and node.tensor is not None:
        so_far = node.tensor.grad
        out.append(
            Item(
                ".grad",
                so_far,
                "param.grad",
                text=None if so_far is not None else "None",
                written=_written(session, node),
            )  # fmt: skip
        )
    return out


def _value(session: BackwardSession, node: Node, name: str, value: np.ndarray, expression: str) -> Item:
    return Item(
        name, value, expression, lambda new: _edit(session, value=new, node=node),
        lambda index, new: _edit(session, value=new, node=node, index=index),
    )  # fmt: skip


def formula(session: BackwardSession, node: Node) -> list[Item]:
    """What was computed and how it is differentiated."""
    parts = node.formula.split("; ")
    out = [Item("forward", parts[0])]
    out += [Item(f"backward {k}", part) for k, part in enumerate(parts[1:])]
    out += [
        Item("op", f"{node.op.name} ({node.op.kind})"), Item("node", session.label(node)),
        Item("module", node.module or "(none)"), Item("shape", tuple(node.shape), "shape"),
        Item("dtype", str(node.dtype)), Item("step", f"{session.position + 1} of {session.total}", "step"),
    ]  # fmt: skip
    if node.where is not None:
        out.append(Item("line", node.where.text or str(node.where)))
    return out


def stats(session: BackwardSession, node: Node) -> list[Item]:
    """Numbers about the upstream gradient."""
    g = session.upstream
    s = summarise(g)
    out = [Item("norm", norm(g), "norm")]
    names = ("mean", "std", "min", "max", "zeros", "nan", "inf")
    out += [Item(name, getattr(s, name)) for name in names if getattr(s, name) is not None]
    dead = dead_share(node) if node.parents else float("nan")
    if dead == dead:
        out.append(Item("dead_relu", dead, "dead_relu"))
    if node.is_leaf and node.tensor is not None:
        out.append(Item("ratio", session.evaluate("ratio"), "ratio"))
    return out


def leaves(session: BackwardSession, path: str) -> list[Item]:
    """The parameters under a module path (all leaves for an empty one), with value and gradient."""
    out = []
    for node in session.nodes:
        if not node.is_leaf:
            continue
        label = session.label(node)
        if path and not label.startswith(path + "."):
            continue
        tensor = node.tensor
        if tensor is not None:
            g = session.gradient_of(node)
            out.append(
                Item(
                    label,
                    Group(
                        f"{tuple(node.shape)}, gradient: {'none yet' if g is None else show(g)}",
                        lambda node=node, value=tensor.array, g=g: [  # type: ignore[misc]
                            Item("value", value),
                            Item("gradient", g, None, text=_none_yet(g), written=_written(session, node)),
                        ],
                    ),
                    written=_written(session, node),
                )
            )
    return out


def _written(session: BackwardSession, node: Node) -> str | None:
    return session.label(node) if node.target is not None else None


def _none_yet(g: np.ndarray | None) -> str | None:
    return "none yet" if g is None else None


def _setter(session: BackwardSession, i: int) -> Callable[[Any], None]:
    return lambda new: _edit(session, gradient=new, input=i)


def _edit(session: BackwardSession, **what: Any) -> None:
    session.edit(what.pop("gradient", None), **what)


def _name(node: Node, i: int) -> str:
    return node.op.input_name(i, len(node.parents))
