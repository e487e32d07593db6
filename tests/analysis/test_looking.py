"""Spectra, the saturation report, equivariance, sweeps, and layers as lecture notes write them."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import analysis, nn
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F


def test_every_name_is_found_as_an_attribute():
    for name in dir(analysis):
        getattr(analysis, name)
    assert analysis.cost.summary is analysis.summary
    with pytest.raises(AttributeError, match="has no attribute 'costs'; there are: .*convolution.*spectrum"):
        analysis.costs


def test_the_spectrum_of_each_weight():
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(), nn.Linear(3, 3))
    with tg.no_grad():
        model[2].weight.copy_(tg.tensor([[0.0, -2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    conv, dense = analysis.spectrum(model)
    expected = np.linalg.svd(model[0].weight.detach().numpy().reshape(3, 8).astype(float), compute_uv=False)
    np.testing.assert_allclose(conv.values, expected)
    assert conv.condition == pytest.approx(expected[0] / expected[-1]) and conv.eigenvalues is None and conv.rank == 3
    assert dense.values.tolist() == [2, 2, 0] and dense.rank == 2 and dense.condition == np.inf
    np.testing.assert_allclose(sorted(dense.eigenvalues.imag), [-2, 0, 2], atol=1e-12)
    assert dense.effective_rank == 2
    assert "3 × 2 × 2 × 2" in analysis.spectrum_table([conv, dense])


def test_dead_units_are_those_that_no_sample_of_the_epoch_wakes():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with tg.no_grad():
        model[0].weight.copy_(tg.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
        model[0].bias.copy_(tg.tensor([0.0, 0.0, -1.0]))
    x = np.array([[1, -1], [-1, -1], [-1, 1]], np.float32)  # the second unit wakes in the second batch only
    report = analysis.saturation_report(model, (x, np.array([0, 1, 0])), batch_size=2)
    (relu,) = report.layers
    assert report.samples == 3 and relu.dead == pytest.approx(1 / 3) and relu.saturated == pytest.approx(7 / 9)
    np.testing.assert_allclose(relu.channels, [2 / 3, 2 / 3, 1])
    out = np.maximum(x @ np.array([[1, 0, 0], [0, 1, 0]]) + [0, 0, -1], 0)
    assert relu.mean == pytest.approx(out.mean()) and relu.spread == pytest.approx(out.std())
    assert relu.gradient > 0 and all(p.grad is None for p in model.parameters())
    assert "dead" in str(report) and "0.weight" in str(report)
    with pytest.raises(UsageError, match="found no activation"):
        analysis.saturation_report(nn.Linear(2, 2), (x, np.array([0, 1, 0])))


def test_the_report_knows_every_activation_of_the_notes_network():
    tg.manual_seed(0)
    model = tg.models.create("mnist-cnn")
    x = np.random.default_rng(0).standard_normal((4, 1, 28, 28)).astype(np.float32)
    report = analysis.saturation_report(model, (x, np.arange(4)))
    assert [row.layer for row in report.layers] == ["features.1", "features.4", "classifier.2"]
    assert all(np.isfinite([row.mean, row.spread, row.gradient]).all() for row in report.layers)


def test_a_convolution_follows_translations_and_pooling_only_even_ones():
    image = np.random.default_rng(0).standard_normal((1, 1, 12, 12)).astype(np.float32)
    up = lambda k: lambda a: a[..., k:, :]
    valid = analysis.check_equivariance(nn.Conv2d(1, 2, 3), up(1), image)
    assert valid and valid.difference == 0
    strided = nn.Conv2d(1, 2, 3, stride=2)
    assert analysis.check_equivariance(strided, up(2), image, t_out=up(1))
    with pytest.raises(UsageError, match="give the transformation of the output as t_out"):
        analysis.check_equivariance(strided, up(2), image)
    move = analysis.translate(1, 0)
    assert not analysis.check_equivariance(nn.Conv2d(1, 2, 3, padding=1), move, image)  # the border
    blob = np.zeros((1, 1, 8, 8), np.float32)
    blob[..., 2, 2] = 1.0
    assert analysis.check_invariance(nn.MaxPool2d(2), move, blob)  # within one window
    far = analysis.check_invariance(nn.MaxPool2d(2), analysis.translate(2), blob)
    assert not far and "different: largest difference 1" in str(far)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("batch", nn.BatchNorm2d(4)),
        ("layer", nn.LayerNorm([4, 3, 5])),
        ("instance", nn.InstanceNorm2d(4)),
        ("group", nn.GroupNorm(2, 4)),
    ],
)
def test_normalisations_of_the_notes_and_of_pytorch(kind, layer):
    x = tg.randn(6, 4, 3, 5)
    assert tg.allclose(analysis.normalise(x, kind, groups=2, as_pytorch=True), layer(x), atol=1e-5)
    notes = analysis.normalise(x, kind, groups=2, eps=0.1)
    assert not tg.allclose(notes, analysis.normalise(x, kind, groups=2, eps=0.1, as_pytorch=True), atol=1e-4)


def test_both_dropouts_keep_the_expected_output():
    tg.manual_seed(0)
    x = tg.ones(40_000)
    for dropout in (analysis.original_dropout, analysis.inverted_dropout):
        assert dropout(x, 0.8, True).mean().item() == pytest.approx(dropout(x, 0.8, False).mean().item(), abs=0.01)
    assert analysis.original_dropout(x, 0.8, False)[0].item() == pytest.approx(0.8)
    assert set(np.unique(analysis.inverted_dropout(x, 0.8, True).numpy())) == {0.0, np.float32(1.25)}


def test_a_sweep_trains_each_size_from_the_same_seed():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)).astype(np.float32)
    data = x, (x[:, 0] * x[:, 1] > 0).astype(int)
    build = lambda width: nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))
    rows = analysis.sweep(build, [2, 8], data, data, epochs=2, lr=0.05)
    assert [row["parameters"] for row in rows] == [12, 42] and rows[0]["loss"] == rows[0]["val_loss"]
    assert rows == analysis.sweep(build, [2, 8], data, data, epochs=2, lr=0.05)
    assert len(analysis.sweep_table(rows).splitlines()) == 3


def test_gradients_of_a_convolution_by_pytorchs_names():
    x, w = tg.randn(2, 4, 7, 7, requires_grad=True), tg.randn(6, 2, 3, 3, requires_grad=True)
    options = dict(stride=2, padding=1, groups=2)
    y = F.conv2d(x, w, **options)
    g = tg.randn(*y.shape)
    y.backward(g)
    assert tg.allclose(nn.grad.conv2d_input(x.shape, w, g, **options), x.grad, atol=1e-5)
    assert tg.allclose(nn.grad.conv2d_weight(x, w.shape, g, **options), w.grad, atol=1e-4)
