"""Whose name a box has: variables in sight, numbers on the source line, modules by their parameters."""

import gc
import re
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, viz
from tinygrad_cnn.nn import functional as F


def labels(graph):
    return {n.label: n for n in graph.description.nodes}


def into(graph, op):
    """The labels of the inputs of the first node of this op, in order."""
    nodes = {n.id: n for n in graph.description.nodes}
    node = next(n for n in nodes.values() if n.op == op)
    edges = sorted((e for e in graph.description.edges if e.to == node.id), key=lambda e: e.index)
    return [nodes[e.from_].label for e in edges]


# --- what the op did not keep -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compute", "op", "inputs", "value"),
    [
        (lambda x: x + 5, "add", ["x", "5"], 7.0),
        (lambda x: 5 + x, "add", ["5", "x"], 7.0),
        (lambda x: 0.5 - x, "sub", ["0.5", "x"], -1.5),
        (lambda x: x - -1.5, "sub", ["x", "-1.5"], 3.5),
        (lambda x: x % 3, "remainder", ["x", "3"], 2.0),
    ],
)
def test_a_number_on_the_line_is_drawn_though_the_op_did_not_keep_it(compute, op, inputs, value):
    x = tg.tensor(2.0, requires_grad=True)
    y = compute(x) * 1
    graph = viz.graph(y)
    assert into(graph, op) == inputs
    node = next(n for n in graph.description.nodes if n.op == op)
    assert node.value.scalar == value  # follows from the number, since the tensor itself is gone


def test_a_formula_has_the_number_in_it():
    x = tg.tensor(2.0, requires_grad=True)
    y = x + 5
    node = labels(viz.graph(y))["y"]
    assert (node.formula, node.numbers) == ("y = x + 5", "7 = 2 + 5")


def test_augmented_and_item_assignments_name_their_numbers():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y += 1
    y[0] = 7.5
    graph = viz.graph(y.sum())
    assert into(graph, "add") == ["y", "1"] and into(graph, "setitem") == ["y", "7.5"]
    assert next(n for n in graph.description.nodes if n.op == "setitem").value.data == [7.5, 5.0]


def test_an_array_that_is_gone_has_its_name_and_shape_and_no_number():
    x, offset = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([5.0, 6.0])
    loss = (x + offset).sum()
    del offset
    graph = viz.graph(loss)
    box = labels(graph)["offset"]
    assert not box.kept and box.value is None and box.shape == [2] and box.dtype == "float32"
    assert re.search(r"offset +2 +not kept", graph.text()) and "label=<offset>" in graph.dot().source


def test_a_tensor_that_an_op_did_not_keep_is_known_while_it_lives():
    x, t = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0])
    graph = viz.graph(F.mse_loss(x, t))
    assert into(graph, "sub") == ["x", "t"] and labels(graph)["t"].value.data == [3.0, 4.0]


def test_what_no_operator_names_is_called_a_constant_not_guessed():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    assert into(viz.graph(F.mse_loss(x, tg.tensor([3.0, 4.0]))), "sub") == ["x", "constant"]


def test_a_freed_graph_claims_nothing_of_what_it_lost():
    x = tg.tensor(2.0, requires_grad=True)
    y = x + 5
    y.backward()
    assert into(viz.graph(y), "add") == ["x"]


# --- variables ----------------------------------------------------------------------------------------


def test_inputs_have_the_callers_names():
    net = nn.Linear(3, 2)
    images = tg.randn(4, 3)
    loss = net(images).square().mean()
    assert into(viz.graph(loss), "linear") == ["images", "weight"]


def test_a_variable_that_holds_something_else_by_now_gives_no_name():
    net = nn.Linear(3, 2)
    images = tg.randn(4, 3)
    loss = net(images).square().mean()
    images = tg.randn(4, 3)
    assert into(viz.graph(loss), "linear") == ["input", "weight"]
    assert images.shape == (4, 3)


def test_wished_names_come_before_variables():
    net, images = nn.Linear(3, 2), tg.randn(4, 3)
    graph = viz.graph(net(images).mean(), names={"batch": images})
    assert into(graph, "linear") == ["batch", "weight"]


def test_results_that_variables_hold_have_their_names():
    net, x = nn.Linear(3, 2), tg.randn(4, 3)
    logits = net(x)
    assert labels(viz.graph(logits.mean()))["logits"].op == "bias_add"


def test_frozen_parameters_and_buffers_have_their_names_in_the_module():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    net[0].weight.requires_grad_(False)
    x = tg.randn(2, 1, 5, 5, requires_grad=True)
    graph = viz.graph(net(x).mean())
    found = labels(graph)["0.weight"]
    assert found.kind == "constant" and found.module == "0"


def test_looking_at_the_callers_variables_keeps_none_of_them():
    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)
    x = tg.tensor(2.0, requires_grad=True)
    viz.graph(x * 3)
    gc.disable()
    try:
        del held
        assert gone() is None
    finally:
        gc.enable()


def test_a_callers_own_view_of_its_variables_stays():
    x = tg.tensor(2.0, requires_grad=True)
    mine = locals()
    viz.graph(x * 3)
    assert mine["x"] is x


