"""Walking through a pass: forwards, backwards, to a place, to a breakpoint.

What a live session and a replay have in common. `Walk` knows how to move by single steps (`_advance` and
`_undo`, which its subclasses give) and what stands where; everything else follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from tinygrad_cnn.debug.breakpoints import Breakpoints
from tinygrad_cnn.debug.conditions import Namespace
from tinygrad_cnn.debug.paused import Stop, Watch
from tinygrad_cnn.debug.selectors import Query, check_expression, parse, suggestions
from tinygrad_cnn.support.errors import UsageError


class Walk:
    """A pass that can be walked through.

    Attributes
        nodes: what it visits, in order
        names: the leaves' names, by `seq`
        position: how many are done; the one it stands before is ``nodes[position]``
        stop: why it stands here
        breakpoints, watches: the tables
    """

    nodes: Sequence[Any]
    names: dict[int, str]
    breakpoints: Breakpoints
    watches: list[Watch]
    stop: Stop
    user_scopes: list[Mapping[str, Any]]
    hidden_frames = 0
    number = 1
    _index: dict[int, int]
    closed = False

    @property
    def position(self) -> int:
        """How many nodes are behind; the one it stands before is number ``position + 1`` of `total`."""
        raise NotImplementedError

    def _advance(self) -> bool:
        """Do one node; False at the end."""
        raise NotImplementedError

    def _undo(self) -> bool:
        """Undo one node; False at the start."""
        raise NotImplementedError

    @property
    def namespace(self) -> Namespace:
        """The names that expressions may use here, with `evaluate` and `true`."""
        raise NotImplementedError

    # --- where it stands -------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many nodes there are."""
        return len(self.nodes)

    @property
    def node(self) -> Any:
        """The node it stands before; None at the end."""
        return self.nodes[self.position] if not self.closed and self.position < self.total else None

    @property
    def at_end(self) -> bool:
        """Whether every node is done (it can still go back until it is closed)."""
        return self.node is None

    def name_of(self, node: Any) -> str | None:
        """A parameter's path, a tensor's name; None without one."""
        return self.names.get(node.seq) or node.name

    def label(self, node: Any) -> str:
        """``relu features.1``, ``fc.weight``, ``mul#12``: what people call the node."""
        if node.is_leaf:
            return self.name_of(node) or f"leaf#{node.seq}"
        name = node.name or node.module
        return f"{node.op.name} {name}" if name else f"{node.op.name}#{node.seq}"

    def find(self, target: str | Query) -> list[Any]:
        """All nodes of the pass that a selector chooses (conditions are not looked at)."""
        query = parse(target) if isinstance(target, str) else target
        if query.selector is None:
            return []
        selector = query.selector
        return [n for k, n in enumerate(self.nodes) if selector.matches(n, name=self.name_of(n), step=k + 1)]

    def watch(self, expression: str) -> Watch:
        """Show an expression at every stop. Raises UsageError when it is none."""
        check_expression(expression)
        watch = Watch(max((w.id for w in self.watches), default=0) + 1, expression)
        self.watches.append(watch)
        return watch

    def unwatch(self, id: int) -> None:
        """Stop showing one. Raises UsageError when there is none of that number."""
        left = [w for w in self.watches if w.id != id]
        if len(left) == len(self.watches):
            raise UsageError(
                f"there is no watch {id}; there are: {', '.join(str(w.id) for w in left) or 'none'}"
            )
        self.watches[:] = left

    def matches(self, query: Query) -> bool:
        """Whether a query holds at the paused node."""
        node = self.node
        if node is None:
            return False
        selector = query.selector
        if selector is not None and not selector.matches(
            node, name=self.name_of(node), step=self.position + 1
        ):
            return False
        return query.condition is None or self.namespace.true(query.condition)

    def index_of(self, node: Any) -> int:
        """The node's place in the pass, from 0. Raises UsageError for a node of another graph."""
        try:
            return self._index[node.seq]
        except KeyError:
            raise UsageError(f"{node!r} is no node of this backward pass") from None

    def evaluate(self, expression: str) -> Any:
        """The value of a Python expression over the paused node; its names are in `conditions.NAMES`.

        Raises UsageError with the reason when it cannot be evaluated.
        """
        return self.namespace.evaluate(expression)

    @property
    def prompt(self) -> Namespace:
        """The names at a prompt: the program's first, then the debugger's; ``$norm`` is always the debugger's."""
        return Namespace(self, program_first=True)

    # --- moving ----------------------------------------------------------------------------------

    def step(self, n: int = 1) -> Stop:
        """Do `n` nodes. Past the last one it stays at the end. Raises what a rule or a hook raises, undone."""
        for _ in range(n):
            if not self._advance():
                return self._end()
        return (
            self._end()
            if self.node is None
            else self._stopped("step", f"step {self.position + 1} of {self.total}")
        )

    def back(self, n: int = 1) -> Stop:
        """Undo `n` nodes, and the edits made since. At the start it stays there."""
        self._open()
        for _ in range(n):
            if not self._undo():
                return self._stopped("start", "start of the backward pass")
        return self._stopped("back", f"back at step {self.position + 1} of {self.total}")

    def run_until(self, target: Any) -> Stop:
        """Go on to the next node where `target` holds: a selector or condition, or a function of the session."""
        test = self._test(target)
        while self._advance():
            if self.node is not None and test(self):
                said = (
                    target if isinstance(target, (str, Query)) else getattr(target, "__name__", "condition")
                )
                return self._stopped("condition", f"reached {said}")
        return self._end()

    def continue_(self, *, from_here: bool = False) -> Stop:
        """Go on to the next breakpoint, or the end. With `from_here` the paused node counts too."""
        self._open()
        while from_here or self._advance():
            from_here = False
            if self.node is not None:
                hit = self.breakpoints.hit(self)
                if hit is not None:
                    return self._stopped("breakpoint", hit.reached, hit.id)
        return self._end()

    def reverse_continue(self) -> Stop:
        """Go back to the previous breakpoint, or the start."""
        self._open()
        while self._undo():
            hit = self.breakpoints.hit(self, count=False)
            if hit is not None:
                return self._stopped("breakpoint", hit.reached, hit.id)
        return self._stopped("start", "start of the backward pass")

    def goto(self, target: Any) -> Stop:
        """Stand before a node, forwards or backwards: a node, a tensor, a step number (from 1), a selector
        (``relu``, ``net.py:12``): the next match, else the last one behind.

        Raises UsageError when there is no such node or no gradient reaches it.
        """
        self._open()
        if isinstance(target, (str, Query)):
            return self._goto_query(parse(target) if isinstance(target, str) else target)
        node: Any = getattr(target, "node", target)  # a tensor's, or itself
        if isinstance(target, (int, np.integer)):
            if not 1 <= target <= self.total + 1:
                raise UsageError(f"goto expected a step from 1 to {self.total}, got {target}")
            index = int(target) - 1
        elif getattr(node, "seq", None) in self._index:
            index = self._index[node.seq]
        else:
            raise UsageError(f"goto: {target!r} is no node of this backward pass")
        before = self.position
        self._move_to(index)
        if self.position != index:
            here = self.nodes[index]
            self._move_to(before)
            raise UsageError(
                f"goto: no gradient reaches {self.label(here)} (step {index + 1}), the pass skips it"
            )
        return (
            self._end()
            if self.node is None
            else self._stopped("goto", f"went to step {index + 1} of {self.total}")
        )

    def finish_module(self) -> Stop:
        """Go on until the backward pass of the paused node's module is done (or a breakpoint is hit)."""
        path = self._paused().module
        if not path:
            return self.continue_()
        while self._advance():
            node = self.node
            if node is None:
                break
            hit = self.breakpoints.hit(self)
            if hit is not None:
                return self._stopped("breakpoint", hit.reached, hit.id)
            if not node.is_leaf and node.module != path and not node.module.startswith(path + "."):
                return self._stopped("step", f"backward of {path} is done")
        return self._end()

    # --- the mechanics ---------------------------------------------------------------------------

    def _paused(self) -> Any:
        self._open()
        node = self.node
        if node is None:
            raise UsageError("the backward pass is at its end; go back (`back`, `goto`) to look at a node")
        return node

    def _open(self) -> None:
        if self.closed:
            raise UsageError("this session is over: its graph was handed back")

    def _stopped(self, kind: str, text: str, breakpoint: int | None = None) -> Stop:
        self.stop = Stop(kind, text, breakpoint)
        return self.stop

    def _end(self) -> Stop:
        return self._stopped("end", "end of the backward pass")

    def _test(self, target: Any) -> Callable[[Any], bool]:
        if isinstance(target, str):
            target = parse(target)
        if isinstance(target, Query):
            return lambda s: s.matches(target)
        target = getattr(target, "node", target)  # a tensor's, or itself
        if hasattr(target, "seq"):
            return lambda s: s.node is target
        if callable(target):
            return target
        raise UsageError(
            f"expected a selector, a condition, a node or a function of the session, got {target!r}"
        )

    def _goto_query(self, query: Query) -> Stop:
        start = self.position
        if query.condition is None and query.selector is not None:
            found = [k for k in (self._index[n.seq] for n in self.find(query)) if k != start]
            if not found:
                if self.matches(query):
                    return self._stopped("goto", f"already at {query.text}")
                raise UsageError(self.nothing_matches(query))
            ahead = [k for k in found if k > start]
            return self.goto((ahead[0] if ahead else found[-1]) + 1)
        while self._advance():
            if self.matches(query):
                return self._stopped("goto", f"went to {query.text}")
        self._move_to(start)
        while self._undo():
            if self.matches(query):
                return self._stopped("goto", f"went back to {query.text}")
        self._move_to(start)
        raise UsageError(f"goto: at no node of this pass holds {query.text}")

    def nothing_matches(self, query: Query) -> str:
        """The sentence that says so, with words that would match."""
        words = suggestions(self.nodes, self.names)
        some = ", ".join(words[:8]) + (", …" if len(words) > 8 else "")
        text = query.selector.pattern if query.selector is not None else query.text
        if query.selector is not None and query.selector.kind == "line":
            modules = {part for node in self.nodes for part in node.module.split(".")}
            number = text.rpartition(":")[2]
            if number in modules:
                return f"no node was made at {text}; for the module of that name: module:{number}"
        close = get_close_matches(text, words, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"no node of this pass is chosen by {query.text!r}; {hint}there are: {some}"

    def _move_to(self, index: int) -> None:
        while self.position > index and self._undo():
            pass
        while self.position < index and self._advance():
            pass
