"""The command language: one grammar for the terminal, piped scripts and editors' consoles.

`Interpreter.execute(line)` runs a line and gives a `Reply`: what to show, and what changed. It owns no
screen, reads no keys and never prints. pdb's words mean what they mean in pdb, with a node for a line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.debug import rendering, snapshot
from tinygrad_cnn.debug.breakpoints import Breakpoint
from tinygrad_cnn.debug.conditions import NAMES, norm
from tinygrad_cnn.debug.selectors import parse, suggestions
from tinygrad_cnn.errors import UsageError, UserError


@dataclass
class Reply:
    """What a command did.

    `parts` are strings or rich renderables; `text` is all of it as plain text. `moved`: the session stands
    elsewhere; `edited`: a number changed; `breakpoints`: the table changed; `resume`: the session is
    finished and the program goes on; `quit`: the user wants out; `pdb`: open Python's own debugger in the
    paused node's rule; `error`: the command could not be done (`parts` says why).
    """

    parts: list[Any] = field(default_factory=list)
    moved: bool = False
    edited: bool = False
    breakpoints: bool = False
    resume: bool = False
    quit: bool = False
    pdb: bool = False
    error: bool = False

    @property
    def text(self) -> str:
        return rendering.to_text(self.parts)


Command = Callable[["Interpreter", str], Reply]
#: name -> (function, one-line help, aliases); filled by `@command`.
COMMANDS: dict[str, tuple[Command, str, tuple[str, ...]]] = {}
_ALIASES: dict[str, str] = {}


def command(name: str, help: str, *aliases: str) -> Callable[[Command], Command]:
    """Register a command."""

    def register(fn: Command) -> Command:
        COMMANDS[name] = fn, help, aliases
        for word in (name, *aliases):
            _ALIASES[word] = name
        return fn

    return register


class Interpreter:
    """Runs command lines on a session (and on sessions inside it, after `step` into a composite op).

    Parameters
        session: the one to drive (a `BackwardSession` or a `Replay`); replace the attribute to go on with another
        file: the script that bare line numbers (``b 12``) belong to
        maps: how heat maps are drawn: ``"colour"``, ``"shades"`` or ``"ascii"``
    """

    def __init__(self, session: Any, *, file: str | None = None, maps: str = "shades") -> None:
        self.session = session
        self.outer: list[Any] = []
        self.file = file
        self.maps = maps
        self.last = ""
        self.frame = 0
        self._collecting: Breakpoint | None = None

    @property
    def watches(self) -> list[Any]:
        """The watched expressions of the outermost session."""
        return (self.outer[0] if self.outer else self.session).watches

    def arrived(self) -> Reply:
        """What to show when a session is taken up: log messages, the stop, the breakpoint's commands."""
        return self.moved()

    @property
    def collecting(self) -> bool:
        """Whether lines are being read into a breakpoint's `commands` (until ``end``)."""
        return self._collecting is not None

    def execute(self, line: str) -> Reply:
        """Run one line (``;;`` separates several). An empty line repeats the last command. Never raises for
        what a user typed: the reply says what was wrong."""
        line = line.strip()
        if self._collecting is not None:
            return self._collect(line)
        if not line:
            line = self.last
            if not line:
                return Reply()
        if line.startswith("#"):
            return Reply()
        self.last = line if line.split()[0] in _REPEATABLE else self.last if line == self.last else ""
        total = Reply()
        for part in line.split(";;"):
            reply = self._one(part.strip())
            total.parts += reply.parts
            for flag in ("moved", "edited", "breakpoints", "resume", "quit", "pdb", "error"):
                setattr(total, flag, getattr(total, flag) or getattr(reply, flag))
            if reply.error or reply.resume or reply.quit:
                break
        return total

    def show(self, *, source: bool = True) -> list[Any]:
        """The stop as it stands."""
        return [rendering.paused(self.session.state(), source=source, maps=self.maps)]

    def complete(self, text: str) -> list[str]:
        """Completions of the last word of a line."""
        head, _, word = text.rpartition(" ")
        if not head.strip():
            return sorted(name for name in _ALIASES if name.startswith(word) and len(name) > 1)
        first = _ALIASES.get(head.split()[0], "")
        words: list[str] = []
        if first in _TAKES_SELECTOR:
            words += suggestions(self.session.nodes, self.session.names)
            words += ["nan", "inf", "nonfinite", "all_zero", "norm", "dead_relu", "ratio", "op:", "module:", "param:", "shape:(", "line:"]  # fmt: skip
        if first in ("print", "pp", "watch", "edit", "condition", "whatis"):
            words += list(NAMES)
        if first == "grad":
            words += sorted(self.session.names.values())
        if first == "help":
            words += list(COMMANDS)
        if first == "info":
            words += ["break", "watch", "params", "session"]
        return sorted({w for w in words if w.startswith(word)})

    def _one(self, line: str) -> Reply:
        word, rest = _split(line)
        name = _ALIASES.get(word)
        try:
            if name is None or _is_assignment(rest):
                return self._python(line)
            return COMMANDS[name][0](self, rest)
        except UserError as error:
            return Reply([_error(str(error))], error=True)
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # a rule or a hook of the program failed: that is news, not our end
            return Reply([*self.show(), _error(f"{type(error).__name__}: {error}")], error=True, moved=True)

    def _python(self, line: str) -> Reply:
        """pdb's habit: what is no command is Python."""
        expression = line[1:].strip() if line.startswith("!") else line
        if not expression:
            return Reply()
        try:
            return Reply([snapshot.show(self.session.evaluate(expression))])
        except UserError as error:
            word = line.split()[0]
            if (
                re.fullmatch(r"[A-Za-z_]+", word)
                and not line.startswith("!")
                and word not in NAMES
                and " " not in line
            ):
                close = [name for name in _ALIASES if name.startswith(word[:2]) and len(name) > 2]
                hint = f"; commands that begin like it: {', '.join(sorted(close)[:6])}" if close else ""
                return Reply(
                    [_error(f"no command and no name here: {word!r}{hint}; `help` lists them")], error=True
                )
            return Reply([_error(str(error))], error=True)

    def _collect(self, line: str) -> Reply:
        bp = self._collecting
        assert bp is not None
        if line in ("end", ""):
            self._collecting = None
            return Reply([f"breakpoint {bp.id} runs {len(bp.commands)} command(s)"], breakpoints=True)
        bp.commands.append(line)
        return Reply()

    # --- what several commands share ---------------------------------------------------------------

    def moved(self) -> Reply:
        """After moving: the log points' messages, and the new stop."""
        self.frame = 0
        self._leave_finished_parts()
        parts: list[Any] = list(self.session.breakpoints.messages)
        self.session.breakpoints.messages.clear()
        stop = self.session.stop
        reply = Reply([*parts, *self.show()], moved=True)
        if stop.kind == "breakpoint" and stop.breakpoint is not None:
            for bp in self.session.breakpoints:
                if bp.id == stop.breakpoint:
                    for line in bp.commands:
                        more = self._one(line)
                        reply.parts += more.parts
                        if more.resume or more.quit or more.moved:
                            reply.resume, reply.quit = more.resume, more.quit
                            break
        return reply

    def _leave_finished_parts(self) -> None:
        """At the end of a composite's parts, be back at the composite."""
        while self.outer and self.session.at_end:
            self.session.finish()
            self.session = self.outer.pop()
            self.session.step()

    def node_of(self, text: str) -> Node:
        """The one node a text means: the paused one for nothing, the nearest match otherwise."""
        session = self.session
        if not text:
            if session.node is None:
                raise UsageError("the backward pass is at its end; name a node, or go `back`")
            return session.node
        found = session.find(parse(text, file=self.file))
        if not found:
            raise UsageError(session.nothing_matches(parse(text, file=self.file)))
        ahead = [n for n in found if session.index_of(n) >= session.position]
        return (ahead or found[::-1])[0]


