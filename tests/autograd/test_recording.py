"""What a node knows: its op, its inputs, where and under which module it was made, and only what it needs."""

import threading

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd import keep_values
from tinygrad_cnn.autograd.graph import reachable
from tinygrad_cnn.autograd.inspect import leaf_names


def leaf(*values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


def test_a_node_knows_the_line_that_made_it():
    x = leaf(1.0)
    y = x.exp()
    marker = y.node.where
    assert marker.filename == __file__
    assert "x.exp()" in marker.text
    assert marker.function.endswith("test_a_node_knows_the_line_that_made_it")


def test_the_line_is_the_users_also_through_modules():
    layer = tg.nn.Linear(2, 2)
    y = layer(tg.ones(1, 2))
    assert y.node.where.filename == __file__


def test_a_node_knows_its_module_path():
    net = tg.nn.Sequential(tg.nn.Linear(2, 2), tg.nn.Sequential(tg.nn.Tanh()))
    y = net(tg.ones(1, 2))
    assert y.node.module == "1.0"
    names = set(leaf_names(reachable([y.node])).values())
    assert names == {"0.weight", "0.bias"}


def test_only_what_a_rule_needs_is_saved():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert (x + y).node.saved == (None, None, None)
    assert x.exp().node.saved[1] is None
    constant = tg.tensor(np.array([5.0, 6.0]))
    kept = (x * constant).node.saved
    assert kept[1] is None and kept[2] is constant.array


def test_nothing_is_recorded_without_a_live_input_or_under_no_grad():
    assert (tg.ones(2) * 2).node is None
    with tg.no_grad():
        assert (leaf(1.0) * 2).node is None
    with tg.no_grad(), tg.enable_grad():
        assert (leaf(1.0) * 2).node is not None

    @tg.no_grad()
    def decorated(x):
        return x * 2

    assert decorated(leaf(1.0)).node is None
    with tg.inference_mode():
        assert (leaf(1.0) * 2).node is None
    assert (leaf(1.0) * 2).node is not None


def test_a_generator_function_under_no_grad_does_not_leak_the_mode():
    @tg.no_grad()
    def items():
        for _ in range(2):
            yield tg.is_grad_enabled()

    seen = [(inside, tg.is_grad_enabled()) for inside in items()]
    assert seen == [(False, True), (False, True)]


def test_set_grad_enabled_acts_at_once_and_as_a_block():
    tg.set_grad_enabled(False)
    try:
        assert not tg.is_grad_enabled()
    finally:
        tg.set_grad_enabled(True)
    with tg.set_grad_enabled(False):
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_modes_belong_to_their_thread():
    seen = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_keep_values_keeps_outputs_and_frames():
    x = leaf(1.0, 2.0)
    with keep_values(stack=True):
        y = x + 1.0
    np.testing.assert_allclose(y.node.value, [2.0, 3.0])
    assert y.node.stack[0].filename == __file__
    assert (x + 1.0).node.value is None


def test_the_local_gradient_can_be_looked_at():
    x = leaf(0.5, 1.5)
    J = x.tanh().node.local_gradient(0)
    np.testing.assert_allclose(J.factor, 1 - np.tanh([0.5, 1.5]) ** 2)
    np.testing.assert_allclose(J.dense(), np.diag(J.factor))
    np.testing.assert_allclose(J(np.array([1.0, 0.0])), [J.factor[0], 0.0])
    np.testing.assert_allclose(J.norm(), J.factor.max())
    assert J.structure == "diagonal"
    assert "y" in J.formula


def test_a_linear_local_gradient_has_a_transpose_and_a_norm():
    random = np.random.default_rng(0)
    w = random.standard_normal((3, 5))
    x = tg.tensor(random.standard_normal(3), requires_grad=True)
    J = (x @ tg.tensor(w)).node.local_gradient(0)
    np.testing.assert_allclose(J.dense(), w.T)
    np.testing.assert_allclose(J.norm(200), np.linalg.norm(w, 2), rtol=1e-6)
    with pytest.raises(TypeError, match="not diagonal"):
        _ = J.factor
    with pytest.raises(ValueError, match="upstream gradient of shape"):
        J.T(np.ones(3))


def test_a_jacobian_too_large_to_write_out_is_refused():
    J = leaf(*np.ones(4000)).exp().node.local_gradient(0)
    with pytest.raises(ValueError, match="16,000,000 entries"):
        J.dense()


def test_numpy_functions_record_and_unknown_ones_are_refused_by_name():
    x = leaf(1.0, 4.0)
    np.sqrt(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.5, 0.25])
    with pytest.raises(TypeError, match=r"np\.fft.*no derivative|np\.\w*fft\w* has no derivative"):
        np.fft.fft(x)
