"""`torchvision.datasets`: original files, PIL images out, and no code of a pickle ever run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygrad_cnn as tg
from tinygrad_cnn.compat.torchvision import datasets
from tinygrad_cnn.compat.torchvision.transforms import transforms as T
from tinygrad_cnn.datasets import download
from tinygrad_cnn.datasets.idx import write_idx
from tinygrad_cnn.errors import DataError


def write_mnist(folder, count=12):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_sets_in_mnists_format_serve_pil_images(name, tmp_path):
    write_mnist(tmp_path / name / "raw")
    make = getattr(datasets, name)
    plain = make(tmp_path, train=True)
    image, label = plain[3]
    assert (image.mode, image.size, label, len(plain), len(plain.classes)) == ("L", (28, 28), 3, 12, 10)
    assert np.array_equal(np.asarray(image), plain.data[3].numpy()) and plain.targets.dtype == tg.int64
    assert plain.class_to_idx[plain.classes[4]] == 4
    test = make(
        str(tmp_path),
        train=False,
        transform=T.ToTensor(),
        target_transform=lambda label: -label,
        download=True,
    )
    x, label = test[5]
    assert x.shape == (1, 28, 28) and 0 <= x.min() and x.max() <= 1 and label == -5
    loaded = next(iter(tg.utils.data.DataLoader(test, batch_size=4)))
    assert loaded[0].shape == (4, 1, 28, 28)


def test_they_print_as_in_torchvision(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw")
    text = repr(datasets.MNIST(str(tmp_path), transform=T.Compose([T.ToTensor()])))
    assert text == (
        f"Dataset MNIST\n    Number of datapoints: 12\n    Root location: {tmp_path}\n    Split: Train\n"
        "    StandardTransform\nTransform: Compose(\n               ToTensor()\n           )"
    )


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        datasets.MNIST(tmp_path)
    with pytest.raises(DataError, match="there is no .*data_batch_1|batches.meta"):
        datasets.CIFAR10(tmp_path)


# --- CIFAR ------------------------------------------------------------------------------------


def write_cifar(folder, hundred=False, count=6):
    """Batches as the published ones: pickles of protocol 2, whose strings Python 2 wrote as bytes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"class {k}" for k in range(100 if hundred else 10)]
    labels, key = ("fine_labels", "fine_label_names") if hundred else ("labels", "label_names")
    files = ("train", "test") if hundred else (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")
    for k, name in enumerate(files):
        batch = {
            "data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
            labels: [k] * count,
            "batch_label": name,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / ("meta" if hundred else "batches.meta")).write_bytes(pickle.dumps({key: names}, protocol=2))


def test_cifar_serves_its_batches_in_order(tmp_path):
    write_cifar(tmp_path / "cifar-10-batches-py")
    train, test = datasets.CIFAR10(tmp_path), datasets.CIFAR10(tmp_path, train=False, transform=T.ToTensor())
    assert (
        train.data.shape == (30, 32, 32, 3)
        and train.targets == [k // 6 for k in range(30)]
        and len(test) == 6
    )
    raw = pickle.loads((tmp_path / "cifar-10-batches-py" / "data_batch_2").read_bytes())["data"][1]
    image, label = train[7]
    assert (image.mode, label) == ("RGB", 1)
    np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1).ravel(), raw)
    assert test[0][0].shape == (3, 32, 32) and train.classes[2] == "class 2"
    write_cifar(tmp_path / "cifar-100-python", hundred=True)
    hundred = datasets.CIFAR100(str(tmp_path), train=False)
    assert len(hundred.classes) == 100 and hundred[0][1] == 1


class Hostile:
    def __reduce__(self):
        return os.system, ("echo run > hacked",)


def test_a_batch_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar(folder)
    good = (folder / "data_batch_1").read_bytes()
    for content, message in (
        (pickle.dumps({"data": Hostile()}, protocol=2), "it asks for posix.system|it asks for nt.system"),
        (pickle.dumps({"data": [1], "labels": [0]}, protocol=2), r"expected pixels \(N, 3072\)"),
        (pickle.dumps([1], protocol=2), "a dictionary, got list"),
        (pickle.dumps({"data": np.zeros((1, 3072)), "labels": [0]}, protocol=2), "has the type 'f8'"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, protocol=2), "labels from 0 to 9"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, protocol=2), "do not belong together"),
        (good[:3000], "truncated, damaged or no batch"), (b"", "truncated, damaged or no batch"),
    ):  # fmt: skip
        (folder / "data_batch_1").write_bytes(content)
        with pytest.raises(DataError, match=message) as info:
            datasets.CIFAR10(tmp_path)
        assert "\n" not in str(info.value)
    assert not (tmp_path / "hacked").exists()


def test_a_download_is_checked_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_get", lambda _url: b"something else")
    with pytest.raises(DataError, match="cifar-10-python.tar.gz could not be downloaded"):
        datasets.CIFAR10(tmp_path, download=True)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_is_unpacked_where_it_belongs(tmp_path, monkeypatch):
    import hashlib
    import io
    import tarfile

    write_cifar(tmp_path / "from" / "cifar-10-batches-py")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tmp_path / "from" / "cifar-10-batches-py", "cifar-10-batches-py")
    asked = []
    monkeypatch.setattr(download, "_get", lambda url: asked.append(url) or packed.getvalue())
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(packed.getvalue()).hexdigest())
    assert len(datasets.CIFAR10(tmp_path / "to", download=True)) == 30
    assert asked == [datasets.CIFAR10.url]
    datasets.CIFAR10(tmp_path / "to", download=True)
    assert len(asked) == 1


# --- folders and noise -------------------------------------------------------------------------


def test_folders_of_classes_serve_pil_images(tmp_path):
    for name, count in (("cat", 2), ("dog", 1)):
        (tmp_path / name).mkdir()
        for k in range(count):
            Image.new("L", (5, 4), 50 * k).save(tmp_path / name / f"{k}.png")
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    found = datasets.ImageFolder(tmp_path)
    image, label = found[2]
    assert (image.mode, image.size, label) == ("RGB", (5, 4), 1)
    assert (found.classes, found.class_to_idx, found.targets) == (
        ["cat", "dog"],
        {"cat": 0, "dog": 1},
        [0, 0, 1],
    )
    assert found.imgs == found.samples and found.samples[0][0].endswith("0.png")
    assert datasets.ImageFolder(tmp_path, T.ToTensor())[0][0].shape == (3, 4, 5)
    texts = datasets.DatasetFolder(
        tmp_path, loader=lambda path: Path(path).read_text(), extensions=(".txt",), allow_empty=True
    )
    assert texts[0] == ("no picture", 1)
    with pytest.raises(DataError):
        datasets.DatasetFolder(tmp_path, loader=str, extensions=(".txt",))


def test_fake_data_are_the_same_each_time():
    found = datasets.FakeData(5, (3, 8, 9), 4, transform=T.ToTensor())
    x, label = found[2]
    assert x.shape == (3, 8, 9) and 0 <= label < 4 and (found[2][0] == x).all() and (found[3][0] != x).any()
    assert (datasets.FakeData(5, (3, 8, 9), 4, T.ToTensor(), random_offset=2)[0][0] == x).all()
    with pytest.raises(IndexError, match="5 samples, got index 5"):
        found[5]
    assert len(list(found)) == 5