_REPEATABLE = {
    "n", "next", "s", "step", "back", "bk", "prev", "c", "cont", "continue", "rc", "reverse_continue", "r", "return",
    "until", "unt", "u", "up", "d", "down", "l", "list",
}  # fmt: skip
_TAKES_SELECTOR = {"break", "tbreak", "until", "goto", "log", "grad", "check", "graph", "edit"}


def _split(line: str) -> tuple[str, str]:
    found = re.match(r"^([A-Za-z_]+|[!?])\s*(.*)$", line, re.DOTALL)
    if found is None:
        return "", line
    word, rest = found[1], found[2]
    # `b.shape`, `c(3)`, `n[0]` are Python, not commands
    if rest and line[len(word) : len(word) + 1] in ".[(":
        return "", line
    return word, rest


def _is_assignment(rest: str) -> bool:
    return rest.startswith("=") and not rest.startswith("==")


def _error(text: str) -> str:
    return f"*** {text}"


def _count(text: str, what: str) -> int:
    if not text:
        return 1
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"{what} expects how many nodes (a number from 1), got {text!r}")
    return int(text)


# --- moving --------------------------------------------------------------------------------------


@command("next", "n [COUNT]: do the paused node and stop at the next", "n")
def _next(self: Interpreter, rest: str) -> Reply:
    self.session.step(_count(rest, "next"))
    return self.moved()


