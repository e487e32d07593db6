"""In-place changes: memory where no gradient is at stake, a new node where one is, an error where neither is right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.nn import functional as F


@pytest.mark.parametrize(
    "make", [lambda x: x.repeat(1, 1), lambda x: x.repeat(3, 1), lambda x: x.tile(2), lambda x: x.repeat(2, 1, 1)]
)
def test_a_repeated_tensor_is_a_copy_that_can_be_changed(make: Any) -> None:
    x = tg.ones(1, 2)
    make(x).add_(1)
    assert x.tolist() == [[1, 1]]
    w = tg.ones(1, 2, requires_grad=True)
    y = make(w * 1)
    y += 1
    y.sum().backward()
    assert w.grad.tolist() == [[y.numel() / 2] * 2]


def test_gradients_that_were_asked_for_can_be_changed() -> None:
    x = tg.ones(2, 3, requires_grad=True)
    (g,) = tg.autograd.grad(x.sum(), x)
    assert g.mul_(2).tolist() == [[2, 2, 2], [2, 2, 2]]


def test_without_a_graph_the_memory_changes() -> None:
    x = tg.ones(3)
    memory, view = x.array, x[1:]
    x += 1
    x *= tg.tensor([1.0, 2.0, 3.0])
    x[0] = 7
    x.sub_(1).clamp_(max=4)
    assert x.array is memory and x.tolist() == [4.0, 3.0, 4.0] and view.tolist() == [3.0, 4.0]
    assert x._version == 5


def test_with_a_graph_earlier_readers_keep_what_they_read() -> None:
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    x = a * 1
    y = x * x
    x += 10
    z = x * x
    (y.sum() + z.sum()).backward()
    np.testing.assert_allclose(a.grad.numpy(), 2 * np.array([1, 2]) + 2 * np.array([11, 12]))


def test_a_leaf_that_requires_grad_is_changed_only_under_no_grad() -> None:
    w = tg.ones(2, requires_grad=True)
    for change in (
        lambda: w.add_(1),
        lambda: w.__iadd__(1),
        lambda: w.__setitem__(0, 2.0),
        w.zero_,
        w.normal_,
    ):
        with pytest.raises(RuntimeError, match="a leaf tensor that requires grad is changed in place"):
            change()
    with tg.no_grad():
        w -= 0.5
        w[0] = 3
    assert w.tolist() == [3.0, 0.5] and w.is_leaf and w.requires_grad


def test_a_view_of_a_leaf_is_not_changed_while_recording() -> None:
    w = tg.ones(2, 2, requires_grad=True)
    for view in (w[0], w.T, w.view(-1), w.reshape(4)[1:]):
        with pytest.raises(RuntimeError, match=r"a view of a leaf tensor that requires grad"):
            view += 1


def test_what_expand_gives_is_not_changed_while_recording() -> None:
    a = tg.ones(2, 1, requires_grad=True)
    x = a * 1
    y = x.expand(2, 3)
    with pytest.raises(RuntimeError, match=r"one place in memory. Change a copy"):
        y += 1


def test_a_change_of_a_view_reaches_its_base_and_its_siblings() -> None:
    a, b = tg.ones(2, 2, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    x = a * 1
    row, flat = x[0], x.view(-1)
    row *= b
    assert x.tolist() == [[3, 3], [1, 1]] and flat.tolist() == [3, 3, 1, 1] and row.tolist() == [3, 3]
    flat[3] = 5.0
    assert x.tolist() == [[3, 3], [1, 5]]
    x += 1
    assert row.tolist() == [4, 4] and flat.tolist() == [4, 4, 2, 6]
    (flat * tg.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert a.grad.tolist() == [[3, 6], [3, 0]] and b.grad == 3


def test_a_part_of_a_plain_buffer_may_take_up_recorded_values() -> None:
    a = tg.ones(2, requires_grad=True)
    buffer = tg.zeros(2, 2)
    buffer[0] += a * 3
    buffer[:, 1] *= 2
    assert buffer.tolist() == [[3, 6], [0, 0]]
    buffer.sum().backward()
    assert a.grad.tolist() == [3, 6]


_VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x[0:1],
    lambda x: x[..., 1:],
    lambda x: x[:, ::2],
    lambda x: x[None],
    lambda x: x.reshape((-1,)),
    lambda x: x.reshape((x.shape[-1], -1)),
    lambda x: x.swapaxes(0, -1),
]


@pytest.mark.parametrize("seed", range(40))
def test_views_and_changes_in_any_order_do_what_memory_does(seed: int) -> None:
    """The same random program on arrays, whose memory really changes, and on tensors; gradients by differences."""
    point = np.random.default_rng(seed).uniform(0.5, 1.5, (2, 4))

    def program(start: Any) -> Any:
        rng = np.random.default_rng(seed)
        tensors = [start * 1.0]
        for _step in range(8):
            x = tensors[rng.integers(len(tensors))]
            if rng.random() < 0.5:
                view = _VIEWS[rng.integers(len(_VIEWS))]
                if x.ndim >= 2 and x.ndim <= 4 and x.shape[-1] > 1:
                    tensors.append(view(x))
            elif rng.random() < 0.3:
                x *= 1.0 + 0.1 * float(rng.random())
            elif rng.random() < 0.5:
                y = x * x
                x[0] += 0.1 * y[-1]
            else:
                x[..., 0] = 0.3 * x[..., 0] * x[..., -1]
            if len(tensors) > 2 and rng.random() < 0.3:
                tensors.pop(rng.integers(len(tensors)))
        weights = np.random.default_rng(seed + 1)
        return sum((x * weights.standard_normal(x.shape)).sum() for x in tensors)

    a = tg.tensor(point, requires_grad=True)
    loss = program(a)
    assert float(loss.detach()) == pytest.approx(program(point), rel=1e-12)
    loss.backward()
    step = 1e-6 * np.random.default_rng(seed + 2).standard_normal(point.shape)
    slope = program(point + step) - program(point - step)
    assert float((a.grad * tg.tensor(2 * step)).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-10)


def test_a_view_whose_base_is_gone_may_change() -> None:
    a = tg.ones(2, 2, requires_grad=True)
    x = a * 1
    x = x.flatten()
    x.relu_()
    x += 1
    x.sum().backward()
    assert a.grad.tolist() == [[1, 1], [1, 1]]


def test_setitem_records_both_sides() -> None:
    a, b = tg.ones(3, requires_grad=True), tg.tensor([5.0], requires_grad=True)
    x = a * 2
    x[1:2] = b * 3
    x.sum().backward()
    assert x.tolist() == [2, 15, 2] and a.grad.tolist() == [2, 0, 2] and b.grad.tolist() == [3]
    buffer = tg.zeros(3)
    for k in range(3):
        buffer[k] = b[0] * k
    b.grad = None
    buffer.sum().backward()
    assert b.grad.tolist() == [3]


def test_a_saved_value_that_was_changed_is_noticed_by_name() -> None:
    a, w = tg.ones(3, requires_grad=True), tg.ones(3)
    y = (a * w).sum()
    w += 1
    with pytest.raises(
        RuntimeError, match=r"mul .*test_inplace.* needs its input 1 .*changed in place"
    ):
        y.backward()


def test_a_change_after_backward_or_of_what_nobody_saved_is_fine() -> None:
    a, b = tg.ones(3, requires_grad=True), tg.ones(3)
    y = (a + b).sum()
    b += 1
    y.backward()
    with tg.no_grad():
        a -= a.grad
    assert a.tolist() == [0, 0, 0]


def test_shape_and_dtype_stay_as_they_are() -> None:
    x = tg.ones(3)
    with pytest.raises(ValueError, match="keeps its shape"):
        x.add_(tg.ones(2, 3))
    n = tg.tensor([1, 2])
    with pytest.raises(TypeError, match="does not fit into the tensor's int64"):
        n.add_(0.5)
    with pytest.raises(TypeError, match="does not fit into the tensor's int64"):
        n += 0.5
    n += 1
    assert n.tolist() == [2, 3]
    a = tg.ones(2, requires_grad=True)
    h = a * 1
    h += tg.ones(2, dtype=tg.float64)
    assert h.dtype == tg.float32


def test_overwriting_keeps_the_tensor_in_the_graph_with_gradient_zero() -> None:
    a = tg.ones(2, requires_grad=True)
    h = a * 2
    h.fill_(5.0)
    assert h.requires_grad
    h.sum().backward()
    assert a.grad.tolist() == [0, 0]


def test_retain_grad_follows_the_value() -> None:
    a = tg.ones(2, requires_grad=True)
    h = a * 2
    h.retain_grad()
    h *= 3
    (h * 5).sum().backward()
    assert h.grad.tolist() == [5, 5] and a.grad.tolist() == [30, 30]


@pytest.mark.parametrize(
    "change",
    ["squeeze_", "unsqueeze_", "t_"],
)
def test_shapes_change_in_place(change: str) -> None:
    x = tg.ones(1, 3)
    args = (0,) if change == "unsqueeze_" else ()
    wanted = getattr(x, change[:-1])(*args).shape
    assert getattr(x, change)(*args) is x and x.shape == wanted


def test_every_in_place_method_equals_its_function() -> None:
    rng = np.random.default_rng(0)
    names = ["exp", "log", "sqrt", "sin", "tanh", "neg", "abs", "floor", "relu", "sigmoid", "reciprocal", "square"]
    for name in [*names, "erf", "tril", "cumsum"]:
        x = tg.tensor(rng.uniform(0.2, 0.9, (3, 3)))
        args = (0,) if name == "cumsum" else ()
        wanted = getattr(x, name)(*args)
        assert getattr(x, f"{name}_")(*args) is x
        np.testing.assert_allclose(x.numpy(), wanted.numpy())


@pytest.mark.parametrize(
    ("name", "loss", "argument"),
    [
        ("target", lambda x, k: F.cross_entropy(x, k), [0, 1, 2]),
        ("target", lambda x, k: F.nll_loss(x, k), [0, 1, 2]),
        ("index", lambda x, k: x[k].sum(), [0, 1, 2]),
        ("indices", lambda x, k: F.embedding(k, x).sum(), [0, 1, 2]),
        ("index", lambda x, k: x.gather(1, k.reshape(3, 1)).sum(), [0, 1, 2]),
        ("target", lambda x, k: F.multi_margin_loss(x, k), [0, 1, 2]),
        ("index", lambda x, k: x.index_select(1, k).sum(), [0, 1, 2]),
        ("index", lambda x, k: x.take(k).sum(), [0, 1, 2]),
        ("index", lambda x, k: tg.take_along_dim(x, k.reshape(3, 1), 1).sum(), [0, 1, 2]),
        ("index", lambda x, k: x.index_add(0, k, x).sum(), [0, 1, 2]),
        ("index", lambda x, k: x.scatter(1, k.reshape(3, 1), x).sum(), [0, 1, 2]),
        ("index", lambda x, k: x.scatter_add(1, k.reshape(3, 1), x).sum(), [0, 1, 2]),
        ("indices", lambda x, k: F.embedding_bag(k.reshape(1, 3), x).sum(), [0, 1, 2]),
    ],
)
def test_an_index_or_target_that_was_changed_is_noticed_by_name(name, loss, argument):
    x, k = tg.randn(3, 4, requires_grad=True), tg.tensor(argument)
    y = loss(x, k)
    k.fill_(10**12)
    try:
        y.backward()
    except RuntimeError as error:
        assert "changed in place" in str(error) and f"its {name} of shape" in str(error)
    else:  # the op took a copy: the gradient is that of the values it was computed with
        x2 = x.detach().requires_grad_()
        loss(x2, tg.tensor(argument)).backward()
        assert tg.equal(x.grad, x2.grad)


def test_batch_norm_in_evaluation_keeps_the_averages_it_used():
    norm = tg.nn.BatchNorm1d(3).eval()
    x = tg.randn(5, 3, requires_grad=True)
    y = norm(x)
    norm.train()(tg.randn(5, 3) * 10)  # moves the running averages
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full((5, 3), 1 / np.sqrt(1 + 1e-5)), rtol=1e-6)
