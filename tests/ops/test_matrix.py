"""Matrices and dtypes: what cannot be inverted is explained, and the functions of dtypes."""

import numpy as np
import pytest

import tinygrad_cnn as tg


def test_what_cannot_be_inverted_is_explained() -> None:
    with pytest.raises(RuntimeError, match="inverse expected matrices that can be inverted, got a singular one"):
        tg.inverse(tg.zeros(2, 2))
    with pytest.raises(ValueError, match=r"det expected square matrices \(…, n, n\), got shape \(2, 3\)"):
        tg.det(tg.ones(2, 3))
    with pytest.raises(ValueError, match="inverse expected a floating dtype, got int64"):
        tg.inverse(tg.eye(2, dtype=tg.int64))
    with pytest.raises(ValueError, match=r"solve expected a right side \(…, 2, k\) or \(…, 2\), got \(3,\)"):
        tg.linalg.solve(tg.eye(2), tg.ones(3))


def test_determinants_of_either_sign() -> None:
    x = tg.tensor([[0.0, 2.0], [3.0, 0.0]])
    sign, log = tg.slogdet(x)
    assert (sign.item(), round(log.exp().item(), 4)) == (-1, 6)
    assert np.isnan(x.logdet().item())


def test_the_place_of_a_mode_is_its_last_one() -> None:
    values, indices = tg.tensor([[1, 2, 2, 1, 3]]).mode()
    assert (values.tolist(), indices.tolist()) == ([1], [3])


def test_dtypes_of_results_can_be_asked_for() -> None:
    assert tg.promote_types(tg.float16, tg.int32) == tg.float16
    assert tg.promote_types(tg.uint8, tg.int8) == tg.int16
    assert tg.result_type(tg.ones(2, dtype=tg.int32), 1.5) == tg.float32
    assert tg.can_cast(tg.int64, tg.uint8)
    assert not tg.can_cast(tg.float32, tg.int64)
    assert not tg.can_cast(tg.int64, tg.bool)


def test_windows_and_divisors() -> None:
    assert tg.hann_window(4).tolist() == pytest.approx([0, 0.5, 1, 0.5])
    assert tg.hamming_window(3, False).tolist() == pytest.approx([0.08, 1, 0.08])
    assert tg.blackman_window(1).tolist() == [1]
    assert tg.gcd(tg.tensor([4, 9]), tg.tensor(6)).tolist() == [2, 3]
    assert tg.lcm(tg.tensor(4), tg.tensor(6)).item() == 12


def test_solve_from_the_right() -> None:
    a, b = tg.tensor([[2.0, 1.0], [1.0, 3.0]]), tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert tg.allclose(tg.linalg.solve(a, b, left=False) @ a, b, atol=1e-5)
    stack = tg.stack([a, a.t() * 2])
    assert tg.allclose(tg.linalg.solve(stack, b, left=False) @ stack, b.expand(2, 3, 2), atol=1e-5)
    for wrong in (tg.ones(2), tg.ones(2, 3)):
        with pytest.raises(ValueError, match=r"solve\(left=False\) expected a right side \(…, k, 2\)"):
            tg.linalg.solve(a, wrong, left=False)


SINGULAR = {
    "rank 1 of 2": ([[1.0, 1.0], [1.0, 1.0]], [[1, -1], [-1, 1]]),
    "rank 2 of 3": ([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]], [[0, 0, 0], [0, 0, 0], [0, 0, 6]]),
    "rank 1 of 3": ([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.zeros((3, 3))),
    "rank 0 of 1": ([[0.0]], [[1]]),
    "a stack": ([[[1.0, 1.0], [1.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]]], [[[1, -1], [-1, 1]], [[1, 0], [0, 2]]]),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_a_determinant_has_its_gradient_where_it_is_zero(name) -> None:
    matrix, cofactors = SINGULAR[name]
    x = tg.tensor(matrix, dtype=tg.float64, requires_grad=True)
    tg.det(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), cofactors, atol=1e-12)
    x.grad = None
    tg.slogdet(x)[1].sum().backward()
    singular = x.grad.numpy() if x.ndim == 2 else x.grad.numpy()[0]
    assert not np.isfinite(singular).any()
