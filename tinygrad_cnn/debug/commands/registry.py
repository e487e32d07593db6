"""The table of the debugger's commands, and what a command gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinygrad_cnn.debug import rendering


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


#: Called with the interpreter and the rest of the line.
Command = Callable[[Any, str], Reply]
#: name -> (function, one-line help, aliases); filled by `@command`.
COMMANDS: dict[str, tuple[Command, str, tuple[str, ...]]] = {}
ALIASES: dict[str, str] = {}


def command(name: str, help: str, *aliases: str) -> Callable[[Command], Command]:
    """Register a command."""

    def register(fn: Command) -> Command:
        COMMANDS[name] = fn, help, aliases
        for word in (name, *aliases):
            ALIASES[word] = name
        return fn

    return register


def word_of(text: str) -> str | None:
    """The command that a word or one of its short forms means."""
    return ALIASES.get(text)
