"""Commands on breakpoints: b tbreak log cl enable disable ignore condition commands."""

from __future__ import annotations

from tinygrad_cnn.debug.commands.interpreter import Interpreter
from tinygrad_cnn.debug.commands.reading import ids, list_breaks
from tinygrad_cnn.debug.commands.registry import Reply, command
from tinygrad_cnn.debug.selectors import parse
from tinygrad_cnn.support.errors import UsageError


@command("break", "b SELECTOR [if EXPRESSION]: stop there; without one, list them", "b")
def _break(self: Interpreter, rest: str) -> Reply:
    return _set_break(self, rest, temporary=False)


def _set_break(self: Interpreter, rest: str, *, temporary: bool) -> Reply:
    if not rest:
        return list_breaks(self)
    query = parse(rest, file=self.file)
    if query.condition is not None and self.session.node is not None:
        try:
            self.session.evaluate(query.condition)
        except UsageError as error:
            # A misspelt name is better told now; what does not apply to this very node may apply to others.
            if "is not defined" in str(error):
                raise
    bp = self.session.breakpoints.add(query, temporary=temporary)
    note = ""
    if bp.query.selector is not None:
        found = self.session.find(bp.query)
        note = f": {len(found)} node(s) of this pass"
        if not found:
            note = f" (nothing in this pass yet: {self.session.nothing_matches(bp.query)})"
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
    gone = [table.remove(id) for id in (ids(rest) if rest else [bp.id for bp in table])]
    return Reply(
        [f"Deleted breakpoint {bp.id} at {bp.query.text}" for bp in gone] or ["no breakpoints"],
        breakpoints=True,
    )


@command("enable", "enable NUMBER…: switch breakpoints on")
def _enable(self: Interpreter, rest: str) -> Reply:
    return _switch(self, rest, on=True)


def _switch(self: Interpreter, rest: str, *, on: bool) -> Reply:
    found = [self.session.breakpoints[id] for id in ids(rest)]
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
    bp = self.session.breakpoints.set_condition(ids(number, one=True)[0], expression.strip() or None)
    return Reply([f"breakpoint {bp.id}: {bp.query.text}"], breakpoints=True)


@command(
    "commands",
    "commands [NUMBER]: read commands to run at a breakpoint, until `end`; `silent` hides the stop",
)
def _commands(self: Interpreter, rest: str) -> Reply:
    table = self.session.breakpoints
    have = list(table)
    if not rest and not have:
        raise UsageError("there are no breakpoints to give commands to")
    bp = table[ids(rest, one=True)[0]] if rest else have[-1]
    bp.commands.clear()
    self.collecting_for = bp
    return Reply([f"commands for breakpoint {bp.id}; `end` finishes"])
