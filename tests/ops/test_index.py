"""Indexing means what it means in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.ops import index_expressions
from tinygrad_cnn import nn


def test_random_index_expressions_are_pytorchs() -> None:
    frozen = np.load(index_expressions.FILE)
    ours = index_expressions.answers(tg)
    wrong = np.flatnonzero((ours != frozen).any(1))
    named = [expression for k, expression in enumerate(index_expressions.expressions()) if k in wrong[:5]]
    assert not wrong.size, f"{wrong.size} of {len(frozen)} differ, first: {named}"


def test_integers_are_applied_before_index_arrays() -> None:
    x = tg.arange(24).reshape(2, 3, 4)
    assert x[0, :, [0, 1]].shape == (3, 2)
    np.testing.assert_array_equal(x[0, :, [0, 1]].numpy(), x.numpy()[0][:, [0, 1]])
    y = tg.zeros(2, 3, 4)
    y[0, :, [0, 1]] = tg.tensor([[1.0, 2.0]] * 3)
    np.testing.assert_array_equal(y[0].numpy(), [[1, 2, 0, 0]] * 3)


def test_a_uint8_tensor_selects_as_a_mask() -> None:
    x = tg.tensor([1.0, 2.0, 3.0])
    mask = tg.tensor([0, 1, 1], dtype=tg.uint8)
    assert x[mask].tolist() == [2, 3]
    x[mask] = 0
    assert x.tolist() == [1, 0, 0]


def test_an_index_array_beside_an_integer_has_second_derivatives() -> None:
    x = tg.arange(24.0).reshape(2, 3, 4).requires_grad_()
    y = (x[1, :, [0, 2]] ** 3).sum()
    (g,) = tg.autograd.grad(y, x, create_graph=True)
    (h,) = tg.autograd.grad(g.sum(), x)
    wanted = np.zeros((2, 3, 4))
    wanted[1][:, [0, 2]] = 6 * np.arange(24.0).reshape(2, 3, 4)[1][:, [0, 2]]
    np.testing.assert_allclose(h.numpy(), wanted)


def test_a_view_follows_what_is_written_through_an_integer_and_an_array() -> None:
    x = tg.zeros(2, 3, requires_grad=True)
    y = x * 1
    row = y[1]
    y[1, [0, 2]] = tg.tensor([5.0, 7.0])
    assert row.tolist() == [5, 0, 7]
    (g,) = tg.autograd.grad(row.sum(), x)
    assert g.tolist() == [[0, 0, 0], [0, 1, 0]]


CHANGED = {
    "embedding": lambda w, i: nn.functional.embedding(i, w),
    "nll_loss": lambda w, i: nn.functional.nll_loss(w, i),
    "cross_entropy": lambda w, i: nn.functional.cross_entropy(w, i),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_place_that_became_negative_behind_the_graph_is_an_error(name) -> None:
    w, i = tg.ones(2, 3, requires_grad=True), tg.tensor([0, 1])
    y = CHANGED[name](w, i).sum()
    i.numpy()[0] = -1
    with pytest.raises(IndexError, match=r"got -1"):
        y.backward()