@command("step", "s: step into the parts of a composite op; like next for the others", "s")
def _step(self: Interpreter, rest: str) -> Reply:
    node = self.session.node
    if rest or node is None or getattr(node.op, "definition", None) is None:
        return _next(self, rest)
    inner = self.session.into()
    self.outer.append(self.session)
    self.session = inner
    return self.moved()


@command("back", "back [COUNT]: undo a node, and the edits made since", "bk", "prev")
def _back(self: Interpreter, rest: str) -> Reply:
    if self.outer and self.session.position == 0:
        self.session.abort()
        self.session = self.outer.pop()
        return self.moved()
    self.session.back(_count(rest, "back"))
    return self.moved()


@command("continue", "c: go on to the next breakpoint, or to the end and on with the program", "c", "cont")
def _continue(self: Interpreter, _rest: str) -> Reply:
    while self.outer:
        self.session.abort()
        self.session = self.outer.pop()
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
            [_error(f"{type(error).__name__} again: it goes on to the program")], error=True, resume=True
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
        return self._python(f"nan {rest}")
    if not self.session.matches(parse("nonfinite")):
        self.session.run_until("nonfinite")
    return self.moved()


@command("quit", "q: leave the debugger and the program", "q", "exit")
def _quit(_self: Interpreter, _rest: str) -> Reply:
    return Reply(quit=True)


# --- breakpoints ---------------------------------------------------------------------------------


@command("break", "b SELECTOR [if EXPRESSION]: stop there; without one, list them", "b")
def _break(self: Interpreter, rest: str) -> Reply:
    return _set_break(self, rest, temporary=False)


def _set_break(self: Interpreter, rest: str, *, temporary: bool) -> Reply:
    if not rest:
        return _list_breaks(self)
    query = parse(rest, file=self.file)
    if query.condition is not None and self.session.node is not None:
        self.session.evaluate(query.condition)  # a misspelt name is better told now
    bp = self.session.breakpoints.add(query, temporary=temporary)
    note = ""
    if bp.query.selector is not None:
        found = self.session.find(bp.query)
        note = f": {len(found)} node(s) of this pass" if found else " (nothing in this pass yet: " + self.session.nothing_matches(bp.query) + ")"  # fmt: skip
    return Reply(
        [f"{'Temporary breakpoint' if temporary else 'Breakpoint'} {bp.id} at {bp.query.text}{note}"],
        breakpoints=True,
    )


