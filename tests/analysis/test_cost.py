"""What a network costs: counted by hand."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn
from tinygrad_cnn.analysis.cost import summary
from tinygrad_cnn.nn import functional as F


def test_the_notes_network_layer_by_layer():
    found = summary(models.create("mnist-cnn"), (1, 28, 28))
    rows = [(row.kind, row.output, row.parameters, row.multiply_adds) for row in found.layers if row.parameters]
    assert rows == [
        ("Conv2d", (1, 32, 24, 24), 832, 24 * 24 * 32 * 25),
        ("Conv2d", (1, 64, 8, 8), 51_264, 8 * 8 * 64 * 32 * 25),
        ("Linear", (1, 1024), 1_049_600, 1024 * 1024),
        ("Linear", (1, 10), 10_250, 1024 * 10),
    ]
    assert found.parameters == found.trainable == 1_111_946
    assert found.parameter_bytes == 4 * 1_111_946  # 4.24 MB
    assert [row.name for row in found.layers][:3] == ["features.0", "features.1", "features.2"]


def test_published_multiply_adds():
    # torchvision's model table: 1.81 GFLOPS for ResNet-18 at 224×224, counted as multiply-adds.
    assert round(summary(models.create("resnet18"), (3, 224, 224)).multiply_adds / 1e9, 2) == 1.81


def test_cost_grows_with_the_batch_and_weights_do_not():
    model = models.create("lenet5")
    one, four = summary(model, (1, 28, 28)), summary(model, (1, 28, 28), batch_size=4)
    assert four.multiply_adds == 4 * one.multiply_adds and four.output_bytes == 4 * one.output_bytes
    assert four.parameter_bytes == one.parameter_bytes and four.saved_bytes == 4 * one.saved_bytes


def test_groups_transposed_convolutions_and_plain_functions_count():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
            self.up = nn.ConvTranspose2d(4, 2, 2, stride=2, bias=False)
            self.weight = nn.Parameter(tg.ones(5, 2 * 8 * 8))

        def forward(self, x):
            return F.linear(self.up(self.depthwise(x)).flatten(1), self.weight)

    found = summary(Odd(), (4, 4, 4))
    costs = {row.name: (row.parameters, row.multiply_adds) for row in found.layers}
    assert costs == {
        "depthwise": (36, 16 * 4 * 9), "up": (32, 16 * 4 * 2 * 4), "(itself)": (640, 640),
    }  # fmt: skip
    assert found.multiply_adds == 576 + 512 + 640


def test_a_layer_used_twice_is_listed_twice_and_its_parameters_once():
    shared = nn.Linear(3, 3)
    found = summary(nn.Sequential(shared, nn.ReLU(), shared), (3,))
    assert [row.parameters for row in found.layers] == [12, 0, 0] and found.parameters == 12
    assert found.multiply_adds == 18


def test_frozen_layers_are_counted_and_told():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    found = summary(model, (3,))
    assert found.multiply_adds == 20 and found.parameters - found.trainable == 16
    assert "16 parameters frozen" in str(found)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    before = {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}
    summary(model, (1, 8, 8))
    assert model.training and all(module.training for module in model)
    assert all(np.array_equal(before[k], v.detach().numpy()) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_the_text_has_every_layer_and_the_totals():
    lines = str(summary(models.create("mlp"), (1, 28, 28))).splitlines()
    assert lines[0].split()[:3] == ["layer", "kind", "output"]
    assert any("100,480" in line and "Linear" in line for line in lines)
    assert any(line.startswith("total") and "101,770" in line and "101,632" in line for line in lines)


def test_an_input_that_does_not_fit_is_the_models_own_error_and_leaves_no_hook():
    model = models.create("mnist-cnn")
    with pytest.raises((ValueError, RuntimeError)):
        summary(model, (3, 28, 28))
    assert summary(model, (1, 28, 28)).parameters == 1_111_946
