"""The module call under which a node is made. This file imports nothing of the engine."""

from __future__ import annotations

from typing import NamedTuple


class Scope(NamedTuple):
    """A module call: a linked list up to the outermost module."""

    parent: Scope | None
    name: str
    kind: str

    @property
    def path(self) -> str:
        """The module path as in `named_modules()`, e.g. ``features.1``; empty for the outermost module."""
        parts = []
        scope: Scope | None = self
        while scope is not None and scope.parent is not None:
            parts.append(scope.name)
            scope = scope.parent
        return ".".join(reversed(parts))