@command("tbreak", "tbreak SELECTOR: stop there once")
def _tbreak(self: Interpreter, rest: str) -> Reply:
    return _set_break(self, rest, temporary=True)


@command("log", "log SELECTOR :: MESSAGE: print a message instead of stopping; {expression} is filled in")
def _log(self: Interpreter, rest: str) -> Reply:
    head, sep, message = rest.partition("::")
    if not sep or not head.strip() or not message.strip():
        raise UsageError("log expects SELECTOR :: MESSAGE, e.g. log relu :: {name} norm {norm}")
    bp = self.session.breakpoints.add(head.strip(), log=message.strip(), file=self.file)
    return Reply([f"Log point {bp.id} at {bp.query.text}"], breakpoints=True)


@command("clear", "cl [NUMBER…]: delete breakpoints (all without a number)", "cl")
def _clear(self: Interpreter, rest: str) -> Reply:
    table = self.session.breakpoints
    gone = [table.remove(id) for id in (_ids(rest) if rest else [bp.id for bp in table])]
    return Reply(
        [f"Deleted breakpoint {bp.id} at {bp.query.text}" for bp in gone] or ["no breakpoints"],
        breakpoints=True,
    )


@command("enable", "enable NUMBER…: switch breakpoints on")
def _enable(self: Interpreter, rest: str) -> Reply:
    return _switch(self, rest, on=True)


def _switch(self: Interpreter, rest: str, *, on: bool) -> Reply:
    found = [self.session.breakpoints[id] for id in _ids(rest)]
    if not found:
        raise UsageError("expected the numbers of breakpoints; `b` lists them")
    for bp in found:
        bp.enabled = on
    return Reply(
        [f"{'Enabled' if on else 'Disabled'} {bp.describe().strip()}" for bp in found], breakpoints=True
    )


@command("disable", "disable NUMBER…: switch breakpoints off")
def _disable(self: Interpreter, rest: str) -> Reply:
    return _switch(self, rest, on=False)


@command("ignore", "ignore NUMBER [COUNT]: let a breakpoint pass so many times")
def _ignore(self: Interpreter, rest: str) -> Reply:
    words = rest.split()
    if not 1 <= len(words) <= 2 or not all(w.isdigit() for w in words):
        raise UsageError("ignore expects NUMBER [COUNT], e.g. ignore 1 3")
    bp = self.session.breakpoints[int(words[0])]
    bp.ignore = int(words[1]) if len(words) == 2 else 0
    return Reply([f"breakpoint {bp.id} lets the next {bp.ignore} hit(s) pass"], breakpoints=True)


@command("condition", "condition NUMBER [EXPRESSION]: set, or without one remove, a breakpoint's condition")
def _condition(self: Interpreter, rest: str) -> Reply:
    number, _, expression = rest.partition(" ")
    bp = self.session.breakpoints.set_condition(_ids(number, one=True)[0], expression.strip() or None)
    return Reply([f"breakpoint {bp.id}: {bp.query.text}"], breakpoints=True)


@command("commands", "commands [NUMBER]: read commands to run at a breakpoint, until `end`")
def _commands(self: Interpreter, rest: str) -> Reply:
    table = self.session.breakpoints
    have = list(table)
    if not rest and not have:
        raise UsageError("there are no breakpoints to give commands to")
    bp = table[_ids(rest, one=True)[0]] if rest else have[-1]
    bp.commands.clear()
    self._collecting = bp
    return Reply([f"commands for breakpoint {bp.id}; `end` finishes"])


def _ids(text: str, one: bool = False) -> list[int]:
    words = text.replace(",", " ").split()
    if any(not w.isdigit() for w in words) or (one and len(words) != 1):
        raise UsageError(
            f"expected {'the number' if one else 'numbers'} of a breakpoint, got {text!r}; `b` lists them"
        )
    return [int(w) for w in words]


