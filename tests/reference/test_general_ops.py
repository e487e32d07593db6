"""Published numbers that need the general ops only: Understanding Deep Learning 7.1 and 7.2, CS231n."""

import json
from pathlib import Path

import numpy as np

import tinygrad_cnn as tg

UDL = json.loads(Path(__file__).with_name("udl.json").read_text())
CS231N = json.loads(Path(__file__).with_name("cs231n_general.json").read_text())


def test_udl_7_1_every_intermediate_gradient() -> None:
    book = UDL["7_1"]
    beta = tg.tensor(book["beta"], dtype=tg.float64, requires_grad=True)
    omega = tg.tensor(book["omega"], dtype=tg.float64, requires_grad=True)
    at = {"f0": beta[0] + omega[0] * book["x"]}
    for k, (h, f, function) in enumerate([("h1", "f1", tg.sin), ("h2", "f2", tg.exp), ("h3", "f3", tg.cos)]):
        at[h] = function(at[f"f{k}"])
        at[f] = beta[k + 1] + omega[k + 1] * at[h]
    at["l"] = (at["f3"] - book["y"]) ** 2
    for value in at.values():
        value.retain_grad()
    at["l"].backward()
    for name, value in book["forward"].items():
        assert abs(at[name].item() - value) < book["tolerance"], name
    for name, value in book["backward"].items():
        assert abs(at[name].grad.item() - value) < book["tolerance"], name
    np.testing.assert_allclose(beta.grad.numpy(), book["parameters"]["beta"], atol=book["tolerance"])
    np.testing.assert_allclose(omega.grad.numpy(), book["parameters"]["omega"], atol=book["tolerance"])


def _udl_network() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases in the order in which the notebook draws them."""
    rng = np.random.RandomState(0)  # the notebook draws from the old generator
    layers, width = UDL["7_2"]["hidden_layers"], UDL["7_2"]["width"]
    weights: list[np.ndarray] = [np.empty(0)] * (layers + 1)
    biases: list[np.ndarray] = [np.empty(0)] * (layers + 1)
    weights[0], weights[-1] = rng.normal(size=(width, 1)), rng.normal(size=(1, width))
    biases[0], biases[-1] = rng.normal(size=(width, 1)), rng.normal(size=(1, 1))
    for k in range(1, layers):
        weights[k], biases[k] = rng.normal(size=(width, width)), rng.normal(size=(width, 1))
    return weights, biases


def _run(weights: list[tg.Tensor], biases: list[tg.Tensor]) -> tg.Tensor:
    h = tg.tensor([[UDL["7_2"]["input"]]], dtype=tg.float64)
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        h = tg.relu(b + w @ h)
    return biases[-1] + weights[-1] @ h


def test_udl_7_2_a_deep_network_by_hand() -> None:
    arrays = _udl_network()
    weights, biases = ([tg.tensor(a, requires_grad=True) for a in group] for group in arrays)
    out = _run(weights, biases)
    assert abs(out.item() - UDL["7_2"]["output"]) < 0.0006
    ((out - UDL["7_2"]["target"]) ** 2).sum().backward()

    delta = 1e-6
    for which, leaves in enumerate((weights, biases)):
        for k, leaf in enumerate(leaves):
            for index in np.ndindex(*leaf.shape):
                losses = []
                for sign in (1, -1):
                    moved = [[a.copy() for a in group] for group in arrays]
                    moved[which][k][index] += sign * delta
                    y = _run(*[[tg.from_numpy(a) for a in group] for group in moved])
                    losses.append((y.item() - UDL["7_2"]["target"]) ** 2)
                assert np.isclose(
                    leaf.grad.numpy()[index], (losses[0] - losses[1]) / (2 * delta), rtol=1e-5, atol=1e-5
                )


def _line(low: float, high: float, *shape: int) -> tg.Tensor:
    return tg.linspace(low, high, int(np.prod(shape)), dtype=tg.float64).reshape(shape)


def test_cs231n_affine() -> None:
    y = _line(-0.1, 0.5, 2, 4, 5, 6).flatten(1) @ _line(-0.2, 0.3, 120, 3) + _line(-0.3, 0.1, 3)
    np.testing.assert_allclose(y.numpy(), CS231N["affine"], rtol=1e-8)


def test_cs231n_relu() -> None:
    np.testing.assert_allclose(tg.relu(_line(-0.5, 0.5, 3, 4)).numpy(), CS231N["relu"], atol=5e-9)


def test_cs231n_rnn_step() -> None:
    x, h = _line(-0.4, 0.7, 3, 10), _line(-0.2, 0.5, 3, 4)
    wx, wh, b = _line(-0.1, 0.9, 10, 4), _line(-0.3, 0.7, 4, 4), _line(-0.2, 0.4, 4)
    np.testing.assert_allclose(tg.tanh(x @ wx + h @ wh + b).numpy(), CS231N["rnn_step"], atol=5e-9)
