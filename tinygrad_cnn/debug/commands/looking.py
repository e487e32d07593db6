"""Commands that look: where up down list state p pp whatis args retval grad local fwd graph history."""

from __future__ import annotations

import contextlib
import pprint
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.debug import rendering, snapshot
from tinygrad_cnn.debug.commands.interpreter import Interpreter
from tinygrad_cnn.debug.commands.reading import count, input_number
from tinygrad_cnn.debug.commands.registry import Reply, command
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.support.errors import UsageError


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
    return Reply([snapshot.show(self.session.prompt.evaluate(rest))])


@command("pp", "pp EXPRESSION: the same, arrays written out")
def _pp(self: Interpreter, rest: str) -> Reply:
    if not rest:
        raise UsageError("pp expects an expression, e.g. pp g[0]")
    value = self.session.prompt.evaluate(rest)
    value = value.array if isinstance(value, Handle) else value
    if isinstance(value, np.ndarray):
        return Reply([np.array2string(value, precision=4, max_line_width=78, threshold=2000)])
    return Reply([pprint.pformat(value, width=78)])


@command("whatis", "whatis EXPRESSION: its type, and an array's shape and dtype")
def _whatis(self: Interpreter, rest: str) -> Reply:
    value = self.session.prompt.evaluate(rest)
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
        so_far = None if parent is None else session.arrived(parent)
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
    i = input_number(node, rest)
    local = node.local_gradient(i)
    name = node.op.input_name(i, len(node.parents))
    parts: list[Any] = [f"∂y/∂{name} = {local.formula}   ({local.structure}, shape {local.shape})"]
    if node.op.has_factor:
        s = snapshot.summary(local.factor, pixels=snapshot.PIXELS)
        assert s is not None
        if s.get("image"):
            parts.append(rendering.heat_map(s["image"], maps=self.maps))
        parts.append(rendering.numbers(s))
    elif int(np.prod(local.shape, dtype=np.int64)) <= 256:
        with contextlib.suppress(UsageError):  # another engine's pass may know its formula only
            parts.append(np.array2string(local.dense(), precision=4, max_line_width=78))
    return Reply(parts)


@command("fwd", "fwd: the forward step: formula, value and inputs", "forward")
def _fwd(self: Interpreter, _rest: str) -> Reply:
    session = self.session
    node = self.node_of("")
    value = session.value_of(node)
    lines = [f"y = {getattr(node.op, 'formula', session.label(node))}"]
    lines.append(
        "y: not kept (run under the debugger, or under autograd.keep_values)"
        if value is None
        else f"y: {snapshot.show(value)}"
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
    shown = done[-count(rest, "history") :] if rest else done[-20:]
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