def _list_breaks(self: Interpreter) -> Reply:
    lines = [bp.describe() for bp in self.session.breakpoints]
    return Reply(["Num  where"] + lines if lines else ["no breakpoints; b SELECTOR sets one"])


# --- looking -------------------------------------------------------------------------------------


@command("where", "w: the node, the modules around it, the Python frames that made it", "w", "bt")
def _where(self: Interpreter, _rest: str) -> Reply:
    lines = []
    for k, frame in enumerate(self.session.where()):
        place = frame["where"]
        at = f"  {place['file'].rsplit('/', 1)[-1]}:{place['line']}" if place else ""
        code = f"\n      {place['text']}" if place and frame["kind"] != "module" else ""
        lines.append(f"{'>' if k == self.frame else ' '} {frame['name']}{at}{code}")
    return Reply(lines or ["at the end of the backward pass"])


def _select(self: Interpreter, by: int) -> Reply:
    stack = self.session.where()
    if not 0 <= self.frame + by < len(stack):
        raise UsageError("newest frame" if by < 0 else "oldest frame")
    self.frame += by
    frame = stack[self.frame]
    parts: list[Any] = [f"> {frame['name']}"]
    if frame["where"] is not None:
        place = frame["where"]
        parts.append(rendering.source_lines(place["file"], place["line"], context=2, text=place["text"]))
    return Reply(parts)


@command("up", "u: one frame out: the module around, then the Python frames that made the node", "u")
def _up(self: Interpreter, _rest: str) -> Reply:
    return _select(self, 1)


@command("down", "d: one frame in", "d")
def _down(self: Interpreter, _rest: str) -> Reply:
    return _select(self, -1)


@command("list", "l: the source around the line that made the node", "l", "ll")
def _list(self: Interpreter, _rest: str) -> Reply:
    stack = self.session.where()
    place = stack[min(self.frame, len(stack) - 1)]["where"] if stack else None
    if place is None:
        raise UsageError("no source line is known here")
    return Reply([rendering.source_lines(place["file"], place["line"], text=place["text"])])


@command("state", "state: show the stop again", "st")
def _state(self: Interpreter, _rest: str) -> Reply:
    return Reply(self.show())


@command("print", "p EXPRESSION: the value of a Python expression; `help names` lists the names", "p")
def _print(self: Interpreter, rest: str) -> Reply:
    if not rest:
        raise UsageError("p expects an expression, e.g. p abs(g).max()")
    return Reply([snapshot.show(self.session.evaluate(rest))])


@command("pp", "pp EXPRESSION: the same, arrays written out")
def _pp(self: Interpreter, rest: str) -> Reply:
    if not rest:
        raise UsageError("pp expects an expression, e.g. pp g[0]")
    value = self.session.evaluate(rest)
    value = value.array if isinstance(value, Handle) else value
    if isinstance(value, np.ndarray):
        return Reply([np.array2string(value, precision=4, max_line_width=78, threshold=2000)])
    import pprint

    return Reply([pprint.pformat(value, width=78)])


@command("whatis", "whatis EXPRESSION: its type, and an array's shape and dtype")
def _whatis(self: Interpreter, rest: str) -> Reply:
    value = self.session.evaluate(rest)
    array = value.array if isinstance(value, Handle) else value
    more = f" {array.shape} {array.dtype}" if isinstance(array, np.ndarray) else ""
    return Reply([f"{type(value).__name__}{more}"])


@command("args", "a: the inputs of the node, with their values and gradients so far", "a")
def _args(self: Interpreter, _rest: str) -> Reply:
    session = self.session
    node = self.node_of("")
    rows = []
    for i, (parent, value) in enumerate(zip(node.parents, session.input_values(), strict=True)):
        name = node.op.input_name(i, len(node.parents))
        so_far = (
            None
            if parent is None
            else session.gradient_of(parent)
            if parent.seq in session._pass.grads
            else None
        )
        rows.append((
            name, "constant" if parent is None else session.label(parent),
            "not kept" if value is None else snapshot.show(value, entries=8),
            "–" if parent is None else "nothing yet" if so_far is None else f"norm {norm(so_far):.4g}",
        ))  # fmt: skip
    rows += [(k, "parameter", v, "–") for k, v in snapshot.describe_node(session, node)["params"].items()]
    return Reply(
        [rendering.table(rows, ("input", "from", "value", "gradient so far"))]
        if rows
        else ["a leaf has no inputs"]
    )


