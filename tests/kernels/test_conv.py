"""Cross-correlation and its transposes are the sums of the notes, in one, two and three dimensions."""

from __future__ import annotations

import numpy as np
import pytest

# x shape, w shape, stride, padding, dilation, groups: one line per situation a kernel may treat on its own.
CASES = {
    "2d": ((2, 3, 7, 6), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "no padding": ((2, 2, 6, 6), (3, 2, 5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one channel": ((3, 1, 9, 8), (4, 1, 5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "stride": ((2, 3, 11, 9), (4, 3, 3, 3), (2, 3), ((1, 1), (1, 1)), (1, 1), 1),
    "stride beyond kernel": ((2, 3, 9, 9), (4, 3, 2, 2), (3, 3), ((0, 0), (0, 0)), (1, 1), 1),
    "dilation": ((1, 2, 9, 9), (3, 2, 3, 2), (1, 2), ((2, 1), (0, 3)), (2, 3), 1),
    "groups": ((2, 6, 5, 5), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 2),
    "depthwise": ((2, 5, 6, 7), (5, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 5),
    "depthwise stride 2, twofold": ((2, 3, 7, 7), (6, 1, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 3),
    "1x1": ((2, 8, 4, 4), (5, 8, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "depthwise, many channels": ((3, 33, 9, 20), (33, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 33),
    "depthwise stride 2, many channels": ((2, 16, 9, 8), (16, 1, 3, 5), (2, 1), ((2, 1), (0, 3)), (1, 2), 16),
    "1x1 many pixels": ((3, 20, 16, 16), (40, 20, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "1x1 stride 2": ((2, 8, 5, 5), (5, 8, 1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),
    "1x1 padded": ((1, 2, 3, 3), (3, 2, 1, 1), (1, 1), ((1, 2), (0, 1)), (1, 1), 1),
    "padding beyond kernel": ((1, 2, 3, 3), (2, 2, 2, 2), (1, 1), ((3, 2), (4, 3)), (1, 1), 1),
    "11x11 stride 4": ((1, 3, 23, 27), (4, 3, 11, 11), (4, 4), ((2, 2), (2, 2)), (1, 1), 1),
    "many channels": ((2, 32, 6, 6), (16, 32, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "odd channels, 3x3": ((3, 17, 7, 9), (19, 17, 3, 3), (1, 1), ((0, 1), (1, 0)), (1, 1), 1),
    "3x3 with many tiles": ((6, 32, 13, 11), (48, 32, 3, 3), (1, 1), ((1, 1), (0, 2)), (1, 1), 1),
    "3x3 without padding": ((8, 32, 10, 9), (64, 32, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "5x5 with many tiles": ((5, 32, 9, 10), (64, 32, 5, 5), (1, 1), ((2, 1), (0, 3)), (1, 1), 1),
    "3x3 padded beyond its kernel": ((9, 32, 6, 7), (64, 32, 3, 3), (1, 1), ((3, 4), (4, 3)), (1, 1), 1),
    "1d": ((3, 2, 12), (4, 2, 5), (2,), ((1, 2),), (1,), 1),
    "3d": ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), (1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 2), 1),
    "empty batch": ((0, 3, 7, 6), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
}


def case(name, rng, dtype=np.float64):
    shape, w_shape, stride, padding, dilation, groups = CASES[name]
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)
    return x, w, dict(stride=stride, padding=padding, dilation=dilation, groups=groups)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_the_triad_is_the_naive_sum(form, loops, name, dtype):
    rng = np.random.default_rng(0)
    x, w, geo = case(name, rng, dtype)
    y = form.correlate(x, w, **geo)
    assert y.dtype == dtype
    close(y, loops.correlate(x, w, **geo))
    g = rng.standard_normal(y.shape).astype(dtype)
    dx = form.correlate_input(g, w, shape=x.shape, **geo)
    assert dx.dtype == dtype and dx.shape == x.shape
    close(dx, loops.correlate_input(g, w, shape=x.shape, **geo))
    dw = form.correlate_weight(g, x, shape=w.shape, **geo)
    assert dw.dtype == dtype and dw.shape == w.shape
    close(dw, loops.correlate_weight(g, x, shape=w.shape, **geo))


def close(got, expected):
    """Equal up to rounding, measured against the largest value: sums cancel, and Winograd's more than others'."""
    scale = np.abs(expected).max() if expected.size else 1
    eps = 2e-5 if got.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, expected, rtol=0, atol=eps * scale)


@pytest.mark.parametrize("name", ["2d", "stride", "groups", "depthwise", "1x1", "1d", "3d"])
def test_any_memory_layout_and_read_only_input_give_the_same(form, name):
    rng = np.random.default_rng(1)
    x, w, geo = case(name, rng)
    y = form.correlate(x, w, **geo)
    g = rng.standard_normal(y.shape)
    dx, dw = (
        form.correlate_input(g, w, shape=x.shape, **geo),
        form.correlate_weight(g, x, shape=w.shape, **geo),
    )
    for layout in LAYOUTS:
        a, b, h = layout(x), layout(w), layout(g)
        for array in (a, b, h):
            array.flags.writeable = False
        np.testing.assert_allclose(form.correlate(a, b, **geo), y, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            form.correlate_input(h, b, shape=x.shape, **geo), dx, rtol=1e-12, atol=1e-12
        )
        np.testing.assert_allclose(
            form.correlate_weight(h, a, shape=w.shape, **geo), dw, rtol=1e-12, atol=1e-12
        )


def channels_last(a):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)


def spaced(a):
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


LAYOUTS = [
    channels_last,
    spaced,
    np.asfortranarray,
    lambda a: np.ascontiguousarray(a[::-1])[::-1],
    lambda a: np.broadcast_to(a, a.shape),
]


def test_a_broadcast_upstream_gradient_is_welcome(form):
    rng = np.random.default_rng(2)
    x, w, geo = case("2d", rng)
    g = np.broadcast_to(
        np.float64(0.5), form.correlate(x, w, **geo).shape
    )  # what the gradient of a sum looks like
    np.testing.assert_allclose(
        form.correlate_input(g, w, shape=x.shape, **geo),
        form.correlate_input(g.copy(), w, shape=x.shape, **geo),
    )
    np.testing.assert_allclose(
        form.correlate_weight(g, x, shape=w.shape, **geo),
        form.correlate_weight(g.copy(), x, shape=w.shape, **geo),
    )


def test_float16_sums_in_float32(form):
    x = np.full((1, 256, 8, 8), 0.1, np.float16)
    w = np.full((8, 256, 3, 3), 0.1, np.float16)
    geo = dict(stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
    y = form.correlate(x, w, **geo)
    assert y.dtype == np.float16
    exact = form.correlate(x.astype(np.float64), w.astype(np.float64), **geo)
    np.testing.assert_allclose(
        y, exact, rtol=1e-3
    )  # one rounding; a float16 sum of 2,304 terms is off by far more
    assert form.correlate_weight(y, x, shape=w.shape, **geo).dtype == np.float16


def test_the_sobel_example_of_the_notes_is_exact(form):
    rows = [[1, 2, 3, 2, 1], [2, 4, 5, 4, 2], [3, 5, 8, 5, 3], [2, 4, 5, 4, 2], [1, 2, 3, 2, 1]]
    x = np.array(rows, np.float32)[None, None]
    w = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], np.float32)[None, None]
    y = form.correlate(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1)
    np.testing.assert_array_equal(y[0, 0], [[-13, -16, -13], [0, 0, 0], [13, 16, 13]])


@pytest.mark.parametrize("d", [1, 2, 3])
def test_unfold_times_weights_is_correlation_and_fold_is_its_transpose(form, d):
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 3, *(6, 7, 5)[:d])), rng.standard_normal((4, 3, *(3, 2, 2)[:d]))
    geo = dict(stride=(2, 1, 1)[:d], padding=((1, 0), (2, 1), (0, 0))[:d], dilation=(1, 2, 1)[:d])
    y = form.correlate(x, w, **geo, groups=1)
    cols = form.unfold(x, kernel=w.shape[2:], **geo)
    np.testing.assert_allclose((w.reshape(4, -1) @ cols).reshape(y.shape), y)
    h = rng.standard_normal(cols.shape)
    back = form.fold(h, shape=x.shape, kernel=w.shape[2:], **geo)
    np.testing.assert_allclose(np.vdot(back, x), np.vdot(h, cols))


def test_mismatched_shapes_raise_what_was_expected(form):
    geo = dict(stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1)
    with pytest.raises(ValueError, match="expected 3 input channels"):
        form.correlate(np.zeros((8, 1, 28, 28)), np.zeros((16, 3, 3, 3)), **geo)
    with pytest.raises(ValueError, match="upstream gradient of shape"):
        form.correlate_input(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 3, 3)), shape=(1, 1, 4, 4), **geo)
    with pytest.raises(ValueError, match="upstream gradient of shape"):
        form.correlate_weight(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4, 4)), shape=(1, 1, 3, 3), **geo)
