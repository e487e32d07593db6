"""PyTorch's own backward pass, stepped: equal to `Tensor.backward` bit for bit, whatever the way through it.

`make bridge` runs these; they need PyTorch.
"""

import copy
import io
import random

import numpy as np
import pytest
from rich.console import Console

from tests.bridge.networks import PROGRAMS
from tests.debug.dap.conftest import connect, functions
from tinygrad_cnn import viz
from tinygrad_cnn.cli import main
from tinygrad_cnn.debug import BackwardSession, Terminal
from tinygrad_cnn.debug.check import check_all
from tinygrad_cnn.support.errors import UsageError

pytestmark = pytest.mark.live


def answers(tensors):
    """Gradients of tensors, or the buffers themselves, and what `create_graph` gives of the gradients."""
    import torch

    found = [t.grad if t.requires_grad else t for t in tensors]
    second = [
        torch.autograd.grad(g.sum(), t, retain_graph=True)[0]
        for g, t in zip(found, tensors, strict=True)
        if g is not None and g.requires_grad
    ]
    return [None if g is None else g.detach().clone() for g in (*found, *second)]


def same(a, b):
    import torch

    if a is None or b is None:
        return a is b
    if a.is_sparse:
        a, b = a.coalesce().to_dense(), b.coalesce().to_dense()
    return torch.equal(a, b)


def run(name, passes):
    """The answers of a program whose backward pass is done by `passes` (a function of loss and arguments)."""
    import torch

    torch.manual_seed(0)
    loss, tensors, options = PROGRAMS[name]()
    passes(loss, options)
    return answers(tensors)


def stepped(walk, **watch):
    """Runs a program under the watch, and walks each of its passes by `walk`."""
    from tinygrad_cnn.bridge.torch_watch import Observer, watching

    class Walking(Observer):
        passes = 0

        def on_torch_pass(self, make):
            self.passes += 1
            with BackwardSession.on(make()) as session:
                walk(session)
            return True

    def passes(loss, options):
        walking = Walking()
        with watching(walking, **watch):
            loss().backward(**options)
        assert walking.passes == 1

    return passes


def at_random(session):
    """Steps forth and back at random."""
    rng = random.Random(1)
    for _ in range(40):
        if rng.random() < 0.6:
            session.step(rng.randint(1, 4))
        else:
            session.back(rng.randint(1, 4))
        if session.node is not None and session.node.op.name != "checkpoint_function":
            assert len(session.downstream) == len(session.node.parents)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_random_walk_ends_in_the_gradients_of_backward(name):
    right = run(name, lambda loss, options: loss().backward(**options))
    if name == "hooks_that_change_gradients":  # its hooks count nothing and may run again
        assert any(g is not None for g in right)
    found = run(name, stepped(at_random))
    assert len(found) == len(right)
    assert all(map(same, found, right))


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - {"two_roots_of_one_graph", "reentrant_checkpoint"}))
def test_abandoning_puts_everything_back(name):
    import torch

    torch.manual_seed(0)
    loss, tensors, options = PROGRAMS[name]()
    first = {k: v for k, v in options.items() if k != "gradient"}
    before = [t.detach().clone() for t in tensors]
    session = BackwardSession(loss(), options.get("gradient"), **first)
    at_random(session)
    session.run_to_end()
    session.abort()
    assert all(t.grad is None for t in tensors if t.requires_grad)
    parameters = [(a, b) for a, b in zip(before, tensors, strict=True) if b.requires_grad]
    assert all(torch.equal(a, b) for a, b in parameters)


def test_gradients_accumulate_in_place_and_back_restores_them():
    import torch

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    held = x.grad
    with BackwardSession((x * x).sum()) as session:
        session.run_to_end()
        assert x.grad.tolist() == [5, 7]
        session.back()
        assert x.grad is held
        assert held.tolist() == [3, 3]
    assert x.grad is held
    assert held.tolist() == [5, 7]


