"""torchvision's networks: its keys, shapes, counts, and its numbers in float64 on equal weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.models import freeze
from tinygrad_cnn import models
from tinygrad_cnn.errors import UsageError

FROZEN = json.loads(freeze.FROZEN.read_text(encoding="utf-8"))


@pytest.fixture
def without_drawing(monkeypatch):
    """Weights are not drawn: these are loaded, or not looked at."""
    for draw in ("kaiming_uniform_", "uniform_", "normal_", "kaiming_normal_", "trunc_normal_"):
        monkeypatch.setattr(tg.nn.init, draw, lambda tensor, *_args, **_kwargs: tensor)


@pytest.mark.parametrize("name", freeze.BUILDERS)
def test_keys_shapes_and_counts_are_torchvisions(name, without_drawing):
    assert freeze.state(getattr(models, name)(**freeze.BUILDERS[name])) == FROZEN["states"][name]


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", freeze.computed(models))
def test_outputs_and_gradients_are_torchvisions(name, mode, without_drawing):
    found, wanted = freeze.answer(name, models, tg, mode == "train"), FROZEN["numbers"][f"{name}/{mode}"]
    outputs, theirs = np.array(found["outputs"]), np.array(wanted["outputs"])
    assert np.abs(outputs - theirs).max() <= 1e-9 * np.abs(theirs).max()
    gradients, theirs = np.array(found["gradients"]), np.array(wanted["gradients"])
    # A gradient that is zero but for rounding (a bias before a normalisation) is measured by the others.
    size = np.maximum(theirs[:, :1], 1e-3 * theirs[:, 0].max())
    assert (np.abs(gradients - theirs) <= 1e-9 * size).all()


def test_a_segmenting_network_scores_each_pixel(without_drawing):
    network = models.fcn_resnet50(num_classes=3, aux_loss=True)
    for parameter in network.parameters():
        parameter.data.fill_(0.01)
    found = network(tg.randn(2, 3, 24, 32))
    assert list(found) == ["out", "aux"] and all(scores.shape == (2, 3, 24, 32) for scores in found.values())


def test_dense_layers_that_recompute_give_equal_gradients():
    def gradients(memory_efficient):
        tg.manual_seed(0)
        network = models.DenseNet(4, (2, 2), 8, num_classes=3, memory_efficient=memory_efficient)
        network(tg.randn(2, 3, 16, 16)).square().sum().backward()
        return [parameter.grad.numpy() for parameter in network.parameters()]

    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(gradients(False), gradients(True)))


def test_a_narrow_mobilenet_learns_with_every_parameter():
    network = models.mobilenet_v1(weights=None, progress=False, num_classes=2, width_mult=0.25)
    network(tg.randn(2, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.classifier[1].in_features == 256


def test_blocks_begin_as_the_identity_where_that_is_wanted():
    network = models.ResNet(models.Bottleneck, (1, 1, 1, 1), zero_init_residual=True)
    assert not network.layer2[0].bn3.weight.any() and network.layer2[0].bn2.weight.all()


@pytest.mark.parametrize("options", [{"weights": "DEFAULT"}, {"pretrained": True}])
def test_published_weights_are_refused_with_the_way_to_load_them(options):
    with pytest.raises(UsageError, match=r"downloads none: get the \.pth file yourself, build resnet18\(\)"):
        models.resnet18(**options)


def test_wrong_options_are_named():
    for make, message in (
        (lambda: models.SqueezeNet("2_0"), "expected version 1_0 or 1_1"),
        (lambda: models.BasicBlock(4, 4, groups=2), "Bottleneck has them"),
        (lambda: models.MobileNetV2(inverted_residual_setting=[[1, 2]]), "rows of 4 numbers"),
        (lambda: models.EfficientNet([], 0.1), "one stage at least"),
        (
            lambda: models.ResNet(models.BasicBlock, (1, 1, 1, 1), replace_stride_with_dilation=[True]),
            "3 values",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(TypeError, match="options that it has not: colour"):
        models.fcn_resnet50(colour=1)
