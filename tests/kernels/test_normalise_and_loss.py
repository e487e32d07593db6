"""Batch normalisation, softmax and cross-entropy are their formulas, and stay finite at the edges."""

from __future__ import annotations

import numpy as np
import pytest

SHAPES = [(4, 3), (5, 3, 7), (4, 17, 3, 5), (2, 3, 2, 3, 4)]


def layouts(x):
    yield x
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    yield np.asfortranarray(x)


def over(v, x):
    return v.reshape(-1, *(1,) * (x.ndim - 2))


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_centres_and_scales_each_channel(form, shape):
    x = np.random.default_rng(0).standard_normal(shape) * 3 + 5
    axes = (0, *range(2, x.ndim))
    for a in layouts(x):
        xhat, mean, invstd = form.batch_norm(a, 1e-5)
        np.testing.assert_allclose(mean, x.mean(axes))
        np.testing.assert_allclose(invstd, 1 / np.sqrt(x.var(axes) + 1e-5))
        np.testing.assert_allclose(xhat, (x - over(mean, x)) * over(invstd, x), atol=1e-12)
        np.testing.assert_allclose(form.batch_statistics(a)[1], x.var(axes))
        w, b = np.arange(1.0, shape[1] + 1), np.linspace(-1, 1, shape[1])
        y = form.batch_norm_forward(a, w, b, mean, invstd)
        np.testing.assert_allclose(y, xhat * over(w, x) + over(b, x), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_backward_is_the_slope_of_the_forward(form, shape):
    rng = np.random.default_rng(1)
    x, g, w = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(shape[1])

    def loss(x, w, b):
        xhat, _, _ = form.batch_norm(x, 1e-3)
        return np.vdot(g, xhat * over(w, x) + over(b, x))

    _, mean, invstd = form.batch_norm(x, 1e-3)
    b, h = np.zeros(shape[1]), 1e-6
    dx, dw, db = form.batch_norm_backward(g, x, w, mean, invstd)
    t, u = rng.standard_normal(shape), rng.standard_normal(shape[1])
    np.testing.assert_allclose(
        np.vdot(dx, t), (loss(x + h * t, w, b) - loss(x - h * t, w, b)) / (2 * h), rtol=1e-5
    )
    np.testing.assert_allclose(dw @ u, (loss(x, w + h * u, b) - loss(x, w - h * u, b)) / (2 * h), rtol=1e-5)
    np.testing.assert_allclose(db, g.sum((0, *range(2, g.ndim))))


def test_batch_norm_of_a_large_offset_keeps_its_variance(form):
    x = (np.random.default_rng(2).standard_normal((64, 4, 8, 8)) + 1000).astype(np.float32)
    for a in layouts(x):
        _, var = form.batch_statistics(a)
        np.testing.assert_allclose(var, x.astype(np.float64).var((0, 2, 3)), rtol=1e-4)


def test_batch_norm_without_weight_and_in_float16(form):
    x = np.random.default_rng(3).standard_normal((8, 3, 4, 4)).astype(np.float16)
    xhat, mean, invstd = form.batch_norm(x, 1e-5)
    assert xhat.dtype == np.float16 and mean.dtype == np.float32
    np.testing.assert_array_equal(form.batch_norm_forward(x, None, None, mean, invstd), xhat)
    dx, _, _ = form.batch_norm_backward(x, x, None, mean, invstd)
    assert dx.dtype == np.float16
    np.testing.assert_allclose(dx, 0, atol=2e-2)  # x moves along its own xhat only: no slope is left


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_sums_to_one_and_log_softmax_is_its_logarithm(form, axis):
    x = np.random.default_rng(4).standard_normal((3, 5, 4))
    p = form.softmax(x, axis)
    np.testing.assert_allclose(p.sum(axis), 1)
    np.testing.assert_allclose(form.log_softmax(x, axis), np.log(p))
    np.testing.assert_allclose(p, np.exp(x) / np.exp(x).sum(axis, keepdims=True))


def test_large_logits_do_not_overflow(form):
    x = np.array([[1e4, 0.0, -1e4], [-np.inf, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(form.softmax(x, 1), np.array([[1, 0, 0], [0, 0.5, 0.5]], np.float32))
    assert form.log_softmax(x, 1)[0].tolist() == [0, -1e4, -2e4]
    loss, _ = form.cross_entropy(x, np.array([2, 1]))
    np.testing.assert_allclose(loss, [2e4, np.log(2)], rtol=1e-6)


def test_cross_entropy_and_its_gradient_are_the_formula(form):
    rng = np.random.default_rng(5)
    for x in layouts(rng.standard_normal((6, 10))):
        target, g = rng.integers(0, 10, 6), rng.standard_normal(6)
        p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
        loss, logp = form.cross_entropy(x, target)
        np.testing.assert_allclose(loss, -np.log(p[np.arange(6), target]))
        np.testing.assert_allclose(logp, np.log(p))
        np.testing.assert_allclose(
            form.cross_entropy_input(g, logp, target), g[:, None] * (p - np.eye(10)[target])
        )


def test_an_ignored_row_has_no_loss_and_no_gradient(form):
    x = np.random.default_rng(6).standard_normal((3, 4)).astype(np.float32)
    target = np.array([1, -100, 3])
    loss, logp = form.cross_entropy(x, target)
    assert loss[1] == 0 and loss[0] > 0
    dx = form.cross_entropy_input(np.ones(3, np.float32), logp, target)
    assert not dx[1].any() and dx[0].any()


def test_a_class_that_does_not_exist_is_named(form):
    with pytest.raises(IndexError, match="classes 0 to 3, got 4 in row 1"):
        form.cross_entropy(np.zeros((2, 4)), np.array([0, 4]))
    with pytest.raises(ValueError, match="N integer targets"):
        form.cross_entropy(np.zeros((2, 4)), np.array([0.0, 1.0]))


def test_bias_and_relu_keep_nan_and_block_what_is_not_positive(form):
    x = np.array([[[-1.0, 0.0], [2.0, np.nan]]], np.float32)
    np.testing.assert_array_equal(form.relu(x), [[[0, 0], [2, np.nan]]])
    np.testing.assert_array_equal(form.relu_input(np.full_like(x, 3), x), [[[0, 0], [3, 3]]])
    np.testing.assert_array_equal(form.relu_input(np.full_like(x, np.inf), x), [[[0, 0], [np.inf, np.inf]]])
    large = np.tile(x, (1000, 2, 1))
    np.testing.assert_array_equal(form.relu_input(np.full_like(large, np.inf), large)[-1, 2:], [[0, 0], [np.inf] * 2])
    np.testing.assert_array_equal(form.bias_add(x[:, :, :1], np.array([10, 20], np.float32)), [[[9], [22]]])


@pytest.mark.parametrize("wrong", [-1, 10, 10**12, -(2**63)])
def test_a_class_that_does_not_exist_is_an_error_forward_and_backward(form, wrong):
    x = np.random.default_rng(0).standard_normal((4, 10)).astype(np.float32)
    target = np.array([0, 9, wrong, 3])
    with pytest.raises(IndexError, match=f"classes 0 to 9, got {wrong} in row 2"):
        form.cross_entropy(x, target)
    with pytest.raises(IndexError, match=f"classes 0 to 9, got {wrong} in row 2"):
        form.cross_entropy_input(np.ones(4, np.float32), form.log_softmax(x, 1), target)
