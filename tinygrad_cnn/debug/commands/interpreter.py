"""The command language: one grammar for the terminal, piped scripts and editors' consoles.

`Interpreter.execute(line)` runs a line and gives a `Reply`: what to show, and what changed. It owns no
screen, reads no keys and never prints. pdb's words mean what they mean in pdb, with a node for a line.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from tinygrad_cnn.debug import rendering, snapshot
from tinygrad_cnn.debug.breakpoints import Breakpoint
from tinygrad_cnn.debug.commands.registry import ALIASES, COMMANDS, Reply
from tinygrad_cnn.debug.conditions import NAMES
from tinygrad_cnn.debug.selectors import CONDITION_WORDS, parse, suggestions
from tinygrad_cnn.support.errors import UsageError, UserError

_REPEATABLE = {
    "n", "next", "s", "step", "back", "bk", "prev", "c", "cont", "continue", "rc", "reverse_continue", "r", "return",
    "until", "unt", "u", "up", "d", "down", "l", "list",
}  # fmt: skip
_TAKES_SELECTOR = {"break", "tbreak", "until", "goto", "log", "grad", "check", "graph", "edit"}


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
        self.collecting_for: Breakpoint | None = None

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
        return self.collecting_for is not None

    def execute(self, line: str) -> Reply:
        """Run one line (``;;`` separates several). An empty line repeats the last command. Never raises for
        what a user typed: the reply says what was wrong."""
        line = line.strip()
        if self.collecting_for is not None:
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
            found = [name for name in ALIASES if name.startswith(word) and len(name) > 1]
            return sorted({*found, *(self.session.namespace.complete(word) if word else ())})
        first = ALIASES.get(head.split()[0], "")
        words: list[str] = []
        if first in _TAKES_SELECTOR:
            words += suggestions(self.session.nodes, self.session.names)
            words += self.session.names.values()
            words += [
                *CONDITION_WORDS,
                "norm",
                "dead_relu",
                "ratio",
                "op:",
                "module:",
                "param:",
                "shape:(",
                "line:",
            ]
        if first in ("print", "pp", "watch", "edit", "condition", "whatis", ""):
            words += self.session.namespace.complete(word)
        if first == "grad":
            words += sorted(self.session.names.values())
        if first == "help":
            words += list(COMMANDS)
        if first == "info":
            words += ["break", "watch", "params", "session"]
        return sorted({w for w in words if w.startswith(word)})

    def _one(self, line: str) -> Reply:
        word, rest = _split(line)
        name = ALIASES.get(word)
        before = self.session, self.session.stop, self.session.position
        try:
            if name is None or _is_assignment(rest):
                return self.python(line)
            return COMMANDS[name][0](self, rest)
        except UserError as error:
            return Reply([error_line(str(error))], error=True)
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # a rule or a hook of the program failed: that is news, not our end
            moved = before != (self.session, self.session.stop, self.session.position)
            said = error_line(f"{type(error).__name__}: {error}")
            return Reply([*(self.show() if moved else ()), said], error=True, moved=moved)

    def python(self, line: str) -> Reply:
        """pdb's habit: what is no command is Python."""
        expression = line[1:].strip() if line.startswith("!") else line
        if not expression:
            return Reply()
        try:
            names = self.session.prompt
            if names.execute(expression):
                return Reply()
            return Reply([snapshot.show(names.evaluate(expression))])
        except UserError as error:
            word = line.split()[0]
            if (
                re.fullmatch(r"[A-Za-z_]+", word)
                and not line.startswith("!")
                and word not in NAMES
                and " " not in line
            ):
                nearest = get_close_matches(word, [name for name in ALIASES if len(name) > 2], n=1)
                if nearest:
                    said = f"no command and no name here: {word!r}; did you mean {nearest[0]!r}?"
                    return Reply([error_line(said)], error=True)
                close = [name for name in ALIASES if name.startswith(word[:2]) and len(name) > 2]
                hint = f"; commands that begin like it: {', '.join(sorted(close)[:6])}" if close else ""
                return Reply(
                    [error_line(f"no command and no name here: {word!r}{hint}; `help` lists them")],
                    error=True,
                )
            return Reply([error_line(str(error))], error=True)

    def _collect(self, line: str) -> Reply:
        bp = self.collecting_for
        assert bp is not None
        if line in ("end", ""):
            self.collecting_for = None
            return Reply([f"breakpoint {bp.id} runs {len(bp.commands)} command(s)"], breakpoints=True)
        bp.commands.append(line)
        return Reply()

    # --- what several commands share ---------------------------------------------------------------

    def moved(self) -> Reply:
        """After moving: the log points' messages, and the new stop."""
        self.frame = 0
        self.leave_finished_parts()
        parts: list[Any] = list(self.session.breakpoints.messages)
        self.session.breakpoints.messages.clear()
        stop = self.session.stop
        lines: list[str] = []
        if stop.kind == "breakpoint" and stop.breakpoint is not None:
            lines = [
                line for bp in self.session.breakpoints if bp.id == stop.breakpoint for line in bp.commands
            ]
        reply = Reply([*parts, *([] if "silent" in lines else self.show())], moved=True)
        for line in lines:
            if line == "silent":
                continue
            more = self._one(line)
            reply.parts += more.parts
            if more.resume or more.quit or more.moved:
                reply.resume, reply.quit = more.resume, more.quit
                break
        return reply

    def step_into(self) -> bool:
        """Go into the parts of the paused node, if it is a composite op; False when it is none."""
        node = self.session.node
        if node is None or getattr(node.op, "definition", None) is None:
            return False
        inner = self.session.into()
        self.outer.append(self.session)
        self.session = inner
        return True

    def leave_parts(self, session: Any = None) -> None:
        """Be back, before the composite op whose parts were being stepped through: the outermost, or `session`'s."""
        while self.outer and self.session is not session:
            self.session.abort()
            self.session = self.outer.pop()

    def back(self, n: int = 1) -> None:
        """Undo nodes; from the first of a composite's parts, go back before the composite."""
        if self.outer and self.session.position == 0:
            self.leave_parts(self.outer[-1])
        else:
            self.session.back(n)

    def leave_finished_parts(self) -> None:
        """At the end of a composite's parts, be behind the composite."""
        while self.outer and self.session.at_end:
            self.session.finish()
            self.session = self.outer.pop()
            self.session.step()

    def node_of(self, text: str) -> Any:
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


def error_line(text: str) -> str:
    return f"*** {text}"


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
