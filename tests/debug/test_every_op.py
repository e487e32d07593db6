"""For every op of the op table: stepping, with detours, leaves what `backward` leaves, bit for bit."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.ops import driver
from tinygrad_cnn.debug import BackwardSession


def graph(case):
    arrays, rng = case.inputs()
    leaves = driver.leaves(arrays)
    outputs = [o for o in driver.call(case, leaves) if o.node is not None]
    return leaves, outputs, driver.upstream(rng, outputs)


def bits(leaves):
    return [None if x.grad is None else x.grad.numpy().tobytes() for x in leaves]


@driver.each_case(lambda case: graph(case)[1])
def test_a_walk_with_detours_ends_where_backward_ends(case):
    tg.manual_seed(0)  # some cases draw
    leaves, outputs, seeds = graph(case)
    tg.autograd.backward(outputs, [tg.tensor(s) for s in seeds])
    wanted = bits(leaves)
    tg.manual_seed(0)
    leaves, outputs, seeds = graph(case)
    s = BackwardSession(outputs, [tg.tensor(seed) for seed in seeds])
    moves = np.random.default_rng(len(case.name))
    while not s.at_end:
        s.step(int(moves.integers(1, 4)))
        if moves.random() < 0.4:
            s.back(int(moves.integers(1, 3)))
    s.finish()
    assert bits(leaves) == wanted


def test_a_table_read_several_times_accumulates_in_the_same_order():
    table = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)

    def loss(t):
        rows = [
            tg.nn.functional.embedding(tg.tensor(k), t) for k in ([0, 0, 1], [1, 0, 1], [4, 4, 4], [0, 1, 2])
        ]
        return sum((r * r * (k + 0.1)).sum() for k, r in enumerate(rows)) + (t * t).sum() + t[2].sum()

    a = tg.tensor(table, requires_grad=True)
    loss(a).backward()
    b = tg.tensor(table, requires_grad=True)
    s = BackwardSession(loss(b))
    s.step(9)
    s.back(7)
    s.finish()
    assert a.grad.numpy().tobytes() == b.grad.numpy().tobytes()


def test_a_value_changed_in_place_while_paused_is_refused_as_by_backward():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = tg.exp(x)
    s = BackwardSession((y * y).sum())
    s.step()
    y.detach().mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        s.step()
    assert s.node.op.name == "mul" and s.stop.kind == "exception"
