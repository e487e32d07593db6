"""Commands that check, explain, edit, watch, record, and open pdb."""

from __future__ import annotations

import re
import shlex

from tinygrad_cnn.debug import snapshot
from tinygrad_cnn.debug.check import check_all
from tinygrad_cnn.debug.commands.interpreter import Interpreter
from tinygrad_cnn.debug.commands.reading import ids, index_of_text, input_number
from tinygrad_cnn.debug.commands.registry import Reply, command
from tinygrad_cnn.support.errors import UsageError


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
    i = input_number(node, input) if node.parents else None
    return Reply([str(self.session.explain(node, index_of_text(index), i))])


@command("check", "check [SELECTOR | all]: the rule against numerical differentiation, in float64")
def _check(self: Interpreter, rest: str) -> Reply:
    if rest == "all":
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


@command(
    "edit",
    "edit [of SELECTOR] g[INDEX] = EXPR, or d0[INDEX], or value[INDEX]: change a gradient, an edge's, a value",
)
def _edit(self: Interpreter, rest: str) -> Reply:
    found = _EDIT.match(rest)
    if found is None:
        raise UsageError(
            "edit expects g = EXPR, g[0,2] = EXPR, d0 = EXPR (what input 0 gets) or value = EXPR, maybe behind "
            "`of SELECTOR`"
        )
    session = self.session
    node = self.node_of(found[1] or "")
    what, number = found[2], session.evaluate(found[4])
    index = index_of_text(found[3][1:-1]) if found[3] else None
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
        return Reply([f"{w.id}: {w.expression}" for w in self.session.watches] or ["nothing is watched"])
    watch = self.session.watch(rest)
    try:
        value = snapshot.show(self.session.evaluate(rest)) if self.session.node is not None else ""
    except UsageError:
        self.session.unwatch(watch.id)
        raise
    return Reply([f"{watch.id}: {rest} = {value}"])


@command("unwatch", "unwatch NUMBER: stop showing one", "undisplay")
def _unwatch(self: Interpreter, rest: str) -> Reply:
    self.session.unwatch(ids(rest, one=True)[0])
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
