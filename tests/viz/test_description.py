"""A description says the engine's own numbers, and survives being written and read."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.viz.conftest import chain
from tinygrad_cnn import viz
from tinygrad_cnn.autograd.backward import backward_steps
from tinygrad_cnn.errors import DataError, UsageError
from tinygrad_cnn.viz.description import Description


def by_name(graph):
    return {n.name: n for n in graph.description.nodes if n.name}


def test_product_has_its_numbers(xyz):
    x, y, z = xyz
    graph = viz.graph(z)
    nodes = by_name(graph)
    assert nodes["x"].value.scalar == 2 and nodes["x"].gradient.scalar == 3
    assert nodes["y"].gradient.scalar == 2 and nodes["z"].value.scalar == 6
    assert nodes["z"].formula == "z = x · y" and nodes["z"].numbers == "6 = 2 · 3"
    assert nodes["z"].local_formula == "∂z/∂x = y; ∂z/∂y = x"
    first = graph.description.edges[0]
    assert (first.local.structure, first.local.number, first.gain) == ("diagonal", 3, 3)
    assert first.numbers == "∂L/∂x = 1 · 3 = 3"
    assert nodes["z"].source.file == "conftest.py" and nodes["z"].source.text == "z = x * y"


def test_every_gradient_equals_the_engines(net_loss):
    description = viz.graph(net_loss).description
    nodes = {n.id: n for n in description.nodes}
    edges = {e.id: e for e in description.edges}
    seen = 0
    for step in backward_steps(net_loss, retain_graph=True):
        record = nodes[str(step.node.seq)]
        assert record.gradient.norm == pytest.approx(
            np.linalg.norm(step.upstream.astype(np.float64)), rel=1e-6
        )
        if step.upstream.size > 1:
            assert record.gradient.max == pytest.approx(step.upstream.max(), rel=1e-6)
        for i, d in enumerate(step.downstream):
            if d is not None:
                down = edges[f"{step.node.seq}:{i}"].contribution
                assert down.norm == pytest.approx(np.linalg.norm(d.astype(np.float64)), rel=1e-6)
                seen += 1
    assert seen > 15


def test_steps_are_those_of_the_backward_pass_in_order(net_loss):
    description = viz.graph(net_loss).description
    assert [s.node for s in description.steps] == [
        str(step.node.seq) for step in backward_steps(net_loss, retain_graph=True)
    ]


def test_steps_show_gradients_arriving():
    x = tg.tensor(3.0, requires_grad=True)
    y = x * x
    steps = viz.graph(y).description.steps
    first, second = steps[0].downstream
    assert first.before is None and first.after is None
    assert (second.before.scalar, second.after.scalar) == (3, 6)


def test_values_that_nothing_holds_are_computed_again():
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    h = a + a  # addition saves nothing
    loss = h.sum()
    described = {n.op: n for n in viz.graph(loss).description.nodes}
    assert described["add"].value.data == [2.0, 4.0]


def test_a_value_changed_in_place_since_is_not_computed_from():
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (a + a).sum()
    with tg.no_grad():
        a += 100
    graph = viz.graph(loss)
    described = {n.op: n for n in graph.description.nodes}
    assert described["add"].value is None
    assert any("changed in place" in note for note in graph.description.notes)


def test_an_output_that_is_no_scalar_says_what_its_gradient_is():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    graph = viz.graph(x * 3)
    assert any("sum of its entries" in note for note in graph.description.notes)
    assert by_name(graph)["x"].gradient.data == [3.0, 3.0]
    weighted = viz.graph(x * 3, grad_outputs=tg.tensor([1.0, 10.0]))
    assert by_name(weighted)["x"].gradient.data == [3.0, 30.0]


def test_nan_and_infinity_are_counted_and_marked():
    x = tg.tensor([0.0, 1.0, -1.0], requires_grad=True)
    node = next(n for n in viz.graph((x.log()).sum()).description.nodes if n.op == "log")
    assert (node.value.inf, node.value.nan) == (1, 1) and node.alarm == "nan"
    assert node.value.max == 0


def test_written_and_read_again_it_is_the_same(net_loss, tmp_path):
    graph = viz.graph(net_loss, title="net", direction="LR")
    graph.save(tmp_path / "g.json")
    again = viz.Graph.load(tmp_path / "g.json")
    assert again.to_dict() == graph.to_dict()
    assert again.description == graph.description
    assert again.dot().source == graph.dot().source


def test_json_has_no_number_that_json_lacks():
    x = tg.tensor(0.0, requires_grad=True)
    text = viz.graph(x.log()).json()
    data = json.loads(text, parse_constant=lambda c: pytest.fail(f"{c} in JSON"))
    value = next(n for n in data["nodes"] if n["op"] == "log")["value"]
    assert value["scalar"] == "-inf"
    assert Description.from_dict(data).nodes[-1].value.scalar == -math.inf


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("schema"),
        lambda d: d.update(version=99),
        lambda d: d["nodes"][0].pop("id"),
        lambda d: d.update(nodes=3),
        lambda d: d["nodes"][0].update(shape="x"),
        lambda d: d["edges"][0].update(index="0"),
    ],
)
def test_what_is_no_description_is_refused(xyz, damage):
    data = json.loads(viz.graph(xyz[2]).json())
    damage(data)
    with pytest.raises(DataError):
        Description.from_dict(data)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "g.json").write_text("{")
    with pytest.raises(DataError, match=r"g\.json"):
        viz.Graph.load(tmp_path / "g.json")
    with pytest.raises(DataError, match="missing"):
        viz.Graph.load(tmp_path / "missing.json")


def test_unknown_fields_of_a_later_writer_are_ignored(xyz):
    data = json.loads(viz.graph(xyz[2]).json())
    data["nodes"][0]["colour"] = "blue"
    assert len(Description.from_dict(data).nodes) == 3


def test_large_tensors_are_summarised_never_embedded():
    w = tg.tensor(np.random.default_rng(0).standard_normal((1000, 1000)), requires_grad=True)
    assert len(viz.graph((w * w).sum()).json()) < 60_000


def test_options_that_do_not_exist_are_refused_by_name(xyz):
    with pytest.raises(UsageError, match="direction"):
        viz.graph(xyz[2], direction="up")
    with pytest.raises(UsageError, match="theme"):
        viz.graph(xyz[2], theme="pink")
    with pytest.raises(UsageError, match="gradients"):
        viz.graph(xyz[2], gradients="maybe")
    with pytest.raises(TypeError, match="requires_grad=True"):
        viz.graph(tg.tensor(1.0))
    with pytest.raises(TypeError, match="tensor or a module"):
        viz.graph(3)


def test_forward_only_tells_nothing_of_gradients(net_loss):
    description = viz.graph(net_loss, forward_only=True).description
    assert description.gradients == "none" and not description.steps
    assert all(n.gradient is None and not n.local_formula for n in description.nodes)
    assert all(e.local is None and e.contribution is None for e in description.edges)
    assert any(n.value is not None for n in description.nodes)


def test_without_values_no_number_of_the_forward_is_told(net_loss):
    description = viz.graph(net_loss, values=False).description
    assert all(n.value is None for n in description.nodes)
    assert any(n.gradient is not None for n in description.nodes)


def test_names_are_shown_also_on_inputs_without_gradient():
    x, w = tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0], requires_grad=True)
    nodes = by_name(viz.graph((x * w).sum(), names={"pixels": x, "weights": w}))
    assert nodes["pixels"].kind == "constant" and nodes["weights"].leaf
    flat = by_name(viz.graph((x.reshape(2, 1) @ w.reshape(1, 2)).sum(), names={"pixels": x}))
    assert flat["pixels"].shape == [2, 1]


def test_highlight_marks_the_path_to_the_loss(net_loss):
    description = viz.graph(net_loss, highlight="param:conv.weight").description
    marked = [n for n in description.nodes if n.highlighted]
    assert any(n.name == "conv.weight" for n in marked) and any(n.loss for n in marked)
    assert not any(n.name == "fc.weight" for n in marked)
    assert any(e.highlighted for e in description.edges)
    with pytest.raises(UsageError, match="no node"):
        viz.graph(net_loss, highlight="param:nothing")


def test_modules_are_a_tree_with_counts(net, net_loss):
    modules = {m.path: m for m in viz.graph(net_loss).description.modules}
    assert modules[""].cls == "Net" and modules["mix.0"].parent == "mix"
    assert modules[""].parameters == sum(p.numel() for p in net.parameters())
    assert modules["fc"].parameters == 48 * 5 + 5
    assert modules["mix"].children == ["mix.0", "mix.1"]


def test_a_module_called_twice_has_a_record_for_each_call(net_loss):
    description = viz.graph(net_loss).description
    paths = [m.path for m in description.modules]
    assert "act" in paths and "act (call 2)" in paths
    relus = [n.module for n in description.nodes if n.op == "relu"]
    assert relus == ["act", "mix.1", "act (call 2)"]


def test_each_node_is_in_exactly_the_module_it_names(net_loss):
    description = viz.graph(net_loss).description
    inside = {i: m.path for m in description.modules for i in m.nodes}
    assert all(inside.get(n.id) == n.module for n in description.nodes)


def test_many_nodes_start_in_groups_few_boxes_each():
    loss, _x = chain(3000)
    description = viz.graph(loss).description
    assert max(len(m.nodes) + len(m.children) for m in description.modules) <= 120
    assert viz.graph(loss).dot().source.count("->") < 200


def test_a_model_is_called_in_evaluation_mode_and_left_as_it_was(net):
    net.drop = tg.nn.Dropout(0.5)
    net.train()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    graph = viz.graph(net, input_size=(1, 1, 8, 8))
    assert net.training and graph.description.title == "Net"
    assert all(np.array_equal(before[k], v.numpy()) for k, v in net.state_dict().items())
    with pytest.raises(UsageError, match="input_size"):
        viz.graph(net)


def test_a_file_of_version_1_is_read_for_ever():
    graph = viz.Graph.load(Path(__file__).parent / "samples" / "product.json")
    nodes = by_name(graph)
    assert (nodes["x"].gradient.scalar, nodes["y"].gradient.scalar, nodes["z"].value.scalar) == (3, 2, 6)
    assert "z = x · y  6" in graph.text()


def test_a_saved_graph_with_nan_and_infinity_in_a_small_vector_can_be_drawn(tmp_path):
    x = tg.tensor([1.0, math.nan, math.inf, -math.inf], requires_grad=True)
    graph = viz.graph((x * 2).sum())
    back = Description.load(graph.description.save(tmp_path / "graph.json"))
    assert back.to_json() == graph.description.to_json()
    shown = next(node for node in back.nodes if node.leaf).value.data
    assert shown[0] == 1 and math.isnan(shown[1]) and shown[2:] == [math.inf, -math.inf]
    assert viz.Graph(back).dot().source == graph.dot().source and "nan" in graph.dot().source


def test_a_saved_forward_pass_that_failed_can_be_read(xyz):
    data = viz.graph(xyz[2]).description.to_dict()
    data["nodes"][-1].update(alarm="error", op="failed", formula="ValueError: no")
    assert viz.Graph(Description.from_dict(data)).dot().source


SUMMARIES = {
    "too few entries": {"n": 3, "shape": [3], "data": [1, 2]},
    "too deep": {"n": 2, "shape": [2], "data": [[1], [2]]},
    "not deep enough": {"n": 2, "shape": [2, 1], "data": [1, 2]},
    "a word": {"n": 1, "shape": [1], "data": ["one"]},
    "an object": {"n": 1, "shape": [1], "data": [{}]},
    "a count that is not the shape's": {"n": 4, "shape": [3]},
    "a negative size": {"n": -3, "shape": [-3]},
    "a number in words": {"n": 1, "shape": [], "scalar": "1"},
    "a negative count": {"n": 3, "shape": [3], "histogram": {"lo": 0, "hi": 1, "counts": [-1]}},
    "a picture without its data": {"n": 4, "shape": [2, 2],
                                   "image": {"rows": 2, "cols": 2, "tiles": 1, "lo": 0, "hi": 1, "data": ""}},
}  # fmt: skip


@pytest.mark.parametrize("place", ["value", "gradient"])
@pytest.mark.parametrize("damage", SUMMARIES)
def test_a_summary_that_does_not_fill_its_shape_is_refused(xyz, damage, place):
    data = viz.graph(xyz[2]).description.to_dict()
    data["nodes"][0][place] = SUMMARIES[damage]
    with pytest.raises(DataError, match="damaged"):
        Description.from_dict(data)
    data["nodes"][0][place] = {"n": 3, "shape": [3], "data": [1, "nan", "-inf"]}
    Description.from_dict(data)
