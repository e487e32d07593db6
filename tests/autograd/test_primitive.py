"""Defining primitives: what a rule may look like, what is kept for it, and what a name may be given to."""

from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.op import REGISTRY, Elementwise, General, Multilinear
from tinygrad_cnn.autograd.provenance import PACKAGE, is_engine_file


@pytest.fixture(autouse=True)
def _registry():
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def leaf(*values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


def test_a_rule_may_return_a_parameter():
    scale = Elementwise("test_scale", lambda x, k: x * k, lambda _y, _x, k: k)
    x = leaf(1.0, 2.0)
    scale(x, k=3.0).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_rule_may_return_an_input_and_is_not_run_to_find_out():
    calls = []

    def rule(_y, _a, b):
        calls.append(1)
        return b

    times = Elementwise("test_times", np.multiply, rule, lambda _y, a, _b: a)
    assert not calls
    a, b = leaf(2.0), leaf(5.0)
    times(a, b).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (5, 2)


def test_any_number_of_inputs_is_kept():
    def vjp(g, y, *xs):
        return [g * y / x for x in xs]

    product = General("test_product", lambda *xs: np.prod(xs, axis=0), vjp=vjp)
    xs = [leaf(float(k)) for k in range(1, 25)]
    y = product(*xs)
    y.sum().backward()
    assert xs[-1].grad.item() == pytest.approx(y.item() / 24)


def test_each_keeps_the_others_for_an_input():
    product = Multilinear(
        "test_each", lambda *xs: np.prod(xs, axis=0),
        each=lambda i, g, *xs: g * np.prod([x for k, x in enumerate(xs) if k != i], axis=0),
    )  # fmt: skip
    one, constant = leaf(2.0), tg.tensor(np.array([3.0]))
    y = product(one, constant)
    assert y.node.saved[1] is None and y.node.saved[2] is constant.array
    y.sum().backward()
    assert one.grad.item() == 3


def test_einsum_of_twenty_operands_has_gradients():
    xs = [leaf(1.0 + k / 10) for k in range(20)]
    letters = ",".join("a" * len(xs))
    tg.einsum(f"{letters}->a", *xs).sum().backward()
    whole = np.prod([x.item() for x in xs])
    assert [x.grad.item() for x in xs] == pytest.approx([whole / x.item() for x in xs])


def test_an_op_may_be_defined_again_at_the_same_place():
    made = [Elementwise("test_again", lambda x: x, 1) for _ in range(2)]
    assert REGISTRY["test_again"] is made[1]


def test_a_cell_may_be_changed_and_run_again():
    for factor in (2, 3):
        cell = compile(f"op = Elementwise('test_cell', lambda x: x * {factor}, {factor})", f"<cell {factor}>", "exec")
        space = {"__name__": "__main__", "Elementwise": Elementwise}
        exec(cell, space)
    assert REGISTRY["test_cell"].constants == (3,)


def test_two_ops_do_not_have_one_name():
    with pytest.raises(ValueError, match="exists already"):
        Elementwise("exp", np.exp, 1)


def test_user_code_is_marked_not_listed():
    assert is_engine_file(tg.__file__) and is_engine_file(str(PACKAGE / "autograd" / "fast" / "loop.py"))
    assert not is_engine_file(__file__)
    assert tg.models.__user_code__ and tg.training.__user_code__
    assert not is_engine_file(str(Path(tg.models.__file__).parent / "mnist.py"))
