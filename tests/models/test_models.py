"""Known networks: the published parameter counts, shapes, and names that do not exist."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models
from tinygrad_cnn.errors import UsageError

# Sources: the lecture notes' arithmetic (832 + 51,264 + 1,049,600 + 10,250), LeCun et al. 1998, torchvision's
# model tables, Greydanus & Kobak 2024, Prince 2023 (figure 10.7).
PARAMETERS = {
    "mnist-cnn": 1_111_946,
    "image-cnn": 242_474,
    "unet": 113_887,
    "fcn": 89_745,
    "center-net": 108_158,
    "mlp": 101_770,
    "lenet5": 61_706,
    "lenet1": 3_246,
    "lenet4": 51_050,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11-bn": 132_868_840,
    "vgg13-bn": 133_053_736,
    "vgg16-bn": 138_365_992,
    "vgg19-bn": 143_678_248,
    "googlenet": 6_624_904,
    "squeezenet1-0": 1_248_424,
    "squeezenet1-1": 1_235_496,
    "densenet121": 7_978_856,
    "mobilenet-v1": 4_231_976,
    "mobilenet-v2": 3_504_872,
    "efficientnet-b0": 5_288_548,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50-32x4d": 25_028_904,
    "resnext101-32x8d": 88_791_336,
    "resnext101-64x4d": 83_455_272,
    "wide-resnet50-2": 68_883_240,
    "wide-resnet101-2": 126_886_696,
    "resnet18-cifar": 11_173_962,
    "mnist1d-cnn": 5_210,
    "mnist1d-mlp": 15_210,
    "mnist1d-logistic": 410,
    "mnist1d-gru": 5_134,
    "udl-cnn": 2_050,
    "udl-dense": 59_065,
}
DENSE = ("unet", "fcn", "center-net")  # they answer for every place: test_dense.py
SMALL = [name for name in PARAMETERS if models.entry(name).input_size != (3, 224, 224) and name not in DENSE]


def test_every_known_network_has_a_published_count():
    assert set(models.names()) == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_network_has_the_published_number_of_parameters(name, monkeypatch):
    # Counting needs no weights, and drawing those of the large ones takes seconds.
    for draw in ("kaiming_uniform_", "uniform_", "normal_", "kaiming_normal_", "trunc_normal_"):
        monkeypatch.setattr(tg.nn.init, draw, lambda tensor, *_args, **_kwargs: tensor)
    assert sum(p.numel() for p in models.create(name).parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", SMALL)
def test_a_network_gives_one_score_per_class_and_every_parameter_a_gradient(name):
    tg.manual_seed(0)
    model = models.create(name)
    x = tg.randn(2, *models.entry(name).input_size)
    scores = model(x)
    assert scores.shape == (2, 10)
    tg.nn.functional.cross_entropy(scores, tg.tensor([3, 7])).backward()
    assert all(p.grad is not None and np.isfinite(p.grad.array).all() for p in model.parameters())


def test_mnist_cnn_has_its_counts_layer_by_layer():
    counts = [sum(p.numel() for p in m.parameters()) for m in models.create("mnist-cnn").modules()]
    assert [n for n in counts if n in (832, 51_264, 1_049_600, 10_250)] == [832, 51_264, 1_049_600, 10_250]


def test_lenet5_takes_the_papers_32_by_32_frame_as_well():
    assert models.create("lenet5", padding=0)(tg.zeros(1, 1, 32, 32)).shape == (1, 10)


def test_options_reach_the_network():
    assert models.create("mnist-cnn", num_classes=3, in_channels=2)(tg.zeros(1, 2, 28, 28)).shape == (1, 3)


def test_equal_seeds_give_equal_weights():
    def weights():
        tg.manual_seed(5)
        return [p.detach().numpy() for p in models.create("mnist1d-cnn").parameters()]

    assert all(np.array_equal(a, b) for a, b in zip(weights(), weights()))


def test_resnet_keys_are_torchvisions():
    keys = list(models.create("resnet18-cifar").state_dict())
    assert keys[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert "layer2.0.downsample.0.weight" in keys and "layer2.0.downsample.1.running_var" in keys
    assert keys[-2:] == ["fc.weight", "fc.bias"]


def test_an_unknown_name_is_answered_with_the_known_ones():
    answer = r"unknown model 'mnistcnn' \(did you mean 'mnist-cnn'\?\); known: mnist-cnn, "
    with pytest.raises(UsageError, match=answer):
        models.create("mnistcnn")
