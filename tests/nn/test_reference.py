"""Numbers that others published: CS231n's layers, Understanding Deep Learning's chapter 10, and textbook facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import functional as F

REFERENCE = Path(__file__).parents[1] / "reference"
CS231N = json.loads((REFERENCE / "cs231n_layers.json").read_text())
UDL = json.loads((REFERENCE / "udl_layers.json").read_text())


def ramp(low: float, high: float, *shape: int) -> Any:
    return tg.tensor(np.linspace(low, high, int(np.prod(shape))).reshape(shape))


def test_cs231n_convolution() -> None:
    y = F.conv2d(
        ramp(-0.1, 0.5, 2, 3, 4, 4), ramp(-0.2, 0.3, 3, 3, 4, 4), ramp(-0.1, 0.2, 3), stride=2, padding=1
    )
    np.testing.assert_allclose(y.numpy(), CS231N["conv2d_forward"]["out"], rtol=1e-7)


def test_cs231n_max_pooling() -> None:
    y = F.max_pool2d(ramp(-0.3, 0.4, 2, 3, 4, 4), 2)
    np.testing.assert_allclose(y.numpy(), CS231N["maxpool2d_forward"]["out"], rtol=1e-7)


def test_cs231n_affine_layer() -> None:
    x, w, b = ramp(-0.1, 0.5, 2, 4, 5, 6), ramp(-0.2, 0.3, 120, 3), ramp(-0.3, 0.1, 3)
    np.testing.assert_allclose(
        F.linear(x.flatten(1), w.T, b).numpy(), CS231N["affine_forward"]["out"], rtol=1e-8
    )
    np.testing.assert_allclose(
        F.relu(ramp(-0.5, 0.5, 3, 4)).numpy(), CS231N["relu_forward"]["out"], atol=5.1e-9
    )


def test_cs231n_losses_of_untrained_scores() -> None:
    """Ten classes and scores near 0: cross-entropy log 10, hinge 9."""
    tg.manual_seed(0)
    scores, labels = tg.randn(1000, 10) * 1e-3, tg.randint(0, 10, (1000,))
    assert F.cross_entropy(scores, labels).item() == pytest.approx(np.log(10), abs=1e-3)
    assert F.pairwise_loss(scores, labels, "hinge").item() == pytest.approx(9, abs=1e-2)
    assert F.multi_margin_loss(scores, labels).item() * 10 == pytest.approx(9, abs=1e-2)


def test_udl_10_1_one_dimensional_convolution() -> None:
    x = tg.tensor([[UDL["10_1"]["x"]]], dtype=tg.float64)
    kernel = lambda value, n: tg.full((1, 1, n), value, dtype=tg.float64)
    assert F.conv1d(x, kernel(0.33, 3), padding=1).sum().item() == pytest.approx(
        UDL["10_1"]["sum_k3_s1_d1_w0.33"], abs=0.06
    )
    assert F.conv1d(x, kernel(0.2, 5), padding=2).sum().item() == pytest.approx(
        UDL["10_1"]["sum_k5_w0.2"], abs=0.06
    )
    assert F.conv1d(x, kernel(0.33, 3), padding=2, dilation=2).sum().item() == pytest.approx(
        UDL["10_1"]["sum_k3_d2_w0.33"], abs=0.06
    )
    assert F.conv1d(x, kernel(0.33, 3), padding=1, stride=2).shape[-1] == UDL["10_1"]["stride2_len"]


def test_udl_10_2_shapes_and_parameters() -> None:
    layers = [
        nn.Conv1d(1, 15, 3, 2),
        nn.ReLU(),
        nn.Conv1d(15, 15, 3, 2),
        nn.ReLU(),
        nn.Conv1d(15, 15, 3, 2),
        nn.ReLU(),
    ]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(60, 10))
    x, shapes = tg.zeros(1, 1, 40), []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.Conv1d):
            shapes.append(list(x.shape[1:]))
    assert shapes == UDL["10_2"]["shapes"]
    assert sum(p.numel() for p in net.parameters()) == UDL["10_2"]["params"]


def test_udl_10_4_down_and_up_again() -> None:
    x = tg.tensor([[UDL["10_4"]["orig"]]], dtype=tg.float64)
    small, where = F.max_pool2d(x, 2, return_indices=True)
    assert small[0, 0].tolist() == [[6, 8], [8, 4]]
    assert x[0, 0, ::2, ::2].tolist() == [[1, 5], [4, 1]]
    assert F.avg_pool2d(x, 2)[0, 0].tolist() == [[3, 4], [5, 2]]
    assert F.max_unpool2d(small, where, 2)[0, 0].tolist() == [
        [0, 0, 0, 0],
        [6, 0, 0, 8],
        [0, 0, 0, 4],
        [0, 8, 0, 0],
    ]
    assert F.interpolate(small, scale_factor=2)[0, 0].tolist() == [[6, 6, 8, 8]] * 2 + [[8, 8, 4, 4]] * 2
    bilinear = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)[0, 0].numpy()
    np.testing.assert_allclose(bilinear[0], [6, 6.5, 7.5, 8])
    np.testing.assert_allclose(bilinear[:, 0], [6, 6.5, 7.5, 8])


SOBEL_INPUT = [[1, 2, 3, 2, 1], [2, 4, 5, 4, 2], [3, 5, 8, 5, 3], [2, 4, 5, 4, 2], [1, 2, 3, 2, 1]]
SOBEL_KERNEL = [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]


def test_sobel_by_cross_correlation_and_by_convolution() -> None:
    x, w = (tg.tensor([[rows]], dtype=tg.float32) for rows in (SOBEL_INPUT, SOBEL_KERNEL))
    edges = [[-13, -16, -13], [0, 0, 0], [13, 16, 13]]
    assert F.conv2d(x, w)[0, 0].tolist() == edges
    assert F.convolve2d(x, w)[0, 0].tolist() == [[-v for v in row] for row in edges]


def test_alexnets_first_layer_has_54_windows_a_side_or_55_with_padding() -> None:
    x = tg.zeros(1, 3, 224, 224)
    w = tg.zeros(1, 3, 11, 11)
    assert F.conv2d(x, w, stride=4).shape[-2:] == (54, 54)
    assert F.conv2d(x, w, stride=4, padding=2).shape[-2:] == (55, 55)


def test_the_notes_network_has_1111946_parameters() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10),
    )  # fmt: skip
    counts = [sum(p.numel() for p in m.parameters()) for m in net if list(m.parameters())]
    assert counts == [832, 51_264, 1_049_600, 10_250]
    assert sum(counts) == 1_111_946


def test_the_notes_pairwise_losses() -> None:
    scores, label = tg.tensor([[2.0, 1.0, 2.5]], dtype=tg.float64), tg.tensor([0])
    d = np.array([1.0 - 2.0, 2.5 - 2.0])
    sigmoid = lambda v: 1 / (1 + np.exp(-v))
    assert F.pairwise_loss(scores, label, "hinge").item() == pytest.approx(np.maximum(0, d + 1).sum())
    assert F.pairwise_loss(scores, label, "sigmoid").item() == pytest.approx((1 - sigmoid(-d)).sum())
    assert F.pairwise_loss(scores, label, "gelu").item() == pytest.approx(
        F.gelu(tg.tensor(1 + d)).sum().item()
    )
    assert nn.PairwiseLoss("hinge")(scores, label).item() == pytest.approx(1.5)
