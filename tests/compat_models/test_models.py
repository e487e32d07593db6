"""Model files written for PyTorch run when their imports are swapped, and compute what PyTorch computes."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.compat_models import zoo

pytestmark = pytest.mark.oracle
every_model = pytest.mark.parametrize("name", zoo.MODELS)
modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


@every_model
def test_names_shapes_and_counts_are_pytorchs(name: str) -> None:
    model, known = zoo.MODELS[name], zoo.facts(name)
    net = model.make(zoo.load(model.file, "tinygrad_cnn"))
    assert {k: list(v.shape) for k, v in net.state_dict().items()} == known["shapes"]
    assert list(net.state_dict()) == list(known["shapes"])
    assert sum(p.numel() for p in net.parameters()) == known["parameters"]
    assert [k for k, _ in net.named_parameters()] == known["learned"]
    assert [k for k, _ in net.named_buffers()] == known["buffers"]
    assert [k for k, _ in net.named_modules()] == known["modules"]


@every_model
def test_it_prints_as_in_pytorch(name: str) -> None:
    model = zoo.MODELS[name]
    text = repr(model.make(zoo.load(model.file, "tinygrad_cnn")))
    # PyTorch shows `bias=` of normalisations since 2.13.
    known = zoo.facts(name)["repr"]
    assert text == known or re.sub(r", bias=(True|False)(?=[,)])", "", text) == re.sub(
        r", bias=(True|False)(?=[,)])", "", known
    )


@every_model
@modes
@pytest.mark.parametrize(("dtype", "tol"), [("float32", 1e-4), ("float64", 1e-7)])
def test_outputs_gradients_and_running_averages_are_pytorchs(
    name: str, training: bool, dtype: str, tol: float
) -> None:
    mode = "train" if training else "eval"
    known = zoo.frozen()
    net, output, grads, buffers = zoo.run(name, tg, dtype, training, zoo.facts(name)["seed"])
    wanted = known[f"{name}/{mode}/output"]
    assert output.dtype == dtype
    np.testing.assert_allclose(output, wanted, rtol=tol, atol=tol * np.abs(wanted).max())
    for found, theirs, keys in (
        (zoo.projections(grads), known[f"{name}/{mode}/grads"], list(grads)),
        (zoo.projections(buffers), known[f"{name}/{mode}/buffers"], list(buffers)),
    ):
        assert found.shape == theirs.shape
        if not len(theirs):
            continue
        # A gradient that is zero but for rounding (a bias before a normalisation) is measured by the others.
        size = np.maximum(theirs[:, 0], 1e-3 * theirs[:, 0].max())
        for key, mine, its, unit in zip(keys, found, theirs, size, strict=True):
            assert abs(mine[0] - its[0]) <= tol * unit, f"{key}: norm {mine[0]}, PyTorch {its[0]}"
            assert abs(mine[1] - its[1]) <= 4 * tol * unit, f"{key}: projection {mine[1]}, PyTorch {its[1]}"


def test_random_parts_run_in_training_and_rest_in_evaluation() -> None:
    tg.manual_seed(0)
    module = zoo.load("efficientnet", "tinygrad_cnn")
    net = module.EfficientNetSmall(drop_connect_rate=0.5, dropout_rate=0.5)
    x = tg.randn(4, 3, 16, 16)
    assert not np.array_equal(net(x).detach().numpy(), net(x).detach().numpy())
    net(x).sum().backward()
    net.eval()
    assert np.array_equal(net(x).detach().numpy(), net(x).detach().numpy())


def test_a_files_own_initialisation_follows_its_law() -> None:
    tg.manual_seed(0)
    net = zoo.load("vgg", "tinygrad_cnn").VGG("VGG11")
    conv = net.features[8]
    assert conv.weight.shape == (256, 128, 3, 3)
    assert float(conv.weight.std()) == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    assert float(net.classifier.weight.std()) == pytest.approx(0.01, rel=0.05)
    assert not net.classifier.bias.any()


def test_full_sized_networks_have_the_published_parameter_counts() -> None:
    resnet, vgg = zoo.load("resnet", "tinygrad_cnn"), zoo.load("vgg", "tinygrad_cnn")
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert count(resnet.ResNet18()) == 11_173_962
    assert count(resnet.ResNet50()) == 23_520_842
    assert count(resnet.ResNetSmall([3, 3, 3])) == 269_722
    assert count(vgg.VGG("VGG11")) == 9_231_114
