"""Each compiled kernel equals its reference on random shapes, strides, dilations, groups, dtypes and memory layouts."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_cnn import kernels

pytestmark = pytest.mark.skipif(
    not find_spec("numba"), reason="Numba is not installed: there is no pair to compare"
)
BOUNDED = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def pair():
    return kernels._load("compiled", "asked for by a test"), kernels._load("reference", "asked for by a test")


def laid_out(draw, shape, dtype, rng):
    """A random array of a random memory layout, sometimes read-only."""
    a = rng.standard_normal(shape).astype(dtype)
    kind = draw(st.sampled_from(["rows", "channels last", "fortran", "spaced", "backwards"]))
    if kind == "channels last" and a.ndim > 2:
        a = np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)
    elif kind == "fortran":
        a = np.asfortranarray(a)
    elif kind == "spaced":
        a = np.repeat(a, 2, axis=-1)[..., ::2]
    elif kind == "backwards":
        a = np.ascontiguousarray(a[::-1])[::-1]
    a.flags.writeable = draw(st.booleans())
    return a


def close(got, expected, terms=1e-3):
    """Equal up to rounding, measured against the largest value, or the size of the terms where these cancel."""
    assert got.shape == expected.shape and got.dtype == expected.dtype
    scale = max(terms, float(np.abs(expected.astype(np.float64)).max())) if expected.size else 1
    eps = {2: 2e-3, 4: 2e-5, 8: 1e-11}[got.dtype.itemsize]
    np.testing.assert_allclose(got.astype(np.float64), expected.astype(np.float64), rtol=0, atol=eps * scale)


dtypes = st.sampled_from([np.float32, np.float32, np.float32, np.float64, np.float16])


@st.composite
def convolutions(draw):
    d = draw(st.sampled_from([1, 2, 2, 2, 2, 3]))
    ints = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(d))
    kernel, stride, dilation = ints(1, 5 if d < 3 else 2), ints(1, 3), ints(1, 2)
    padding = tuple(zip(ints(0, 3), ints(0, 3)))
    size = tuple(max(n, dil * (k - 1) + 1) for n, k, dil in zip(ints(1, 11), kernel, dilation))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    per, out = draw(st.sampled_from([1, 2, 5, 16, 33])), draw(st.sampled_from([1, 3, 16, 32, 40]))
    depthwise = draw(st.integers(0, 5)) == 0
    x = (draw(st.integers(1, 3)), per if depthwise else per * groups, *size)
    w = (per, 1, *kernel) if depthwise else (out * groups, per, *kernel)
    geo = dict(stride=stride, padding=padding, dilation=dilation, groups=per if depthwise else groups)
    dtype, rng = draw(dtypes), np.random.default_rng(draw(st.integers(0, 99)))
    shape = kernels.geometry.correlate_shape(x, w, **geo)
    return *(laid_out(draw, s, dtype, rng) for s in (x, w, shape)), geo


@BOUNDED
@given(case=convolutions())
def test_convolution(pair, case):
    x, w, g, geo = case
    fast, plain = pair
    close(fast.correlate(x, w, **geo), plain.correlate(x, w, **geo))
    same = dict(shape=x.shape, **geo)
    close(fast.correlate_input(g, w, **same), plain.correlate_input(g, w, **same))
    same = dict(shape=w.shape, **geo)
    close(fast.correlate_weight(g, x, **same), plain.correlate_weight(g, x, **same))


@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize("stride", [(2, 2), (4, 4), (1, 3), (3, 2)])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((2, 1), (2, 2)), ((0, 3), (5, 0))])
def test_input_gradients_of_strided_convolutions_of_few_channels(pair, channels, stride, padding):
    rng = np.random.default_rng(channels)
    x, w = (2, channels, 13, 12), (17, channels, 5, 7)
    geo = dict(stride=stride, padding=padding, dilation=(1, 1), groups=1)
    g = rng.standard_normal(kernels.geometry.correlate_shape(x, w, **geo)).astype(np.float32)
    rows = rng.standard_normal(w).astype(np.float32)
    for weight in (rows, np.asfortranarray(rows)):
        expected = pair[1].correlate_input(g, weight, shape=x, **geo)
        close(pair[0].correlate_input(g, weight, shape=x, **geo), expected)


@st.composite
def winograd_convolutions(draw):
    """3x3 and 5x5 at stride 1 with enough channels and tiles for the minimal filtering."""
    k = draw(st.sampled_from([3, 5]))
    c, o = draw(st.sampled_from([32, 48, 64])), draw(st.sampled_from([32, 48, 64]))
    size = draw(st.integers(k + 5, 16)), draw(st.integers(k + 5, 16))
    padding = tuple((draw(st.integers(0, k)), draw(st.integers(0, k))) for _ in range(2))
    geo = dict(stride=(1, 1), padding=padding, dilation=(1, 1), groups=1)
    x, w = (draw(st.integers(8, 14)), c, *size), (o, c, k, k)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = kernels.geometry.correlate_shape(x, w, **geo)
    return *(laid_out(draw, s, np.float32, rng) for s in (x, w, shape)), geo


@settings(BOUNDED, max_examples=40)
@given(case=winograd_convolutions(), precision=st.sampled_from(["highest", "high"]))
def test_convolution_of_the_winograd_kind(pair, case, precision):
    kernels.set_float32_conv_precision(precision)
    try:
        test_convolution.hypothesis.inner_test(pair, case)
    finally:
        kernels.set_float32_conv_precision("highest")


@st.composite
def padded_batches(draw):
    """Stride 1, images enough for a register tile, and much padding in one of the two directions."""
    k = draw(st.integers(2, 5)), draw(st.integers(2, 5))
    size = draw(st.integers(k[0], 9)), draw(st.integers(k[1], 9))
    padding = tuple((draw(st.integers(0, n + 1)), draw(st.integers(0, n + 1))) for n in k)
    geo = dict(stride=(1, 1), padding=padding, dilation=(1, 1), groups=1)
    c, o = draw(st.sampled_from([4, 8, 20])), draw(st.sampled_from([5, 16, 40]))
    x, w = (draw(st.integers(10, 27)), c, *size), (o, c, *k)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = kernels.geometry.correlate_shape(x, w, **geo)
    return *(laid_out(draw, s, np.float32, rng) for s in (x, w, shape)), geo


@settings(BOUNDED, max_examples=40)
@given(case=padded_batches())
def test_convolution_of_a_padded_batch(pair, case):
    test_convolution.hypothesis.inner_test(pair, case)


@st.composite
def poolings(draw):
    d = draw(st.sampled_from([1, 2, 2, 2, 3]))
    ints = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(d))
    kernel, stride, dilation = ints(1, 3), ints(1, 3), ints(1, 4)
    padding = tuple(draw(st.integers(0, (dil * (k - 1) + 1) // 2)) for k, dil in zip(kernel, dilation))
    size = tuple(
        max(n, dil * (k - 1) + 1 - 2 * p) for n, k, dil, p in zip(ints(1, 9), kernel, dilation, padding)
    )
    dtype, rng = draw(dtypes), np.random.default_rng(draw(st.integers(0, 99)))
    x = laid_out(draw, (draw(st.integers(1, 3)), draw(st.sampled_from([1, 3, 17, 32])), *size), dtype, rng)
    geo = dict(kernel=kernel, stride=stride, padding=padding, ceil_mode=draw(st.booleans()))
    return x, geo, dilation, draw


@BOUNDED
@given(case=poolings())
def test_max_pooling(pair, case):
    x, geo, dilation, draw = case
    fast, plain = pair
    geo = dict(geo, padding=tuple((p, p) for p in geo["padding"]), dilation=dilation)
    y, indices = fast.max_pool(x, **geo)
    expected, where = plain.max_pool(x, **geo)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, where)
    np.testing.assert_array_equal(fast.take_windows(x, indices), plain.take_windows(x, where))
    g = laid_out(draw, y.shape, x.dtype, np.random.default_rng(7))
    close(fast.scatter_windows(g, indices, shape=x.shape), plain.scatter_windows(g, where, shape=x.shape))


@BOUNDED
@given(case=poolings(), include=st.booleans(), override=st.sampled_from([None, None, 3]))
def test_average_pooling(pair, case, include, override):
    x, geo, _, draw = case
    fast, plain = pair
    size = tuple(max(n, k) for n, k in zip(x.shape[2:], geo["kernel"]))
    geo["padding"] = tuple(min(p, k // 2) for p, k in zip(geo["padding"], geo["kernel"]))
    x = laid_out(draw, (*x.shape[:2], *size), x.dtype, np.random.default_rng(8))
    geo = dict(geo, count_include_pad=include, divisor_override=override)
    y = fast.avg_pool(x, **geo)
    close(y, plain.avg_pool(x, **geo))
    g = laid_out(draw, y.shape, x.dtype, np.random.default_rng(7))
    close(fast.avg_pool_input(g, shape=x.shape, **geo), plain.avg_pool_input(g, shape=x.shape, **geo))


@BOUNDED
@given(data=st.data())
def test_normalisation_and_passes(pair, data):
    fast, plain = pair
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = (data.draw(st.integers(2, 9)), data.draw(st.sampled_from([1, 3, 17, 64])))
    shape += tuple(data.draw(st.integers(1, 12)) for _ in range(data.draw(st.integers(0, 3))))
    dtype = data.draw(dtypes)
    x, g = laid_out(data.draw, shape, dtype, rng), laid_out(data.draw, shape, dtype, rng)
    single = np.float32 if dtype == np.float16 else dtype
    w, b = rng.standard_normal(shape[1]).astype(single), rng.standard_normal(shape[1]).astype(single)
    stats = plain.batch_statistics(x)
    for got, expected in zip(fast.batch_statistics(x), stats):
        close(got, expected)
    mean, invstd = stats[0], (1 / np.sqrt(stats[1] + single(1e-3))).astype(single)
    close(fast.batch_norm_forward(x, w, b, mean, invstd), plain.batch_norm_forward(x, w, b, mean, invstd))
    for form in pair:
        got = form.batch_norm_relu(x, w, b, mean, invstd)
        np.testing.assert_array_equal(got, form.relu(form.batch_norm_forward(x, w, b, mean, invstd)))
        np.testing.assert_array_equal(form.bias_relu(x, b.astype(dtype)), form.relu(form.bias_add(x, b.astype(dtype))))
    results = zip(
        fast.batch_norm_backward(g, x, w, mean, invstd), plain.batch_norm_backward(g, x, w, mean, invstd)
    )
    for got, expected in results:
        close(got, expected, float(np.abs(g).max() * np.abs(w * invstd).max()))
    close(fast.bias_add(x, b.astype(dtype)), plain.bias_add(x, b.astype(dtype)))
    close(fast.channel_sums(x), plain.channel_sums(x), float(x.size // x.shape[1]))
    close(fast.relu(x), plain.relu(x))
    close(fast.relu_input(g, x), plain.relu_input(g, x))
    close(fast.log_softmax(x, -1), plain.log_softmax(x, -1))
    close(fast.softmax(x, 1), plain.softmax(x, 1))


@BOUNDED
@given(data=st.data())
def test_matrix_product(pair, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    m, k, n = (data.draw(st.sampled_from([1, 5, 13, 64, 100])) for _ in range(3))
    dtype = data.draw(st.sampled_from([np.float32, np.float32, np.float64]))
    a, b = laid_out(data.draw, (m, k), dtype, rng), laid_out(data.draw, (k, n), dtype, rng)
    close(pair[0].matmul(a, b), pair[1].matmul(a, b), 1.0)


@pytest.mark.parametrize("shape", [(300, 33), (4, 20, 17, 9), (2, 16, 300)])
def test_sums_over_channels_of_many_rows(pair, shape):
    g = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for x in (g, np.moveaxis(np.ascontiguousarray(np.moveaxis(g, 1, -1)), -1, 1)):
        close(pair[0].channel_sums(x), pair[1].channel_sums(x.astype(np.float64)).astype(np.float32), 10.0)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(8, 300, 500), (12, 128, 128), (64, 1100, 520), (257, 64, 130), (64, 520, 33), (5, 700, 31)]
)
@pytest.mark.parametrize("left", ["rows", "columns"])
@pytest.mark.parametrize("right", ["rows", "columns"])
def test_matrix_products_in_every_order_that_the_sizes_may_choose(pair, m, k, n, left, right):
    rng = np.random.default_rng(m)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    a = np.asfortranarray(a) if left == "columns" else a
    b = np.asfortranarray(b) if right == "columns" else b
    close(pair[0].matmul(a, b), pair[1].matmul(a, b), 1.0)


@pytest.mark.parametrize("size", [1, 5, 100])
def test_cross_entropy(pair, size):
    fast, plain = pair
    rng = np.random.default_rng(size)
    x, target, g = (
        rng.standard_normal((size, 10), np.float32),
        rng.integers(0, 10, size),
        rng.standard_normal(size, np.float32),
    )
    target[0] = -100
    for got, expected in zip(fast.cross_entropy(x, target), plain.cross_entropy(x, target)):
        close(got, expected)
    logp = plain.log_softmax(x, 1)
    close(fast.cross_entropy_input(g, logp, target), plain.cross_entropy_input(g, logp, target))


CASES = [
    ((8, 1, 28, 28), (32, 1, 5, 5), (1, 1), 0, 1),
    ((8, 64, 16, 16), (64, 64, 3, 3), (1, 1), 1, 1),
    ((8, 64, 16, 16), (64, 64, 3, 3), (2, 2), 1, 1),
    ((8, 64, 16, 16), (64, 1, 3, 3), (1, 1), 1, 64),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_threads_change_nothing_beyond_rounding_and_one_thread_repeats_itself_exactly(pair, case):
    fast, _ = pair
    shape, w_shape, stride, pad, groups = case
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(shape, np.float32), rng.standard_normal(w_shape, np.float32)
    geo = dict(stride=stride, padding=((pad, pad),) * 2, dilation=(1, 1), groups=groups)
    before, runs = kernels.get_num_threads(), []
    try:
        for n in (1, 1, 2, 3):
            kernels.set_num_threads(n)
            y = fast.correlate(x, w, **geo)
            g = np.sin(y)
            dx, dw = (
                fast.correlate_input(g, w, shape=shape, **geo),
                fast.correlate_weight(g, x, shape=w_shape, **geo),
            )
            stats = fast.batch_statistics(y)
            runs.append([y, dx, dw, *stats])
    finally:
        kernels.set_num_threads(before)
    for a, b in zip(runs[0], runs[1]):
        np.testing.assert_array_equal(a, b)
    for other in runs[2:]:
        for a, b in zip(runs[0], other):
            close(b, a)


@pytest.mark.parametrize("shape", [(3, 17, 5, 7), (2, 16, 4, 4), (2, 48, 9, 11), (5, 20, 16, 1), (1, 33, 7, 30)])
def test_planes_become_channels_last_without_a_change_of_value(pair, shape):
    from tinygrad_cnn.kernels.compiled.relayout import channels_last, rows

    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for planes in (x, x[::-1], np.repeat(x, 2, axis=1)[:, ::2]):
        y = channels_last(planes)
        np.testing.assert_array_equal(y, planes)
        assert y.strides[1] == 4
        np.testing.assert_array_equal(rows(planes), planes.transpose(0, 2, 3, 1))
