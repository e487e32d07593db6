"""How a conversation begins and ends: initialize, launch or attach, configurationDone, terminate, disconnect.

The state of the conversation is here, and nowhere else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.debug.dap import launch as launching
from tinygrad_cnn.debug.dap.access import same_token
from tinygrad_cnn.debug.dap.breakpoints import FILTERS
from tinygrad_cnn.debug.dap.component import ALWAYS, THREAD, Component, Host, request
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError
from tinygrad_cnn.debug.dap.output import Sink
from tinygrad_cnn.debug.dap.program import Events, Terminated
from tinygrad_cnn.debug.dap.server import Reply

_ABLE = """supportsConfigurationDoneRequest supportsFunctionBreakpoints supportsConditionalBreakpoints
    supportsHitConditionalBreakpoints supportsLogPoints supportsEvaluateForHovers supportsClipboardContext
    supportsStepBack supportsSetVariable supportsSetExpression supportsRestartFrame supportsGotoTargetsRequest
    supportsStepInTargetsRequest supportsCompletionsRequest supportsModulesRequest supportsLoadedSourcesRequest
    supportsExceptionInfoRequest supportsExceptionFilterOptions supportsDataBreakpoints supportTerminateDebuggee
    supportsTerminateRequest supportsCancelRequest"""

CAPABILITIES: dict[str, Any] = {
    **dict.fromkeys(_ABLE.split(), True),
    "completionTriggerCharacters": [" ", "."],
    "exceptionBreakpointFilters": [
        {
            "filter": name, "label": label, "description": text, "default": rule is None,
            "supportsCondition": rule is not None,
        }
        | ({"conditionDescription": "an expression over the node, e.g. module == 'features.0'"} if rule else {})
        for name, (label, rule, text) in FILTERS.items()
    ],
}  # fmt: skip


class Lifecycle(Component):
    """The state of the conversation.

    Attributes
        initialized, trusted, greeted, configured: what the client has done: `initialize`, shown its token, been told
            that it may set breakpoints, `configurationDone`
        started: ``"launch"``, ``"attach"`` or, of a launched program that runs on unseen, ``"left"``; None before
        running: whether there is a program to stop
        finished: whether the last request ended the conversation; `over`: whether it has ended
    """

    def __init__(
        self, host: Host, events: Events, spawn: launching.Spawn | None, printed: Sink, *, attachable: bool,
        token: str | None, on_attached: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(host)
        self.events, self.attachable = events, attachable
        self.initialized = self.greeted = self.configured = self.finished = self.over = self.running = False
        self.trusted = token is None
        self.started: str | None = None
        self.launched: launching.Launch | None = None
        self.exited = threading.Event()
        self._token, self._spawn, self._printed, self._on_attached = (
            token,
            spawn or _spawn_thread,
            printed,
            on_attached,
        )

    def check_token(self, command: str, arguments: Any) -> None:
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

    def greet(self) -> None:
        """Tell the client, once, that it may set its breakpoints."""
        if not self.greeted:
            self.greeted = True
            self.host.send("initialized")

    def start(self) -> None:
        """Begin, once the client has both said what to run and set its breakpoints."""
        self.greet()
        if self.started is not None or not self.configured or self.over:
            return
        if self.attachable and self.running:
            self.started = "attach"
            self._tell_beginning(f"process {os.getpid()}", "attach")
            self._on_attached()
        elif self.launched is not None:
            self.started = "launch"
            self.program.file = str(self.launched.path) if self.launched.path else None
            self._tell_beginning(str(self.launched.path or self.launched.module), "launch")
            self._spawn(self._run)

    def end(self) -> None:
        """The client has gone. A program that was launched goes with it; one that was attached to runs on."""
        self.over = True
        if self.started == "launch":
            self.program.kill()
        elif self.running or not self.attachable:
            self.program.detach()

    def _tell_beginning(self, name: str, method: str) -> None:
        process = {
            "name": name,
            "systemProcessId": os.getpid(),
            "isLocalProcess": True,
            "startMethod": method,
        }
        self.host.send("process", process)
        self.host.send("thread", {"reason": "started", "threadId": THREAD})

    def _run(self) -> None:
        assert self.launched is not None
        code = 1
        try:
            code = launching.run(self.launched, self.program, self._printed)
        except Terminated:
            pass  # it was told to end when it had just ended by itself
        finally:
            self.running = False
            self._printed("stdout", "")
            self.host.send("thread", {"reason": "exited", "threadId": THREAD})
            self.host.send("exited", {"exitCode": code})
            self.host.send("terminated")
            self.exited.set()

    @request("initialize", ALWAYS)
    def initialize(self, args: Arguments) -> Reply:
        if self.initialized:
            raise RequestError("initialize: this conversation is initialized already", id=6)
        args.string("adapterID", "")
        client = self.host.client
        client.lines_from_1 = args.boolean("linesStartAt1", True)
        client.columns_from_1 = args.boolean("columnsStartAt1", True)
        client.wants_types = args.boolean("supportsVariableType", False)
        client.wants_invalidated = args.boolean("supportsInvalidatedEvent", False)
        form = args.string("pathFormat", "path")
        if form not in ("path", "uri"):
            raise RequestError(f"initialize: expected 'path' or 'uri' as pathFormat, got {form!r}")
        self.host.sources.as_uris = form == "uri"
        self.initialized = True
        # With a token, breakpoints have to wait for it.
        return Reply(CAPABILITIES, then=self.greet if self.trusted else None)

    @request("launch")
    def launch(self, args: Arguments) -> Reply:
        self._once("launch")
        if self.attachable:
            raise RequestError("launch: a program is running here already; use attach", show=True)
        found = launching.read(args)
        program = self.program
        program.stop_at_entry, program.stop_at_end = found.stop_on_entry, found.stop_at_end
        for query in found.breaks:
            program.breakpoints.add(query)
        self.launched = found
        self.running = True
        return Reply(None, then=self.start)

    @request("attach")
    def attach(self, args: Arguments) -> Reply:
        self._once("attach")
        if not self.attachable:
            raise RequestError(
                "attach: no program runs here. Call tinygrad_cnn.debug.listen(port) in it, and connect to that port",
                show=True,
            )
        at_entry, at_end = args.boolean("stopOnEntry", False), args.boolean("stopAtEnd", False)
        if not self.program.welcome(self.events):
            raise RequestError("attach: another client is attached to the program", show=True)
        self.program.stop_at_entry, self.program.stop_at_end = at_entry, at_end
        self.running = True
        return Reply(None, then=self.start)

    @request("configurationDone")
    def configuration_done(self, _args: Arguments) -> Reply:
        if self.configured:
            raise RequestError("configurationDone: the configuration is done already", id=6)
        self.configured = True
        return Reply(None, then=self.start)

    @request("terminate")
    def terminate(self, _args: Arguments) -> Reply:
        if self.started is None:
            raise RequestError("terminate: no program runs", id=6)
        return Reply(None, then=self.program.kill)

    @request("disconnect", ALWAYS)
    def disconnect(self, args: Arguments) -> Reply:
        end = args.boolean("terminateDebuggee", self.started == "launch")
        self.finished = True
        if self.started == "attach" and end:
            self.program.kill()
        elif self.started == "launch" and not end:
            self.started = "left"  # it runs to its end, unseen
        return Reply(None)

    def _once(self, command: str) -> None:
        if self.running or self.started is not None:
            raise RequestError(f"{command}: a program runs already", id=6)


def _spawn_thread(run: Callable[[], Any]) -> None:
    threading.Thread(target=run, name="dap_program", daemon=True).start()
