"""The graph under load: depth, sharing, hooks, errors, memory, threads."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.graph import Node, reachable


def test_a_chain_of_100000_nodes_goes_forward_backward_and_away() -> None:
    x = tg.ones(2, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    node = weakref.ref(y.node)
    del y
    assert node() is None


def test_sharing_costs_no_more_than_its_edges() -> None:
    x = tg.tensor(1.0, requires_grad=True, dtype=tg.float64)
    y = x
    for _ in range(60):
        y = y + y
    assert len(reachable([y.node])) == 61
    y.backward()
    assert x.grad.item() == 2.0**60


def test_a_second_backward_names_the_op_the_line_and_the_way_out() -> None:
    x = tg.ones(2, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time through mul .*test_graph.*retain_graph=True"):
        y.backward()
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [6, 6]


def test_a_loss_that_is_no_scalar_is_refused_with_its_shape() -> None:
    x = tg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"expected a scalar .* got shape \(2,\)"):
        (x * 2).backward()
    (x * 2).backward(tg.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2, 20]
    with pytest.raises(RuntimeError, match=r"gradient of the output's shape \(2,\), got \(3,\)"):
        (x * 2).backward(tg.ones(3))
    with pytest.raises(RuntimeError, match="does not require grad"):
        tg.ones(1).sum().backward()


def test_zero_dimensional_gradients_accumulate() -> None:
    a = tg.tensor(2.0, requires_grad=True)
    (a + a + a + a * a).backward()
    (a * 2).backward()
    assert a.grad.item() == 9 and type(a.grad.array) is np.ndarray


def test_gradients_of_leaves_do_not_share_memory_with_each_other() -> None:
    a, b = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    (a + b).sum().backward()
    assert not np.shares_memory(a.grad.array, b.grad.array)
    a.grad += 1
    assert b.grad.tolist() == [1, 1]


def test_hooks_see_and_replace_the_complete_gradient() -> None:
    x = tg.ones(2, requires_grad=True)
    h = x * 3
    seen = []
    handle = h.register_hook(lambda g: seen.append(g.tolist()))
    h.register_hook(lambda g: g * 10)
    (h + h).sum().backward()
    assert seen == [[2, 2]] and x.grad.tolist() == [60, 60]
    handle.remove()
    done = []
    x.register_post_accumulate_grad_hook(lambda t: done.append(t.grad.tolist()))
    (x * 1).sum().backward()
    assert seen == [[2, 2]] and done == [[61, 61]]
    with pytest.raises(RuntimeError, match="requires grad"):
        tg.ones(1).register_hook(print)
    with pytest.raises(RuntimeError, match="leaf"):
        h.register_post_accumulate_grad_hook(print)


def test_retain_grad_keeps_a_results_gradient() -> None:
    x = tg.ones(2, requires_grad=True)
    h = x * 3
    h.retain_grad()
    (h * h).sum().backward()
    assert h.retains_grad and h.grad.tolist() == [6, 6] and x.grad.tolist() == [18, 18]
    with pytest.raises(RuntimeError, match="retain_grad"):
        tg.ones(1).retain_grad()


def test_a_thousand_steps_leave_no_node_and_no_array_behind() -> None:
    def step() -> None:
        y = tg.log_softmax(tg.relu(x @ w) @ v, 1)
        loss = -(y[:, 0]).mean() + (w * w).sum() * 0.1
        loss.backward()
        with tg.no_grad():
            for p in (w, v):
                p -= p.grad * 0.01
                p.grad = None

    def count() -> tuple[int, int]:
        objects = gc.get_objects()
        return sum(isinstance(o, Node) for o in objects), sum(isinstance(o, tg.Tensor) for o in objects)

    x = tg.randn(4, 3)
    w, v = tg.randn(3, 5, requires_grad=True), tg.randn(5, 2, requires_grad=True)
    step()
    gc.collect()
    gc.disable()
    try:
        before = count()
        for _ in range(1000):
            step()
        after = count()
    finally:
        gc.enable()
    assert after == before


def test_threads_have_graphs_and_modes_of_their_own() -> None:
    w = tg.ones(50, requires_grad=True)
    results: list[tuple[bool, float]] = []

    def work(k: int) -> None:
        for _ in range(50):
            x = tg.full((50,), float(k), requires_grad=True)
            with tg.no_grad():
                silent = (x * w).requires_grad
            (g,) = tg.autograd.grad((x * w * x).sum(), x)
            results.append((silent, float(g[0].item() == 2 * k)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    with tg.no_grad():
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert results == [(False, 1.0)] * 200


def test_nodes_say_where_they_were_made() -> None:
    x = tg.ones(2, requires_grad=True)
    y = x.exp().sum()
    assert y.node.where.filename == __file__ and "x.exp().sum()" in y.node.where.text
    assert "exp" in y.node.parents[0].formula


def test_many_slices_of_one_tensor_are_laid_out_once() -> None:
    x = tg.zeros(2000, 50, requires_grad=True)
    total = x[0].sum()
    for k in range(1, 2000):
        total = total + x[k].sum() * k
    total.backward()
    assert x.grad[:, 0].tolist() == [1.0, *map(float, range(1, 2000))]