# --- modules ------------------------------------------------------------------------------------------


def names_of_modules(graph):
    return [m.name for m in graph.description.modules if m.parent is None]


def test_two_networks_of_one_class_are_two_and_have_their_variables_names():
    trunk, head, x = nn.Linear(3, 4), nn.Linear(4, 2), tg.randn(5, 3)
    assert names_of_modules(viz.graph(head(trunk(x).tanh()).mean())) == ["trunk", "head"]


def test_without_variables_they_are_numbered():
    nets = [nn.Linear(3, 3), nn.Linear(3, 3)]
    x = tg.randn(5, 3)
    assert names_of_modules(viz.graph(nets[1](nets[0](x).tanh()).mean())) == ["Linear", "Linear #2"]


def test_one_network_called_again_is_known_by_its_parameters():
    net, x = nn.Linear(3, 3), tg.randn(5, 3)
    found = names_of_modules(viz.graph(net(net(net(x).tanh()).tanh()).mean()))
    assert found == ["net", "net (call 2)", "net (call 3)"]


def test_parameters_of_a_network_that_is_gone_stay_in_its_modules():
    def loss():
        tg.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))(tg.randn(5, 3)).square().mean()

    parameters = [n for n in viz.graph(loss()).description.nodes if n.parameter]
    assert {n.name: n.module for n in parameters} == {
        "0.weight": "0", "0.bias": "0", "2.weight": "2", "2.bias": "2"
    }  # fmt: skip


# --- signs and legend ---------------------------------------------------------------------------------


def test_the_size_of_what_holds_a_nan_is_nan_not_the_norm_of_the_rest():
    x = tg.tensor([-1.0, 4.0, 9.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0], requires_grad=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        graph = viz.graph(x.sqrt().sum())
    assert "↑ nan" in graph.text() and "grad nan" in graph.text()
    assert "↑ nan" in graph.dot().source and "grad: 1 nan and 1 ∞ of 9" in graph.dot().source


def test_a_linear_map_is_not_written_as_a_factor():
    w, x = tg.randn(3, 2, requires_grad=True), tg.randn(4, 3)
    graph = viz.graph((x @ w).sum())
    assert "g ↦ Aᵀ · g" in graph.dot().source and "× Aᵀ" not in graph.dot().source
    assert "g ↦ Aᵀ · g (linear)" in graph.text()


def test_the_legend_tells_what_occurs_and_can_be_left_out():
    x = tg.tensor(2.0, requires_grad=True)
    z = x * 3
    assert "local gradient" in viz.graph(z).dot().source
    assert "handed back" not in viz.graph(z, forward_only=True).dot().source
    plain = viz.graph(z, legend=False, title="mine").dot().source
    assert "handed back" not in plain and "mine" in plain
    assert "mine" in viz.graph(z, title="mine").dot().source


def test_several_networks_have_paths_of_their_own():
    trunk, head, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(4, 2), tg.randn(5, 3)
    graph = viz.graph(head(trunk(x)).mean())
    assert [m.path for m in graph.description.modules] == ["trunk", "trunk.0", "trunk.1", "head"]
    assert {n.module for n in graph.description.nodes if n.parameter} == {"trunk.0", "head"}
    assert "<B>0.weight</B>" not in graph.dot().source and "[trunk.0]" in graph.text()


def test_networks_of_other_names_are_compared_by_their_order():
    def drawn(rate):
        tg.manual_seed(0)
        first, second, x = nn.Linear(3, 4), nn.Linear(4, 2), tg.randn(5, 3)
        return viz.graph((second(first(x).tanh()) * rate).mean())

    def others():
        tg.manual_seed(0)
        encoder, decoder, x = nn.Linear(3, 4), nn.Linear(4, 2), tg.randn(5, 3)
        return viz.graph((decoder(encoder(x).tanh()) * 2).mean())

    assert viz.compare(drawn(2), others()).counts == {"same": 13, "changed": 0, "added": 0, "removed": 0}


def test_a_notebooks_cell_is_known_by_its_number(monkeypatch):
    import sys
    import types

    code = compile("y = x * 3", "/tmp/ipykernel_1/2205128845.py", "exec")
    space = {"x": tg.tensor(2.0, requires_grad=True)}
    exec(code, space)
    compiler = types.SimpleNamespace(_filename_map={"/tmp/ipykernel_1/2205128845.py": 7})
    shell = types.SimpleNamespace(compile=compiler)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    node = next(n for n in viz.graph(space["y"]).description.nodes if n.op == "mul")
    assert (node.source.file, node.source.line) == ("In [7]", 1)
    monkeypatch.delitem(sys.modules, "IPython")
    node = next(n for n in viz.graph(space["y"]).description.nodes if n.op == "mul")
    assert node.source.file == "2205128845.py"


def test_a_letter_behind_a_number_is_replaced_too():
    x = tg.tensor(20.0, requires_grad=True)
    edge = viz.graph(x**2).description.edges[0]
    assert (edge.local.text, edge.local.numbers, edge.numbers) == ("2x", "2 · 20 = 40", "∂L/∂x = 1 · 40 = 40")
