"""The debug adapter: the dispatch table of requests, and what the program tells the client.

    initialize -> launch or attach -> set…Breakpoints -> configurationDone -> (stopped -> …)* -> disconnect

Its components answer: `lifecycle` begins and ends, `setting`, `stack`, `variables`, `stepping` and `console` do the
rest. Requests that look into a stopped program run in the program's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.dap import launch as launching
from tinygrad_cnn.debug.dap.breakpoints import EXCEPTION, FILTERS
from tinygrad_cnn.debug.dap.component import ALWAYS, STOPPED, THREAD, Client, Component
from tinygrad_cnn.debug.dap.console import Console
from tinygrad_cnn.debug.dap.lifecycle import Lifecycle
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError
from tinygrad_cnn.debug.dap.places import Sources
from tinygrad_cnn.debug.dap.program import Move, Program
from tinygrad_cnn.debug.dap.server import Reply
from tinygrad_cnn.debug.dap.setting import Setting
from tinygrad_cnn.debug.dap.stack import Stack
from tinygrad_cnn.debug.dap.stepping import Stepping
from tinygrad_cnn.debug.dap.variables import Variables
from tinygrad_cnn.support.errors import UserError

Send = Callable[..., bool]


class Adapter:
    """One client's view of one program.

    Parameters
        send: sends an event, given its name and body
        spawn: runs a function in the thread that is to be the program's; a new one unless given
        program: an already running program to attach to, for `debug.listen`
        token: what `launch` or `attach` has to bring along before anything else is done
        on_attached: called when a client is ready and the program may go on
        drain: returns when what the program wrote by other ways than Python's streams has been sent
    """

    def __init__(
        self, send: Send, spawn: launching.Spawn | None = None, *, program: Program | None = None,
        token: str | None = None, on_attached: Callable[[], None] = lambda: None,
        drain: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.send = send
        self.program = program or Program(self)
        self.client, self.sources = Client(), Sources()
        self._drain = drain
        self._stop: tuple[str, list[int]] = ("", [])
        self.lifecycle = Lifecycle(
            self,
            self,
            spawn,
            self._printed,
            attachable=program is not None,
            token=token,
            on_attached=on_attached,
        )
        stack = Stack(self)
        variables = Variables(self, stack)
        self._setting = Setting(self, variables)
        self._components: list[Component] = [
            self.lifecycle, stack, variables, self._setting, Stepping(self, stack),
            Console(self, stack, variables, self._setting),
        ]  # fmt: skip
        self._requests = {name: found for part in self._components for name, found in part.requests().items()}

    # --- what the server asks --------------------------------------------------------------------

    def handle(self, command: str, arguments: Any) -> Reply:
        if not self.trusted:
            self.lifecycle.check_token(command, arguments)
        found = self._requests.get(command)
        if found is None:
            raise RequestError(f"there is no request {command!r} here", id=5)
        method, when = found
        if when != ALWAYS and not self.lifecycle.initialized:
            raise RequestError(f"{command}: expected initialize first", id=6)
        args = Arguments(command, arguments)
        try:
            result = self.program.call(lambda: method(args)) if when == STOPPED else method(args)
        except UserError as error:
            raise RequestError(str(error)) from None
        return result if isinstance(result, Reply) else Reply(result)

    def begin(self) -> None:
        if self.running:  # or else the program may be another client's
            self.program.begin()

    def interrupt(self) -> None:
        if self.running:
            self.program.interrupt()

    def close(self, *, vanished: bool) -> None:
        self.lifecycle.end()

    @property
    def trusted(self) -> bool:
        return self.lifecycle.trusted

    @property
    def finished(self) -> bool:
        return self.lifecycle.finished

    @property
    def running(self) -> bool:
        return self.lifecycle.running

    # --- what the components ask -------------------------------------------------------------------

    def resume(self, move: Move) -> None:
        """Let the program go on; everything that was numbered at this stop is void."""
        self._forget()
        self.program.resume(move)

    def moved(self) -> None:
        """The console moved the session: a new stop."""
        interpreter = self.program.interpreter
        if interpreter is None:
            return
        stop = interpreter.session.stop
        reason = "goto"
        hit: list[int] = []
        if stop.kind == "exception":
            reason = "exception"
            self.program.error = interpreter.session.error
        elif stop.kind == "breakpoint":
            reason, hit = self.program.breakpoints.reason_for(stop.breakpoint)
        elif stop.kind in ("step", "back", "end"):
            reason = "step"
        self.stopped(reason, stop.text, hit)

    def values_changed(self) -> None:
        """A number was edited: the client should ask again for what it shows."""
        if self.client.wants_invalidated:
            self.send("invalidated", {"areas": ["variables"], "threadId": THREAD})

    def quit(self) -> None:
        """The console said `quit`."""
        self.program.kill() if self.lifecycle.started == "launch" else self.program.detach()

    def exception_filter(self) -> str | None:
        """The exception filter that stopped the program, or None."""
        reason, hit = self._stop
        if reason != "exception" or not hit:
            return None
        owners = [bp.owner for bp in self.program.breakpoints if bp.id == hit[0]]
        return owners[0].removeprefix(f"{EXCEPTION}:") if owners else None

    # --- what the program tells ----------------------------------------------------------------------

    def pass_started(self, session: BackwardSession) -> None:
        self._setting.pass_started(session)

    def stopped(self, reason: str, text: str, hit: list[int]) -> None:
        self._forget()
        self._stop = reason, hit
        body: dict[str, Any] = {
            "reason": reason,
            "description": text,
            "threadId": THREAD,
            "allThreadsStopped": True,
        }
        if reason == "exception":
            error = self.program.error
            name = self.exception_filter()
            if error is not None:
                body["text"] = f"{type(error).__name__}: {error}"
            elif name is not None:
                body["text"] = FILTERS[name][0]
        if hit:
            body["hitBreakpointIds"] = hit
        self._drain()
        self.send("stopped", body)

    def log(self, text: str) -> None:
        self.output("console", text + "\n")

    def output(self, category: str, text: str) -> None:
        """What the program wrote."""
        self.send("output", {"category": category, "output": text})

    def _printed(self, category: str, text: str) -> None:
        """What the program's own streams got, behind what its children and its C code wrote before."""
        self._drain()
        if text:
            self.output(category, text)

    def wait_for_exit(self, timeout: float) -> bool:
        """Whether a launched program has ended in time (in seconds)."""
        return self.lifecycle.started != "launch" or self.lifecycle.exited.wait(timeout)

    def _forget(self) -> None:
        for part in self._components:
            part.forget()