def test_a_second_pass_without_retain_graph_is_refused_as_by_pytorch():
    import torch

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = x.exp().sum()
    BackwardSession(loss, retain_graph=True).finish()
    BackwardSession(loss).finish()
    with pytest.raises(RuntimeError, match="second time"):
        BackwardSession(loss)
    with pytest.raises(RuntimeError, match="does not require grad"):
        BackwardSession(torch.ones(()))
    with pytest.raises(RuntimeError, match="scalar outputs"):
        BackwardSession(x * 2)
    with pytest.raises(NotImplementedError, match="inputs"):
        BackwardSession(x.sum(), inputs=[x])


def test_an_edited_gradient_goes_on_as_edited():
    import torch

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with BackwardSession((x.exp() * 2).sum()) as session:
        session.goto("exp")
        session.edit(np.array([1.0, 0.0]))
        with pytest.raises(UsageError, match="saved cannot be replaced"):
            session.edit(value=np.zeros(2))
    assert torch.equal(x.grad, torch.tensor([1.0, 0.0]) * x.exp().detach())


@pytest.mark.parametrize("name", ["mnist_cnn", "unet", "several_outputs", "transformer_layer", "gru"])
def test_every_node_agrees_with_numerical_differentiation(name):
    checks = []
    run(name, stepped(lambda session: checks.extend(check_all(session))))
    wrong = [str(c) for c in checks if not c.ok]
    assert not wrong
    checks = [c for c in checks if "one of several outputs" not in c.skipped]
    done = [c for c in checks if not c.skipped]
    assert len(done) >= 0.8 * len(checks)
    if name == "mnist_cnn":
        assert len(done) == len(checks)


def test_a_wrong_rule_is_found():
    import torch

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * g

    class Transposed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g @ w, x.t() @ g

    from tinygrad_cnn.bridge.torch_watch import Observer, watching

    x, w = torch.randn(3, 3, requires_grad=True), torch.randn(3, 3, requires_grad=True)
    with watching(Observer()) as watcher:
        loss = Transposed.apply(Wrong.apply(x), w).sum()
        watcher.flush()
    session = BackwardSession(loss)
    found = {c.op: c for c in check_all(session)}
    assert not found["wrong"].ok
    assert [i.ok for i in found["transposed"].inputs] == [False, True]
    assert found["sum"].ok
    session.abort()


def test_explain_writes_out_an_entry_of_a_convolution():
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    x, w = torch.randn(1, 1, 5, 5, requires_grad=True), torch.randn(2, 1, 3, 3, requires_grad=True)
    with BackwardSession(F.conv2d(x, w).square().sum()) as session:
        session.goto("conv2d")
        for i in (0, 1):
            explained = session.explain(input=i)
            assert not explained.off
            assert abs(explained.total - explained.gradient) < 1e-4
            assert len(explained.terms) > 1
    assert "conv2d" in repr(session) or session.closed


