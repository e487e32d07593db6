"""What the adapter's components share: a component answers some requests, and says when each may come.

A method under `@request("next", when=STOPPED)` gets the request's `Arguments` and gives the response's body, or a
`Reply`. The adapter is the components' `Host`, and collects these methods into its dispatch table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError
from tinygrad_cnn.debug.dap.places import Sources
from tinygrad_cnn.debug.dap.program import Move, Program

F = TypeVar("F", bound=Callable[..., Any])

#: When a request may come: at any time, after `initialize`, or only while the program stands in a pass.
ALWAYS, READY, STOPPED = "always", "ready", "stopped"

#: The one thread there is, for the client.
THREAD = 1


@dataclass
class Client:
    """What the client said of itself in `initialize`."""

    lines_from_1: bool = True
    columns_from_1: bool = True
    wants_types: bool = True
    wants_invalidated: bool = False


class Host(Protocol):
    """What components ask of the adapter: the program, the client, and how to tell it something."""

    program: Program
    client: Client
    sources: Sources
    send: Callable[..., bool]

    @property
    def running(self) -> bool:
        """Whether a program runs or stands."""

    def resume(self, move: Move) -> None:
        """Let the program go on; everything that was numbered at this stop is void."""

    def moved(self) -> None:
        """The console moved the session: a new stop."""

    def values_changed(self) -> None:
        """A number was edited."""

    def quit(self) -> None:
        """The console said `quit`."""

    def exception_filter(self) -> str | None:
        """The exception filter that stopped the program, or None."""


def request(command: str, when: str = READY) -> Callable[[F], F]:
    """Mark a component's method as the one that answers `command`."""

    def mark(fn: F) -> F:
        fn.dap_request = (command, when)  # type: ignore[attr-defined]
        return fn

    return mark


class Component:
    """Some requests, and the host they belong to."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @property
    def program(self) -> Program:
        return self.host.program

    @property
    def session(self) -> BackwardSession:
        """The session the program stands in (the innermost, inside a composite op)."""
        return self.program.session

    def forget(self) -> None:
        """The program moved: numbers given at the last stop are void, and none is used again."""

    def check_thread(self, args: Arguments) -> None:
        """Raises RequestError for another thread than the one there is."""
        if (thread := args.integer("threadId")) != THREAD:
            raise RequestError(f"there is one thread, number {THREAD}; got {thread}")

    def requests(self) -> dict[str, tuple[Callable[..., Any], str]]:
        """command -> (method, when)."""
        found = {}
        for name in dir(type(self)):
            mark = getattr(getattr(type(self), name), "dap_request", None)
            if mark is not None:
                found[mark[0]] = (getattr(self, name), mark[1])
        return found
