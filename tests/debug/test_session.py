"""A session is the backward pass: it ends where backward() ends, bit for bit, however one walks."""

import json

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.debug.conftest import assert_same
from tinygrad_cnn.autograd.graph import RELEASED
from tinygrad_cnn.debug import BackwardSession
from tinygrad_cnn.errors import UsageError


@pytest.mark.parametrize("which", ["small", "mnist", "resnet"])
def test_stepping_to_the_end_equals_backward_bit_for_bit(which, request):
    p = request.getfixturevalue(which)
    p.loss().backward()
    wanted = p.grads()
    p.clear()
    s = BackwardSession(p.loss())
    while not s.at_end:
        s.step()
    s.finish()
    assert_same(p.grads(), wanted)


def test_gradients_accumulate_as_backward_accumulates(small):
    for _ in range(3):
        small.loss().backward()
    wanted = small.grads()
    small.clear()
    for _ in range(3):
        BackwardSession(small.loss()).finish()
    assert_same(small.grads(), wanted)


def test_finishing_releases_the_graph_like_backward(small):
    loss = small.loss()
    s = BackwardSession(loss)
    s.step(3)
    assert all(n.saved is not RELEASED for n in s.nodes)
    s.finish()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        loss.backward()


def test_a_retained_graph_can_be_gone_through_again(small):
    loss = small.loss()
    with BackwardSession(loss, retain_graph=True) as s:
        s.step(5)
    first = small.grads()
    small.clear()
    loss.backward()
    assert_same(small.grads(), first)


def test_aborting_leaves_every_grad_and_the_graph_as_they_were(small):
    small.loss().backward()
    before = small.grads()
    loss = small.loss()
    s = BackwardSession(loss)
    s.goto("fc.weight")
    s.edit(3.0)
    s.step(4)
    s.abort()
    assert_same(small.grads(), before)
    small.clear()
    loss.backward()
    assert_same(small.grads(), before)


def test_an_error_inside_the_with_block_puts_everything_back(small):
    with pytest.raises(KeyError):
        with BackwardSession(small.loss()) as s:
            s.step(8)
            raise KeyError
    assert all(g is None for g in small.grads().values())


def test_a_session_that_records_gives_the_second_derivative():
    x = tg.tensor([0.3, -1.2], requires_grad=True)
    s = BackwardSession((tg.sin(x) * x).sum(), create_graph=True)
    s.step(2)
    s.back(1)
    s.finish()
    first = x.grad
    x.grad = None
    first.sum().backward()
    v = x.detach().numpy()
    expected = 2 * np.cos(v) - v * np.sin(v)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5)


def test_hooks_run_once_per_step_and_what_they_return_is_used():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.numpy().copy()) or g * 10)
    s = BackwardSession(y.sum())
    while not s.at_end:
        s.state()  # looking runs no hook
        s.step()
    assert len(seen) == 1
    s.finish()
    np.testing.assert_array_equal(x.grad.numpy(), [30, 30])


def test_in_place_operations_are_stepped_like_others():
    def run(backward):
        x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 2
        y += x
        y[0] = 0.0
        y.mul_(y.detach())
        backward(y.sum())
        return x.grad.numpy()

    def stepped(loss):
        s = BackwardSession(loss)
        s.step(4)
        s.back(3)
        s.finish()

    assert run(lambda loss: loss.backward()).tobytes() == run(stepped).tobytes()


def test_inputs_are_captured_without_touching_grad():
    x, w = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0], requires_grad=True)
    s = BackwardSession((x * w).sum(), inputs=[x], accumulate=False)
    s.finish()
    np.testing.assert_array_equal(np.asarray(s.captured[0]), [3, 4])
    assert x.grad is None and w.grad is None


def test_editing_changes_exactly_what_is_downstream(mnist):
    with BackwardSession(mnist.loss()) as s:
        pass
    plain = mnist.grads()
    mnist.clear()
    s = BackwardSession(mnist.loss())
    s.goto("max_pool")
    above = {s.name_of(n) for n in s.nodes[: s.position] if n.is_leaf}
    s.edit(s.upstream * 2)
    s.finish()
    edited = mnist.grads()
    assert above and above != set(plain)
    for name in plain:
        if name in above:
            assert edited[name].tobytes() == plain[name].tobytes(), name
        else:  # everything below is linear in this gradient, and doubling is exact
            np.testing.assert_array_equal(edited[name], 2 * plain[name], err_msg=name)


def test_editing_one_entry_of_one_edge_changes_that_path_only():
    x, w = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0], requires_grad=True)
    s = BackwardSession((x * w).sum())
    s.goto("mul")
    s.edit(100.0, input=0, index=1)
    np.testing.assert_array_equal(s.downstream[0], [3, 100])
    s.finish()
    np.testing.assert_array_equal(x.grad.numpy(), [3, 100])
    np.testing.assert_array_equal(w.grad.numpy(), [1, 2])


