"""Decompositions: what the op cases do not reach (wrong input, thresholds, results without gradients)."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg

TALL = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])


@pytest.mark.parametrize("full", [True, False])
def test_singular_values_and_vectors_make_the_matrix_again(full: bool) -> None:
    u, s, vh = tg.linalg.svd(TALL, full_matrices=full)
    assert (u.shape, vh.shape) == (((3, 3), (2, 2)) if full else ((3, 2), (2, 2)))
    np.testing.assert_allclose((u[:, :2] * s @ vh).numpy(), TALL.numpy(), rtol=1e-5)
    older = tg.svd(TALL, some=not full)
    np.testing.assert_allclose(older.V.numpy(), vh.T.numpy())


def test_the_vectors_that_only_full_matrices_adds_have_no_gradient() -> None:
    x = TALL.clone().requires_grad_()
    tg.linalg.svd(x).U[:, 2].sum().backward()
    assert not x.grad.numpy().any()


@pytest.mark.parametrize("diagonal", [[1.0, 1.0], [0.0, 0.0], [2.0, 0.0]])
def test_values_have_a_gradient_where_their_vectors_are_not_unique(diagonal: list[float]) -> None:
    for values in (lambda x: tg.linalg.svd(x).S, lambda x: tg.linalg.eigh(x).eigenvalues):
        x = tg.diag(tg.tensor(diagonal)).requires_grad_()
        values(x).sum().backward()
        assert x.grad.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    x = tg.tensor([[3.0, 0.0], [0.0, 0.0], [4.0, 0.0]], requires_grad=True)  # of rank 1
    tg.linalg.svd(x, full_matrices=False).S[0].backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0.6, 0.0], [0.0, 0.0], [0.8, 0.0]], atol=1e-6)


def test_modes_of_qr() -> None:
    q, r = tg.linalg.qr(TALL, mode="complete")
    assert (q.shape, r.shape) == ((3, 3), (3, 2))
    np.testing.assert_allclose((q @ r).numpy(), TALL.numpy(), rtol=1e-5)
    q, r = tg.linalg.qr(TALL, mode="r")
    assert (q.shape, r.shape) == ((0,), (2, 2))
    with pytest.raises(ValueError, match="expected mode 'reduced', 'complete' or 'r', got 'full'"):
        tg.linalg.qr(TALL, mode="full")
    x = TALL.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="expected mode='reduced' for gradients, got 'complete'"):
        tg.linalg.qr(x, mode="complete")
    with tg.no_grad():
        tg.linalg.qr(x, mode="complete")


def test_ranks() -> None:
    x = tg.diag(tg.tensor([4.0, 1.0, 0.01]))
    assert int(tg.linalg.matrix_rank(x)) == 3
    assert int(tg.linalg.matrix_rank(x, rtol=0.1)) == 2
    assert int(tg.linalg.matrix_rank(x, atol=2.0)) == 1
    assert int(tg.linalg.matrix_rank(x, 2.0)) == 1
    assert tg.linalg.matrix_rank(tg.stack([x, x]), rtol=tg.tensor([0.1, 0.5])).tolist() == [2, 1]
    np.testing.assert_allclose(tg.linalg.pinv(x, rtol=0.1).diagonal().numpy(), [0.25, 1, 0])


def test_a_triangle_is_enough_for_symmetric_matrices() -> None:
    whole = tg.tensor([[2.0, 1.0], [1.0, 3.0]])
    for triangle, half in (("L", whole.tril()), ("U", whole.triu())):
        values, vectors = tg.linalg.eigh(half, triangle)
        np.testing.assert_allclose((vectors * values @ vectors.T).numpy(), whole.numpy(), rtol=1e-5)
        np.testing.assert_allclose(tg.linalg.eigvalsh(half, triangle).numpy(), values.numpy(), rtol=1e-6)
    np.testing.assert_allclose(tg.linalg.pinv(whole.tril(), hermitian=True).numpy(), whole.inverse().numpy(), rtol=1e-5)
    with pytest.raises(ValueError, match="expected UPLO 'L' or 'U', got 'lower'"):
        tg.linalg.eigh(whole, "lower")


def test_least_squares_fills_what_the_driver_does() -> None:
    right = tg.tensor([1.0, 2.0, 3.0])
    found = tg.linalg.lstsq(TALL, right, driver="gelsd")
    expected = np.linalg.lstsq(TALL.numpy(), right.numpy())
    for ours, numpys in zip(found, expected):
        np.testing.assert_allclose(np.squeeze(ours.numpy()), np.squeeze(numpys), rtol=1e-4)
    assert [t.numel() for t in tg.linalg.lstsq(TALL, right)] == [2, 0, 1, 0]
    with pytest.raises(ValueError, match="expected a driver of"):
        tg.linalg.lstsq(TALL, right, driver="fast")
    with pytest.raises(ValueError, match=r"expected a right side \(…, 3, k\) or \(3,\), got \(2,\)"):
        tg.linalg.lstsq(TALL, right[:2])


def test_matrices_that_have_no_decomposition_are_explained() -> None:
    with pytest.raises(RuntimeError, match="cholesky expected positive definite matrices"):
        tg.linalg.cholesky(-tg.eye(2))
    with pytest.raises(ValueError, match=r"svd expected matrices \(…, m, n\), got shape \(3,\)"):
        tg.linalg.svd(tg.ones(3))
    with pytest.raises(ValueError, match="svdvals expected a floating dtype, got int64"):
        tg.linalg.svdvals(tg.eye(2, dtype=tg.int64))
    with pytest.raises(ValueError, match="eigh expected square matrices"):
        tg.linalg.eigh(TALL)
    with pytest.raises(ValueError, match="matrix_norm expected ord 'fro', 'nuc'"):
        tg.linalg.matrix_norm(TALL, 3)
    with pytest.raises(ValueError, match="matrix_norm expected two different dimensions"):
        tg.linalg.matrix_norm(TALL, 2, 0)


def test_numpys_functions_on_tensors() -> None:
    x = TALL.clone().requires_grad_()
    assert np.linalg.svd(x)[1].requires_grad
    assert np.linalg.pinv(x).requires_grad
    assert np.linalg.qr(x)[0].requires_grad
    assert int(np.linalg.matrix_rank(x)) == 2
    assert np.linalg.norm(x, 2).requires_grad
