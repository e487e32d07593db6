"""What is told of an array: right numbers for any array, in few bytes."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_cnn.viz.summary import summarise

DTYPES = st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.bool_])


@given(hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
def test_numbers_are_numpys(array):
    found = summarise(array, histogram=True, pixels=500)
    finite = array.astype(np.float64)[np.isfinite(array.astype(np.float64))]
    assert found.n == array.size and found.shape == list(array.shape)
    assert found.nan == np.isnan(array.astype(np.float64)).sum()
    assert found.nan + found.inf + finite.size == array.size
    if array.size == 1:
        assert found.scalar == float(array.item()) or array.item() != array.item()  # JSON knows float64 only
        return
    if not finite.size:
        assert found.min is None and found.norm is None
        return
    with np.errstate(over="ignore", invalid="ignore"):
        near = dict(rel=1e-5, abs=1e-30, nan_ok=True)
        assert found.min == pytest.approx(finite.min(), **near)
        assert found.max == pytest.approx(finite.max(), **near)
        assert found.zeros == pytest.approx((array == 0).mean(), rel=1e-6)
        if np.abs(finite).max() < 1e150:
            assert found.norm == pytest.approx(np.linalg.norm(finite), rel=1e-5, abs=1e-150)
            assert found.std == pytest.approx(
                finite.std(), rel=1e-3, abs=1e-9 * (np.abs(finite).max() + 1e-140)
            )
    if found.histogram:
        assert sum(found.histogram.counts) == finite.size


def test_a_spread_small_beside_the_mean_keeps_its_digits():
    array = 1e6 + np.random.default_rng(0).standard_normal(1000)
    assert summarise(array).std == pytest.approx(array.std(), rel=1e-6)


def test_small_arrays_are_written_out_with_their_own_digits():
    assert summarise(np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)).data == [[0.1, 0.2], [0.3, 0.4]]
    assert summarise(np.zeros(26)).data is None


def pixels(image):
    codes = np.frombuffer(base64.b64decode(image.data), np.uint8).reshape(image.tiles, image.rows, image.cols)
    values = image.lo + (image.hi - image.lo) * (codes.astype(float) - 1) / 254
    return np.where(codes == 0, np.nan, values)


def test_a_picture_is_the_array_where_it_fits():
    array = np.random.default_rng(0).standard_normal((6, 7))
    image = summarise(array, pixels=500).image
    assert (image.tiles, image.rows, image.cols, image.diverging) == (1, 6, 7, True)
    assert np.abs(pixels(image)[0] - array).max() <= (image.hi - image.lo) / 254


def test_a_large_picture_is_the_mean_of_its_blocks():
    array = np.arange(64 * 64, dtype=float).reshape(64, 64)
    image = summarise(array, pixels=256).image
    assert image.rows * image.cols <= 300 and (image.source_rows, image.source_cols) == (64, 64)
    blocks = array.reshape(image.rows, 64 // image.rows, image.cols, 64 // image.cols).mean(axis=(1, 3))
    assert np.abs(pixels(image)[0] - blocks).max() <= (image.hi - image.lo) / 254 + 1e-9


def test_pixels_that_are_not_finite_are_marked():
    array = np.ones((4, 4))
    array[1, 2] = np.nan
    assert np.isnan(pixels(summarise(array, pixels=100).image)[0, 1, 2])


@given(hnp.array_shapes(min_dims=1, max_dims=4, max_side=40), st.integers(16, 2000))
def test_no_picture_is_larger_than_it_may_be(shape, budget):
    image = summarise(np.ones(shape), pixels=budget).image
    if image is not None:
        assert len(base64.b64decode(image.data)) == image.tiles * image.rows * image.cols
        assert image.tiles * image.rows * image.cols <= 2 * budget + 64


def test_gradients_get_a_two_sided_picture_even_of_one_sign():
    image = summarise(np.ones((3, 3)), pixels=100, signed=True).image
    assert image.diverging and image.lo == -image.hi


def test_a_colour_picture_has_three_planes():
    image = summarise(np.random.default_rng(0).random((1, 3, 8, 8)), pixels=1000).image
    assert image.channels == 3 and image.tiles == 3
