"""What the adapter's rooms share: a room answers some requests, and says when each may come.

A room's method under `@request("next", when=STOPPED)` gets the request's `Arguments` and gives the
response's body, or a `Reply`. The adapter collects these methods into its dispatch table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tinygrad_cnn.debug.dap.adapter import Adapter
    from tinygrad_cnn.debug.dap.program import Program
    from tinygrad_cnn.debug.session import BackwardSession

F = TypeVar("F", bound=Callable[..., Any])

#: When a request may come: at any time, after `initialize`, or only while the program stands in a pass.
ALWAYS, READY, STOPPED = "always", "ready", "stopped"

#: The one thread there is, for the client.
THREAD = 1


def request(command: str, when: str = READY) -> Callable[[F], F]:
    """Mark a room's method as the one that answers `command`."""

    def mark(fn: F) -> F:
        fn.dap_request = (command, when)  # type: ignore[attr-defined]
        return fn

    return mark


class Room:
    """Some requests, and the adapter they belong to."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    @property
    def program(self) -> Program:
        return self.adapter.program

    @property
    def session(self) -> BackwardSession:
        """The session the program stands in (the innermost, inside a composite op)."""
        return self.program.session

    def requests(self) -> dict[str, tuple[Callable[..., Any], str]]:
        """command -> (method, when)."""
        found = {}
        for name in dir(type(self)):
            mark = getattr(getattr(type(self), name), "dap_request", None)
            if mark is not None:
                found[mark[0]] = (getattr(self, name), mark[1])
        return found
