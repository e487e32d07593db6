"""The promises of tinygrad_cnn.datasets.transforms."""

import numpy as np
import pytest

from tinygrad_cnn.datasets import transforms as T

IMAGE = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


def test_compose_applies_in_order():
    both = T.Compose([T.Lambda(lambda x: x + 1), T.Lambda(lambda x: x * 2)])
    assert both(3) == 8


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_to_tensor_turns_uint8_pictures_into_float_channels_first(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    result = T.ToTensor()(picture)
    assert result.shape == (shape[2] if len(shape) == 3 else 1, 5, 4)
    assert result.dtype == np.float32 and result.flags.c_contiguous
    expected = picture.reshape(5, 4, -1).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(result, expected)


def test_to_tensor_leaves_what_the_data_sets_serve_as_it_is():
    assert T.ToTensor()(IMAGE) is IMAGE


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), np.int64), np.zeros((1, 2, 3, 4), np.uint8)])
def test_to_tensor_names_what_it_cannot_read(wrong):
    with pytest.raises(TypeError, match=f"expected a uint8 picture .* got {wrong.dtype} of shape"):
        T.ToTensor()(wrong)


def test_normalize_takes_one_number_or_one_per_channel():
    np.testing.assert_allclose(T.Normalize(0.5, 2)(IMAGE), (IMAGE - 0.5) / 2)
    both = T.Normalize((1, 2), (3, 4))(IMAGE)
    np.testing.assert_allclose(both[1], (IMAGE[1] - 2) / 4)
    assert both.dtype == np.float32
    assert T.Normalize((0.1307,), (0.3081,))(np.ones((1, 40), np.float32)).shape == (1, 40)


def test_normalize_names_a_wrong_number_of_channels_and_a_zero_std():
    with pytest.raises(
        ValueError, match=r"expected 1 or 2 values of std for an input of shape \(2, 3, 4\), got 3"
    ):
        T.Normalize(0, (1, 1, 1))(IMAGE)
    with pytest.raises(ValueError, match=r"every std above 0, got \[1.0, 0.0\]"):
        T.Normalize(0, (1, 0))


@pytest.mark.parametrize(("p", "expected"), [(0.0, IMAGE), (1.0, IMAGE[..., ::-1])])
def test_flip_mirrors_left_to_right_with_its_probability(p, expected):
    flip = T.RandomHorizontalFlip(p, generator=np.random.default_rng(0))
    result = flip(IMAGE)
    np.testing.assert_array_equal(result, expected)
    assert result.flags.c_contiguous


def test_random_transforms_draw_from_the_given_generator_alone():
    def run(seed):
        generator = np.random.default_rng(seed)
        both = T.Compose([
            T.RandomCrop(2, padding=1, generator=generator), T.RandomHorizontalFlip(generator=generator)
        ])  # fmt: skip
        return np.stack([both(IMAGE) for _ in range(30)])

    np.random.seed(0)  # noqa: NPY002
    first = run(1)
    np.random.seed(1)  # noqa: NPY002
    np.testing.assert_array_equal(first, run(1))
    assert not np.array_equal(first, run(2))


def test_every_window_of_the_padded_image_can_be_cut():
    crop = T.RandomCrop((2, 3), padding=1, generator=np.random.default_rng(0))
    padded = np.pad(IMAGE, [(0, 0), (1, 1), (1, 1)])
    windows = {padded[:, i : i + 2, j : j + 3].tobytes() for i in range(4) for j in range(4)}
    assert {crop(IMAGE).tobytes() for _ in range(500)} == windows


def test_a_crop_that_does_not_fit_says_the_sizes():
    with pytest.raises(
        ValueError, match=r"RandomCrop of 9×9 does not fit into an image of shape \(2, 3, 4\) with padding 2"
    ):
        T.RandomCrop(9, padding=2, generator=np.random.default_rng(0))(IMAGE)
    with pytest.raises(ValueError, match="expected size >= 1 and padding >= 0, got size=0, padding=0"):
        T.RandomCrop(0, generator=np.random.default_rng(0))


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_flip_probability_outside_0_to_1_is_refused(p):
    with pytest.raises(ValueError, match=f"a probability from 0 to 1, got {p}"):
        T.RandomHorizontalFlip(p, generator=np.random.default_rng(0))
