"""The promises of the packaged digits, of `load`, and of what every data set has in common."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn.datasets as datasets
from tinygrad_cnn.datasets import ArrayDataset, Digits, load
from tinygrad_cnn.datasets.idx import write_idx
from tinygrad_cnn.errors import DataError


@pytest.mark.parametrize(("train", "each"), [(True, 500), (False, 100)])
def test_the_packaged_digits_are_balanced_and_real(train, each):
    digits = Digits(train)
    assert np.bincount(digits.targets).tolist() == [each] * 10
    assert digits.data.shape == (10 * each, 28, 28) and digits.data.dtype == np.uint8
    # MNIST's ink: a fifth of the pixels, mean 0.1307 and deviation 0.3081 over the full training set.
    images, _ = digits.arrays()
    assert abs(images.mean() - 0.1307) < 0.005 and abs(images.std() - 0.3081) < 0.005
    assert images.min() == 0 and images.max() == 1
    # A class differs from the others more than from itself: the labels belong to these images.
    means = np.stack([images[digits.targets == k].mean((0, 1)) for k in range(10)])
    nearest = ((images - means) ** 2).sum((2, 3)).argmin(1)
    assert (nearest == digits.targets).mean() > 0.78


def test_training_and_test_digits_share_no_image():
    train, test = ({image.tobytes() for image in Digits(part).data} for part in (True, False))
    assert len(train) == 5000 and len(test) == 1000 and not train & test


def test_the_files_in_the_package_stay_small_and_carry_their_licence():
    folder = Path(datasets.__file__).parent / "digits_data"
    assert sum(path.stat().st_size for path in folder.glob("*.gz")) < 1_400_000
    text = (folder / "ATTRIBUTION.md").read_text()
    for needed in (
        "LeCun",
        "Attribution-ShareAlike 3.0",
        "creativecommons.org/licenses/by-sa/3.0",
        "Changes made",
    ):
        assert needed in text


@pytest.mark.parametrize("name", ["digits", "mnist1d"])
def test_load_gives_training_and_test_part_of_the_built_in_sets(name):
    train, test = load(name)
    assert train.train and not test.train and len(train) > len(test)


@pytest.mark.parametrize(
    ("name", "kind"), [("mnist", datasets.MNIST), ("fashion-mnist", datasets.FashionMNIST)]
)
def test_load_reads_the_sets_of_files_from_their_folder(tmp_path, name, kind):
    for part, count in (("train", 4), ("t10k", 2)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", np.zeros((count, 28, 28), np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.zeros(count, np.uint8))
    train, test = load(name, str(tmp_path))
    assert type(train) is kind and (len(train), len(test)) == (4, 2)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_load_without_a_folder_says_which_option_and_which_files(name):
    with pytest.raises(
        DataError, match=f"'{name}' .*--data-dir .*train-images-idx3-ubyte.*t10k-labels-idx1-ubyte"
    ):
        load(name)


@pytest.mark.parametrize("name", ["cifar10", "", "MNIST"])
def test_load_of_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(
        DataError, match=f"unknown data set '{name}'; known: digits, mnist, fashion-mnist, mnist1d"
    ):
        load(name)


def tiny(**options):
    data = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    return ArrayDataset(data, [0, 1, 1], ["a", "b"], **options)


def test_indexing_is_a_sequences_with_negative_and_numpy_numbers():
    some = tiny()
    for index in (2, -1, np.int64(2), np.uint8(2)):
        np.testing.assert_array_equal(
            some[index][0], np.arange(8, 12, dtype=np.float32).reshape(1, 2, 2) / 255
        )
    assert [label for _, label in some] == [0, 1, 1]


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_outside_names_the_size(index):
    with pytest.raises(IndexError, match=f"has 3 samples, got index {index}"):
        tiny()[index]


def test_a_fractional_index_is_refused():
    with pytest.raises(TypeError):
        tiny()[1.5]


def test_what_a_data_set_hands_out_is_the_callers_own():
    some = tiny()
    some[0][0][:] = 9
    images, labels = some.arrays()
    images[:], labels[:] = 9, 9
    assert some.data.max() == 11 and some.targets.max() == 1


def test_labels_that_do_not_fit_are_refused():
    data = np.zeros((3, 2, 2), np.uint8)
    with pytest.raises(
        DataError, match=r"expected one label per sample, got data \(3, 2, 2\) and labels \(2,\)"
    ):
        ArrayDataset(data, [0, 1], ["a", "b"])
    with pytest.raises(DataError, match="expected labels from 0 to 1, got 0 to 2"):
        ArrayDataset(data, [0, 1, 2], ["a", "b"])
    with pytest.raises(DataError, match="expected labels from 0 to 1, got -1 to 0"):
        ArrayDataset(data, [0, -1, 0], ["a", "b"])


def test_a_data_set_prints_what_it_holds_and_travels_to_other_processes():
    assert repr(Digits(train=False)) == "Digits(1,000 samples of 28 × 28, 10 classes)"
    again = pickle.loads(pickle.dumps(tiny()))
    np.testing.assert_array_equal(again.data, tiny().data)
