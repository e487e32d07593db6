"""What `explain` prints adds up to the gradient, for every op of the op table."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.ops import driver
from tinygrad_cnn.debug import BackwardSession, Interpreter
from tinygrad_cnn.errors import UsageError


def outputs_of(case):
    """The results that have a gradient to explain."""
    outputs = driver.call(case, driver.leaves(case.inputs()[0]))
    return [o for o in outputs if o.node is not None and o.array.size]


@driver.each_case(outputs_of)
def test_the_terms_add_up_to_the_gradient_at_every_node(case):
    rng = case.inputs()[1]
    outputs = outputs_of(case)
    s = BackwardSession(outputs, driver.upstream(rng, outputs))
    while s.node is not None:
        node = s.node
        for i, parent in enumerate(node.parents):
            if parent is None or not int(np.prod(parent.shape)):
                continue
            pulled = s.downstream[i]
            index = tuple(int(rng.integers(0, n)) for n in parent.shape)
            for at in (None, index):
                e = s.explain(node, at, i)
                size = max([abs(t.product) for t in e.terms], default=0.0)
                assert e.gradient == pulled[e.index]
                assert e.total == pytest.approx(e.gradient, rel=1e-7, abs=1e-9 * max(1.0, size))
                assert [abs(t.product) for t in e.terms] == sorted(
                    (abs(t.product) for t in e.terms), reverse=True
                )
                str(e)
        s.step()


def test_a_matrix_product_names_the_weights_and_their_numbers():
    x = tg.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    w = tg.tensor([[0.5, -1.0], [2.0, 0.25], [4.0, 8.0]], requires_grad=True)
    s = BackwardSession((x @ w * tg.tensor([10.0, 3.0])).sum())
    s.goto("matmul")
    e = s.explain(index=(0, 2))
    assert [(t.output, t.upstream, t.name, t.local) for t in e.terms] == [
        ((0, 0), 10, "b[2, 0]", 4),
        ((0, 1), 3, "b[2, 1]", 8),
    ]
    text = str(e)
    assert "∂L/∂a[0, 2]" in text and "10 · 4" in text and "= 64" in text
    assert e.gradient == 64


def test_a_convolution_names_the_kernel_entry_of_each_window():
    x = tg.tensor(np.arange(1, 26, dtype=np.float32).reshape(1, 1, 5, 5), requires_grad=True)
    w = tg.tensor(np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3), requires_grad=True)
    s = BackwardSession(tg.nn.functional.conv2d(x, w).sum())
    s.goto("conv2d")
    e = s.explain(index=(0, 0, 1, 1))
    assert {(t.output, t.name) for t in e.terms} == {
        ((0, 0, i, j), f"w[0, 0, {1 - i}, {1 - j}]") for i in range(2) for j in range(2)
    }
    assert e.gradient == 1 + 2 + 4 + 5
    e = s.explain(index=(0, 0, 0, 0), input=1)
    assert {t.name for t in e.terms} == {f"x[0, 0, {i}, {j}]" for i in range(3) for j in range(3)}


def test_what_other_users_handed_back_is_told():
    x = tg.tensor([2.0], requires_grad=True)
    y = x * 3
    square = y * y
    s = BackwardSession((square + tg.exp(y)).sum())
    s.goto(square)
    e = s.explain()
    assert e.before == pytest.approx(np.exp(6.0)) and e.gradient == 6.0
    assert "other users had handed back 403.429" in str(e)


def test_the_first_input_that_wants_a_gradient_is_explained_by_default():
    w = tg.tensor([[2.0], [3.0]], requires_grad=True)
    s = BackwardSession((tg.tensor([[5.0, 7.0]]) @ w).sum())
    s.goto("matmul")
    e = s.explain()
    assert (e.input, e.index, e.gradient) == ("b", (1, 0), 7.0)


def test_infinities_are_shown_and_not_dropped():
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    s = BackwardSession(tg.sqrt(x).sum())
    s.goto("sqrt")
    with np.errstate(all="ignore"):
        assert np.isinf(s.explain(index=0).total)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("explain 9", "one entry of shape (2,)"),
        ("explain 0 of q", "no gradient for an input 'q'"),
        ("explain x x", "cannot read"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_line(line, says):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    s = BackwardSession(tg.exp(x).sum())
    s.goto("exp")
    reply = Interpreter(s).execute(line)
    assert reply.error and says in reply.text


def test_a_leaf_and_a_node_not_reached_cannot_be_explained():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    s = BackwardSession(tg.exp(x).sum())
    exp = s.find("exp")[0]
    with pytest.raises(UsageError, match="goto it first"):
        s.explain(exp)
    with pytest.raises(UsageError, match="leaf"):
        s.explain(s.nodes[-1])


def test_a_rule_that_gives_another_number_than_the_terms_is_not_hidden():
    from tinygrad_cnn.autograd.op import REGISTRY, General

    cube = General(
        "odd_cube", lambda x: x**3, vjp=lambda g, _y, x: (2 * g * x**2,), definition=lambda x: x * x * x
    )
    try:
        s = BackwardSession(cube(tg.tensor([1.0, 2.0], requires_grad=True)).sum())
        s.step()
        found = s.explain(index=(1,))
        assert found.off and found.total == 12 and "but the rule gives 8" in str(found)
        s.edit(7, input=0)
        assert not s.explain(index=(1,)).off  # edited by hand: nobody's fault
    finally:
        del REGISTRY["odd_cube"]


def test_a_leafs_gradient_is_explained_by_what_each_of_its_users_handed_back():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    (w * 5).sum().backward()
    s = BackwardSession((w * w * 3 + tg.exp(w)).sum())
    with pytest.raises(UsageError, match="goto it first"):
        s.explain(s.nodes[-1])
    s.goto(w)
    found = s.explain(index=1)
    assert [(label.partition("#")[0], number) for label, _, number in found.parts] == [
        ("exp", pytest.approx(np.exp(2.0), rel=1e-6)), ("mul", 6.0), ("mul", 6.0),
    ]  # fmt: skip
    assert found.gradient == pytest.approx(sum(n for _, _, n in found.parts)) and found.before == 5
    assert "= what its users hand back" in str(found) and ".grad holds 5 of earlier passes" in str(found)
    assert "what its users" in Interpreter(s).execute("explain").text
