"""Recurrent layers: one step by hand, layers and directions, and gradients through time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn

CS231N = json.loads((Path(__file__).parents[1] / "reference" / "cs231n_layers.json").read_text())


def ramp(low: float, high: float, *shape: int) -> np.ndarray:
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_cs231n_step() -> None:
    rnn = nn.RNN(10, 4).double()
    rnn.load_state_dict(
        {
            "weight_ih_l0": ramp(-0.1, 0.9, 10, 4).T,
            "weight_hh_l0": ramp(-0.3, 0.7, 4, 4).T,
            "bias_ih_l0": ramp(-0.2, 0.4, 4),
            "bias_hh_l0": np.zeros(4),
        }
    )
    x, h = tg.tensor(ramp(-0.4, 0.7, 1, 3, 10)), tg.tensor(ramp(-0.2, 0.5, 1, 3, 4))
    _, after = rnn(x, h)
    np.testing.assert_allclose(after[0].detach().numpy(), CS231N["rnn_step_forward"]["next_h"], atol=1e-8)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_one_step_is_the_formula(kind: str) -> None:
    tg.manual_seed(0)
    net = getattr(nn, kind)(3, 2).double()
    w, u, b, v = (p.detach().numpy() for p in net.parameters())
    x, h, c = np.array([0.5, -1.0, 2.0]), np.array([0.3, -0.2]), np.array([1.0, 0.1])
    if kind == "LSTM":
        i, f, g, o = np.split(w @ x + b + u @ h + v, 4)
        memory = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        wanted = sigmoid(o) * np.tanh(memory)
        state: Any = (tg.tensor(h[None]), tg.tensor(c[None]))
        y, (_, last) = net(tg.tensor(x[None]), state)
        np.testing.assert_allclose(last.detach().numpy()[0], memory)
    else:
        (xr, xz, xn), (hr, hz, hn) = np.split(w @ x + b, 3), np.split(u @ h + v, 3)
        z, n = sigmoid(xz + hz), np.tanh(xn + sigmoid(xr + hr) * hn)
        wanted = (1 - z) * n + z * h
        y, _ = net(tg.tensor(x[None]), tg.tensor(h[None]))
    np.testing.assert_allclose(y.detach().numpy()[0], wanted)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layers_directions_and_layouts(kind: str) -> None:
    tg.manual_seed(0)
    net = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    x = tg.randn(5, 7, 3)
    y, state = net(x)
    last = state[0] if kind == "LSTM" else state
    assert y.shape == (5, 7, 8)
    assert last.shape == (4, 5, 4)
    np.testing.assert_array_equal(y[:, -1, :4].detach().numpy(), last[2].detach().numpy())
    np.testing.assert_array_equal(y[:, 0, 4:].detach().numpy(), last[3].detach().numpy())
    assert "weight_hh_l1_reverse" in net.state_dict()
    single, _ = net(x[2])
    np.testing.assert_allclose(single.detach().numpy(), y[2].detach().numpy(), rtol=1e-5, atol=1e-6)


def test_gradients_through_time_are_right() -> None:
    tg.manual_seed(0)
    net = nn.GRU(2, 3).double()
    x = tg.randn(4, 2, 2, dtype=tg.float64, requires_grad=True)
    assert tg.autograd.gradcheck(lambda v: net(v)[0].sum(0), (x,))


def test_a_wrong_input_size_is_explained() -> None:
    with pytest.raises(ValueError, match=r"LSTM expected an input \(L, N, 3\) or \(L, 3\), got \(2, 1, 5\)"):
        nn.LSTM(3, 4)(tg.ones(2, 1, 5))
