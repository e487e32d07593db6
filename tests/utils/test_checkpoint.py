"""Checkpointing changes memory and nothing else."""

import weakref

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.utils.checkpoint import checkpoint, checkpoint_sequential


def setup():
    x = tg.tensor(np.linspace(-1, 1, 6).reshape(2, 3), requires_grad=True)
    w = tg.tensor(np.linspace(0, 1, 9).reshape(3, 3), requires_grad=True)
    return x, w


def run(x, w):
    return ((x @ w).tanh().exp() * x).sum()


def test_gradients_are_the_same_bit_for_bit():
    x, w = setup()
    run(x, w).backward()
    x2, w2 = setup()
    checkpoint(run, x2, w2, use_reentrant=False).backward()
    assert np.array_equal(x.grad.numpy(), x2.grad.numpy())
    assert np.array_equal(w.grad.numpy(), w2.grad.numpy())


def test_intermediate_values_are_dropped_and_every_node_stays_visible():
    x, w = setup()
    watches = []

    def watched(x):
        h = (x @ w).exp()
        watches.append(weakref.ref(h.array))
        return (h * h).sum()

    loss = checkpoint(watched, x)
    assert watches[0]() is None
    from tinygrad_cnn.autograd.graph import reachable

    assert [n.op.name for n in reachable([loss.node])][:2] == ["sum", "mul"]
    loss.backward()
    assert len(watches) == 2  # run once more, and only once
    assert w.grad is not None


def test_random_masks_are_drawn_again_the_same():
    x = tg.ones(100, requires_grad=True)
    tg.manual_seed(3)
    y = checkpoint(lambda v: tg.nn.functional.dropout(v, 0.5), x)
    after = tg.rand(1).item()
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.detach().numpy())
    tg.manual_seed(3)
    tg.nn.functional.dropout(tg.ones(100), 0.5)
    assert tg.rand(1).item() == after


def test_a_function_that_changes_its_mind_is_caught():
    x = tg.ones(3, requires_grad=True)
    calls = []

    def fickle(v):
        calls.append(1)
        return v.exp().sum() if len(calls) == 1 else v.sin().sum()

    y = checkpoint(fickle, x)
    with pytest.raises(RuntimeError, match="operation 0: exp then, sin now"):
        y.backward()


def test_second_derivatives_go_through():
    x = tg.tensor(np.array(0.5), requires_grad=True)
    y = checkpoint(lambda v: v.sin() * v, x)
    (first,) = tg.autograd.grad(y, x, create_graph=True)
    (second,) = tg.autograd.grad(first, x)
    np.testing.assert_allclose(float(second), 2 * np.cos(0.5) - 0.5 * np.sin(0.5))


def test_sequential_in_segments():
    layers = [lambda v: v.exp(), lambda v: v * 2.0, lambda v: v.sin()]
    x = tg.tensor(np.array(0.3), requires_grad=True)
    checkpoint_sequential(layers, 2, x).backward()
    np.testing.assert_allclose(float(x.grad), np.cos(2 * np.exp(0.3)) * 2 * np.exp(0.3))
    with pytest.raises(ValueError, match="segments"):
        checkpoint_sequential(layers, 4, x)
