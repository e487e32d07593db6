"""Requests that set breakpoints, and the events that say what became of them.

Each request replaces all of its kind (of one file, for lines). One that says the same as before stays, with
its number and its hit count. A place where no node exists yet is unverified; when a pass brings one, a
`breakpoint` event says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import FrameType
from typing import Any

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.breakpoints import Breakpoint
from tinygrad_cnn.debug.dap.breakpoints import EXCEPTION, FILTERS, FUNCTION, LineSelector
from tinygrad_cnn.debug.dap.component import Component, Host, request
from tinygrad_cnn.debug.dap.messages import Arguments, BreakpointBody, RequestError
from tinygrad_cnn.debug.dap.variables import Variables
from tinygrad_cnn.support.errors import UsageError


class Setting(Component):
    """Line, function, data and exception breakpoints."""

    def __init__(self, host: Host, variables: Variables) -> None:
        super().__init__(host)
        self._variables = variables
        #: What was asked for, per kind (a file's path, or the request's name): text -> breakpoint number.
        self._known: dict[str, dict[tuple[Any, ...], int]] = {}
        self._verified: set[int] = set()
        self._tensors: dict[str, Handle] = {}

    # --- lines -----------------------------------------------------------------------------------

    @request("setBreakpoints")
    def set_breakpoints(self, args: Arguments) -> dict[str, Any]:
        path = self.host.sources.filename(args.object("source"))
        if path is None:
            raise RequestError("setBreakpoints: expected a source with a path, or a known sourceReference")
        wanted = args.objects("breakpoints", [])
        if not wanted:  # the oldest form of the request
            wanted = [Arguments("setBreakpoints", {"line": line}) for line in _lines(args)]

        def key(one: Arguments) -> tuple[Any, ...]:
            line = one.integer("line") + (0 if self.host.client.lines_from_1 else 1)
            texts = (one.string(name, "") for name in ("condition", "hitCondition", "logMessage"))
            return (path, line, *texts)

        def make(one: Arguments) -> Breakpoint:
            _, line, condition, hits, log = key(one)
            return self.program.breakpoints.add_line(
                path, line, condition=condition or None, hit_condition=hits or None, log=log or None
            )

        return self._replace(f"file {path}", [(key(one), one, make) for one in wanted])

    # --- functions: selectors ----------------------------------------------------------------------

    @request("setFunctionBreakpoints")
    def set_function_breakpoints(self, args: Arguments) -> dict[str, Any]:
        def key(one: Arguments) -> tuple[Any, ...]:
            return (one.string("name"), one.string("condition", ""), one.string("hitCondition", ""))

        def make(one: Arguments) -> Breakpoint:
            name, condition, hits = key(one)
            return self.program.breakpoints.add(
                name, condition=condition or None, hit_condition=hits or None, owner=FUNCTION, file=self.program.file
            )  # fmt: skip

        return self._replace("functions", [(key(one), one, make) for one in args.objects("breakpoints")])

    # --- exceptions --------------------------------------------------------------------------------

    @request("setExceptionBreakpoints")
    def set_exception_breakpoints(self, args: Arguments) -> dict[str, Any]:
        command = "setExceptionBreakpoints"
        options = [Arguments(command, {"filterId": name}) for name in args.strings("filters")]
        options += args.objects("filterOptions", [])

        def key(one: Arguments) -> tuple[Any, ...]:
            return (one.string("filterId"), one.string("condition", ""))

        def make(one: Arguments) -> Breakpoint | None:
            name, condition = key(one)
            if name not in FILTERS:
                raise UsageError(f"there is no exception filter {name!r}; there are: {', '.join(FILTERS)}")
            rule = FILTERS[name][1]
            if rule is None:
                if condition:
                    raise UsageError(f"the filter {name!r} takes no condition")
                return None
            return self.program.breakpoints.add(
                f"if {rule}", condition=condition or None, owner=f"{EXCEPTION}:{name}"
            )

        self.program.breakpoints.stop_at_errors = any(key(one)[0] == "raised" for one in options)
        return self._replace("exceptions", [(key(one), one, make) for one in options])

    # --- data: a parameter's .grad -------------------------------------------------------------------

    @request("dataBreakpointInfo")
    def data_breakpoint_info(self, args: Arguments) -> dict[str, Any]:
        name = args.string("name")
        reference = args.count("variablesReference", 0)
        if reference:
            found = self.program.call(lambda: self._variables.written(reference, name))
        else:
            found = self._named(name)
        if found is None:
            said = f"{name} is no gradient of a parameter: name one, e.g. conv1.weight.grad"
            return {"dataId": None, "description": said}
        return {
            "dataId": f"grad:{found}", "description": f"{found}.grad is written", "accessTypes": ["write"],
            "canPersist": found not in self._tensors,
        }  # fmt: skip

    def _named(self, text: str) -> str | None:
        """The parameter that ``conv1.weight.grad`` or ``model.conv1.weight.grad`` means."""
        text = text.strip()
        path = text.removesuffix(".grad")
        if not path:
            return None
        if self.program.stopped:
            session = self.session
            if path in session.names.values():
                return path
            frames = self.program.frames
            tensor = self.program.call(lambda: _tensor(session, frames, path))
            if tensor is not None:
                name = session.names.get(tensor.node.seq)
                if name is None:
                    self._tensors[path] = tensor
                return name or path
        return path if text.endswith(".grad") and _is_dotted(path) else None

    @request("setDataBreakpoints")
    def set_data_breakpoints(self, args: Arguments) -> dict[str, Any]:
        def key(one: Arguments) -> tuple[Any, ...]:
            return (one.string("dataId"), one.string("condition", ""), one.string("hitCondition", ""))

        def make(one: Arguments) -> Breakpoint:
            id, condition, hits = key(one)
            kind, _, name = id.partition(":")
            if kind != "grad" or not name:
                raise UsageError(f"expected a dataId from dataBreakpointInfo, got {id!r}")
            if one.string("accessType", "write") != "write":
                raise UsageError("a gradient can be watched for being written only")
            return self.program.breakpoints.add_written(
                name, self._tensors.get(name), condition=condition or None, hit_condition=hits or None
            )

        return self._replace("data", [(key(one), one, make) for one in args.objects("breakpoints")])

    # --- what they share -----------------------------------------------------------------------------

    def _replace(
        self,
        kind: str,
        wanted: list[tuple[tuple[Any, ...], Arguments, Callable[[Arguments], Breakpoint | None]]],
    ) -> dict[str, Any]:
        table = self.program.breakpoints
        before = self._known.get(kind, {})
        after: dict[tuple[Any, ...], int] = {}
        out: list[BreakpointBody] = []
        have = {bp.id: bp for bp in table}
        for key, one, make in wanted:
            try:
                # The same twice is one breakpoint: it could not stop twice.
                old = have.get(after.get(key, before.get(key, -1)))
                bp = old if old is not None else make(one)
            except UsageError as error:
                failed: BreakpointBody = {"verified": False, "message": str(error), "reason": "failed"}
                if "line" in one.values:
                    failed["line"] = one.values["line"]
                out.append(failed)
                continue
            if bp is None:
                out.append({"verified": True})
                continue
            after[key] = bp.id
            have[bp.id] = bp
            out.append(self._describe(bp))
        table.remove_all(set(before.values()) - set(after.values()))
        self._known[kind] = after
        return {"breakpoints": out}

    def _describe(self, bp: Breakpoint) -> BreakpointBody:
        self._verify(bp)
        body: BreakpointBody = {"id": bp.id, "verified": bp.id in self._verified}
        selector = bp.query.selector
        if isinstance(selector, LineSelector):
            body["line"] = selector.line - (0 if self.host.client.lines_from_1 else 1)
            body["source"] = self.host.sources.describe(selector.path)
        if not body["verified"]:
            body["message"] = "no node of a backward pass is here yet"
            body["reason"] = "pending"
        return body

    def _verify(self, bp: Breakpoint) -> bool:
        """Whether it became verified just now."""
        if bp.id in self._verified:
            return False
        interpreter = self.program.interpreter
        outer = interpreter.outer[0] if interpreter is not None and interpreter.outer else None
        session = outer or (interpreter.session if interpreter is not None else None)
        if bp.query.selector is None or session is not None and self.program.breakpoints.exists(bp, session):
            self._verified.add(bp.id)
            return True
        return False

    def pass_started(self, _session: BackwardSession) -> None:
        """A pass brings new nodes: tell the client which breakpoints have a place now."""
        for bp in self.program.breakpoints:
            if self._verify(bp):
                self.host.send("breakpoint", {"reason": "changed", "breakpoint": self._describe(bp)})

    def console_changed(self, before: set[int]) -> None:
        """The console may have made or deleted some: tell the client."""
        now = {bp.id: bp for bp in self.program.breakpoints}
        for id, bp in now.items():
            if id not in before:
                self.host.send("breakpoint", {"reason": "new", "breakpoint": self._describe(bp)})
        for id in before - set(now):
            self.host.send("breakpoint", {"reason": "removed", "breakpoint": {"id": id, "verified": False}})


def _lines(args: Arguments) -> list[int]:
    lines = args.values.get("lines") or []
    return [line for line in lines if isinstance(line, int)] if isinstance(lines, list) else []


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() or part.isdigit() for part in text.split("."))


def _tensor(session: BackwardSession, frames: list[FrameType], path: str) -> Handle | None:
    """The leaf that an expression means: for the program, else for the node."""
    for frame in frames[:1]:
        with contextlib.suppress(Exception):  # whatever is wrong with it there, it may mean something here
            return _leaf(eval(path, frame.f_globals, frame.f_locals))
    with contextlib.suppress(UsageError, AttributeError):
        return _leaf(session.evaluate(path))
    return None


def _leaf(value: Any) -> Handle | None:
    """A tensor whose `.grad` a backward pass may write; None for anything else."""
    if isinstance(value, Handle) and value.node is not None and value.node.target is not None:
        return value
    return None
