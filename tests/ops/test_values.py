"""Values of single functions where the table's differences cannot tell: accuracy, limits, errors."""

import math

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.ops.special import polygamma_array


def test_erf_and_erfc_are_as_good_as_the_c_librarys() -> None:
    x = np.concatenate([np.linspace(-7, 7, 4001), [0.46875, 4.0, 1e-300, 0.0, 26.0, -26.0]])
    erf, erfc = tg.erf(tg.from_numpy(x)).numpy(), tg.erfc(tg.from_numpy(x)).numpy()
    np.testing.assert_allclose(erf, [math.erf(v) for v in x], rtol=2e-15, atol=1e-300)
    np.testing.assert_allclose(erfc, [math.erfc(v) for v in x], rtol=3e-15)
    limits = tg.erf(tg.tensor([math.inf, -math.inf, math.nan])).tolist()
    assert limits[:2] == [1.0, -1.0] and math.isnan(limits[2])
    assert math.copysign(1, tg.erf(tg.tensor(-0.0)).item()) == -1


def test_erf_in_float32_is_good_to_its_last_digits() -> None:
    x = np.concatenate([np.linspace(-6, 6, 20_001), [1e-20, 0.0]]).astype(np.float32)
    found = tg.erf(tg.from_numpy(x)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [math.erf(v) for v in x.tolist()], rtol=6e-7)


def test_many_rows_added_at_repeated_places() -> None:
    rng = np.random.default_rng(0)
    x = tg.from_numpy(rng.standard_normal((50, 40))).requires_grad_()
    rows = rng.integers(-50, 50, (20, 10))
    g = rng.standard_normal((20, 10, 40))
    (x[tg.from_numpy(rows)] * tg.from_numpy(g)).sum().backward()
    wanted = np.zeros((50, 40))
    np.add.at(wanted, rows, g)
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-12, atol=1e-12)


def test_erfinv_inverts_erf() -> None:
    y = np.concatenate([np.linspace(-0.999999, 0.999999, 2001), [1 - 1e-12, -1 + 1e-12, 1e-12]])
    x = tg.erfinv(tg.from_numpy(y)).numpy()
    np.testing.assert_allclose([math.erf(v) for v in x], y, rtol=1e-13, atol=1e-16)
    ends = tg.erfinv(tg.tensor([1.0, -1.0, 1.5])).tolist()
    assert ends[:2] == [math.inf, -math.inf] and math.isnan(ends[2])


def test_lgamma_and_its_derivatives() -> None:
    x = np.array([0.1, 1.0, 2.0, 5.5, 100.0, -0.5])
    np.testing.assert_allclose(
        tg.lgamma(tg.from_numpy(x)).numpy(), [math.lgamma(v) for v in x], rtol=1e-14, atol=1e-15
    )
    assert tg.lgamma(tg.tensor([0.0, -1.0])).tolist() == [math.inf, math.inf]
    np.testing.assert_allclose(
        tg.digamma(tg.tensor(1.0, dtype=tg.float64)).item(), -0.57721566490153286, rtol=1e-14
    )
    np.testing.assert_allclose(polygamma_array(1, 1.0), math.pi**2 / 6, rtol=1e-14)


def test_nothing_overflows_where_the_answer_is_finite() -> None:
    big = tg.tensor([-1000.0, 1000.0])
    with np.errstate(over="raise", invalid="raise"):
        assert tg.sigmoid(big).tolist() == [0, 1]
        assert tg.nn.functional.softplus(big).tolist() == [0, 1000]
        assert tg.nn.functional.logsigmoid(big).tolist() == [-1000, 0]
        assert tg.logsumexp(big, 0).item() == 1000
        assert tg.logsumexp(tg.tensor([-math.inf, -math.inf]), 0).item() == -math.inf


