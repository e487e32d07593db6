"""A whole model is one file, built again only from classes that are known or handed over."""

import json
import struct

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn
from tinygrad_cnn.errors import CheckpointError, UsageError
from tinygrad_cnn.training import load_model, save_model


class Net(nn.Module):
    def __init__(self, hidden, act=nn.ReLU, *, sizes=(2, 3)):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(4, hidden), act(), nn.Linear(hidden, sizes[1]))

    def forward(self, x):
        return self.fc(x)


class Around(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def same(a, b, x):
    a.eval(), b.eval()
    assert repr(a) == repr(b)
    assert np.array_equal(a(x).detach().numpy(), b(x).detach().numpy())


@pytest.mark.parametrize("name", ["mnist-cnn", "mlp", "lenet5", "mnist1d-cnn", "mnist1d-mlp", "resnet18-cifar"])
def test_the_known_networks_come_back(name, tmp_path):
    model = models.create(name, num_classes=3)
    save_model(model, tmp_path / "m.safetensors")
    same(model, load_model(tmp_path / "m.safetensors"), tg.randn(2, *models.entry(name).input_size))


def test_buffers_and_changed_children_of_a_sequential_come_back(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    model(tg.randn(5, 1, 4, 4))  # moves the running statistics
    model[2] = nn.GELU("tanh")
    save_model(model, tmp_path / "m.safetensors")
    same(model, load_model(tmp_path / "m.safetensors"), tg.randn(2, 1, 4, 4))


def test_a_class_of_ones_own_is_built_with_its_arguments(tmp_path):
    model = Around(nn.Sequential(Net(7, nn.Tanh, sizes=(1, 5)), nn.ReLU()))
    save_model(model, tmp_path / "m.safetensors")
    same(model, load_model(tmp_path / "m.safetensors", classes=[Net, Around]), tg.randn(2, 4))
    with pytest.raises(UsageError, match=r"a class of your own, 'Around': load_model\(path, classes=\[Around\]\)"):
        load_model(tmp_path / "m.safetensors")


def test_saving_and_loading_draw_no_random_numbers(tmp_path):
    model = Net(3)
    tg.manual_seed(0)
    expected = tg.randn(3)
    tg.manual_seed(0)
    save_model(model, tmp_path / "m.safetensors")
    load_model(tmp_path / "m.safetensors", [Net])
    assert tg.equal(tg.randn(3), expected)


def test_what_would_not_come_back_is_not_saved(tmp_path):
    model = Net(3)
    model.fc[1] = nn.Sigmoid()
    with pytest.raises(UsageError, match="Net was changed after it was built"):
        save_model(model, tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="Around was built with a tensor as an argument, which cannot be saved"):
        save_model(Around(tg.ones(2)), tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match=r"saved as .safetensors .*got 'models/MNIST.h5'"):
        save_model(model, "models/MNIST.h5")
    assert not list(tmp_path.iterdir())


def test_a_file_of_weights_alone_says_so(tmp_path):
    tg.save(dict(Net(3).state_dict()), tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="holds weights alone: build the model and call training.load_weights"):
        load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "configuration",
    [
        {"class": "nn.Linear", "args": [10**6, 10**6], "kwargs": {}},
        {"class": "nn.Linear", "args": [4, 5], "kwargs": {}},
        {"class": "nn.load", "args": [], "kwargs": {}},
        {"class": "models.create", "args": ["mlp"], "kwargs": {}},
        {"class": "nn.Linear", "args": [{"shell": "ls"}], "kwargs": {}},
        {"class": "nn.Linear", "args": [[1], 2], "kwargs": {}},
        {"class": "nn.Sequential", "children": [1]},
        [1, 2],
        7,
    ],
)
def test_a_configuration_that_does_not_fit_is_one_clear_error(configuration, tmp_path):
    save_model(nn.Linear(3, 2), tmp_path / "m.safetensors")
    raw = (tmp_path / "m.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"]["tinygrad_cnn.model"] = json.dumps(configuration)
    text = json.dumps(header).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])
    with pytest.raises(CheckpointError, match="does not fit the classes it is built of"):
        load_model(tmp_path / "m.safetensors")
