"""Commands on the debugger itself: info, help."""

from __future__ import annotations

import re
from typing import Any

from tinygrad_cnn.debug import rendering, selectors
from tinygrad_cnn.debug.commands.interpreter import Interpreter
from tinygrad_cnn.debug.commands.reading import list_breaks
from tinygrad_cnn.debug.commands.registry import COMMANDS, Reply, command, word_of
from tinygrad_cnn.debug.conditions import NAMES
from tinygrad_cnn.support.errors import UsageError


@command(
    "info", "i break | watch | params | session: the tables, the leaves' gradients, the memory held", "i"
)
def _info(self: Interpreter, rest: str) -> Reply:
    session = self.session
    what = rest.strip()
    if what.startswith("b"):
        return list_breaks(self)
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
        more = "At a prompt the names of the program win: $norm is the debugger's. Conditions know these first."
        return Reply([rendering.table(list(NAMES.items()), ("name", "what it is")), more])
    if rest == "selectors":
        return Reply([selectors.__doc__ or ""])
    if rest:
        name = word_of(rest)
        if name is None:
            raise UsageError(f"no command {rest!r}; `help` lists them")
        _, text, aliases = COMMANDS[name]
        return Reply([text, *([f"also: {', '.join(aliases)}"] if aliases else [])])
    parts: list[Any] = []
    for family, title in _FAMILIES.items():
        rows = [
            _row(name, text, aliases)
            for name, (fn, text, aliases) in COMMANDS.items()
            if fn.__module__.rpartition(".")[2] == family
        ]
        parts.append(rendering.table(rows, (title, "also", "what it does"), widths=(23, 16, None)))
    more = "help COMMAND, help names and help selectors say more; anything else is Python; Enter repeats"
    return Reply([*parts, more])


#: The files of this folder, and what their commands do.
_FAMILIES = {
    "moving": "move", "stopping": "stop there", "looking": "look", "changing": "ask, change", "about": "the debugger",
}  # fmt: skip


def _row(name: str, text: str, aliases: tuple[str, ...]) -> tuple[str, str, str]:
    """How it is written, its other names, what it does."""
    usage, what = re.split(r"(?<!:): ", text, maxsplit=1) if re.search(r"(?<!:): ", text) else (name, text)
    also = [word for word in (name, *aliases) if word != usage.split()[0]]
    return usage, " ".join(also), what
