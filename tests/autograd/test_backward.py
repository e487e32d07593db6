"""The backward pass: its order, what it accumulates, what it frees, and what it says when it cannot."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd import backward_steps, grad


def leaf(values, dtype=np.float64):
    return tg.tensor(np.asarray(values, dtype), requires_grad=True)


def test_every_step_multiplies_upstream_by_local():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    z = (x * y + x).sum()
    for step in backward_steps(z, retain_graph=True):
        for i, d in enumerate(step.downstream):
            if d is not None:
                np.testing.assert_allclose(step.node.local_gradient(i).T(step.upstream), d)
    np.testing.assert_allclose(x.grad.numpy(), [4.0, 5.0])
    np.testing.assert_allclose(y.grad.numpy(), [1.0, 2.0])


def test_each_node_is_visited_once_and_after_all_its_consumers():
    x = leaf(2.0)
    y = x
    for _ in range(60):  # 2**60 paths
        y = y + y
    visited = [step.node for step in backward_steps(y)]
    assert len(visited) == 61
    assert float(x.grad) == 2.0**60
    seen = set()
    for node in visited:
        assert all(parent.seq not in seen for parent in node.parents if parent is not None)
        seen.add(node.seq)


def test_a_leaf_gets_its_gradient_right_behind_its_last_consumer():
    early, late = leaf(2.0), leaf(3.0)
    y = (early * 2.0 * late).exp()
    names = [step.node.op.name for step in backward_steps(y)]
    assert names == ["exp", "mul", "leaf", "mul", "leaf"]


def test_depth_costs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 0.0
    y.backward()
    assert float(x.grad) == 1.0
    del y
    gc.collect()


def test_gradients_accumulate_over_passes_and_no_array_is_shared():
    a, b = leaf([1.0, 1.0]), leaf([1.0, 1.0])
    (a + b).sum().backward()
    a.grad.mul_(5.0)
    np.testing.assert_allclose(b.grad.numpy(), [1.0, 1.0])
    (a + b).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), [6.0, 6.0])


def test_a_seed_is_never_written_to():
    x = leaf([1.0, 2.0])
    seed = tg.tensor(np.ones(2))
    y = x + x
    y.backward(seed)
    x.grad.zero_()
    np.testing.assert_allclose(seed.numpy(), [1.0, 1.0])


def test_second_backward_names_the_op_the_line_and_the_way_out():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time through mul.*test_backward\.py.*retain_graph=True"):
        y.backward()


def test_retain_graph_allows_a_second_pass():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert float(x.grad) == 12.0


def test_values_are_freed_as_the_pass_goes():
    x = leaf(np.ones(4))
    kept = x.exp()
    watch = weakref.ref(kept.array)
    loss = kept.sum()
    del kept
    assert watch() is not None
    loss.backward()
    assert watch() is None


def test_a_saved_value_changed_in_place_is_noticed():
    w = leaf([2.0])
    x = leaf([3.0])
    y = w * x
    with tg.no_grad():
        w.add_(1.0)
    with pytest.raises(RuntimeError, match="mul.*changed in place"):
        y.backward()


def test_a_change_of_something_else_is_no_concern():
    w, x, other = leaf([2.0]), leaf([3.0]), leaf([1.0])
    y = w * x
    with tg.no_grad():
        other.add_(1.0)
    y.backward()
    assert float(w.grad) == 3.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tg.ones(3).backward(), "does not require grad"),
        (lambda: (leaf([1.0, 2.0]) * 2).backward(), r"expected a scalar.*\(2,\).*sum\(\)"),
        (lambda: (leaf([1.0, 2.0]) * 2).backward(tg.ones(3)), r"shape \(2,\), got \(3,\)"),
    ],
)
def test_a_pass_that_cannot_start_says_why(make, message):
    with pytest.raises(RuntimeError, match=message):
        make()


def test_inputs_limits_where_gradients_go():
    a, b = leaf(2.0), leaf(3.0)
    (a * b).backward(inputs=[a])
    assert float(a.grad) == 3.0
    assert b.grad is None


def test_grad_leaves_dot_grad_alone():
    a, b = leaf(2.0), leaf(3.0)
    (da,) = grad(a * b, [a])
    assert float(da) == 3.0
    assert a.grad is None and b.grad is None


def test_grad_of_an_unused_input():
    a, b = leaf(2.0), leaf([3.0, 1.0])
    with pytest.raises(RuntimeError, match="allow_unused"):
        grad(a * 2, [b])
    assert grad(a * 2, [b], allow_unused=True) == (None,)
    np.testing.assert_allclose(grad(a * 2, [b], materialize_grads=True)[0].numpy(), [0, 0])


def test_grad_at_an_intermediate_value():
    a = leaf(2.0)
    h = a * a
    (dh,) = grad(h * 3.0, h)
    assert float(dh) == 3.0


def test_derivatives_of_any_order():
    x = leaf(0.7)
    y = x.sin()
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin):
        (y,) = grad(y, x, create_graph=True)
        np.testing.assert_allclose(float(y), expected(0.7), rtol=1e-12)


def test_backward_with_create_graph_gives_a_gradient_with_a_graph():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    (second,) = grad(x.grad, x)
    np.testing.assert_allclose(float(second), 18.0)
    x.grad = None  # the cycle x -> x.grad -> graph -> x is the user's to break, as in PyTorch


def test_tensor_hooks_see_and_replace_the_gradient():
    x = leaf(2.0)
    y = x * 3.0
    seen = []
    y.register_hook(lambda g: seen.append(float(g)))
    handle = y.register_hook(lambda g: g * 10.0)
    (y * 2.0).backward()
    assert seen == [2.0]
    assert float(x.grad) == 60.0
    handle.remove()
    x.grad = None
    z = x * 3.0
    (z * 2.0).backward()
    assert float(x.grad) == 6.0


def test_a_hook_of_the_wrong_shape_is_refused():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ValueError, match=r"shape \(\), expected \(2,\)"):
        (x * 2.0).sum().backward()


def test_retain_grad_keeps_an_intermediate_gradient():
    x = leaf(2.0)
    h = x * x
    h.retain_grad()
    (h * 5.0).backward()
    assert float(h.grad) == 5.0


def test_post_accumulate_hooks_run_when_the_gradient_is_complete():
    x = leaf(2.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(float(t.grad)))
    (x * x + x).backward()
    assert seen == [5.0]


def test_threads_record_and_walk_their_own_graphs():
    results = {}

    def work(k):
        x = leaf(float(k))
        with tg.no_grad():
            assert (x * 2.0).requires_grad is False
        y = x
        for _ in range(200):
            y = y * 1.0
        (y * y).backward()
        results[k] = float(x.grad)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {k: 2.0 * k for k in range(8)}


def test_training_leaks_no_node_and_no_tensor():
    gc.collect()
    gc.disable()
    try:
        w = leaf(np.ones((4, 4)))
        x = tg.ones(2, 4, dtype=tg.float64)

        def step():
            loss = (x @ w).tanh().sum()
            loss.backward()
            with tg.no_grad():
                w.sub_(w.grad * 0.01)
            w.grad = None

        def alive():
            return sum(type(o).__name__ in ("Node", "Tensor", "ndarray") for o in gc.get_objects())

        for _ in range(5):
            step()
        before = alive()
        for _ in range(200):
            step()
        assert alive() <= before
    finally:
        gc.enable()


def test_gradients_keep_the_dtype_of_what_they_belong_to():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    w = leaf([1.0, 2.0])
    (x * w).sum().backward()
    assert x.grad.dtype == np.float32
    assert w.grad.dtype == np.float64


def test_float16_sums_of_broadcast_gradients_do_not_overflow():
    bias = tg.tensor(np.zeros(1, np.float16), requires_grad=True)
    x = tg.tensor(np.full((4096, 1), 1.0, np.float16))
    (x + bias).backward(tg.tensor(np.full((4096, 1), 0.1, np.float16)))
    np.testing.assert_allclose(float(bias.grad), 409.6, rtol=2e-3)


def test_inputs_may_be_any_iterable() -> None:
    net = tg.nn.Linear(2, 3)
    loss = net(tg.ones(1, 2)).sum()
    wanted = [p.shape for p in net.parameters()]
    for inputs in (net.parameters(), dict(net.named_parameters()).values(), iter(list(net.parameters()))):
        assert [g.shape for g in tg.autograd.grad(loss, inputs, retain_graph=True)] == wanted
    loss.backward(inputs=net.parameters())
    assert net.weight.grad is not None


@pytest.mark.parametrize("observed", [False, True])
def test_inputs_of_backward_need_not_be_leaves(observed):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    z = (y * y).sum()
    if observed:
        list(tg.autograd.backward_steps(z, inputs=[y]))
    else:
        z.backward(inputs=[y])
    assert y.grad.tolist() == [2.0, 8.0] and x.grad is None
    y.sum().backward()  # what lies behind y was not visited: it keeps what it saved
    assert x.grad.tolist() == [2.0, 4.0] and y.grad.tolist() == [2.0, 8.0]


def test_inputs_of_backward_may_lie_behind_each_other():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    (y * y).sum().backward(inputs=[x, y])
    assert (x.grad.tolist(), y.grad.tolist()) == ([8.0, 16.0], [4.0, 8.0])
