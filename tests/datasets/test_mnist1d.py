"""The promises of MNIST-1D: the published set to 1e-9, and options that mean what they say."""

from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn.datasets import MNIST1D, make_mnist1d
from tinygrad_cnn.errors import DataError

# From the published frozen set: 45 whole signals, every label, and two sums over each of the 5,000 signals.
FROZEN = np.load(Path(__file__).parents[1] / "data" / "mnist1d_frozen.npz")


@pytest.fixture(scope="module")
def made():
    return make_mnist1d()


def test_the_default_set_is_the_published_one(made):
    close = dict(rtol=0, atol=1e-9)
    np.testing.assert_allclose(made.x[:20], FROZEN["x_head"], **close)
    np.testing.assert_allclose(made.x[-5:], FROZEN["x_tail"], **close)
    np.testing.assert_allclose(made.x_test[:20], FROZEN["x_test_head"], **close)
    np.testing.assert_array_equal(made.y, FROZEN["y"])
    np.testing.assert_array_equal(made.y_test, FROZEN["y_test"])
    ramp = np.arange(1.0, 41.0)
    np.testing.assert_allclose(made.x.sum(1), FROZEN["row_sums"], **close)
    np.testing.assert_allclose(made.x_test.sum(1), FROZEN["test_row_sums"], **close)
    np.testing.assert_allclose(made.x @ ramp, FROZEN["row_weighted"], **close)
    np.testing.assert_allclose(made.x_test @ ramp, FROZEN["test_row_weighted"], **close)


def test_shuffled_positions_are_one_permutation_of_the_same_signals(made):
    shuffled = make_mnist1d(shuffle_positions=True)
    both = np.concatenate([made.x, made.x_test]), np.concatenate([shuffled.x, shuffled.x_test])
    order = [int(np.argmin(np.abs(both[0] - column[:, None]).sum(0))) for column in both[1].T]
    assert sorted(order) == list(range(40)) and order != list(range(40))
    np.testing.assert_allclose(both[1], both[0][:, order], atol=1e-12)
    np.testing.assert_array_equal(shuffled.y, made.y)


def test_size_length_and_split_follow_the_options():
    made = make_mnist1d(200, 0.75, length=32)
    assert made.x.shape == (150, 32) and made.x_test.shape == (50, 32)
    assert np.bincount(np.concatenate([made.y, made.y_test])).tolist() == [20] * 10
    whole = np.concatenate([made.x, made.x_test])
    assert abs(whole.mean()) < 1e-12 and abs(whole.std() - 1) < 1e-12


def test_equal_seeds_give_equal_sets_and_other_seeds_others():
    first, again, other = (make_mnist1d(20, seed=seed).x for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.allclose(first, other)


def test_without_noise_translation_and_shear_a_signal_is_its_stretched_template():
    made = make_mnist1d(
        10,
        1,
        scale=0,
        max_translation=1,
        correlated_noise=0,
        white_noise=0,
        shear=0,
        padding=(0, 0),
        length=12,
    )
    one = made.x[made.y.tolist().index(1)]
    heights = np.array([5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5])
    slope = np.diff(one)[0] / np.diff(heights)[0]  # normalisation is affine, so the shape stays
    np.testing.assert_allclose(np.diff(one), slope * np.diff(heights), atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_samples=0), "expected a multiple of 10 samples, got 0"),
        (dict(num_samples=25), "expected a multiple of 10 samples, got 25"),
        (dict(train_fraction=1.5), "expected 0 < train_fraction <= 1, got 1.5"),
        (dict(padding=(9, 3)), r"0 <= low <= high, got \(9, 3\)"),
        (dict(max_translation=0), "expected max_translation from 1 to 72 .* got 0"),
        (dict(max_translation=73), "expected max_translation from 1 to 72 .* got 73"),
        (dict(length=1), "at least 2 points, got length=1"),
    ],
)
def test_an_option_that_leaves_nothing_to_generate_is_refused(options, message):
    with pytest.raises(DataError, match=message):
        make_mnist1d(**options)


def test_the_data_set_serves_one_channel_in_float32(made):
    train, test = MNIST1D(), MNIST1D(train=False)
    assert (len(train), len(test)) == (4000, 1000)
    signal, label = train[0]
    assert signal.shape == (1, 40) and signal.dtype == np.float32 and type(label) is int
    np.testing.assert_array_equal(signal[0], made.x[0].astype(np.float32))
    signals, labels = test.arrays()
    assert signals.shape == (1000, 1, 40) and signals.dtype == np.float32
    np.testing.assert_array_equal(labels, made.y_test)


def test_writing_into_one_data_set_does_not_reach_the_next():
    first = MNIST1D(num_samples=20)
    first.data[:] = 0
    first.targets[:] = 0
    assert MNIST1D(num_samples=20).data.any() and MNIST1D(num_samples=20).targets.any()
