"""`check` agrees with every right rule, and names the op and the entry of a wrong one."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.debug.conftest import problem
from tests.ops import driver
from tinygrad_cnn.autograd.observe import keep_values
from tinygrad_cnn.autograd.op import REGISTRY, Elementwise, General, Multilinear
from tinygrad_cnn.debug import BackwardSession, Interpreter
from tinygrad_cnn.debug.check import check_all
from tinygrad_cnn.debug.values import recover


@pytest.fixture
def planted():
    """Ops that a test makes, gone again behind it."""
    before = set(REGISTRY)
    yield
    for name in set(REGISTRY) - before:
        del REGISTRY[name]


def test_every_node_of_mnist_cnn_agrees_in_float64():
    p = problem("mnist-cnn", (1, 28, 28), batch=1, dtype=tg.float64)
    s = BackwardSession(p.loss())
    results = []
    while s.node is not None:
        if s.node.parents:
            results.append(s.check())
        s.step()
    assert len(results) == sum(bool(n.parents) for n in s.nodes) > 10
    assert not [str(r) for r in results if not r.ok or r.skipped or "off by" in str(r)]


def test_every_node_of_a_float32_network_agrees_too(small):
    s = BackwardSession(small.loss())
    assert not [str(r) for r in check_all(s) if not r.ok or r.skipped]


def recorded(case):
    """The case's results that have a graph and entries."""
    outputs = driver.call(case, driver.leaves(case.inputs()[0]))
    return [o for o in outputs if o.node is not None and o.array.size]


@driver.each_case(recorded)
def test_every_op_of_the_table_agrees(case):
    with tg.autograd.keep_values():
        outputs = recorded(case)
    s = BackwardSession(outputs, driver.upstream(case.inputs()[1], outputs))
    assert not [str(r) for r in check_all(s) if not r.ok]


def test_a_wrong_factor_is_caught_and_its_worst_entry_named(planted):
    # right everywhere but where x > 2
    wrong = Elementwise("wrong_exp", np.exp, lambda y, x: np.where(x > 2, 0.5 * y, y))
    x = np.zeros((20, 30), np.float32)
    x[7, 11], x[3, 4] = 3.0, 2.5
    t = tg.tensor(x, requires_grad=True)
    s = BackwardSession(wrong(t).sum())
    s.goto("wrong_exp")
    found = s.check()
    assert not found and found.op == "wrong_exp"
    assert found.inputs[0].element == (7, 11)
    assert found.inputs[0].numerical == pytest.approx(np.exp(3.0), rel=1e-5)
    assert (
        "WRONG" in str(found)
        and "wrong_exp" in str(found)
        and "[7, 11]" in str(found)
        and "test_check.py" in str(found)
    )
    reply = Interpreter(s).execute("check")
    assert "[7, 11]" in reply.text


def test_a_wrong_transpose_is_caught_in_the_one_entry_it_gets_wrong(planted):
    def transposed(g, a, b):
        out = np.matmul(g, b.T)
        mask = np.zeros(out.shape)
        mask[2, 5] = 1
        return out * (1 + mask)

    wrong = Multilinear("wrong_matmul", np.matmul, transposed, lambda g, a, b: np.matmul(a.T, g))
    rng = np.random.default_rng(0)
    a = tg.tensor(rng.standard_normal((30, 40)), requires_grad=True)
    b = tg.tensor(rng.standard_normal((40, 6)), requires_grad=True)
    s = BackwardSession((wrong(a, b) * tg.tensor(rng.standard_normal((30, 6)))).sum())
    s.goto("wrong_matmul")
    found = s.check()
    assert not found.inputs[0].ok and found.inputs[0].element == (2, 5)
    assert found.inputs[1].ok


def test_a_forgotten_input_of_a_general_op_is_caught(planted):
    wrong = General("wrong_mul", lambda a, b: a * b, vjp=lambda g, y, a, b: (g * b, np.zeros_like(b)))
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    b = tg.tensor([3.0, 4.0], requires_grad=True)
    s = BackwardSession(wrong(a, b).sum())
    s.goto("wrong_mul")
    found = s.check()
    assert [i.ok for i in found.inputs] == [True, False]
    assert found.inputs[1].name == "b"


def test_entries_at_a_kink_are_left_out_and_counted():
    x = tg.tensor([0.0, 1.0, -1.0, 0.0], requires_grad=True)
    s = BackwardSession(tg.relu(x).sum())
    s.goto("relu")
    found = s.check()
    assert found.ok and found.inputs[0].kinks == 2


def test_checking_changes_nothing(small):
    s = BackwardSession(small.loss())
    s.step(3)
    before = s.state()
    s.check()
    assert s.state() == before
    assert all(p.grad is None for p in list(small.model.parameters())[:2])


class Scaled(tg.autograd.Function):
    """x·k·y, whose gradient for y forgets k."""

    @staticmethod
    def forward(ctx, x, k, y):
        ctx.save_for_backward(x, y)
        ctx.k = k
        return x * k * y, x + y

    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * ctx.k * y + h, None, g * x + h


def test_a_wrong_gradient_of_a_users_function_is_caught_by_the_name_of_its_argument():
    x, y = (tg.randn(3, requires_grad=True, generator=tg.Generator().manual_seed(k)) for k in (1, 2))
    product, total = Scaled.apply(x, 2.0, y)
    s = BackwardSession((product * total).sum())
    s.goto("Scaled")
    right, wrong = s.check().inputs
    assert (right.name, right.ok, wrong.name, wrong.ok) == ("x", True, "y", False)


def test_a_users_function_that_takes_no_float64_is_not_checked_and_that_is_said():
    class Picky(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if x.dtype != tg.float32:
                raise TypeError("float32 only")
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    s = BackwardSession(Picky.apply(tg.ones(2, requires_grad=True)).sum())
    s.goto("Picky")
    assert "float32 only" in s.check().skipped


def test_where_values_are_gone_the_rule_is_checked_at_random_ones_and_that_is_said():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    for y in (tg.exp(x + 1.0), tg.sqrt(x + 1.0)):  # the constant is held by nobody
        s = BackwardSession(y.sum())
        s.step()
        found = s.check()
        assert found.ok and found.guessed == ("x",) and "random values of x" in str(found)
    with keep_values():
        s = BackwardSession(tg.exp(x + 1.0).sum())
    s.step()
    assert s.check().guessed == ()


def test_a_wrong_rule_is_caught_where_values_are_gone(planted):
    wrong = Elementwise("wrong_exp", np.exp, lambda y, _x: 2 * y, formula="eˣ", local=("2y",))
    s = BackwardSession(wrong(tg.tensor([1.0, 2.0], requires_grad=True) + 1.0).sum())
    s.step()
    assert not s.check()


def test_a_window_of_padding_only_is_computed_again_as_it_was():
    x = tg.zeros(1, 1, 2, 2, requires_grad=True)
    loss = (tg.nn.functional.max_pool2d(x, 2, stride=2, padding=1, dilation=(3, 1)) + 1).sum()
    pooled = loss.node.parents[0].parents[0]
    session = BackwardSession(loss)
    assert session.value_of(pooled) is None
    assert recover(session, pooled).tolist() == [[[[-np.inf, -np.inf]]]]
