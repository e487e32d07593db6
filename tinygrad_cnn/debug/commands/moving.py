"""Commands that move: n s back c rc until return goto nan quit."""

from __future__ import annotations

from tinygrad_cnn.debug.commands.interpreter import Interpreter, error_line
from tinygrad_cnn.debug.commands.reading import count
from tinygrad_cnn.debug.commands.registry import Reply, command
from tinygrad_cnn.debug.selectors import parse
from tinygrad_cnn.support.errors import UsageError


@command("next", "n [COUNT]: do the paused node and stop at the next; at the end, go on to the next backward()", "n")
def _next(self: Interpreter, rest: str) -> Reply:
    if self.session.at_end and not self.outer and getattr(self.session, "in_program", False):
        self.session.breakpoints.pause_requested = True
        self.session.finish()
        return Reply([], resume=True)
    self.session.step(count(rest, "next"))
    return self.moved()


@command("step", "s: step into the parts of a composite op; like next for the others", "s")
def _step(self: Interpreter, rest: str) -> Reply:
    return _next(self, rest) if rest or not self.step_into() else self.moved()


@command("back", "back [COUNT]: undo a node, and the edits made since", "bk", "prev")
def _back(self: Interpreter, rest: str) -> Reply:
    self.back(count(rest, "back"))
    return self.moved()


@command("continue", "c: go on to the next breakpoint, or to the end and on with the program", "c", "cont")
def _continue(self: Interpreter, _rest: str) -> Reply:
    self.leave_parts()
    session = self.session
    if session.at_end:
        session.finish()
        return Reply([], resume=True)
    failed = session.stop.kind == "exception"
    try:
        session.continue_()
    except Exception as error:
        if not failed:
            raise
        return Reply(
            [error_line(f"{type(error).__name__} again: it goes on to the program")], error=True, resume=True
        )
    if session.at_end:
        messages = list(session.breakpoints.messages)
        session.breakpoints.messages.clear()
        session.finish()
        return Reply(list(messages), moved=True, resume=True)
    return self.moved()


@command("reverse_continue", "rc: go back to the previous breakpoint, or the start", "rc")
def _reverse(self: Interpreter, _rest: str) -> Reply:
    self.session.reverse_continue()
    return self.moved()


@command("until", "unt SELECTOR: go on to the next node where it holds", "unt")
def _until(self: Interpreter, rest: str) -> Reply:
    if not rest:
        return _return(self, rest)
    query = parse(rest, file=self.file)
    if query.condition is None and not self.session.find(query):
        raise UsageError(self.session.nothing_matches(query))
    self.session.run_until(query)
    return self.moved()


@command("return", "r: go on until the backward pass of this module (or these parts) is done", "r", "finish")
def _return(self: Interpreter, _rest: str) -> Reply:
    if self.outer:
        while not self.session.at_end:
            self.session.step()
    else:
        self.session.finish_module()
    return self.moved()


@command("goto", "goto SELECTOR | LINE | STEP: stand before a node, ahead or behind", "j", "jump")
def _goto(self: Interpreter, rest: str) -> Reply:
    if not rest:
        raise UsageError("goto expects a step number, a selector or FILE:LINE")
    self.session.goto(int(rest) if rest.isdigit() else parse(rest, file=self.file))
    return self.moved()


@command("nonfinite", "nan: go on to the op that makes the first nan or inf of the backward pass", "nan")
def _nan(self: Interpreter, rest: str) -> Reply:
    if rest:
        return self.python(f"nan {rest}")
    if not self.session.matches(parse("nonfinite")):
        self.session.run_until("nonfinite")
    return self.moved()


@command("quit", "q: leave the debugger and the program", "q", "exit")
def _quit(_self: Interpreter, _rest: str) -> Reply:
    return Reply(quit=True)
