"""A pass of an engine that is none of ours is walked in the terminal, by an editor, on the page and in a replay."""

import io
import json
import threading

import numpy as np
import pytest
from rich.console import Console

from tests.debug.dap.conftest import PATIENCE, connect
from tinygrad_cnn.bridge.node import Node, Op
from tinygrad_cnn.bridge.passes import Pass, Step
from tinygrad_cnn.debug import BackwardSession, Replay, Terminal
from tinygrad_cnn.debug.dap.adapter import Adapter
from tinygrad_cnn.debug.dap.program import Program
from tinygrad_cnn.support.errors import UsageError


class ToyNode(Node):
    """A number with the rule that hands its gradient on."""

    def __init__(self, seq, name, value, parents=(), rule=lambda g: ()):
        self.seq, self.parents, self.rule = seq, parents, rule
        self.op = Op(name, formula="a · b") if parents else Op("leaf", inputs="")
        self.name = None if parents else name
        self.value = np.asarray(value, float)
        self.shape, self.dtype = self.value.shape, self.value.dtype


class ToyPass(Pass):
    """The backward pass of (w · x)², newest node first; what it finds is in `found`."""

    def __init__(self):
        w, x = ToyNode(1, "w", [3.0, -1.0]), ToyNode(2, "x", [2.0, 5.0])
        z = ToyNode(3, "scale", w.value * x.value, (w, x), lambda g: (g * x.value, g * w.value))
        loss = ToyNode(4, "square", z.value**2, (z,), lambda g: (g * 2 * z.value,))
        self.nodes, self.position, self.found = [loss, z, x, w], 0, {}
        self.grads = {loss.seq: np.ones(2)}

    def arrived(self, node):
        return self.grads.get(node.seq)

    def advance(self, edits):
        node, before = self.nodes[self.position], self.grads
        g = before[node.seq]
        down = [edits.get(i, d) for i, d in enumerate(node.rule(g))]
        handed = {
            parent.seq: before.get(parent.seq, 0) + d for parent, d in zip(node.parents, down, strict=True)
        }
        self.grads = {seq: d for seq, d in before.items() if seq != node.seq} | handed
        self.found[node.name] = g
        self.position += 1

        def undo():
            self.position, self.grads = self.position - 1, before

        return Step(g, g, down, {parent.seq: before.get(parent.seq) for parent in node.parents}, undo)

    def set_gradient(self, node, gradient):
        before, self.grads = self.grads, self.grads | {node.seq: gradient}
        return lambda: setattr(self, "grads", before)

    def value_of(self, node):
        return node.value

    def input_values(self, node):
        return [parent.value for parent in node.parents]


#: ∂(w·x)²/∂w and ∂/∂x.
RIGHT = {"w": [24, -50], "x": [36, 10]}


def right(work):
    assert {name: g.tolist() for name, g in work.found.items() if name is not None} == RIGHT


def test_in_the_terminal():
    out = io.StringIO()
    work = ToyPass()
    commands = """b scale if norm > 1;c;p g;p inputs[0];where;retval;args;grad;local;fwd;n;back;edit g = g * 2;history
        info params;goto w;rc;watch norm;help;graph;explain;check;pdb;s;nan;until x;back 9;c;c"""
    commands = [line.strip() for line in commands.replace("\n", ";").split(";")]
    Terminal(commands=commands, console=Console(file=out, width=90)).interact(BackwardSession.on(work))
    said = out.getvalue()
    assert "breakpoint 1: scale" in said
    assert "[ 12. -10.]" in said
    assert "∂y/∂a = ∂scale/∂a" in said
    assert "Error" not in said
    right(work)


def test_editing_and_undoing():
    work = ToyPass()
    with BackwardSession.on(work) as s:
        s.goto("scale")
        s.edit(np.array([1.0, 1.0]))
        assert s.downstream[0].tolist() == [2, 5]
        s.edit(7.0, input=0)
        assert [d.tolist() for d in s.downstream] == [[7, 7], [3, -1]]
        s.back()
        s.step(2)
        assert s.gradient_of(work.nodes[-1]).tolist() == RIGHT["w"]
        with pytest.raises(UsageError, match="parts"):
            s.goto("scale")
            s.into()
    right(work)


def test_in_an_editor():
    program, work = Program(stays=True), ToyPass()
    attached, ended = threading.Event(), threading.Event()

    def run():
        program.attach_here()
        attached.wait(PATIENCE)
        program.drive(work)
        program.leave_here()
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    client = connect(lambda server: Adapter(server.send_event, program=program, on_attached=attached.set))
    try:
        client.begin()
        client.ask("attach", stopOnEntry=True)
        client.ask("setFunctionBreakpoints", breakpoints=[{"name": "scale"}])
        client.ask("configurationDone")
        _, frame = client.stopped()
        assert frame["name"] == "∂ square.backward"
        body, frame = client.go("continue")
        assert (body["reason"], frame["name"]) == ("function breakpoint", "∂ scale.backward")
        scopes = client.scopes(frame)
        assert "24" in client.variables(scopes["Downstream"])["∂L/∂a"]["value"]
        for name in scopes:
            client.variables(scopes[name])
        assert client.evaluate("inputs[1]") == "[2. 5.]"
        client.evaluate("explain", context="repl")
        client.ask("stepInTargets", frameId=frame["id"])
        assert client.go("stepBack")[1]["name"] == "∂ square.backward"
        client.go("stepIn")
        client.ask("continue", threadId=1)
        assert ended.wait(PATIENCE)
        right(work)
    finally:
        client.close()
        program.detach()
        thread.join(PATIENCE)


def test_on_the_page_and_in_a_replay(tmp_path):
    s = BackwardSession.on(ToyPass())
    s.record(tmp_path / "toy.json")
    data = json.loads((tmp_path / "toy.json").read_text())
    assert [node["op"] for node in data["nodes"]] == ["leaf", "leaf", "scale", "square"]
    assert [len(step.get("downstream", ())) for step in data["steps"]] == [1, 2, 0, 0]
    replay = Replay.load(tmp_path / "toy.json")
    assert replay.goto("scale").kind == "goto"
    assert replay.state()["inputs"][0]["downstream"]["data"] == RIGHT["w"]
    s.record(tmp_path / "toy.html")
    assert "square" in (tmp_path / "toy.html").read_text()
