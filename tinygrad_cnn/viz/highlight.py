"""Marking a path: which nodes a user means, and everything between them and the loss.

Works on the description alone. The selectors are the debugger's: ``relu`` (an op, a name), ``features.*``
(a module path), ``param:fc.weight``, ``shape:(*,16,*,*)``, ``line:train.py:12``.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.description import Description, Node


def mark(description: Description, what: Any) -> None:
    """Set `highlighted` on the meant nodes, on all paths from them to the loss, and on the edges along them.

    `what` is a selector, a tensor, or a list of either. Raises UsageError when nothing matches.
    """
    wanted = what if isinstance(what, (list, tuple)) else [what]
    chosen: set[str] = set()
    for one in wanted:
        found = _meant(description, one)
        if not found:
            raise UsageError(
                f"highlight={one!r} matches no node of this graph; ops here: {_some_ops(description)}"
            )
        chosen |= found
    users: dict[str, list[str]] = {}
    for edge in description.edges:
        users.setdefault(edge.from_, []).append(edge.to)
    on_path, stack = set(chosen), list(chosen)
    while stack:
        for user in users.get(stack.pop(), ()):
            if user not in on_path:
                on_path.add(user)
                stack.append(user)
    for node in description.nodes:
        node.highlighted = node.id in on_path
    for edge in description.edges:
        edge.highlighted = edge.from_ in on_path and edge.to in on_path


def matches(node: Node, selector: str) -> bool:
    """Whether a selector means this node."""
    kind, _, rest = selector.partition(":")
    if kind == "param":
        return node.parameter and fnmatchcase(node.name or "", rest)
    if kind == "shape":
        sizes = [part.strip() for part in rest.strip().strip("()[]").split(",") if part.strip()]
        return len(sizes) == len(node.shape) and all(
            s == "*" or s == str(n) for s, n in zip(sizes, node.shape, strict=True)
        )
    if kind == "line":
        return node.source is not None and fnmatchcase(f"{node.source.file}:{node.source.line}", rest)
    if kind == "node":
        return node.id == rest
    names = (node.op, node.label, node.name or "", node.module or "")
    return any(name and fnmatchcase(name, selector) for name in names)


def _meant(description: Description, one: Any) -> set[str]:
    if isinstance(one, Handle):
        return {n.id for n in description.nodes if one.node is not None and n.id == str(one.node.seq)}
    if not isinstance(one, str):
        raise TypeError(f"highlight expected a selector or a tensor, got {type(one).__name__}")
    return {n.id for n in description.nodes if matches(n, one)}


def _some_ops(description: Description) -> str:
    ops = sorted({n.op for n in description.nodes})
    return ", ".join(ops[:12]) + (", …" if len(ops) > 12 else "")
