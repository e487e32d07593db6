"""Requests that move the program: forwards, backwards, into an op's parts, out of a module, to a line.

Each only says how (`program.Move`); the program's thread does it after the response is on its way, and a
`stopped` event follows, or the program runs on.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.autograd.inspect import Node
from tinygrad_cnn.debug.commands import Interpreter
from tinygrad_cnn.debug.dap.breakpoints import FILTERS
from tinygrad_cnn.debug.dap.component import STOPPED, Component, Host, request
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError
from tinygrad_cnn.debug.dap.nonfinite_report import describe
from tinygrad_cnn.debug.dap.places import place_of
from tinygrad_cnn.debug.dap.program import CONTINUE, Move
from tinygrad_cnn.debug.dap.server import Reply
from tinygrad_cnn.debug.dap.stack import Stack
from tinygrad_cnn.debug.paused import Stop


class Stepping(Component):
    """Moves, and the targets they may have at this stop."""

    def __init__(self, host: Host, stack: Stack) -> None:
        super().__init__(host)
        self._stack = stack
        self._goto: dict[int, Node] = {}
        self._into: dict[int, int | None] = {}
        self._next = 1

    def forget(self) -> None:
        """The program moved: targets are void."""
        self._goto.clear()
        self._into.clear()

    # --- the four buttons and their mirror images ---------------------------------------------------

    @request("continue", STOPPED)
    def continue_(self, args: Arguments) -> Reply:
        return self._move(args, CONTINUE, {"allThreadsContinued": True})

    @request("next", STOPPED)
    def next(self, args: Arguments) -> Reply:
        return self._move(args, Move(_step))

    @request("stepIn", STOPPED)
    def step_in(self, args: Arguments) -> Reply:
        target = args.integer("targetId", 0)
        if not target:
            return self._move(args, Move(_step_in))
        if target not in self._into:
            raise RequestError(f"stepIn: there is no target {target} at this stop")
        i = self._into[target]
        if i is None:
            return self._move(args, Move(_step_in))
        node = self.session.node
        parent = node.parents[i] if node is not None else None
        return self._move(args, Move(lambda interpreter: _follow(interpreter, parent)))

    @request("stepOut", STOPPED)
    def step_out(self, args: Arguments) -> Reply:
        return self._move(args, Move(_step_out))

    @request("stepBack", STOPPED)
    def step_back(self, args: Arguments) -> Reply:
        return self._move(args, Move(Interpreter.back))

    @request("reverseContinue", STOPPED)
    def reverse_continue(self, args: Arguments) -> Reply:
        return self._move(args, Move(_reverse))

    @request("pause")
    def pause(self, args: Arguments) -> dict[str, Any] | None:
        self.check_thread(args)
        if not self.host.running:
            raise RequestError("there is no program to pause")
        if not self.program.stopped:
            self.program.pause()
        return None

    # --- targets -----------------------------------------------------------------------------------

    @request("stepInTargets", STOPPED)
    def step_in_targets(self, args: Arguments) -> dict[str, Any]:
        frame = self._stack.frame(args.integer("frameId"))
        session, node = self.session, self.session.node
        targets: list[dict[str, Any]] = []
        if node is None or frame.session is not session or frame.kind != "node":
            return {"targets": targets}
        if getattr(node.op, "definition", None) is not None:
            targets.append({"id": self._number(self._into, None), "label": f"the parts of {node.op.name}"})
        for i, parent in enumerate(node.parents):
            if parent is not None:
                name = node.op.input_name(i, len(node.parents))
                label = f"∂L/∂{name} → {session.label(parent)}"
                targets.append({"id": self._number(self._into, i), "label": label})
        return {"targets": targets}

    @request("gotoTargets", STOPPED)
    def goto_targets(self, args: Arguments) -> dict[str, Any]:
        path = self.host.sources.filename(args.object("source"))
        line = args.integer("line") + (0 if self.host.client.lines_from_1 else 1)
        session = self.session
        here = [node for node in session.nodes if place_of(node) == (path, line)]
        return {
            "targets": [
                {
                    "id": self._number(self._goto, node),
                    "label": f"{session.label(node)} (step {session.index_of(node) + 1})",
                    "line": args.integer("line"),
                }
                for node in here
            ]
        }

    @request("goto", STOPPED)
    def goto(self, args: Arguments) -> Reply:
        target = args.integer("targetId")
        if target not in self._goto:
            raise RequestError(f"goto: there is no target {target} at this stop")
        node = self._goto[target]
        return self._move(args, Move(lambda interpreter: _goto(interpreter, node), "goto"))

    @request("restartFrame", STOPPED)
    def restart_frame(self, args: Arguments) -> Reply:
        frame = self._stack.frame(args.integer("frameId"))
        if frame.kind == "python":
            raise RequestError(
                "the forward pass cannot be run again from here: restart a node or a module", show=True
            )
        session, path, kind = frame.session, frame.module, frame.kind

        def act(interpreter: Interpreter) -> None:
            interpreter.leave_parts(session)
            if kind == "node":
                _redo(interpreter)
            else:
                _to_start_of(interpreter, path)

        return Reply(None, then=lambda: self.host.resume(Move(act, "restart")))

    @request("exceptionInfo", STOPPED)
    def exception_info(self, args: Arguments) -> dict[str, Any]:
        self.check_thread(args)
        error, session = self.program.error, self.session
        node = session.node
        at = "" if node is None or node.where is None else f", made at {node.where}: {node.where.text}"
        if error is not None:
            rule = "" if node is None else f" in the backward rule of {session.label(node)}{at}"
            return {
                "exceptionId": type(error).__name__, "description": f"{error}{rule}", "breakMode": "always",
                "details": {"message": str(error), "typeName": type(error).__name__},
            }  # fmt: skip
        name = self.host.exception_filter()
        if name is None or node is None:
            raise RequestError("the program did not stop at an exception")
        said = f"{FILTERS[name][2]}: {describe(session, node)}{at}"
        return {"exceptionId": name, "description": said, "breakMode": "always"}

    # --- helpers -----------------------------------------------------------------------------------

    def _move(self, args: Arguments, move: Move, body: Any = None) -> Reply:
        self.check_thread(args)
        return Reply(body, then=lambda: self.host.resume(move))

    def _number(self, table: dict[int, Any], value: Any) -> int:
        number = self._next
        self._next += 1
        table[number] = value
        return number


def _step(interpreter: Interpreter) -> None:
    interpreter.session.step()
    interpreter.leave_finished_parts()


def _step_in(interpreter: Interpreter) -> None:
    if not interpreter.step_into():
        _step(interpreter)


def _step_out(interpreter: Interpreter) -> None:
    if interpreter.outer:
        interpreter.leave_parts(interpreter.outer[-1])
        _step(interpreter)
    elif interpreter.session.node is not None:
        interpreter.session.finish_module()


def _reverse(interpreter: Interpreter) -> None:
    interpreter.leave_parts()
    interpreter.session.reverse_continue()


def _follow(interpreter: Interpreter, parent: Node | None) -> None:
    """On to the node that an input came from; a breakpoint on the way stops first."""
    session = interpreter.session
    while session.node is not None:
        session.step()
        if session.node is parent:
            return
        if session.node is not None and (hit := session.breakpoints.hit(session)) is not None:
            session.stop = Stop("breakpoint", hit.reached, hit.id)
            return
    interpreter.leave_finished_parts()


def _redo(interpreter: Interpreter) -> None:
    """The paused node once more as it was when the pass came to it: edits made at it are undone."""
    session = interpreter.session
    index = session.position
    session.back()
    while session.position < index and session.node is not None:
        session.step()


def _to_start_of(interpreter: Interpreter, path: str) -> None:
    """Back to where the pass entered a module (the outermost, for an empty path)."""
    session = interpreter.session
    inside = [
        k for k, node in enumerate(session.nodes) if node.parents and _is_inside(node, path)
    ]  # fmt: skip
    before = [k for k in inside if k <= session.position]
    # A module that is called twice is entered twice: only its last run of nodes counts.
    start = before[-1] if before else session.position
    for k in reversed(before):
        if start - k > 1 and any(session.nodes[j].parents for j in range(k + 1, start)):
            break
        start = k
    while session.position > start:
        session.back()


def _is_inside(node: Node, path: str) -> bool:
    if not path:
        return node.scope is not None
    return node.module == path or node.module.startswith(path + ".")


def _goto(interpreter: Interpreter, node: Node) -> None:
    interpreter.session.goto(node)
