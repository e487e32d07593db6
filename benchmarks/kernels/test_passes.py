"""Products of matrices, pooling, normalisation, passes over activations, and optimiser updates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

MAPS = (64, 32, 24, 24)


@pytest.mark.parametrize("case", [(64, 1024, 1024), (64, 784, 128), (8, 4096, 4096)], ids=str)
def test_dense_layer(benchmark: Any, form: Any, case: tuple[int, int, int]) -> None:
    n, inputs, outputs = case
    random = np.random.default_rng(0)
    x = random.standard_normal((n, inputs), dtype=np.float32)
    w = random.standard_normal((outputs, inputs), dtype=np.float32)
    assert benchmark(form.matmul, x, w.T).shape == (n, outputs)


@pytest.mark.parametrize("window", [2, 3])
def test_max_pool(benchmark: Any, form: Any, image: Any, window: int) -> None:
    geo: dict[str, Any] = dict(
        kernel=(window, window), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1), ceil_mode=False
    )
    assert benchmark(form.max_pool, image(MAPS), **geo)[0].shape[:2] == MAPS[:2]


@pytest.mark.parametrize("window", [2, 3])
def test_max_pool_backward(benchmark: Any, form: Any, image: Any, window: int) -> None:
    geo: dict[str, Any] = dict(
        kernel=(window, window), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1), ceil_mode=False
    )
    y, indices = form.max_pool(image(MAPS), **geo)
    assert benchmark(form.scatter_windows, y, indices, shape=MAPS).shape == MAPS


def test_batch_norm(benchmark: Any, form: Any, image: Any) -> None:
    assert benchmark(form.batch_norm, image(MAPS), 1e-5)[0].shape == MAPS


def test_relu(benchmark: Any, form: Any, image: Any) -> None:
    assert benchmark(form.relu, image(MAPS)).min() == 0


def test_bias_gradient(benchmark: Any, form: Any, image: Any) -> None:
    assert benchmark(form.channel_sums, image(MAPS)).shape == (32,)


def test_adam(benchmark: Any, form: Any) -> None:
    random = np.random.default_rng(0)
    shapes = [(32, 1, 5, 5), (32,), (64, 32, 5, 5), (64,), (1024, 1024), (1024,), (10, 1024), (10,)]
    params, grads = ([random.standard_normal(s, dtype=np.float32) for s in shapes] for _ in range(2))
    m, v = ([np.zeros_like(p) for p in params] for _ in range(2))
    settings: dict[str, Any] = dict(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, decoupled=False)
    benchmark(form.adam, params, grads, m, v, step=10, lr=1e-3, amsgrad_state=None, maximize=False, **settings)
