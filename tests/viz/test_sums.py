"""The sums that the page shows: their terms add up to the engine's gradients, whatever the op."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.ops import driver
from tinygrad_cnn import viz
from tinygrad_cnn.autograd.backward_pass import BackwardPass
from tinygrad_cnn.autograd.handle import dense
from tinygrad_cnn.nn import functional as F

#: Entries looked at for each edge of each case: some thousands over the whole table.
PICKED = 3


def has_a_graph(case):
    return any(o.requires_grad for o in driver.call(case, driver.leaves(case.inputs()[0])))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@driver.each_case(has_a_graph)
def test_random_entries_equal_the_engines_and_the_terms_add_up(case):
    arrays, rng = case.inputs()
    outputs = [o for o in driver.call(case, driver.leaves(arrays)) if o.requires_grad]
    seeds = driver.upstream(rng, outputs)
    description = viz.graph(outputs, grad_outputs=seeds).description
    engine = {}
    work = BackwardPass([o.node for o in outputs], [np.asarray(s) for s in seeds], retain_graph=True, keep=True)
    for node, _upstream, downstream in work.steps():
        for i, part in enumerate(downstream):
            if part is not None:
                engine[f"{node.seq}:{i}"] = dense(part).reshape(-1)
    for edge in description.edges:
        if edge.sums is None:
            continue
        entries = edge.sums.entries
        if edge.sums.complete:
            assert len(entries) == engine[edge.id].size
        for k in rng.integers(0, len(entries), PICKED):
            place, value, terms, _rest, rest_sum = entries[k]
            assert value == pytest.approx(float(engine[edge.id][place]), rel=1e-6, abs=1e-12, nan_ok=True)
            products = [upstream * local for _at, upstream, local, *_other in terms]
            size = max(map(abs, products), default=0.0)
            assert sum(products) + rest_sum == pytest.approx(value, rel=1e-6, abs=1e-9 * max(1.0, size), nan_ok=True)


def sums_into(loss, label):
    description = viz.graph(loss).description
    found = {node.id: node.label for node in description.nodes}
    return next(edge.sums for edge in description.edges if found[edge.from_] == label)


def test_an_entry_of_a_convolutions_input_names_the_kernel_entries_laid_over_it():
    x = tg.tensor(np.arange(25.0).reshape(1, 1, 5, 5), requires_grad=True)
    w = tg.tensor(np.arange(1.0, 10.0).reshape(1, 1, 3, 3), requires_grad=True)
    sums = sums_into(F.conv2d(x, w).sum(), "x")
    assert sums.complete and sums.whose == "w" and sums.other_shape == [1, 1, 3, 3]
    _k, value, terms, rest, _sum = sums.entries[6]
    # Output (i, j) of the 3 x 3 outputs saw entry (1, 1) through kernel entry (1 - i, 1 - j).
    assert {(at, other) for at, _u, _l, other in terms} == {(0, 4), (1, 3), (3, 1), (4, 0)}
    assert value == 1 + 2 + 4 + 5 and rest == 0


def test_an_entry_behind_a_max_pool_has_its_winner_alone():
    x = tg.tensor([[[[1.0, 5.0], [2.0, 3.0]]]], requires_grad=True)
    sums = sums_into(F.max_pool2d(x, 2).sum(), "x")
    assert [len(terms) for _k, _value, terms, _r, _s in sums.entries] == [0, 1, 0, 0]


def test_an_entry_of_a_matrix_product_is_a_row_times_a_column():
    a, b = tg.randn(2, 3, requires_grad=True), tg.randn(3, 4, requires_grad=True)
    sums = sums_into((a @ b).sum(), "a")
    assert [other for _at, _u, _l, other in sorted(sums.entries[1][2])] == [4, 5, 6, 7]


def test_of_large_arrays_some_entries_are_told_and_the_page_stays_small():
    x, w = tg.randn(8, 200, requires_grad=True), tg.randn(200, 100, requires_grad=True)
    sums = sums_into((x @ w).sum(), "x")
    assert not sums.complete and 1 <= len(sums.entries) <= 3
    _k, value, terms, rest, rest_sum = sums.entries[0]
    assert len(terms) == 12 and rest == 88
    assert sum(u * local for _at, u, local, *_ in terms) + rest_sum == pytest.approx(value, rel=1e-5)


def test_a_users_own_function_is_not_called_for_it():
    calls = []

    class Twice(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * 2

    x = tg.ones(3, requires_grad=True)
    assert sums_into(Twice.apply(x).sum(), "x") is None and len(calls) == 1


def test_short_formulas_stand_for_sentences_that_ops_say():
    from tinygrad_cnn.autograd.op import REGISTRY
    from tinygrad_cnn.viz.formula import SHORT

    said = {text for op in REGISTRY.values() for text in op.local}
    assert set(SHORT) <= said