@command("retval", "retval: what the node will hand to each input", "rv")
def _retval(self: Interpreter, _rest: str) -> Reply:
    node = self.node_of("")
    lines = []
    for i, d in enumerate(self.session.downstream):
        if d is not None:
            parent = node.parents[i]
            assert parent is not None
            lines.append(
                f"∂L/∂{node.op.input_name(i, len(node.parents))} → {self.session.label(parent)}: {snapshot.show(d)}"
            )
    return Reply(lines or ["a leaf hands nothing on; its gradient is added to .grad"])


@command("grad", "grad [NAME]: the gradient of a node or parameter so far")
def _grad(self: Interpreter, rest: str) -> Reply:
    session = self.session
    node = self.node_of(rest)
    s = session.gradient_summary(node)
    if s is None:
        return Reply([
            f"{session.label(node)}: no gradient yet (step {session.index_of(node) + 1} of {session.total})"
        ])  # fmt: skip
    parts: list[Any] = [f"∂L/∂{session.label(node)} {tuple(node.shape)} {node.dtype}"]
    if s.get("image"):
        parts.append(rendering.heat_map(s["image"], maps=self.maps))
    parts.append(rendering.numbers(s))
    if s.get("data") is not None and s.get("scalar") is None:
        parts.append(str(s["data"]))
    return Reply(parts)


@command("local", "local [INPUT]: the local gradient with respect to an input")
def _local(self: Interpreter, rest: str) -> Reply:
    node = self.node_of("")
    i = _input_number(node, rest)
    local = node.local_gradient(i)
    name = node.op.input_name(i, len(node.parents))
    parts: list[Any] = [f"∂y/∂{name} = {local.formula}   ({local.structure}, shape {local.shape})"]
    if node.op.kind == "elementwise":
        s = snapshot.summary(local.factor, pixels=snapshot.PIXELS)
        assert s is not None
        if s.get("image"):
            parts.append(rendering.heat_map(s["image"], maps=self.maps))
        parts.append(rendering.numbers(s))
    elif int(np.prod(local.shape, dtype=np.int64)) <= 256:
        parts.append(np.array2string(local.dense(), precision=4, max_line_width=78))
    return Reply(parts)


@command("fwd", "fwd: the forward step: formula, value and inputs", "forward")
def _fwd(self: Interpreter, _rest: str) -> Reply:
    session = self.session
    node = self.node_of("")
    value = session.value_of(node)
    lines = [f"y = {getattr(node.op, 'formula', session.label(node))}"]
    lines.append(
        f"y: {'not kept (run under the debugger, or autograd.observe.keep_values)' if value is None else snapshot.show(value)}"
    )
    for i, v in enumerate(session.input_values()):
        lines.append(
            f"{node.op.input_name(i, len(node.parents))}: {'not kept' if v is None else snapshot.show(v)}"
        )
    return Reply(lines)


@command("graph", "graph [SELECTOR]: the nodes around: who used it, what it was made from")
def _graph(self: Interpreter, rest: str) -> Reply:
    session = self.session
    node = self.node_of(rest)
    lines = []
    for user in session.nodes:
        for i, parent in enumerate(user.parents):
            if parent is node:
                lines.append(
                    f"  used by  {session.label(user)}  as input {i}  (step {session.index_of(user) + 1})"
                )
    lines.append(
        f"> {session.label(node)}  {tuple(node.shape)}  step {session.index_of(node) + 1} of {session.total}"
    )
    for i, parent in enumerate(node.parents):
        if parent is None:
            lines.append(f"  made of  a constant  (input {i})")
        else:
            lines.append(
                f"  made of  {session.label(parent)}  {tuple(parent.shape)}  (step {session.index_of(parent) + 1})"
            )
    return Reply(lines)


