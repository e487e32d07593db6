"""Augmentation moves images and nothing else, and a continued run draws the same."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.training import RandomShift, fit


def test_each_image_is_moved_by_whole_pixels_and_filled_with_zeros():
    tg.manual_seed(0)
    images = np.zeros((200, 2, 5, 5), np.float32)
    images[:, 0, 2, 2], images[:, 1, 2, 2] = 1.0, 2.0
    moved = RandomShift(1)(tg.from_numpy(images)).numpy()
    assert moved.shape == images.shape
    places = set()
    for one in moved:
        row, column = np.argwhere(one[0] == 1.0)[0]
        assert one[1, row, column] == 2.0  # channels move together
        assert one.sum() == 3.0
        places.add((int(row) - 2, int(column) - 2))
    assert places == {(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)}


def test_what_leaves_the_frame_is_gone():
    tg.manual_seed(0)
    moved = RandomShift(1)(tg.ones(50, 1, 4, 4)).numpy().sum((1, 2, 3))
    assert set(moved) == {16.0, 12.0, 9.0}


def test_the_same_seed_moves_alike_and_the_input_stays():
    images = tg.randn(8, 1, 6, 6)
    before = images.numpy().copy()
    tg.manual_seed(5)
    first = RandomShift(2)(images).numpy()
    tg.manual_seed(5)
    assert np.array_equal(first, RandomShift(2)(images).numpy())
    assert np.array_equal(before, images.numpy())


def test_misuse_is_explained():
    with pytest.raises(ValueError, match="from 0 up, got -1"):
        RandomShift(-1)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\).* got \(3, 40\)"):
        RandomShift(1)(tg.zeros(3, 40))


def test_a_shift_is_a_transform_of_a_data_set_too():
    from tinygrad_cnn.datasets import Digits

    tg.manual_seed(0)
    moved = Digits(train=False, transform=RandomShift(2))
    images = [moved[0][0] for _ in range(20)]
    assert all(isinstance(image, np.ndarray) and image.shape == (1, 28, 28) for image in images)
    assert len({image.tobytes() for image in images}) > 5


def test_fit_augments_training_batches_and_not_the_validation():
    seen = []

    def augment(images):
        seen.append(len(images))
        return images

    data = np.zeros((10, 3), np.float32), np.arange(10) % 2
    fit(tg.nn.Linear(3, 2), data, 1, batch_size=4, validation=data, augment=augment)
    assert seen == [4, 4, 2]
