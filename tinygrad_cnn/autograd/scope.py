"""The module call under which a node is made. This file imports nothing of the engine."""

from __future__ import annotations

from typing import Any, NamedTuple


class Scope(NamedTuple):
    """One call of a module, a new object for each call: a linked list up to the outermost module.

    `owner` is a weak reference to the module, through which modules called inside find their path. A scope without a
    name is a part of its parent's call (a step in time) and adds nothing to the path.
    """

    parent: Scope | None
    name: str
    kind: str
    owner: Any = None

    @property
    def path(self) -> str:
        """The module path as in `named_modules()`, e.g. ``features.1``; empty for the outermost module."""
        parts = []
        scope: Scope | None = self
        while scope is not None and scope.parent is not None:
            if scope.name:
                parts.append(scope.name)
            scope = scope.parent
        return ".".join(reversed(parts))
