"""The promises of MNIST and FashionMNIST: files are found where people keep them, and named when wrong."""

import numpy as np
import pytest

from tinygrad_cnn.datasets import MNIST, FashionMNIST
from tinygrad_cnn.datasets.idx import write_idx
from tinygrad_cnn.errors import DataError

RNG = np.random.default_rng(3)
IMAGES = {
    "train": RNG.integers(0, 256, (30, 28, 28), np.uint8),
    "t10k": RNG.integers(0, 256, (20, 28, 28), np.uint8),
}
LABELS = {part: (np.arange(len(images)) % 10).astype(np.uint8) for part, images in IMAGES.items()}


def fill(folder, ending=".gz", dot="-"):
    folder.mkdir(parents=True, exist_ok=True)
    for part in IMAGES:
        write_idx(folder / f"{part}-images{dot}idx3-ubyte{ending}", IMAGES[part])
        write_idx(folder / f"{part}-labels{dot}idx1-ubyte{ending}", LABELS[part])
    return folder


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize(
    ("kind", "inside"), [(MNIST, ""), (MNIST, "MNIST/raw"), (FashionMNIST, "FashionMNIST/raw")]
)
def test_files_are_found_plain_or_zipped_in_the_folder_or_in_torchvisions_layout(
    tmp_path, ending, dot, kind, inside
):
    fill(tmp_path / inside, ending, dot)
    for train, part in ((True, "train"), (False, "t10k")):
        found = kind(tmp_path, train=train)
        np.testing.assert_array_equal(found.data, IMAGES[part])
        np.testing.assert_array_equal(found.targets, LABELS[part])


def test_an_item_is_a_float_image_of_one_channel_and_an_int(tmp_path):
    found = MNIST(fill(tmp_path))
    image, label = found[7]
    assert image.shape == (1, 28, 28) and image.dtype == np.float32 and type(label) is int and label == 7
    # Exactly what torchvision's ToTensor gives: division in float32.
    np.testing.assert_array_equal(image[0], IMAGES["train"][7].astype(np.float32) / np.float32(255))


def test_transforms_see_the_image_and_the_label_and_arrays_does_not_use_them(tmp_path):
    found = MNIST(fill(tmp_path), transform=lambda x: x.sum(), target_transform=lambda y: -y)
    image, label = found[7]
    assert image == pytest.approx(IMAGES["train"][7].sum() / 255, rel=1e-5) and label == -7
    assert found.arrays()[0].shape == (30, 1, 28, 28) and found.arrays()[1][7] == 7


def test_classes_are_named():
    assert MNIST.classes == tuple("0123456789")
    assert FashionMNIST.classes[0] == "T-shirt/top" and FashionMNIST.classes[9] == "Ankle boot"
    assert len(FashionMNIST.classes) == 10


def refused(folder, message, kind=MNIST):
    with pytest.raises(DataError, match=message):
        kind(folder)


def test_a_missing_folder_and_a_missing_file_are_told_apart(tmp_path):
    refused(
        tmp_path / "no",
        r"MNIST: train-images-idx3-ubyte or \S+.gz was not found in '\S+no' \(there is no such folder\)",
    )
    fill(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    refused(
        tmp_path,
        r"train-labels-idx1-ubyte.gz was not found .*raw\); put the four IDX files .*, or pass download=True",
    )


def test_swapped_files_are_noticed(tmp_path):
    fill(tmp_path)
    images, labels = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte.gz"
    images.rename(tmp_path / "x")
    labels.rename(images)
    (tmp_path / "x").rename(labels)
    refused(
        tmp_path, r"train-images\S+: expected uint8 images of shape \(N, 28, 28\), got uint8 of shape \(30,\)"
    )


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("images-idx3", np.zeros((30, 32, 32), np.uint8), r"28, 28\), got uint8 of shape \(30, 32, 32\)"),
        ("images-idx3", np.zeros((30, 28, 28), np.float32), "expected uint8 images .* got float32"),
        ("images-idx3", np.uint8(0), r"got uint8 of shape \(\)"),
        ("images-idx3", np.zeros((29, 28, 28), np.uint8), "holds 29 images but .* holds 30 labels"),
        ("labels-idx1", np.zeros((30, 1), np.uint8), r"labels of shape \(N,\), got uint8 of shape \(30, 1\)"),
        ("labels-idx1", np.arange(30, dtype=np.uint8) % 11, "labels from 0 to 9, got 10 at position 10"),
    ],
)  # fmt: skip
def test_files_that_are_valid_idx_but_no_mnist_are_refused(tmp_path, name, array, message):
    write_idx(fill(tmp_path) / f"train-{name}-ubyte.gz", array)
    refused(tmp_path, message)


def test_an_empty_set_is_refused(tmp_path):
    fill(tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((0, 28, 28), np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(0, np.uint8))
    refused(tmp_path, "expected at least one image, got none")


def test_a_truncated_file_is_named(tmp_path):
    path = fill(tmp_path) / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    refused(tmp_path, "train-images-idx3-ubyte.gz: the compressed data end too early")