def test_editing_a_value_changes_the_rules_that_read_it_and_no_tensor():
    x, w = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0], requires_grad=True)
    loss = (x * w).sum()
    with BackwardSession(loss, retain_graph=True) as s:
        s.edit(node=w.node, value=[10.0, 20.0])
    np.testing.assert_array_equal(x.grad.numpy(), [10, 20])
    np.testing.assert_array_equal(w.detach().numpy(), [3, 4])
    x.grad = None
    loss.backward()  # the graph itself is as it was
    np.testing.assert_array_equal(x.grad.numpy(), [3, 4])


def test_back_undoes_an_edit():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    s = BackwardSession((x * x).sum())
    s.step()
    s.edit(7.0)
    s.step()
    s.back(2)
    s.finish()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4])


def test_a_failing_rule_leaves_the_session_before_its_node():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    fail = [True]

    def hook(g):
        if fail[0]:
            raise ZeroDivisionError("planted")
        return g

    y.register_hook(hook)
    s = BackwardSession(y.sum())
    with pytest.raises(ZeroDivisionError):
        s.step(5)
    assert s.node.op.name == "mul" and s.stop.kind == "exception" and "planted" in s.stop.text
    fail[0] = False
    s.finish()
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3])


def test_goto_goes_both_ways_by_node_tensor_step_selector_and_line(small):
    s = BackwardSession(small.loss())
    s.goto("conv")
    conv = s.position
    assert s.node.module == "conv"
    s.goto(1)
    assert s.position == 0
    s.goto(small.model.fc.weight)
    assert s.name_of(s.node) == "fc.weight"
    s.goto(s.nodes[conv])
    assert s.position == conv
    line = next(n for n in s.nodes if n.op.name == "tanh").where
    s.goto(f"conftest.py:{line.lineno}")
    assert s.node.where.lineno == line.lineno
    with pytest.raises(UsageError, match="chosen by 'nosuch'"):
        s.goto("nosuch")
    with pytest.raises(UsageError, match="step from 1 to"):
        s.goto(10**6)


def test_finish_module_leaves_the_module(small):
    s = BackwardSession(small.loss())
    s.goto("norm")
    assert s.node.module == "norm"
    s.finish_module()
    assert s.node.module != "norm" and all(n.module != "norm" or n.is_leaf for n in s.nodes[s.position :])


def test_a_composite_op_opens_into_parts_that_give_the_same_gradient(small):
    s = BackwardSession(small.loss())
    s.goto("cross_entropy")
    whole = s.downstream[0]
    inner = s.into()
    assert inner.total > 2
    inner.finish()
    np.testing.assert_allclose(np.asarray(inner.captured[0]), whole, rtol=1e-5, atol=1e-7)
    s.finish()


def test_every_state_is_json_and_names_its_place(small):
    s = BackwardSession(small.loss())
    s.watch("norm")
    while True:
        state = json.loads(json.dumps(s.state(), allow_nan=False))
        if s.at_end:
            break
        assert state["node"]["label"] and state["total"] == len(s.nodes)
        assert state["watches"][0]["value"]
        assert [f["kind"] for f in s.where()][0] == "node"
        s.step()
    assert state["status"] == "end"
    assert [h["step"] for h in s.history()] == list(range(1, s.total + 1))


def test_downstream_shows_before_what_a_step_will_hand_on(small):
    s = BackwardSession(small.loss())
    while s.node is not None:
        shown = [None if d is None else d.copy() for d in s.downstream]
        s.step()
        for a, b in zip(shown, s.last_visit.downstream):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a, b.astype(a.dtype))


def test_a_session_says_how_much_memory_it_holds(small):
    s = BackwardSession(small.loss())
    assert s.nbytes == 0
    s.step(6)
    held = s.nbytes
    gradients = sum(int(np.prod(n.shape)) * n.dtype.itemsize for n in s.nodes)
    assert 0 < held <= 2 * gradients
    s.finish()
    assert s.nbytes == 0


def test_a_session_that_is_over_says_so(small):
    s = BackwardSession(small.loss())
    s.finish()
    for act in (s.step, s.back, lambda: s.goto(1), lambda: s.evaluate("g")):
        with pytest.raises(UsageError, match="over"):
            act()


def test_leaves_are_called_as_the_programs_variables():
    weights, other = (tg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    other.name = "its own name"
    s = BackwardSession((weights * other).sum(), scopes=[locals()])
    assert {s.label(n) for n in s.nodes if n.is_leaf} == {"weights", "its own name"}
    assert s.goto("weights").kind == "goto"