@command("history", "history: the steps done so far")
def _history(self: Interpreter, rest: str) -> Reply:
    done = self.session.history()
    shown = done[-_count(rest, "history") :] if rest else done[-20:]
    rows = [
        (
            str(h["step"]),
            h["label"],
            h["norm"] if isinstance(h["norm"], str) else f"{h['norm']:.4g}",
            "; ".join(h["edits"]),
        )
        for h in shown
    ]
    skipped = len(done) - len(shown)
    head = [f"({skipped} earlier)"] if skipped else []
    return Reply(
        [*head, rendering.table(rows, ("step", "node", "norm", "edits"))] if rows else ["nothing done yet"]
    )


# --- checking, explaining, editing ---------------------------------------------------------------


@command(
    "explain",
    "explain [INDEX] [of INPUT]: one entry of a gradient as the sum it is, largest terms first",
    "ex",
)
def _explain(self: Interpreter, rest: str) -> Reply:
    node = self.node_of("")
    index, input = rest, ""
    found = re.match(r"^(.*?)\s*\bof\s+(\S+)$", rest)
    if found:
        index, input = found[1], found[2]
    i = _input_number(node, input)
    return Reply([str(self.session.explain(node, _index(index), i))])


@command("check", "check [SELECTOR | all]: the rule against numerical differentiation, in float64")
def _check(self: Interpreter, rest: str) -> Reply:
    if rest == "all":
        from tinygrad_cnn.debug.check import check_all

        results = check_all(self.session)
        wrong = [r for r in results if not r.ok]
        return Reply(
            [*[str(r) for r in wrong], f"{len(results) - len(wrong)} of {len(results)} nodes agree"],
            error=bool(wrong),
        )
    return Reply([str(self.session.check(self.node_of(rest)))])


_EDIT = re.compile(
    r"^(?:of\s+(\S+)\s+)?(g|grad|upstream|value|d\d+)\s*(\[[^=]*\])?\s*=(?!=)\s*(.+)$", re.DOTALL
)


@command("edit", "edit [of SELECTOR] g[INDEX] = EXPR | d0[INDEX] = EXPR | value[INDEX] = EXPR")
def _edit(self: Interpreter, rest: str) -> Reply:
    found = _EDIT.match(rest)
    if found is None:
        raise UsageError("edit expects g = EXPR, g[0,2] = EXPR, d0 = EXPR (what input 0 gets) or value = EXPR, maybe behind `of SELECTOR`")  # fmt: skip
    session = self.session
    node = self.node_of(found[1] or "")
    what, number = found[2], session.evaluate(found[4])
    index = _index(found[3][1:-1]) if found[3] else None
    if what == "value":
        stop = session.edit(node=node, value=number, index=index)
    elif what.startswith("d"):
        stop = session.edit(number, node=node, input=int(what[1:]), index=index)
    else:
        stop = session.edit(number, node=node, index=index)
    return Reply([f"{stop.text}; `back` undoes it"], edited=True)


@command("watch", "watch EXPRESSION: show it at every stop", "display")
def _watch(self: Interpreter, rest: str) -> Reply:
    if not rest:
        return _info(self, "watch")
    watch = self.session.watch(rest)
    try:
        value = snapshot.show(self.session.evaluate(rest)) if self.session.node is not None else ""
    except UsageError:
        self.session.unwatch(watch.id)
        raise
    return Reply([f"{watch.id}: {rest} = {value}"])


@command("unwatch", "unwatch NUMBER: stop showing one", "undisplay")
def _unwatch(self: Interpreter, rest: str) -> Reply:
    self.session.unwatch(_ids(rest, one=True)[0])
    return Reply([])


