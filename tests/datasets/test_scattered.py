"""Scattered digits: seeded, apart from each other, with boxes and pixel labels that agree."""

import numpy as np
import pytest

from tinygrad_cnn.datasets import ScatteredDigits


def test_the_same_arguments_give_the_same_canvases():
    first, second = (ScatteredDigits("detect", count=5).arrays() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert not np.array_equal(first[0], ScatteredDigits("detect", count=5, seed=1).arrays()[0])
    assert not np.array_equal(first[0], ScatteredDigits("detect", train=False, count=5).arrays()[0])


def test_labels_lie_on_the_ink_and_in_the_boxes():
    data = ScatteredDigits("segment", count=30)
    images, labels = data.arrays()
    assert images.shape == (30, 1, 64, 64) and images.dtype == np.float32 and labels.dtype == np.int64
    np.testing.assert_array_equal(labels > 0, images[:, 0] > 0.4)
    assert data.classes == ("background", *"0123456789")
    for marked, rows in zip(labels, data.boxes):
        rows = rows[rows[:, 4] >= 0].astype(int)
        assert 1 <= len(rows) <= 6
        for k, (left, top, right, bottom, digit) in enumerate(rows):
            inside = marked[top:bottom, left:right]
            assert set(np.unique(inside)) <= {0, digit + 1}
            ink = inside > 0
            assert ink.any(1)[[0, -1]].all() and ink.any(0)[[0, -1]].all()  # the box is tight
            for other in rows[k + 1 :]:
                assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom


def test_a_sample_is_what_arrays_give():
    data = ScatteredDigits("detect", count=4)
    images, boxes = data.arrays()
    image, target = data[-1]
    np.testing.assert_array_equal(image, images[3])
    np.testing.assert_array_equal(target, boxes[3])
    assert (target[target[:, 4] < 0] == -1).all()
    with pytest.raises(IndexError, match="has 4 samples, got index 4"):
        data[4]


def test_misuse_is_explained():
    with pytest.raises(ValueError, match="expected the task 'segment' or 'detect', got 'classify'"):
        ScatteredDigits("classify")
    with pytest.raises(ValueError, match="size from 28 up, got 3, 6 and 20"):
        ScatteredDigits(count=3, size=20)