def test_the_picture_of_a_module_changes_nothing_and_shows_its_parts():
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 3))
    before, random_state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    graph = viz.graph(net, input_size=(2, 1, 8, 8))
    names = {node.name for node in graph.description.nodes if node.parameter}
    assert names == {name for name, _ in net.named_parameters()}
    assert {m.cls for m in graph.description.modules} >= {"Conv2d", "BatchNorm2d", "Linear"}
    assert net.training
    assert torch.equal(random_state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert all(p.grad is None for p in net.parameters())
    assert "conv2d" in graph.text()


def test_in_the_terminal_with_the_names_of_the_program(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "from torch import nn\n"
        "torch.manual_seed(0)\n"
        "net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))\n"
        "x = torch.randn(5, 4)\n"
        "loss = nn.functional.cross_entropy(net(x), torch.zeros(5, dtype=torch.long))\n"
        "loss.backward()\n"
        "print('done', net[0].weight.grad.norm() > 0)\n"
    )
    from tinygrad_cnn.debug.script import run_script

    out = io.StringIO()
    commands = ["where", "explain", "check", "n", "back", "p loss", "p up", "info params", "goto 2.weight", "c", "c"]
    terminal = Terminal(commands=commands, console=Console(file=out, width=100))
    assert run_script(str(script), breaks=["addmm"], terminal=terminal) == 0
    said = out.getvalue()
    assert "runs on PyTorch" in said
    assert "addmm 2" in said
    assert "train.py:6" in said
    assert "agrees with numerical differentiation" in said
    assert "Error" not in said


def test_in_an_editor(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "from torch import nn\n"
        "net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))\n"
        "for step in range(2):\n"
        "    loss = net(torch.ones(1, 1, 8, 8)).square().mean()\n"
        "    loss.backward()\n"
        "print('done')\n"
    )
    client = connect()
    try:
        client.launch(script, configure=[functions("conv2d")])
        body, frame = client.stopped()
        assert (body["reason"], frame["name"]) == ("function breakpoint", "∂ conv2d.backward · 2")
        assert frame["line"] == 5
        scopes = client.scopes(frame)
        for name in scopes:
            client.variables(scopes[name])
        assert "∂L/∂w" in client.variables(scopes["Downstream"])
        assert client.evaluate("step") == "3"
        assert "∂L/∂x" in client.evaluate("explain", context="repl")
        _, frame = client.go("stepBack")
        assert frame["name"] == "∂ mean.backward" or "backward" in frame["name"]
        assert client.go("continue")[1]["name"] == "∂ conv2d.backward · 2"
        assert client.go("continue")[1]["name"] == "∂ conv2d.backward · 0"
        client.ask("setFunctionBreakpoints", breakpoints=[])
        client.ask("continue", threadId=1)
        client.event("terminated")
        assert "done" in client.output()
    finally:
        client.close()


def test_a_script_is_drawn(tmp_path, capsys):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "w = torch.tensor([1.0, -2.0], requires_grad=True)\n"
        "for _ in range(2):\n"
        "    (w * torch.tensor([3.0, 4.0])).relu().sum().backward()\n"
        "raise SystemExit('not reached')\n"
    )
    status = main(["graph", str(script), "--pass", "2", "-o", str(tmp_path / "net.json")])
    assert status == 0, capsys.readouterr()
    nodes = viz.Graph.load(tmp_path / "net.json").description.nodes
    assert {node.op for node in nodes} >= {"sum", "relu", "mul", "leaf"}
    assert [node.gradient.data for node in nodes if node.op == "leaf"] == [[3.0, 0.0]]
    assert main(["graph", str(script), "--pass", "3", "-o", str(tmp_path / "none.json")]) != 0
    assert "not reached" not in capsys.readouterr().out


def test_a_nan_is_found_at_its_line(tmp_path):
    script = tmp_path / "nan.py"
    script.write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Inner(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.w = nn.Parameter(torch.tensor([0.0, 1.0]))\n"
        "    def forward(self, x):\n"
        "        return x / self.w\n"
        "net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Sequential(Inner())), nn.Linear(2, 1))\n"
        "net(torch.ones(3, 2)).sum().backward()\n"
    )
    from tinygrad_cnn.debug.script import run_script

    out = io.StringIO()
    terminal = Terminal(commands=["q"], console=Console(file=out, width=100))
    run_script(str(script), anomaly=True, terminal=terminal)
    said = out.getvalue()
    assert "forward: div in 0.1.0 made an infinity" in said
    assert "nan.py:8" in said


def test_what_is_not_watched_costs_nothing():
    import torch

    apply = torch.autograd.Function.__dict__["apply"]
    hooks = len(torch.nn.modules.module._global_forward_hooks)
    run("mnist_cnn", stepped(lambda session: None))
    assert torch.autograd.Function.__dict__["apply"] is apply
    assert len(torch.nn.modules.module._global_forward_hooks) == hooks
    assert not torch.overrides._get_current_function_mode_stack()
