"""Receptive fields: the formula's numbers, and never a gradient outside them."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn
from tinygrad_cnn.analysis.receptive_field import effective_field, receptive_field
from tinygrad_cnn.analysis.saturation import saturation, table
from tinygrad_cnn.errors import UsageError


def fields(model, size):
    return {f.layer: f for f in receptive_field(model, size)}


def test_lenets_fields_are_those_of_the_formula():
    found = fields(models.create("lenet5"), (1, 1, 28, 28))
    assert [found[f"features.{k}"].size[0] for k in (0, 2, 3, 5)] == [5, 6, 14, 16]
    assert [found[f"features.{k}"].jump[0] for k in (0, 2, 3, 5)] == [1, 2, 2, 4]
    assert found["features.0"].start == (-2, -2)
    assert found["classifier.5"].whole


def test_dilation_widens_the_field():
    found = fields(
        nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.Conv2d(1, 1, 3, dilation=4)), (1, 1, 32, 32)
    )
    assert found["0"].size == (5, 5) and found["1"].size == (13, 13)


def test_one_dimension_and_unequal_sides_work():
    found = fields(nn.Sequential(nn.Conv1d(1, 2, 5, stride=2), nn.MaxPool1d(3)), (1, 1, 40))
    assert (found["1"].size, found["1"].jump) == ((9,), (6,))
    assert fields(nn.Sequential(nn.Conv2d(1, 1, (3, 5), stride=(1, 2))), (1, 1, 9, 9))["0"].size == (3, 5)


def test_where_branches_meet_the_field_is_that_of_both():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)
            self.out = nn.ReLU()

        def forward(self, x):
            return self.out(x + self.conv(x))

    assert fields(Block(), (1, 1, 8, 8))["out"].size == (3, 3)


@pytest.mark.parametrize("layer", ["0", "1", "3"])
def test_no_gradient_comes_from_outside_the_field(layer):
    tg.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2), nn.Tanh(), nn.Conv2d(2, 3, 3, stride=2)
    )
    image = np.random.default_rng(0).standard_normal((1, 16, 16)).astype(np.float32)
    field = fields(model, (1, 1, 16, 16))[layer]
    unit = (0, *(n // 2 for n in field.shape[2:]))
    heat = effective_field(model, image, layer, unit)[0]
    inside = np.zeros((16, 16), bool)
    inside[field.region(unit[1:], (16, 16))] = True
    assert np.array_equal(heat > 0, inside)


def test_a_unit_at_the_border_sees_less():
    model = nn.Sequential(nn.Conv2d(1, 1, 5, padding=2))
    field = fields(model, (1, 1, 9, 9))["0"]
    assert field.region((0, 0), (9, 9)) == (slice(0, 3), slice(0, 3))
    assert field.region((8, 8), (9, 9)) == (slice(6, 9), slice(6, 9))


def test_what_cannot_be_asked_is_said():
    model = nn.Sequential(nn.Conv2d(1, 1, 3))
    with pytest.raises(UsageError, match=r"size of one sample, \(channels, height, width\), got \(1, 5\)"):
        receptive_field(model, (1, 5))
    assert receptive_field(model, (1, 9, 9)) == receptive_field(model, (1, 1, 9, 9))
    with pytest.raises(UsageError, match="there is none at"):
        effective_field(model, np.zeros((1, 8, 8)), "0", (0, 9, 9))
    with pytest.raises(UsageError, match="there is no layer"):
        effective_field(model, np.zeros((1, 8, 8)), "9")


def test_dead_and_saturated_units_are_found():
    x = tg.tensor(np.array([[-1.0, 2.0, 30.0], [-3.0, -1.0, 40.0]], np.float32), requires_grad=True)
    relu, tanh = (x.relu() + 0).sum(), (x.tanh() + 0).sum()
    (dead,) = saturation(relu)
    assert (dead.op, dead.share, dead.dead) == ("relu", 0.5, pytest.approx(1 / 3))
    assert dead.channels.tolist() == [1.0, 0.5, 0.0]
    (flat,) = saturation(tanh)
    assert flat.share == pytest.approx(1 / 3) and flat.channels.tolist() == [0, 0, 1]
    assert "relu" in table([dead]) and "50.0%" in table([dead])


def test_saturation_says_when_it_comes_too_late():
    x = tg.tensor([[1.0, -1.0]], requires_grad=True)
    loss = x.tanh().sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        saturation(loss)
    with pytest.raises(TypeError, match="no_grad"):
        saturation(tg.tensor(1.0))
