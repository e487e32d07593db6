"""Gradients, versions, hooks and memory are as before; a graph may be drawn before, during and after its pass."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.viz.conftest import Net, chain
from tinygrad_cnn import viz
from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.backward import backward_steps
from tinygrad_cnn.autograd.graph import Node, reachable
from tinygrad_cnn.autograd.observe import observing
from tinygrad_cnn.nn import functional as F


def loss_of(net):
    x = np.random.default_rng(1).standard_normal((2, 1, 8, 8)).astype(np.float32)
    return F.cross_entropy(net(tg.tensor(x)), tg.tensor([1, 4]))


def draw_all(loss):
    graph = viz.graph(loss)
    graph.dot()
    graph.text()
    graph.json()
    return graph


def test_gradients_are_the_same_with_and_without_drawing(net):
    loss_of(net).backward()
    wanted = [p.grad.numpy().copy() for p in net.parameters()]
    net.zero_grad()
    loss = loss_of(net)
    draw_all(loss)
    assert all(p.grad is None for p in net.parameters())
    loss.backward()
    assert all(np.array_equal(w, p.grad.numpy()) for w, p in zip(wanted, net.parameters(), strict=True))


def test_drawing_adds_nothing_to_gradients_that_are_there(net):
    loss_of(net).backward()
    before = [p.grad.numpy().copy() for p in net.parameters()]
    draw_all(loss_of(net))
    assert all(np.array_equal(b, p.grad.numpy()) for b, p in zip(before, net.parameters(), strict=True))


def test_versions_values_and_saved_arrays_stay(net):
    loss = loss_of(net)
    nodes = reachable([loss.node])
    arrays = [p.detach().numpy() for p in net.parameters()]
    before = [versions.version(a) for a in arrays], [a.copy() for a in arrays], [n.saved for n in nodes]
    draw_all(loss)
    assert [versions.version(a) for a in arrays] == before[0]
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before[1], strict=True))
    assert all(n.saved is s for n, s in zip(nodes, before[2], strict=True))


def test_no_hook_is_called_and_all_stay(net):
    called = []
    net.conv.weight.register_hook(lambda g: called.append("tensor"))
    loss = loss_of(net)
    loss.register_hook(lambda g: called.append("loss"))
    graph = draw_all(loss)
    assert not called
    assert any("Hooks" in note for note in graph.description.notes)
    loss.backward()
    assert sorted(called) == ["loss", "tensor"]


def test_no_observer_hears_of_it(net):
    loss = loss_of(net)
    heard = []
    with observing(on_record=lambda *a: heard.append(a), on_backward=lambda *a: heard.append(a)):
        draw_all(loss)
        assert not heard
        loss.backward()
    assert heard and modes.state.now.on_visit is None


def test_the_random_stream_goes_on_as_if_nothing_was_drawn(net):
    tg.manual_seed(5)
    wanted = tg.rand(3).numpy()
    tg.manual_seed(5)
    viz.graph(net, input_size=(1, 1, 8, 8))
    assert np.array_equal(tg.rand(3).numpy(), wanted)


def test_the_picture_holds_neither_tensors_nor_nodes():
    def drawn():
        net = Net()
        loss = loss_of(net)
        return draw_all(loss), weakref.ref(net.conv.weight), weakref.ref(loss.node)

    graph, weight, node = drawn()
    gc.collect()
    assert weight() is None and node() is None
    assert len(graph.description.nodes) > 10


def test_the_graph_is_freed_by_reference_counting_alone(net):
    gc.collect()
    gc.disable()
    try:
        loss = loss_of(net)
        node = weakref.ref(loss.node)
        draw_all(loss)
        del loss
        assert node() is None
    finally:
        gc.enable()


def test_drawing_leaves_no_objects_behind(net):
    def count():
        gc.collect()
        # By type: `isinstance` asks the object too, and a dead weak proxy of another test's raises there.
        return sum(issubclass(type(o), (Node, np.ndarray)) for o in gc.get_objects())

    draw_all(loss_of(net))
    before = count()
    for _ in range(3):
        draw_all(loss_of(net))
    assert count() <= before


def test_during_the_pass_the_gradients_so_far_can_be_shown(xyz):
    x, _y, z = xyz
    w = z * z
    for step in backward_steps(w):
        if step.node is w.node:
            graph = viz.graph(w, gradients={w.node.seq: step.upstream})
            assert graph.description.gradients == "given"
            found = {n.id: n.gradient for n in graph.description.nodes}
            assert found[str(w.node.seq)].scalar == 1 and found[str(x.node.seq)] is None
            assert viz.graph(w).description.nodes
    assert x.grad.item() == 36


def test_after_the_pass_what_it_left_is_shown_and_the_rest_explained(xyz):
    x, _y, z = xyz
    loss = z * z
    z.retain_grad()
    loss.backward()
    description = viz.graph(loss).description
    assert description.gradients == "left"
    shown = {n.name or n.op: n.gradient.scalar for n in description.nodes if n.gradient}
    assert shown == {"x": 36, "y": 24, "z": 12}
    assert any("retain_graph=True" in note for note in description.notes)
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        viz.graph(loss, gradients="run")


def test_after_a_pass_that_kept_the_graph_all_is_shown(xyz):
    _x, _y, z = xyz
    z.backward(retain_graph=True)
    description = viz.graph(z).description
    assert description.gradients == "run"
    assert all(n.gradient is not None for n in description.nodes)


def test_a_value_changed_in_place_is_told_not_drawn_wrongly():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    loss = (h * h).sum()
    with tg.no_grad():
        h += 1
    description = viz.graph(loss).description
    assert description.gradients == "none"
    assert any("changed in place" in note for note in description.notes)


def test_no_recursion_however_deep_the_graph():
    loss, x = chain(5_000)
    graph = draw_all(loss)
    assert len(graph.description.nodes) >= 5_000
    assert graph.text().count("\n") >= 5_000
    assert x.grad is None


def test_a_users_function_is_not_called_again():
    calls = []

    class Twice(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            calls.append("forward")
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (Twice.apply(x) + 1).sum()
    graph = draw_all(loss)
    assert calls == ["forward"]
    assert next(n for n in graph.description.nodes if n.name == "x").gradient.data == [2.0, 2.0]


def test_in_the_middle_of_a_pass_the_gradients_that_have_arrived_are_shown():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x * x
    loss = h.exp().sum()
    seen = {}
    for step in backward_steps(loss):
        seen[step.node.op.name] = viz.graph(loss).description
    at_exp = {n.op: n.gradient for n in seen["exp"].nodes}
    assert at_exp["mul"].data == pytest.approx(np.exp([1.0, 4.0]).tolist(), rel=1e-6)
    assert at_exp["sum"] is None and at_exp["leaf"] is None
    assert any("step 2 of 4" in note for note in seen["exp"].notes)
    assert not any("under way" in note for note in viz.graph(loss).description.notes)
    assert x.grad.tolist() == pytest.approx((2 * np.array([1, 2]) * np.exp([1, 4])).tolist(), rel=1e-6)


def test_code_under_a_checkpoint_is_not_run_for_a_picture_unless_asked():
    from tinygrad_cnn.utils.checkpoint import checkpoint

    calls = []

    def work(a):
        calls.append(a)
        return a.tanh() * 2

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = checkpoint(work, x, use_reentrant=False).sum()
    before = len(calls)
    found = viz.graph(loss).description
    assert len(calls) == before and found.gradients == "none"
    assert any("utils.checkpoint" in note for note in found.notes)
    assert viz.graph(loss, gradients="run").description.gradients == "run" and len(calls) > before
    loss.backward()
    assert np.allclose(x.grad.numpy(), 2 * (1 - np.tanh([1.0, 2.0]) ** 2), atol=1e-6)
