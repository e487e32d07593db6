"""A picture states the network that ran: inputs without a gradient, ops nobody recorded, calls, a failing pass."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, viz


def drawn(graph: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    d = graph.description
    label = {node.id: node.label for node in d.nodes}
    return {node.label: node for node in d.nodes}, [(label[e.from_], label[e.to]) for e in d.edges]


def test_data_used_twice_is_one_box():
    lin, x = nn.Linear(3, 3), tg.randn(2, 3)
    y = x + lin(x).relu()
    boxes, edges = drawn(viz.graph(y.sum()))
    assert [node.label for node in viz.graph(y.sum()).description.nodes].count("x") == 1
    assert {to for source, to in edges if source == "x"} == {"linear", "y"} and boxes["x"].shape == [2, 3]


def test_data_used_in_two_modules_lies_outside_both():
    first, second, x = nn.Linear(3, 3), nn.Linear(3, 3), tg.randn(2, 3)
    graph = viz.graph((first(x) + second(x)).sum())
    assert [node.module for node in graph.description.nodes if node.label == "x"] == [None]


def test_the_first_residual_of_a_transformer_layer_leads_from_its_input():
    layer, x = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), tg.randn(1, 4, 8)
    boxes, edges = drawn(viz.graph(layer(x).sum()))
    assert sum(source == "x" for source, _to in edges) >= 2
    assert not any(node.kind == "constant" and not node.kept for node in boxes.values())


def test_a_detached_value_is_an_edge_from_where_it_was_made():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    y = w * w
    loss = (y * y.detach()).sum()
    _boxes, edges = drawn(viz.graph(loss))
    assert edges.count(("y", "mul")) == 2


def test_the_engine_keeps_no_operand_alive():
    x, offset = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0])
    array = weakref.ref(offset.numpy())
    loss = (x + offset).sum()
    del offset
    gc.collect()
    assert array() is None and loss.node is not None


class Frozen(nn.Module):
    """Three calls of one frozen layer, then a head; `width` is what the head expects."""

    def __init__(self, width: int = 3, head: bool = True) -> None:
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.fc = nn.Linear(width, 2)
        for p in (self.lin if head else self).parameters():
            p.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        for _ in range(3):
            x = self.lin(x)
        return self.fc(x)


def test_what_wants_no_gradient_is_drawn_where_a_model_is():
    graph = viz.graph(Frozen(), input=tg.randn(2, 3))
    ops = [node.op for node in graph.description.nodes if node.kind not in ("leaf", "constant")]
    assert ops == ["linear", "bias_add"] * 4
    frozen = {node.module for node in graph.description.nodes if not node.recorded}
    assert frozen == {"lin", "lin (call 2)", "lin (call 3)"}
    boxes, _edges = drawn(graph)
    assert boxes["fc.weight"].gradient is not None and boxes["lin.weight"].gradient is None


def test_a_model_without_any_gradient_is_drawn():
    graph = viz.graph(Frozen(head=False), input=tg.randn(2, 3))
    assert len(graph.description.edges) == 16 and "forward pass alone" in graph.text()
    assert "style=dashed" in graph.dot().source


def test_each_call_of_a_module_is_a_call():
    lin, x = nn.Linear(3, 3), tg.randn(2, 3)
    for _ in range(3):
        x = lin(x)
    names = [m.name for m in viz.graph(x.sum()).description.modules]
    assert names == ["lin", "lin (call 2)", "lin (call 3)"]


def test_a_recurrent_layer_has_a_part_for_each_step():
    lstm = nn.LSTM(3, 4)
    graph = viz.graph(lstm(tg.randn(20, 1, 3))[0].sum())
    assert sum(m.cls == "step" for m in graph.description.modules) == 20
    assert {node.label for node in graph.description.nodes if node.parameter} >= {"weight_ih_l0", "bias_hh_l0"}


def test_a_forward_pass_that_fails_is_drawn_up_to_there():
    with pytest.warns(UserWarning, match="failed, and is drawn up to there"):
        graph = viz.graph(Frozen(width=4), input=tg.randn(2, 3))
    boxes, edges = drawn(graph)
    failed = boxes["Linear failed"]
    assert failed.alarm == "error" and "expected 4 input features, got 3" in failed.formula
    assert ("bias_add", "Linear failed") in edges and failed.module == "fc"


def test_an_error_before_anything_was_computed_is_raised():
    with pytest.raises(ValueError, match="expected 3 input features"):
        viz.graph(Frozen(), input=tg.randn(2, 5))


# --- numbers ------------------------------------------------------------------------------------------


def test_small_arrays_are_written_out_and_larger_ones_are_not():
    w = tg.tensor([3.0, -1.0], requires_grad=True)
    m = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    big = tg.ones(9, requires_grad=True)
    source = viz.graph([(m * w).sum(), (big * 2).sum()]).dot().source
    assert "value [3, -1]" in source and "value [1, 2]" in source and "[3, 4]" in source
    assert "‖value‖ 3" in source and "[1, 1, 1, 1, 1, 1, 1, 1, 1]" not in source


def test_lines_bear_formulas_and_never_the_word_for_a_kind():
    net, x = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)), tg.randn(1, 1, 6, 6)
    graph = viz.graph(net(x).square().mean())
    labels = [line for line in graph.dot().source.splitlines() if "->" in line]
    for word in ("linear", "general", "diagonal", "selection"):
        assert not any(f"&#160;{word}" in line for line in labels), word
