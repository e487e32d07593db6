"""The session's breakpoint table, with the kinds that editors have.

Lines are whole paths, a data breakpoint holds behind the node that wrote a `.grad`, exception filters hold
where something bad is born, and a pause is a breakpoint that is everywhere. Sessions only ask `hit`, so that
`continue` means the same from a button and from the console.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.autograd.inspect import Node
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.breakpoints import PAUSE_ID, Breakpoint, Breakpoints, hit_test
from tinygrad_cnn.debug.conditions import Namespace, Norm, norm
from tinygrad_cnn.debug.dap.places import place_of
from tinygrad_cnn.debug.paused import Place
from tinygrad_cnn.debug.selectors import Query, Selector, check_expression
from tinygrad_cnn.support.errors import UsageError

#: Owners: which request made a breakpoint. The console's have none.
LINE, FUNCTION, DATA, EXCEPTION = "dap line", "dap function", "dap data", "dap exception"

_REASONS = {
    FUNCTION: "function breakpoint", DATA: "data breakpoint", EXCEPTION: "exception",
}  # fmt: skip

#: Exception filters: name -> (label, condition, what it means). "raised" is no condition on numbers.
FILTERS: dict[str, tuple[str, str | None, str]] = {
    "raised": ("Errors in backward rules and hooks", None, "A backward rule or a hook raises an exception"),
    "nan": (
        "NaN is born", "nan and not np.isnan(g).any()",
        "A node whose upstream gradient has no NaN hands one on",
    ),
    "inf": (
        "Infinity is born", "inf and not np.isinf(g).any()",
        "A node whose upstream gradient is finite hands on an infinite one",
    ),
    "zero": (
        "A gradient dies", "g.any() and any(d is not None and d.size > 0 and not d.any() for d in downstream)",
        "A node receives a gradient and hands nothing but zeros to an input",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class LineSelector(Selector):
    """Nodes that a line of a file made; and, at the start of a pass, the line that called `backward`.

    A line makes several nodes. With `arriving` it holds at the first of them that the pass comes to, so that
    one line is one stop; without, at each (a condition may be meant for any of them).
    """

    path: str = ""
    line: int = 0
    arriving: bool = True
    table: Any = None

    def matches(self, node: Node, *, name: str | None = None, step: int | None = None) -> bool:
        here = (self.path, self.line)
        table = self.table
        if table.at_start and table.caller == here:
            return True
        if node.is_leaf or place_of(node) != here:
            return False
        return not (self.arriving and table.session is not None and _place_before(table.session) == here)


@dataclass(frozen=True)
class WrittenSelector(Selector):
    """Behind the node that wrote the `.grad` of a tensor: one by name, or one itself."""

    tensor: weakref.ref[Any] | None = None
    condition: str | None = None
    table: Any = None

    def matches(self, node: Node, *, name: str | None = None, step: int | None = None) -> bool:
        session: BackwardSession | None = self.table.session
        if session is None:
            return False
        # Going back, the place to stop at is before the write.
        done = session.node if self.table.backwards else session.last
        return done is not None and self.means(session, done) and self._holds(session, done)

    def means(self, session: BackwardSession, node: Node) -> bool:
        """Whether the node is the one whose `.grad` is watched."""
        if node.target is None:
            return False
        if self.tensor is not None:
            return self.tensor() is node.tensor
        return session.name_of(node) == self.pattern

    def _holds(self, session: BackwardSession, node: Node) -> bool:
        if self.condition is None:
            return True
        # The names mean the parameter that was written, not the node the session stands at by now.
        tensor, g = node.tensor, session.gradient_of(node)
        names = Namespace(session)
        names.update(
            node=node, op="leaf", name=session.name_of(node) or "", shape=tuple(node.shape), param=tensor
        )
        if g is not None:
            names.update(g=g, upstream=g, norm=Norm(norm(g)))
        if tensor is not None:
            names.update(value=tensor.array, grad=None if tensor.grad is None else tensor.grad.array)
        return names.true(self.condition)


def _place_before(session: BackwardSession) -> tuple[str, int] | None:
    """The place of the node that was done before the paused one; leaves come in between and do not count."""
    for k in range(session.position - 1, -1, -1):
        if session.nodes[k].parents:
            return place_of(session.nodes[k])
    return None


class EditorBreakpoints(Breakpoints):
    """The table of `debug.breakpoints`, with editors' kinds.

    Attributes
        stop_at_errors: whether an exception in a rule or a hook is a stop
        caller: the (path, line) that called `backward`
        session: the session that was asked last; `backwards` whether it goes back, `at_start` whether it
            stands before its first node
        trouble: why a condition could not be evaluated, by breakpoint
    """

    def __init__(self) -> None:
        super().__init__()
        self.stop_at_errors = True
        self.caller: tuple[str, int] | None = None
        self.session: BackwardSession | None = None
        self.backwards = False
        self.at_start = False
        self.trouble: dict[int, str] = {}
        self._muted = False

    def hit(self, session: Place, *, count: bool = True) -> Breakpoint | None:
        if self._muted or not isinstance(session, BackwardSession):  # recorded passes have no editor
            return None
        self.session, self.backwards = session, not count
        self.at_start = session.last is None and session.node is session.nodes[0]
        try:
            failed = self._failing(session)
            if failed is None:
                return super().hit(session, count=count)
        finally:
            self.at_start = False
        self.pause_requested = False
        return failed

    def _failing(self, session: BackwardSession) -> Breakpoint | None:
        """A breakpoint whose condition cannot be evaluated stops, as in pdb, and says why."""
        for bp in self:
            if not bp.enabled or not (bp.query.condition or getattr(bp.query.selector, "condition", None)):
                continue
            try:
                session.matches(bp.query)
            except UsageError as error:
                self.trouble[bp.id] = str(error)
                self.messages.append(f"breakpoint {bp.id} ({bp.query.text}): {error}")
                return bp
            self.trouble.pop(bp.id, None)
        return None

    def written_last(self, session: BackwardSession) -> Breakpoint | None:
        """At the end of a pass: the data breakpoint that its last node hits."""
        if self._muted or session.last is None:
            return None
        self.session, self.backwards = session, False
        for bp in self:
            selector = bp.query.selector
            if not isinstance(selector, WrittenSelector) or not bp.enabled:
                continue
            try:
                holds = selector.matches(session.last)
            except UsageError as error:
                self.messages.append(f"breakpoint {bp.id} ({bp.query.text}): {error}")
                return bp
            if holds:
                bp.hits += 1
                if not bp.hit_condition or hit_test(bp.hit_condition, bp.hits):
                    return bp
        return None

    def reason_for(self, id: int | None) -> tuple[str, list[int]]:
        """The protocol's reason for a stop at a breakpoint, and the numbers that the client knows it by."""
        if id == PAUSE_ID:
            return "pause", []
        for bp in self:
            if bp.id == id:
                return _REASONS.get(bp.owner.partition(":")[0], "breakpoint"), [bp.id]
        return "breakpoint", []  # a temporary one is gone by now

    def add_line(
        self, path: str, line: int, *, condition: str | None, hit_condition: str | None, log: str | None
    ) -> Breakpoint:
        """Stop at the nodes that a line made. Raises UsageError for texts that cannot be read."""
        if condition:
            check_expression(condition)
        selector = LineSelector("line", f"{os.path.basename(path)}:{line}", path, line, not condition, self)
        return self.add(Query(selector, condition or None), hit_condition=hit_condition, log=log, owner=LINE)

    def add_written(
        self, name: str, tensor: Any, *, condition: str | None, hit_condition: str | None
    ) -> Breakpoint:
        """Stop behind the node that wrote the `.grad` of a parameter, by name, or of `tensor` itself."""
        if condition:
            check_expression(condition)
        ref = None if tensor is None else weakref.ref(tensor)
        selector = WrittenSelector("gradient", name, ref, condition or None, self)
        return self.add(Query(selector), hit_condition=hit_condition, owner=DATA)

    def exists(self, bp: Breakpoint, session: BackwardSession) -> bool:
        """Whether the pass has a node where the breakpoint could ever stop."""
        selector = bp.query.selector
        if selector is None:
            return True
        if isinstance(selector, WrittenSelector):
            return any(selector.means(session, node) for node in session.nodes if node.target is not None)
        if isinstance(selector, LineSelector) and self.caller == (selector.path, selector.line):
            return True
        if isinstance(selector, LineSelector):
            return any(
                place_of(node) == (selector.path, selector.line) for node in session.nodes if not node.is_leaf
            )
        return bool(session.find(bp.query))

    def remove_all(self, ids: Iterable[int]) -> None:
        """Delete those that are still there (a temporary one may have gone by itself)."""
        have = {bp.id for bp in self}
        for id in ids:
            if id in have:
                self.remove(id)

    def mute(self) -> None:
        """Never stop again."""
        self._muted = True
