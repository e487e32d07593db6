"""Breakpoints: a query, how often it counts, and what happens when it is hit.

The session asks `Breakpoints.hit` at each node it arrives at. Knows nothing of front ends: an editor tags
its own with `owner`, and the table is shared.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tinygrad_cnn.debug.paused import Place
from tinygrad_cnn.debug.selectors import Query, check_expression, parse
from tinygrad_cnn.support.errors import UsageError

#: The number of what is no breakpoint: somebody asked the program to stop.
PAUSE_ID = 0


@dataclass
class Breakpoint:
    """One breakpoint.

    Attributes
        id: its number, never used again
        query: where and when it holds
        enabled, temporary: as in pdb (a temporary one is removed at its first stop)
        ignore: so many hits are let pass before it stops
        hits: how often it held so far
        hit_condition: ``"3"`` or ``">= 3"`` (from the third hit on), ``"== 3"``, ``"% 2"`` (every second)
        log: a message instead of a stop; ``{expression}`` inside is evaluated
        commands: what a terminal runs when it stops here
        owner: which front end made it
    """

    id: int
    query: Query
    enabled: bool = True
    temporary: bool = False
    ignore: int = 0
    hits: int = 0
    hit_condition: str | None = None
    log: str | None = None
    commands: list[str] = field(default_factory=list)
    owner: str = ""

    @property
    def reached(self) -> str:
        """What is said where it stops."""
        return self.query.text if self.id == PAUSE_ID else f"breakpoint {self.id}: {self.query.text}"

    def describe(self) -> str:
        """One line, as `info break` prints it."""
        notes = [
            "temporary" if self.temporary else "",
            "" if self.enabled else "disabled",
            f"hit {self.hits}x" if self.hits else "",
            f"ignores next {self.ignore}" if self.ignore else "",
            f"hits {self.hit_condition}" if self.hit_condition else "",
            f"logs {self.log!r}" if self.log else "",
            f"{len(self.commands)} command(s)" if self.commands else "",
        ]
        said = ", ".join(note for note in notes if note)
        return f"{self.id:>3}  {self.query.text}" + (f"   ({said})" if said else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "id": self.id, "text": self.query.text, "enabled": self.enabled, "temporary": self.temporary,
            "ignore": self.ignore, "hits": self.hits, "hit_condition": self.hit_condition, "log": self.log,
            "commands": list(self.commands), "owner": self.owner,
        }  # fmt: skip


class Breakpoints:
    """The table of a session (several sessions of one program may share it)."""

    def __init__(self) -> None:
        self._next = itertools.count(1)
        self._table: dict[int, Breakpoint] = {}
        #: Messages of log points, oldest first; front ends take them out.
        self.messages: list[str] = []
        #: Stop at the next node, whatever it is.
        self.pause_requested = False
        self._pause = Breakpoint(PAUSE_ID, Query(None, "paused"))

    def add(
        self, text: str | Query, *, condition: str | None = None, temporary: bool = False, ignore: int = 0,
        log: str | None = None, hit_condition: str | None = None, file: str | None = None, owner: str = "",
    ) -> Breakpoint:  # fmt: skip
        """Set one. `text` is a selector, a condition or both; `condition` is joined to it with `and`.

        Raises UsageError when one of the texts cannot be read.
        """
        query = text if isinstance(text, Query) else parse(text, file=file)
        if condition:
            query = _joined(query, condition)
        if hit_condition:
            hit_test(hit_condition, 1)
        for expression in _FIELD.findall(log or ""):
            check_expression(expression)
        made = Breakpoint(
            next(self._next),
            query,
            temporary=temporary,
            ignore=ignore,
            log=log,
            hit_condition=hit_condition,
            owner=owner,
        )
        self._table[made.id] = made
        return made

    def __getitem__(self, id: int) -> Breakpoint:
        try:
            return self._table[id]
        except KeyError:
            have = ", ".join(map(str, self._table)) or "none"
            raise UsageError(f"there is no breakpoint {id}; there are: {have}") from None

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(list(self._table.values()))

    def __len__(self) -> int:
        return len(self._table)

    def remove(self, id: int) -> Breakpoint:
        """Delete one. Raises UsageError when there is none of that number."""
        found = self[id]
        del self._table[id]
        return found

    def clear(self, owner: str | None = None) -> None:
        """Delete all, or all of one front end."""
        for bp in self:
            if owner is None or bp.owner == owner:
                del self._table[bp.id]

    def set_condition(self, id: int, condition: str | None) -> Breakpoint:
        """Replace the condition (None removes it); the selector stays."""
        bp = self[id]
        if condition:
            check_expression(condition)
        elif bp.query.selector is None:
            raise UsageError(f"breakpoint {id} is nothing but its condition; delete it with `cl {id}`")
        bp.query = Query(bp.query.selector, condition or None)
        return bp

    def hit(self, session: Place, *, count: bool = True) -> Breakpoint | None:
        """The breakpoint that stops at the session's node, after counting; log points only leave messages."""
        stop = None
        for bp in self:
            if not bp.enabled or not self._holds(bp, session, say=count):
                continue
            if not count:
                if bp.log is None:
                    return bp
                continue
            bp.hits += 1
            if bp.hit_condition and not hit_test(bp.hit_condition, bp.hits):
                continue
            if bp.ignore:
                bp.ignore -= 1
                continue
            if bp.log is not None:
                self.messages.append(_filled(bp.log, session))
                continue
            stop = stop or bp
        if stop is not None and stop.temporary:
            self._table.pop(stop.id, None)
        if self.pause_requested:
            self.pause_requested = False
            return stop or self._pause
        return stop

    def _holds(self, bp: Breakpoint, session: Place, say: bool) -> bool:
        """Whether it holds here; one whose condition cannot be evaluated does, and a message says why."""
        try:
            return session.matches(bp.query)
        except UsageError as error:
            if say:
                self.messages.append(f"breakpoint {bp.id}: {error}")
            return True


_FIELD = re.compile(r"\{([^{}]+)\}")
_HITS = re.compile(r"^\s*(>=|>|<=|<|==|=|%)?\s*(\d+)\s*$")


def _joined(query: Query, condition: str) -> Query:
    check_expression(condition)
    return Query(query.selector, f"({query.condition}) and ({condition})" if query.condition else condition)


def hit_test(text: str, hits: int) -> bool:
    found = _HITS.match(text)
    if found is None:
        raise UsageError(f"a hit condition is a number, maybe behind >=, >, <=, <, == or %, got {text!r}")
    n = int(found[2])
    tests = {
        ">=": hits >= n, ">": hits > n, "<=": hits <= n, "<": hits < n, "==": hits == n, "=": hits == n,
        "%": n > 0 and hits % n == 0,
    }  # fmt: skip
    return tests[found[1] or ">="]


def _filled(message: str, session: Place) -> str:
    def value(found: re.Match[str]) -> str:
        try:
            result = session.evaluate(found[1])
        except UsageError as error:
            return f"<{error}>"
        return f"{result:.6g}" if isinstance(result, float) else str(result)

    return _FIELD.sub(value, message)
