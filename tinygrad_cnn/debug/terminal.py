"""The debugger in a terminal: reads lines, gives them to the `Interpreter`, prints its replies.

Works on a colour terminal, on a dumb one, and with no terminal at all (commands from a pipe or a list).
"""

from __future__ import annotations

import codecs
import contextlib
import os
import pdb
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.debug import rendering
from tinygrad_cnn.debug.commands import Interpreter
from tinygrad_cnn.debug.replay import Replay
from tinygrad_cnn.support.errors import UsageError

PROMPT = "(grad) "


class QuitDebugger(SystemExit):
    """The user typed `q`: the program ends here, as in pdb."""


class Terminal:
    """A conversation, over one or several sessions of a program.

    Parameters
        commands: lines to run before anything is read
        file: the script that bare line numbers belong to
        console: a rich console to print to (standard output, at 80 to 100 columns, when left out)
        read: how a line is read: a function of the prompt that raises EOFError at the end of the input
    """

    def __init__(
        self, *, commands: Iterable[str] = (), file: str | None = None, console: Console | None = None,
        read: Callable[[str], str] | None = None,
    ) -> None:  # fmt: skip
        self.queue = list(commands)
        self.file = file
        self.console = console or make_console()
        self.read = read or _read
        self.interpreter: Interpreter | None = None
        #: Whether the program stands, and the user speaks.
        self.talking = False

    def interact(self, session: Any) -> None:
        """Talk about a `BackwardSession` or a `Replay` until it is over or the program shall go on.

        Raises QuitDebugger on `q` and at the end of the input.
        """
        self.talking = True
        try:
            self._interact(session)
        finally:
            self.talking = False

    def _interact(self, session: Any) -> None:
        interpreter = Interpreter(session, file=self.file, maps=maps_of(self.console))
        if self.interpreter is not None:
            session.watches[:] = self.interpreter.watches
            interpreter.last = self.interpreter.last
        self.interpreter = interpreter
        self.show(interpreter.arrived().parts)
        while not session.closed:
            line = self._line()
            if line is None:
                session.abort()
                raise QuitDebugger(0)
            try:
                reply = interpreter.execute(line)
            except KeyboardInterrupt:
                self.show(["interrupted; q leaves"])
                continue
            self.show(reply.parts)
            if reply.pdb:
                self._into_rule(interpreter.session)
            if reply.quit:
                session.abort()
                raise QuitDebugger(0)
            if reply.resume:
                return

    def show(self, parts: list[Any]) -> None:
        """Print renderables."""
        if not self.console.is_terminal:
            self.console.print(
                Text(rendering.to_text(parts, width=self.console.width)), soft_wrap=True
            ) if parts else None
            return
        for part in parts:
            text = part if not isinstance(part, str) else Text(part, "red" if part.startswith("***") else "")
            self.console.print(text)

    def _line(self) -> str | None:
        """The next line; None at the end of the input."""
        assert self.interpreter is not None
        prompt = "(commands) " if self.interpreter.collecting else PROMPT
        if self.queue:
            line = self.queue.pop(0)
            self.show([prompt + line])
            return line
        while True:
            try:
                with _completion(self.interpreter):
                    line = self.read(prompt)
            except KeyboardInterrupt:
                self.show(["", "q leaves the program, c goes on with it"])
                continue
            except EOFError:
                self.show([""])
                return None
            if not sys.stdin.isatty() and self.read is _read:
                self.show([line])  # a transcript of a pipe shows what was said
            return line

    def _into_rule(self, session: Any) -> None:
        """Python's debugger, in the rule of the paused node. What it computes is thrown away."""
        try:
            rule, args, params = session.rule()
        except UsageError as error:
            self.show([f"*** {error}"])
            return
        self.show([f"-- pdb in the rule of {session.label(session.node)}; `c` comes back here --"])
        inner = _Pdb(nosigint=True, readrc=False)
        try:
            with modes.no_grad(), contextlib.suppress(pdb.bdb.BdbQuit):  # type: ignore[attr-defined]
                value = inner.runcall(rule, *args, **params)
                self.show(["-- back --" if inner.left else f"-- it gave {rendering.shortly(value)} --"])
        except Exception as error:
            self.show([f"-- it raised {type(error).__name__}: {error} --"])


