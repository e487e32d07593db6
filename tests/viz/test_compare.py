"""Two graphs: what was added, removed and changed, and both gradients."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.viz.conftest import Net
from tinygrad_cnn import nn, viz
from tinygrad_cnn.nn import functional as F


def two_layers(extra=False, dtype=np.float32, shape=3):
    x = tg.tensor(np.arange(1, shape + 1, dtype=dtype), requires_grad=True)
    w = tg.tensor(np.full(shape, 0.5, dtype), requires_grad=True)
    h = x * w
    if extra:
        h = h.tanh()
    return viz.graph((h * h).sum(), names={"x": x, "w": w})


def changes(comparison):
    return {n.name if n.leaf else n.op: n.change for n in comparison.description.nodes}


def test_a_graph_equals_itself():
    comparison = viz.compare(two_layers(), two_layers())
    assert comparison.counts == {"same": 5, "changed": 0, "added": 0, "removed": 0}
    assert all(e.change == "same" for e in comparison.description.edges)


def test_what_is_only_in_the_second_was_added():
    comparison = viz.compare(two_layers(), two_layers(extra=True))
    assert changes(comparison)["tanh"] == "added"
    assert comparison.counts["removed"] == 0
    changed = [n for n in comparison.description.nodes if n.change == "changed"]
    assert [n.changes for n in changed] == [["other inputs"]]


def test_what_is_only_in_the_first_was_removed():
    comparison = viz.compare(two_layers(extra=True), two_layers())
    gone = [n for n in comparison.description.nodes if n.change == "removed"]
    assert [n.op for n in gone] == ["tanh"] and gone[0].other.gradient is not None
    assert any(e.change == "removed" for e in comparison.description.edges)
    assert "-  h (tanh)" in comparison.text()


def test_changes_are_told_in_words():
    comparison = viz.compare(two_layers(), two_layers(dtype=np.float64))
    assert all(n.changes == ["dtype float32 → float64"] for n in comparison.description.nodes)
    wider = viz.compare(two_layers(), two_layers(shape=4))
    assert any("shape 3 → 4" in n.changes for n in wider.description.nodes)


def test_gradients_before_and_after_a_training_step_stand_side_by_side():
    tg.manual_seed(0)
    net = Net()
    x, target = tg.randn(4, 1, 8, 8), tg.tensor([0, 1, 2, 3])
    optimiser = tg.optim.SGD(net.parameters(), lr=0.1)

    def step():
        optimiser.zero_grad()
        loss = F.cross_entropy(net(x), target)
        graph = viz.graph(loss)
        loss.backward()
        grads = {name: np.linalg.norm(p.grad.numpy()) for name, p in net.named_parameters()}
        optimiser.step()
        return graph, grads

    (first, old), (second, new) = step(), step()
    comparison = viz.compare(first, second, labels=("step 1", "step 2"))
    assert comparison.counts["same"] == len(comparison.description.nodes)
    for node in comparison.description.nodes:
        if node.parameter:
            assert node.other.gradient.norm == pytest.approx(old[node.name], rel=1e-5)
            assert node.gradient.norm == pytest.approx(new[node.name], rel=1e-5)
    assert "grad step 1" in comparison.text() and "step 1 → step 2" in comparison.dot().source.replace(
        "&#45;", "-"
    )


def test_a_comparison_is_saved_and_read_as_a_graph_is(tmp_path):
    comparison = viz.compare(two_layers(), two_layers(extra=True))
    comparison.save(tmp_path / "c.json")
    again = viz.Graph.load(tmp_path / "c.json")
    assert again.description == comparison.description and again.description.kind == "compare"


def test_neither_graph_is_changed_by_comparing():
    a, b = two_layers(), two_layers(extra=True)
    before = a.to_dict(), b.to_dict()
    viz.compare(a, b).dot()
    assert (a.to_dict(), b.to_dict()) == before


def test_two_models_of_one_kind_match_by_module_and_order():
    a, b = Net(), Net()
    x = tg.randn(2, 1, 8, 8)
    comparison = viz.compare(a(x).sum(), b(x).sum(), labels=("seed 1", "seed 2"))
    assert set(changes(comparison).values()) == {"same"}


def test_what_another_kind_of_module_replaced_does_not_lie_in_it():
    def loss(*layers):
        tg.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), *layers)
        return net(tg.randn(5, 3)).sum()

    found = viz.compare(loss(nn.Linear(4, 2)), loss(nn.Tanh(), nn.Linear(4, 2))).description
    home = {n.op: n.module for n in found.nodes if n.change == "removed" and n.op != "leaf"}
    assert home == {"linear": None, "bias_add": None}
    assert "added" in viz.compare(loss(), loss()).dot().source  # the legend tells the signs