def test_float16_sums_accumulate_wide() -> None:
    x = tg.ones(4096, dtype=tg.float16)
    assert x.sum().item() == 4096 and x.mean().item() == 1 and x.sum().dtype == tg.float16


def test_reductions_of_nothing() -> None:
    assert tg.zeros(0).sum().item() == 0 and tg.zeros(0).prod().item() == 1
    assert math.isnan(tg.zeros(0).mean().item())
    with pytest.raises(ValueError, match="max expected at least one entry"):
        tg.zeros(0).max()


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (lambda: tg.ones(2, 3) @ tg.ones(2, 3), "inner sizes 3 and 2 differ"),
        (lambda: tg.mm(tg.ones(2), tg.ones(2, 2)), "mm expected tensors of 2 and 2 dimensions"),
        (lambda: tg.bmm(tg.ones(2, 1, 1), tg.ones(3, 1, 1)), "stacks of one length"),
        (lambda: tg.ones(2, 3).reshape(4), r"shape \(2, 3\) the shape \(4,\)"),
        (lambda: tg.cat([tg.ones(2, 3), tg.ones(2, 2)]), "agree in all dimensions but 0"),
        (lambda: tg.stack([tg.ones(2), tg.ones(3)]), "stack expected tensors of one shape"),
        (lambda: tg.cat([]), "at least one tensor"),
        (lambda: tg.ones(2).expand(3), "only dimensions of size 1 grow"),
        (lambda: tg.ones(2, 2).permute(0, 0), "each of 2 dimensions once"),
        (lambda: tg.ones(4).split([1, 2]), "add up to 4"),
        (lambda: tg.einsum("ij,jk->ik", tg.ones(2, 3), tg.ones(2, 3)), "dimension 'j' has sizes 3 and 2"),
        (lambda: tg.einsum("ij->k", tg.ones(2, 3)), "a dimension that no operand has"),
        (lambda: tg.nn.functional.one_hot(tg.tensor([3]), 3), "below num_classes=3"),
        (lambda: tg.topk(tg.ones(3), 4), "0 <= k <= 3"),
        (lambda: tg.nn.functional.pad(tg.ones(3), (1,)), r"\(low, high\) pairs"),
        (lambda: tg.nn.functional.pad(tg.ones(1, 3), (3, 0), mode="reflect"), "less padding than the size 3"),
        (lambda: tg.nn.functional.glu(tg.ones(3)), "even size"),
        (lambda: tg.clamp(tg.ones(1)), "min, max or both"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(fails, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fails()


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (lambda: tg.ones(2, 3).sum(2), "dim 2 is out of range"),
        (
            lambda: tg.gather(tg.ones(2, 3), 1, tg.tensor([[3]])),
            "index 3 is out of range for dimension 1 of size 3",
        ),
        (lambda: tg.index_select(tg.ones(2), 0, tg.tensor([-1])), "index -1 is out of range"),
        (lambda: tg.ones(3)[5], "out of bounds"),
        (lambda: tg.ones(3)[tg.tensor([0.5])], "integers, slices or booleans"),
        (lambda: tg.ones(3).narrow(0, 2, 2), "do not exist"),
    ],
)
def test_places_that_do_not_exist_are_refused(fails, message: str) -> None:
    with pytest.raises(IndexError, match=message):
        fails()


def test_sorting_is_stable_in_both_directions() -> None:
    x = tg.tensor([1.0, 0.0, 1.0, 0.0])
    assert tg.argsort(x).tolist() == [1, 3, 0, 2]
    assert tg.argsort(x, descending=True).tolist() == [0, 2, 1, 3]


def test_ties_share_the_gradient_of_a_maximum_over_everything() -> None:
    x = tg.tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.max().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.tolist() == [0, 1, 0]


def test_the_gradient_of_a_distance_of_zero_is_zero() -> None:
    x = tg.zeros(2, requires_grad=True)
    tg.hypot(x, x).sum().backward()
    assert x.grad.tolist() == [0, 0]