def open_replay(path: Any, *, commands: Iterable[str] = ()) -> int:
    """Open a recorded pass in the terminal. Raises DataError for a file that is none."""
    with contextlib.suppress(QuitDebugger):
        Terminal(commands=commands).interact(Replay.load(path))
    return 0


class _Pdb(pdb.Pdb):
    """Python's debugger, which remembers whether it was left by `q`."""

    prompt = "(Pdb) "
    left = False

    def set_quit(self) -> None:
        self.left = True
        super().set_quit()


def make_console(file: Any = None) -> Console:
    """Standard output, 80 to 100 columns; plain on a dumb terminal, with NO_COLOR and in a pipe."""
    out: Any = file or sys.stdout
    with contextlib.suppress(AttributeError, ValueError):
        out.reconfigure(errors=_IN_ASCII)
    console = Console(file=out, highlight=False, emoji=False, force_jupyter=False)
    width = min(max(console.width, 40), 100) if console.is_terminal else 80
    return Console(
        file=out, highlight=False, emoji=False, markup=False, force_jupyter=False, width=width,
        no_color=True if _plain_wanted() else None,
    )  # fmt: skip


_IN_ASCII = "tinygrad_cnn.in_ascii"
_LETTERS = {
    "∂": "d", "·": "*", "×": "x", "→": "->", "←": "<-", "…": "...", "–": "-", "—": "-", "−": "-", "√": "sqrt",
    "Σ": "sum ", "∑": "sum ", "Π": "prod ", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~",
    "²": "^2", "³": "^3", "ᵀ": "^T", "⁻": "^-",
    "¹": "1", "₀": "0", "₁": "1", "₂": "2", "ᵢ": "_i", "ⱼ": "_j", "ε": "eps", "σ": "sigma", "μ": "mu", "γ": "gamma",
    "β": "beta", "α": "alpha", "λ": "lambda", "δ": "delta", "⟨": "<", "⟩": ">", "⊙": "*", "∞": "inf", "π": "pi",
    "│": "|", "┃": "|", "─": "-", "━": "-", "├": "|", "└": "`", "┌": ".", "┐": ".", "┘": "'", "┤": "|", "╰": "`",
    "╭": ".", "•": "*", "●": "*", "▶": ">", "▸": ">", "’": "'", "“": '"', "”": '"', "°": "deg",
}  # fmt: skip


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """What a console without the letter gets: `d` for ∂, `->` for an arrow, and `?` for what has no such form."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_LETTERS.get(letter, "?") for letter in letters), error.end


codecs.register_error(_IN_ASCII, _in_ascii)


def maps_of(console: Console) -> str:
    """Which heat maps a console can show."""
    if "utf" not in (console.encoding or "").lower():
        return "ascii"
    return "shades" if console.no_color or console.color_system is None else "colour"


def _plain_wanted() -> bool:
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def _read(prompt: str) -> str:
    return input(prompt)


@contextlib.contextmanager
def _completion(interpreter: Interpreter) -> Iterator[None]:
    """Tab completion while a line is read; the program's own is put back."""
    if not sys.stdin.isatty():
        yield
        return
    try:
        import readline
    except ImportError:
        yield
        return
    before, delimiters = readline.get_completer(), readline.get_completer_delims()
    found: list[str] = []

    def complete(_word: str, k: int) -> str | None:
        nonlocal found
        if k == 0:
            found = interpreter.complete(readline.get_line_buffer()[: readline.get_endidx()])
        return found[k] if k < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n")
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(before)
        readline.set_completer_delims(delimiters)
