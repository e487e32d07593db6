"""At the edges of their domains functions have PyTorch's values and gradients, or its errors."""

import math

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import func
from tinygrad_cnn.nn import functional as F

inf, nan = math.inf, math.nan


def gradient(fn, *arguments):
    tensors = [tg.tensor(a, dtype=tg.float64, requires_grad=True) for a in arguments]
    fn(*tensors).sum().backward()
    return [t.grad.tolist() for t in tensors]


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        (0.5, [0, 2.1547, -1.866]), (0, [0, 0, 0]), (-1, [0, 0, 0]), (-2, [0, 0, 0]), (1, [0, 1, -1]),
        (2, [0, 0.6, -0.8]), (3, [0, 0.44485, -0.79085]), (inf, [0, 0, -1]),
    ],
)  # fmt: skip
def test_p_norms_at_a_zero_entry(p, wanted):
    np.testing.assert_allclose(gradient(lambda x: tg.norm(x, p), [0.0, 3.0, -4.0])[0], wanted, atol=1e-4)


def test_distances_of_order_one_half_between_equal_rows_have_finite_gradients():
    assert np.isfinite(gradient(lambda x: tg.cdist(x, x, p=0.5), [[1.0, 2.0], [1.0, 5.0]])[0]).all()


def test_powers_at_zero_and_infinity():
    assert gradient(lambda a, b: tg.pow(a, b), [0.0, 0.0], [2.0, 0.0]) == [[0, 0], [0, 0]]
    assert gradient(lambda a, b: tg.pow(a, b), [inf], [0.0])[0] == [0]
    assert gradient(lambda a: a**0, [inf, nan]) == [[0, 0]]


def test_margin_losses_at_their_kink():
    y = tg.tensor([1.0], dtype=tg.float64)
    assert gradient(lambda a, b: F.margin_ranking_loss(a, b, y, margin=1.0), [2.0], [1.0]) == [[-1], [1]]
    assert gradient(lambda a: F.hinge_embedding_loss(a, -y, margin=1.0), [1.0]) == [[-1]]
    assert gradient(lambda a: F.multi_margin_loss(a, tg.tensor([0])), [[1.0, 0.0, 2.0]]) == [[[-1 / 3, 0, 1 / 3]]]
    found = gradient(lambda a: F.multilabel_margin_loss(a, tg.tensor([[0, -1, 1]])), [[1.0, 0.0, 2.0]])
    assert found == [[[-1 / 3, 0, 1 / 3]]]
    found = gradient(lambda a, b: F.cosine_embedding_loss(a, b, -y), [[1.0, 0.0]], [[0.0, 1.0]])
    np.testing.assert_allclose(found, [[[0, 1]], [[1, 0]]], atol=1e-9)
    found = gradient(lambda a, b, c: F.triplet_margin_loss(a, b, c, eps=0.0), [[0.0]], [[1.0]], [[2.0]])
    assert found[1:] == [[[1.0]], [[-1.0]]]
    assert F.multi_margin_loss(tg.tensor([1.0, 0.0, 2.0]), tg.tensor([1])).item() == pytest.approx(5 / 3)
    assert F.multi_margin_loss(tg.tensor(3.0), tg.tensor(0)).item() == 0


def test_cosine_similarity_broadcasts_before_it_takes_norms():
    found = F.cosine_similarity(tg.tensor([2.0]), tg.tensor([1.0, 2.0, 3.0]), dim=0)
    assert found.item() == pytest.approx(0.9258, abs=1e-4)


@pytest.mark.parametrize(
    "divide",
    [
        lambda a, b: a // b, lambda a, b: a % b, lambda a, b: a.fmod(b), lambda a, b: a.remainder_(b),
        lambda a, b: a.div(b, rounding_mode="trunc"), lambda a, b: a.div(b, rounding_mode="floor"),
        lambda a, b: a.floor_divide_(b), lambda a, _b: 3 // a * 0 + a // 0, lambda a, _b: a % 0,
    ],
)  # fmt: skip
def test_integers_are_not_divided_by_zero(divide):
    with pytest.raises(ZeroDivisionError, match="of integers by 0"):
        divide(tg.tensor([1, 2]), tg.tensor([1, 0]))


def test_floats_are_divided_by_zero():
    assert (tg.tensor([1.0, -1.0]) // tg.tensor(0.0)).tolist() == [inf, -inf]


def test_rounded_quotients_keep_the_graph():
    found = gradient(lambda a, b: a // b + a.div(b, rounding_mode="trunc") + a, [5.0, -5.0], [2.0, 2.0])
    assert found == [[1, 1], [0, 0]]
    large = tg.tensor([2**62 + 1, -(2**62) - 1])
    assert large.div(tg.tensor(1), rounding_mode="trunc").tolist() == large.tolist()
    assert tg.tensor([7, -7]).div(tg.tensor(2), rounding_mode="trunc").tolist() == [3, -3]


def test_forward_over_reverse_goes_through_integer_indexing():
    rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    x = tg.tensor([1.0, 2.0])
    assert func.hessian(rosenbrock)(x).tolist() == [[402.0, -400.0], [-400.0, 200.0]]
    assert func.hvp(rosenbrock, x, tg.tensor([1.0, 0.0]))[1].tolist() == [402.0, -400.0]
    q = func.hessian(lambda x: x.quantile(0.5) ** 2)(tg.tensor([1.0, 2.0, 4.0]))
    assert q.tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("nonsense", TypeError, "grad expected a tensor or None, got str"),
        (np.ones(3, np.float32), TypeError, "got ndarray"),
        (tg.ones(2), RuntimeError, r"grad expected shape \(3,\)"),
        (tg.ones(3, dtype=tg.float64), RuntimeError, "got .* float64"),
    ],
    ids=["text", "an array", "another shape", "another dtype"],
)
def test_a_gradient_that_does_not_fit_is_refused_when_it_is_assigned(value, error, message):
    w = tg.ones(3, requires_grad=True)
    with pytest.raises(error, match=message):
        w.grad = value
    w.grad = tg.zeros(3)
    w.grad = None


def test_a_function_may_be_told_that_an_output_got_no_gradient():
    class Two(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, first, second):
            assert second is None
            return first * 2

    x = tg.ones(3, requires_grad=True)
    Two.apply(x)[0].sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
