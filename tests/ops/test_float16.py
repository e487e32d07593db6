"""Reductions of float16 are computed in float32: their squares and totals may be beyond float16's range or digits."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.nn import functional as F

half = tg.float16
LARGE = np.linspace(-900, 900, 40).reshape(4, 10)

CASES = {
    "norm": lambda x: tg.norm(x),
    "norm of order 3": lambda x: tg.norm(x, 3),
    "norm along a dimension": lambda x: tg.norm(x, 2, 1),
    "vector_norm": lambda x: tg.linalg.vector_norm(x, 2.5, dim=1),
    "normalize": lambda x: F.normalize(x, dim=1),
    "cosine_similarity": lambda x: F.cosine_similarity(x, x + 100, dim=1),
    "pairwise_distance": lambda x: F.pairwise_distance(x, -x),
    "dist": lambda x: tg.dist(x, -x),
    "cdist": lambda x: tg.cdist(x, -x),
    "var": lambda x: tg.var(x / 4, 1),
    "std": lambda x: tg.std(x),
    "rms_norm": lambda x: F.rms_norm(x, (10,)),
    "mean": lambda x: tg.mean(x * 64 + x),
    "cumsum": lambda x: tg.cumsum(x / 16 + 64, 1),
    "cumprod": lambda x: tg.cumprod(x / 500, 1),
    "logsumexp": lambda x: tg.logsumexp(x / 64, 1),
    "logcumsumexp": lambda x: tg.logcumsumexp(x / 64, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_float32(name):
    results = []
    for dtype in (half, tg.float32):
        x = tg.tensor(LARGE, dtype=half).to(dtype).requires_grad_()
        y = CASES[name](x)
        assert y.dtype == dtype
        y.sum().backward()
        results.append((y.detach().numpy().astype(np.float64), x.grad.numpy().astype(np.float64)))
    (value, gradient), (wanted, wanted_gradient) = results
    np.testing.assert_allclose(value, wanted, rtol=4e-3, atol=2e-3 * np.abs(wanted).max())
    np.testing.assert_allclose(gradient, wanted_gradient, rtol=2e-2, atol=1e-2 * np.abs(wanted_gradient).max())


def test_a_norm_of_300_is_300_and_3000_ones_add_up():
    assert tg.tensor([300.0], dtype=half).norm().item() == 300
    assert tg.ones(3000, dtype=half).cumsum(0)[-1].item() == 3000
    p = tg.nn.Parameter(tg.ones(1, dtype=half))
    p.grad = tg.tensor([300.0], dtype=half)
    assert tg.nn.utils.clip_grad_norm_([p], 1.0).item() == 300
    assert p.grad.item() == 1
