"""Pooling chooses and averages as PyTorch does, and its transposes put gradients back where the values came
from."""

from __future__ import annotations

import numpy as np
import pytest

# x shape, kernel, stride, padding (symmetric), dilation, ceil_mode
CASES = {
    "2x2": ((2, 3, 6, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    "2x2 odd": ((2, 3, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), False),
    "3x3 stride 2": ((2, 5, 9, 9), (3, 3), (2, 2), (0, 0), (1, 1), False),
    "3x3 stride 2 padded": ((2, 5, 8, 8), (3, 3), (2, 2), (1, 1), (1, 1), False),
    "ceil": ((1, 2, 6, 7), (3, 2), (2, 2), (0, 0), (1, 1), True),
    "ceil padded": ((1, 2, 6, 7), (3, 3), (2, 3), (1, 1), (1, 1), True),
    "dilated": ((1, 2, 9, 9), (2, 3), (1, 2), (1, 0), (2, 3), False),
    "padding only": ((2, 16, 2, 2), (2, 2), (2, 2), (1, 1), (3, 1), False),
    "padding only, 1d": ((2, 3, 2), (2,), (1,), (2,), (4,), False),
    "padding only, 3d": ((1, 2, 1, 2, 3), (2, 2, 2), (1, 2, 1), (1, 1, 1), (2, 3, 2), False),
    "1d": ((3, 2, 11), (3,), (2,), (1,), (1,), False),
    "3d": ((1, 2, 5, 4, 6), (2, 2, 3), (2, 1, 2), (1, 0, 1), (1, 1, 1), True),
    "empty batch": ((0, 2, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1), False),
}


def layouts(x):
    yield x
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    yield np.asfortranarray(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_max_pool_takes_the_first_maximum_of_each_window(form, loops, name, dtype):
    shape, kernel, stride, pad, dilation, ceil = CASES[name]
    x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)  # few values: many ties
    geo = dict(
        kernel=kernel, stride=stride, padding=tuple((p, p) for p in pad), dilation=dilation, ceil_mode=ceil
    )
    expected = loops.max_pool(x, **geo)
    for a in layouts(x):
        y, indices = form.max_pool(a, **geo)
        np.testing.assert_array_equal(y, expected[0])
        np.testing.assert_array_equal(indices, expected[1])
        assert y.dtype == dtype
        np.testing.assert_array_equal(form.take_windows(a, indices), np.where(indices < 0, 0, y))


@pytest.mark.parametrize("name", CASES)
def test_scatter_is_the_transpose_of_take(form, name):
    shape, kernel, stride, pad, dilation, ceil = CASES[name]
    rng = np.random.default_rng(1)
    geo = dict(
        kernel=kernel, stride=stride, padding=tuple((p, p) for p in pad), dilation=dilation, ceil_mode=ceil
    )
    for x in layouts(rng.standard_normal(shape)):
        y, indices = form.max_pool(x, **geo)
        for g in layouts(rng.standard_normal(y.shape)):
            dx = form.scatter_windows(g, indices, shape=shape)
            assert dx.shape == shape
            np.testing.assert_allclose(np.vdot(dx, x), np.vdot(g, np.where(np.isinf(y), 0, y)), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_a_window_that_sees_only_padding_chooses_nothing(form, dtype):
    geo = dict(kernel=(2, 2), stride=(2, 2), padding=((1, 1),) * 2, dilation=(3, 1), ceil_mode=False)
    least = np.iinfo(dtype).min if dtype == np.int64 else -np.inf
    for x in layouts(np.ones((2, 16, 2, 2), dtype)):
        y, indices = form.max_pool(x, **geo)
        assert (y == least).all() and (indices == -1).all()
        assert not form.take_windows(x, indices).any()
        assert not form.scatter_windows(np.ones_like(y), indices, shape=x.shape).any()


@pytest.mark.parametrize("wrong", [-2, 24, 10**6, -(2**31), 2**31 - 1])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_index_outside_the_plane_is_an_error(form, wrong, dtype):
    for x in layouts(np.ones((2, 16, 4, 6), np.float32)):
        for g in layouts(np.ones((2, 16, 2, 3), np.float32)):
            indices = np.zeros_like(g, dtype)
            indices[1, 7, 1, 2] = wrong
            with pytest.raises(IndexError, match=f"positions 0 to 23 of the plane, got {wrong}"):
                form.take_windows(x, indices)
            with pytest.raises(IndexError, match=f"positions 0 to 23 of the plane, got {wrong}"):
                form.scatter_windows(g, indices, shape=x.shape)


def test_indices_of_another_shape_are_refused(form):
    x, g = np.ones((2, 3, 4, 6), np.float32), np.ones((2, 3, 2, 3), np.float32)
    for shape in [(3, 3, 2, 3), (2, 16, 2, 3)]:
        with pytest.raises(ValueError, match="expected"):
            form.take_windows(x, np.zeros(shape, np.int32))
        with pytest.raises(ValueError, match="expected"):
            form.scatter_windows(g, np.zeros(shape, np.int32), shape=x.shape)


@pytest.mark.parametrize("kernel", [2, 3])
def test_nan_wins_and_minus_infinity_is_still_a_position(form, kernel):
    x = np.zeros((1, 4, 4, 4), np.float32)
    x[0, 0, 1, 1] = np.nan
    x[0, 1] = -np.inf
    x[0, 2] = np.arange(16).reshape(4, 4)
    geo = dict(kernel=(kernel,) * 2, stride=(2, 2), padding=((1, 1),) * 2, dilation=(1, 1), ceil_mode=False)
    for a in layouts(x):
        y, indices = form.max_pool(a, **geo)
        assert np.isnan(y[0, 0]).any()
        assert indices[0, 0][np.isnan(y[0, 0])].tolist() == [5] * int(np.isnan(y[0, 0]).sum())
        assert np.isneginf(y[0, 1]).all()
        np.testing.assert_array_equal(form.take_windows(a, indices)[0, 1:], y[0, 1:])
        assert indices[0, 1, 0, 0] == 0


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("name", [n for n in CASES if n != "dilated" and "padding only" not in n])
def test_avg_pool_divides_by_what_the_window_covers(form, loops, name, include):
    shape, kernel, stride, pad, _, ceil = CASES[name]
    rng = np.random.default_rng(2)
    x = rng.standard_normal(shape)
    geo = dict(kernel=kernel, stride=stride, padding=pad, ceil_mode=ceil, count_include_pad=include)
    pairs, ones = tuple((p, p) for p in pad), (1,) * len(pad)
    for a in layouts(x):
        y = form.avg_pool(a, **geo, divisor_override=None)
        for window, inside in loops.windows(shape, kernel, stride, pairs, ones, ceil):
            starts = [i * s - p for i, s, p in zip(window, stride, pad)]
            ends = [min(i + k, n + p) for i, k, n, p in zip(starts, kernel, shape[2:], pad)]
            count = np.prod([e - s for s, e in zip(starts, ends)]) if include else len(inside)
            total = sum(x[(slice(None), slice(None), *at)] for at in inside)
            np.testing.assert_allclose(y[(slice(None), slice(None), *window)], total / count, atol=1e-12)
        for g in layouts(rng.standard_normal(y.shape)):
            dx = form.avg_pool_input(g, shape=shape, **geo, divisor_override=None)
            np.testing.assert_allclose(np.vdot(dx, x), np.vdot(g, y), atol=1e-12)


def test_avg_pool_divisor_override_replaces_the_count(form):
    x = np.ones((1, 1, 4, 4), np.float32)
    geo = dict(kernel=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False, count_include_pad=True)
    np.testing.assert_array_equal(form.avg_pool(x, **geo, divisor_override=8), np.full((1, 1, 2, 2), 0.5))
    g = np.ones((1, 1, 2, 2), np.float32)
    np.testing.assert_array_equal(
        form.avg_pool_input(g, shape=x.shape, **geo, divisor_override=8), np.full((1, 1, 4, 4), 0.125)
    )
    with pytest.raises(ValueError, match="other than 0"):
        form.avg_pool(x, **geo, divisor_override=0)


def test_overlapping_windows_add_up(form):
    g = np.ones((1, 1, 3), np.float32)
    indices = np.array([[[1, 1, 4]]])
    np.testing.assert_array_equal(form.scatter_windows(g, indices, shape=(1, 1, 5)), [[[0, 2, 0, 0, 1]]])


def test_bias_relu_pool_is_the_three_ops_and_their_gradients(form):
    rng = np.random.default_rng(3)
    pool = dict(kernel=(2, 2), stride=(2, 2), padding=((0, 0),) * 2, dilation=(1, 1), ceil_mode=False)
    for shape in [(2, 3, 6, 8), (2, 17, 7, 5)]:
        for x in layouts(rng.standard_normal(shape).astype(np.float32)):
            bias = rng.standard_normal(shape[1]).astype(np.float32)
            y, indices = form.bias_relu_max_pool2x2(x, bias)
            z = form.relu(form.bias_add(x, bias))
            expected, where = form.max_pool(z, **pool)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(indices, where)
            g = rng.standard_normal(y.shape).astype(np.float32)
            dx = form.scatter_windows(form.relu_input(g, y), indices, shape=shape)
            honest = form.relu_input(form.scatter_windows(g, where, shape=shape), z)
            np.testing.assert_array_equal(dx, honest)
            np.testing.assert_array_equal(form.bias_relu(x, bias), z)
