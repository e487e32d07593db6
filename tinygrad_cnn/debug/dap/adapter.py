"""The debug adapter: which requests there are, when each may come, and what the program tells the client.

    initialize -> launch or attach -> set…Breakpoints -> configurationDone -> (stopped -> …)* -> disconnect

The rooms (`setting`, `stack`, `variables`, `stepping`, `console`) answer most requests; the beginning and the
end are here. Requests that look into a stopped program run in the program's thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.debug.dap import launch as launching
from tinygrad_cnn.debug.dap.access import same_token
from tinygrad_cnn.debug.dap.breakpoints import EXCEPTION, FILTERS
from tinygrad_cnn.debug.dap.console import Console
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError
from tinygrad_cnn.debug.dap.places import Sources
from tinygrad_cnn.debug.dap.program import Move, Program, Terminated
from tinygrad_cnn.debug.dap.room import ALWAYS, STOPPED, THREAD, Room, request
from tinygrad_cnn.debug.dap.server import Reply
from tinygrad_cnn.debug.dap.setting import Setting
from tinygrad_cnn.debug.dap.stack import Stack
from tinygrad_cnn.debug.dap.stepping import Stepping
from tinygrad_cnn.debug.dap.variables import Variables
from tinygrad_cnn.debug.session import BackwardSession
from tinygrad_cnn.support.errors import UserError

Send = Callable[..., bool]

CAPABILITIES: dict[str, Any] = {
    "supportsConfigurationDoneRequest": True,
    "supportsFunctionBreakpoints": True,
    "supportsConditionalBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
    "supportsEvaluateForHovers": True,
    "supportsClipboardContext": True,
    "supportsStepBack": True,
    "supportsSetVariable": True,
    "supportsSetExpression": True,
    "supportsRestartFrame": True,
    "supportsGotoTargetsRequest": True,
    "supportsStepInTargetsRequest": True,
    "supportsCompletionsRequest": True,
    "completionTriggerCharacters": [" ", "."],
    "supportsModulesRequest": True,
    "supportsLoadedSourcesRequest": True,
    "supportsExceptionInfoRequest": True,
    "supportsExceptionFilterOptions": True,
    "supportsDataBreakpoints": True,
    "supportTerminateDebuggee": True,
    "supportsTerminateRequest": True,
    "supportsCancelRequest": True,
    "exceptionBreakpointFilters": [
        {
            "filter": name, "label": label, "description": text, "default": rule is None,
            "supportsCondition": rule is not None,
        }
        | ({"conditionDescription": "an expression over the node, e.g. module == 'features.0'"} if rule else {})
        for name, (label, rule, text) in FILTERS.items()
    ],
}  # fmt: skip


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
        self.attachable = program is not None
        self.program = program or Program(self)
        self.trusted = token is None
        self._token = token
        self.running = False
        self.finished = False
        self.sources = Sources()
        self.lines_from_1 = self.columns_from_1 = True
        self.wants_types = True
        self.setting, self.stack, self.variables = Setting(self), Stack(self), Variables(self)
        self.stepping, self.console = Stepping(self), Console(self)
        self._spawn = spawn or _spawn_thread
        self._on_attached = on_attached
        self._drain = drain
        self._initialized = self._greeted = self._configured = self._over = False
        self._launch: launching.Launch | None = None
        self._started: str | None = None
        self._stop: tuple[str, list[int]] = ("", [])
        self._exited = threading.Event()
        self._wants_invalidated = False
        rooms: list[Room] = [
            Lifecycle(self), self.setting, self.stack, self.variables, self.stepping, self.console,
        ]  # fmt: skip
        self._requests = {name: found for room in rooms for name, found in room.requests().items()}

    # --- what the server asks --------------------------------------------------------------------

    def handle(self, command: str, arguments: Any) -> Reply:
        if not self.trusted:
            self._check_token(command, arguments)
        found = self._requests.get(command)
        if found is None:
            raise RequestError(f"there is no request {command!r} here", id=5)
        method, when = found
        if when != ALWAYS and not self._initialized:
            raise RequestError(f"{command}: expected initialize first", id=6)
        args = Arguments(command, arguments)
        try:
            result = self.program.call(lambda: method(args)) if when == STOPPED else method(args)
        except UserError as error:
            raise RequestError(str(error)) from None
        return result if isinstance(result, Reply) else Reply(result)

    def _check_token(self, command: str, arguments: Any) -> None:
        """Raises RequestError for what a client may not do before it has shown its token, and ends the conversation."""
        if command in ("initialize", "disconnect"):
            return
        assert self._token is not None
        self.finished = True
        if command in ("launch", "attach"):
            token = Arguments(command, arguments).string("token", None)
            if same_token(token, self._token):
                self.trusted, self.finished = True, False
                return
        raise RequestError(
            f"{command}: expected launch or attach with this server's token first; it was shown where the server was "
            "started, and is in a file that only its owner can read",
            id=7,
            show=True,
        )

    def begin(self) -> None:
        if self.running:  # or else the program may be another client's
            self.program.begin()

    def interrupt(self) -> None:
        if self.running:
            self.program.interrupt()

    def close(self, *, vanished: bool) -> None:
        """The client has gone. A program that was launched goes with it; one that was attached to runs on."""
        self._over = True
        if self._started == "launch":
            self.program.kill()
        elif self.running or not self.attachable:
            self.program.detach()

    # --- what the rooms ask ------------------------------------------------------------------------

    def check_thread(self, args: Arguments) -> None:
        """Raises RequestError for another thread than the one there is."""
        if (thread := args.integer("threadId")) != THREAD:
            raise RequestError(f"there is one thread, number {THREAD}; got {thread}")

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
        if self._wants_invalidated:
            self.send("invalidated", {"areas": ["variables"], "threadId": THREAD})

    def quit(self) -> None:
        """The console said `quit`."""
        self.program.kill() if self._started == "launch" else self.program.detach()

    def exception_filter(self) -> str | None:
        """The exception filter that stopped the program, or None."""
        reason, hit = self._stop
        if reason != "exception" or not hit:
            return None
        owners = [bp.owner for bp in self.program.breakpoints if bp.id == hit[0]]
        return owners[0].removeprefix(f"{EXCEPTION}:") if owners else None

    # --- what the program tells ----------------------------------------------------------------------

    def pass_started(self, session: BackwardSession) -> None:
        self.setting.pass_started(session)

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
        self.output(category, text)

    # --- beginning and end -----------------------------------------------------------------------------

    def greet(self) -> None:
        """Tell the client, once, that it may set its breakpoints."""
        if not self._greeted:
            self._greeted = True
            self.send("initialized")

    def start(self) -> None:
        """Begin, once the client has both said what to run and set its breakpoints."""
        self.greet()
        if self._started is not None or not self._configured or self._over:
            return
        if self.attachable and self.running:
            self._started = "attach"
            self._begin(f"process {os.getpid()}", "attach")
            self._on_attached()
        elif self._launch is not None:
            self._started = "launch"
            self.program.file = str(self._launch.path) if self._launch.path else None
            self._begin(str(self._launch.path or self._launch.module), "launch")
            self._spawn(self._run)

    def _begin(self, name: str, method: str) -> None:
        process = {
            "name": name,
            "systemProcessId": os.getpid(),
            "isLocalProcess": True,
            "startMethod": method,
        }
        self.send("process", process)
        self.send("thread", {"reason": "started", "threadId": THREAD})

    def _run(self) -> None:
        assert self._launch is not None
        code = 1
        try:
            code = launching.run(self._launch, self.program, self._printed)
        except Terminated:
            pass  # it was told to end when it had just ended by itself
        finally:
            self.running = False
            self.exit_code = code
            self._drain()
            self.send("thread", {"reason": "exited", "threadId": THREAD})
            self.send("exited", {"exitCode": code})
            self.send("terminated")
            self._exited.set()

    exit_code = 0

    def wait_for_exit(self, timeout: float) -> bool:
        """Whether a launched program has ended in time (in seconds)."""
        return self._started != "launch" or self._exited.wait(timeout)

    def _forget(self) -> None:
        self.stack.forget()
        self.variables.forget()
        self.stepping.forget()


class Lifecycle(Room):
    """initialize, launch, attach, configurationDone, terminate, disconnect."""

    @request("initialize", ALWAYS)
    def initialize(self, args: Arguments) -> Reply:
        adapter = self.adapter
        if adapter._initialized:
            raise RequestError("initialize: this conversation is initialized already", id=6)
        args.string("adapterID", "")
        adapter.lines_from_1 = args.boolean("linesStartAt1", True)
        adapter.columns_from_1 = args.boolean("columnsStartAt1", True)
        adapter.wants_types = args.boolean("supportsVariableType", False)
        adapter._wants_invalidated = args.boolean("supportsInvalidatedEvent", False)
        form = args.string("pathFormat", "path")
        if form not in ("path", "uri"):
            raise RequestError(f"initialize: expected 'path' or 'uri' as pathFormat, got {form!r}")
        adapter.sources.as_uris = form == "uri"
        adapter._initialized = True
        # With a token, breakpoints have to wait for it.
        return Reply(CAPABILITIES, then=adapter.greet if adapter.trusted else None)

    @request("launch")
    def launch(self, args: Arguments) -> Reply:
        adapter = self.adapter
        self._once("launch")
        if adapter.attachable:
            raise RequestError("launch: a program is running here already; use attach", show=True)
        found = launching.read(args)
        program = self.program
        program.stop_at_entry, program.stop_at_end = found.stop_on_entry, found.stop_at_end
        for query in found.breaks:
            program.breakpoints.add(query)
        adapter._launch = found
        adapter.running = True
        return Reply(None, then=adapter.start)

    @request("attach")
    def attach(self, args: Arguments) -> Reply:
        adapter = self.adapter
        self._once("attach")
        if not adapter.attachable:
            raise RequestError(
                "attach: no program runs here. Call tinygrad_cnn.debug.listen(port) in it, and connect to that port",
                show=True,
            )
        at_entry, at_end = args.boolean("stopOnEntry", False), args.boolean("stopAtEnd", False)
        if not self.program.welcome(adapter):
            raise RequestError("attach: another client is attached to the program", show=True)
        self.program.stop_at_entry, self.program.stop_at_end = at_entry, at_end
        adapter.running = True
        return Reply(None, then=adapter.start)

    @request("configurationDone")
    def configuration_done(self, _args: Arguments) -> Reply:
        if self.adapter._configured:
            raise RequestError("configurationDone: the configuration is done already", id=6)
        self.adapter._configured = True
        return Reply(None, then=self.adapter.start)

    @request("terminate")
    def terminate(self, _args: Arguments) -> Reply:
        if self.adapter._started is None:
            raise RequestError("terminate: no program runs", id=6)
        return Reply(None, then=self.program.kill)

    @request("disconnect", ALWAYS)
    def disconnect(self, args: Arguments) -> Reply:
        adapter = self.adapter
        end = args.boolean("terminateDebuggee", adapter._started == "launch")
        adapter.finished = True
        if adapter._started == "attach" and end:
            self.program.kill()
        elif adapter._started == "launch" and not end:
            adapter._started = "left"  # it runs to its end, unseen
        return Reply(None)

    def _once(self, command: str) -> None:
        if self.adapter.running or self.adapter._started is not None:
            raise RequestError(f"{command}: a program runs already", id=6)


def _spawn_thread(run: Callable[[], Any]) -> None:
    threading.Thread(target=run, name="dap_program", daemon=True).start()