@command("record", "record FILE: write the whole pass as a replay", "rec")
def _record(self: Interpreter, rest: str) -> Reply:
    words = shlex.split(rest)
    if len(words) != 1:
        raise UsageError("record expects a file name, e.g. record pass.json")
    return Reply(
        [f"wrote {self.session.record(words[0])}; open it with: tinygrad-cnn debug --replay {words[0]}"]
    )


@command("pdb", "pdb: Python's own debugger, inside the rule of the paused node")
def _pdb(self: Interpreter, _rest: str) -> Reply:
    self.node_of("")
    return Reply(pdb=True)


@command("info", "info break | watch | params | session", "i")
def _info(self: Interpreter, rest: str) -> Reply:
    session = self.session
    what = rest.strip()
    if what.startswith("b"):
        return _list_breaks(self)
    if what.startswith("w"):
        return Reply([f"{w.id}: {w.expression}" for w in session.watches] or ["nothing is watched"])
    if what.startswith("p"):
        rows = []
        for node in session.nodes:
            if node.is_leaf:
                g = session.gradient_summary(node)
                size = "none yet" if g is None else g.get("norm", 0.0)
                rows.append(
                    (
                        session.label(node),
                        str(tuple(node.shape)),
                        size if isinstance(size, str) else f"{size:.4g}",
                    )
                )
        return Reply([rendering.table(rows, ("leaf", "shape", "norm of gradient"))])
    if what.startswith("s") or not what:
        lines = [
            repr(session)[1:-1],
            f"{len(session.breakpoints)} breakpoint(s), {len(session.watches)} watch(es)",
        ]
        lines.append(f"gradients held for stepping back: {session.nbytes / 1e6:.3f} MB")
        return Reply(lines)
    raise UsageError(f"info expects break, watch, params or session, got {what!r}")


@command("help", "h [COMMAND | names | selectors]: this list, or one entry of it", "h", "?")
def _help(_self: Interpreter, rest: str) -> Reply:
    if rest == "names":
        return Reply([rendering.table(list(NAMES.items()), ("name", "what it is"))])
    if rest == "selectors":
        from tinygrad_cnn.debug import selectors

        return Reply([selectors.__doc__ or ""])
    if rest:
        name = _ALIASES.get(rest)
        if name is None:
            raise UsageError(f"no command {rest!r}; `help` lists them")
        _, text, aliases = COMMANDS[name]
        return Reply([text, *([f"also: {', '.join(aliases)}"] if aliases else [])])
    rows = [
        (name, ", ".join(aliases), text.partition(": ")[2]) for name, (_, text, aliases) in COMMANDS.items()
    ]
    return Reply([rendering.table(rows, ("command", "also", "what it does")), "also: help COMMAND, help names, help selectors; anything else is Python; Enter repeats"])  # fmt: skip


def _input_number(node: Node, text: str) -> int:
    """An input by number or name; the first live one for nothing."""
    live = [i for i, p in enumerate(node.parents) if p is not None]
    if not live:
        raise UsageError("a leaf has no inputs" if not node.parents else "no input wants a gradient here")
    if not text:
        return live[0]
    names = [node.op.input_name(i, len(node.parents)) for i in range(len(node.parents))]
    number = int(text) if text.isdigit() else names.index(text) if text in names else -1
    if number not in live:
        said = ", ".join(f"{i} ({names[i]})" for i in live)
        raise UsageError(f"{node.op.name} has no gradient for an input {text!r}; there are: {said}")
    return number


def _index(text: str) -> Any:
    """``0,2`` or ``(0, 2)`` or ``:3`` as an index; None for nothing."""
    text = text.strip()
    if not text:
        return None
    try:
        value = eval(f"_[{text.strip('()[]')}]", {"__builtins__": {}, "_": _Index()})
    except Exception:
        raise UsageError(f"cannot read {text!r} as an index; write e.g. 0,2") from None
    return value


class _Index:
    def __getitem__(self, item: Any) -> Any:
        return item
