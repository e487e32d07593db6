"""Requests about where the program stands: `threads`, `stackTrace`, `modules`, `source`, `loadedSources`.

The stack, innermost first: the node at the forward line that made it, the modules of the network around it,
the Python frames that made it. Inside a composite op, its parts come first, then the op itself.
"""

from __future__ import annotations

import os
import runpy
import threading
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from tinygrad_cnn.autograd.inspect import PACKAGE, Node, Scope, Site
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.dap.component import STOPPED, THREAD, Component, Host, request
from tinygrad_cnn.debug.dap.messages import Arguments, ModuleBody, RequestError, StackFrame
from tinygrad_cnn.debug.dap.places import resolve


@dataclass
class Frame:
    """A line of the stack. `kind` is node, module or python; `living` the Python frame, while it runs."""

    id: int
    kind: str
    name: str
    session: BackwardSession
    site: Site | None = None
    module: str = ""
    living: FrameType | None = None


class Stack(Component):
    """The frames of this stop."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._frames: list[Frame] = []
        self._next = 1

    def forget(self) -> None:
        """The program moved: the frames' numbers are void."""
        self._frames = []

    def frame(self, id: int) -> Frame:
        """The frame of a number. Raises RequestError when it is void."""
        for frame in self.frames():
            if frame.id == id:
                return frame
        raise RequestError(f"there is no frame {id} at this stop")

    @request("threads")
    def threads(self, _args: Arguments) -> dict[str, Any]:
        # Asked while the program may run: reads numbers only, and no call into its thread.
        return {"threads": [{"id": THREAD, "name": self._thread_name()}]}

    def _thread_name(self) -> str:
        interpreter = self.program.interpreter
        if interpreter is None or not self.program.stopped:
            return "backward · running"
        session = interpreter.outer[0] if interpreter.outer else interpreter.session
        root = session.value_of(session.nodes[0]) if session.nodes else None
        loss = f" · loss {root.item():.4g}" if root is not None and root.size == 1 else ""
        place = f"step {session.position + 1}" if not session.at_end else "end"
        return f"backward · {place}{loss}"

    @request("stackTrace", STOPPED)
    def stack_trace(self, args: Arguments) -> dict[str, Any]:
        self.check_thread(args)
        frames = self.frames()
        start, levels = args.count("startFrame", 0), args.count("levels", 0)
        page = frames[start : start + levels] if levels else frames[start:]
        return {"stackFrames": [self._describe(frame) for frame in page], "totalFrames": len(frames)}

    @request("modules")
    def modules(self, args: Arguments) -> dict[str, Any]:
        found: dict[str, ModuleBody] = {}
        interpreter = self.program.interpreter
        if interpreter is not None and self.program.stopped:
            for node in (interpreter.outer[0] if interpreter.outer else interpreter.session).nodes:
                scope = node.scope
                while scope is not None:
                    found.setdefault(_id(scope), {"id": _id(scope), "name": _title(scope)})
                    scope = scope.parent
        modules = [found[key] for key in sorted(found)]
        start, count = args.count("startModule", 0), args.count("moduleCount", 0)
        page = modules[start : start + count] if count else modules[start:]
        return {"modules": page, "totalModules": len(modules)}

    @request("source")
    def source(self, args: Arguments) -> dict[str, Any]:
        number = args.integer("sourceReference", 0)
        if not number and "source" in args.values:
            number = args.object("source").integer("sourceReference", 0)
        text = self.host.sources.text(number)
        if text is None:
            raise RequestError(f"no source is known under the reference {number}")
        return {"content": text, "mimeType": "text/x-python"}

    @request("loadedSources")
    def loaded_sources(self, _args: Arguments) -> dict[str, Any]:
        interpreter = self.program.interpreter
        nodes = [] if interpreter is None else interpreter.session.nodes
        names = dict.fromkeys(node.where.filename for node in nodes if node.where is not None)
        return {"sources": [self.host.sources.describe(name) for name in names]}

    def frames(self) -> list[Frame]:
        """The frames of this stop, made once."""
        if not self._frames:
            interpreter = self.program.interpreter
            if interpreter is None:
                raise RequestError("the program is not in a backward pass", id=10)
            for session in [interpreter.session, *reversed(interpreter.outer)]:
                self._add(session)
        return self._frames

    def _add(self, session: BackwardSession) -> None:
        node = session.node
        if node is None:
            caller = self.program.frames[0] if self.program.frames else None
            site = None if caller is None else Site(caller.f_code, caller.f_lasti)
            self._push("node", "end of the backward pass", session, site)
            for frame in self.program.frames:
                here = Site(frame.f_code, frame.f_lasti)
                if _is_shown(here):
                    self._push("python", frame.f_code.co_qualname, session, here, living=frame)
            return
        under = f" · {node.module}" if node.module else ""
        name = f"∂ {node.op.name}.backward{under}" if node.parents else f"∂ {session.label(node)}"
        self._push("node", name, session, node.where)
        scope = node.scope
        while scope is not None:
            self._push("module", _title(scope), session, node.where, module=scope.path)
            scope = scope.parent
        for site, living in _creating(node, self.program.frames):
            self._push("python", site.function, session, site, living=living)

    def _push(self, kind: str, name: str, session: BackwardSession, site: Site | None, **more: Any) -> None:
        self._frames.append(Frame(self._next, kind, name, session, site, **more))
        self._next += 1

    def _describe(self, frame: Frame) -> StackFrame:
        first = 1 if self.host.client.columns_from_1 else 0
        out: StackFrame = {"id": frame.id, "name": frame.name, "line": 0, "column": 0}
        if frame.site is not None:
            line, column, end = frame.site.position
            out["line"] = line - (0 if self.host.client.lines_from_1 else 1)
            out["column"] = max(column, 0) + first
            if end > column >= 0 and frame.kind == "node":
                out["endColumn"] = end + first
            out["source"] = self.host.sources.describe(frame.site.filename)
        if frame.kind == "module":
            out["presentationHint"] = "subtle"
        out["canRestart"] = frame.kind != "python"
        scope = frame.session.node.scope if frame.session.node is not None else None
        if scope is not None and frame.kind != "python":
            out["moduleId"] = frame.module or _id(scope)
        return out


def _creating(node: Node, living: list[FrameType]) -> list[tuple[Site, FrameType | None]]:
    """The Python frames that made the node; those that still run come with their variables."""
    stack = node.stack if node.stack is not None else ((node.where,) if node.where is not None else ())
    running: dict[CodeType, FrameType] = {frame.f_code: frame for frame in living}
    return [(site, running.get(site.code)) for site in stack if _is_shown(site)]


#: Files of Python's own that only carry the script: nobody's forward pass is in them.
_PACKAGE = resolve(str(PACKAGE))
_CLI = os.path.join(_PACKAGE, "cli", "")
_CARRIERS = {resolve(threading.__file__), resolve(runpy.__file__), os.path.join(_PACKAGE, "__main__.py")}


def _is_shown(site: Site) -> bool:
    path = resolve(site.filename)
    return path not in _CARRIERS and not path.startswith(("<frozen ", _CLI))


def _id(scope: Scope) -> str:
    return scope.path or scope.kind


def _title(scope: Scope) -> str:
    return f"{scope.path} ({scope.kind})" if scope.path else scope.kind
