"""A NaN is never lost by a comparison, and infinite numbers stay where they are."""

import math

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.nn import functional as F

nan, inf = math.nan, math.inf


def values_and_gradients(fn, x, dtype):
    t = tg.tensor(x, dtype=dtype, requires_grad=True)
    y = fn(t)
    y = y[0] if isinstance(y, tuple) else y
    y.sum().backward()
    return y.detach().numpy(), t.grad.numpy()


CASES = {
    "median": (lambda x: x.median(0), [1, nan, 0], nan, [0, 1, 0]),
    "median of all": (lambda x: x.median(), [1, nan, 0], nan, [0, 1, 0]),
    "nanmedian": (lambda x: x.nanmedian(), [1, nan, 0, 3], 1, [1, 0, 0, 0]),
    "cummax": (lambda x: x.cummax(0), [1, 3, nan, 5], [1, 3, nan, nan], [1, 1, 2, 0]),
    "cummin": (lambda x: x.cummin(0), [3, 1, nan, 0], [3, 1, nan, nan], [1, 1, 2, 0]),
    "threshold": (lambda x: F.threshold(x, 0, -1), [nan, -1, 2], [nan, -1, 2], [1, 0, 1]),
    "relu": (lambda x: F.relu(x), [nan, -1, 0, 2], [nan, 0, 0, 2], [1, 0, 0, 1]),
    "relu6": (lambda x: F.relu6(x), [nan, -1, 2, 7], [nan, 0, 2, 6], [1, 0, 1, 0]),
    "hardtanh": (lambda x: F.hardtanh(x), [nan, -2, 0.5, 2], [nan, -1, 0.5, 1], [1, 0, 1, 0]),
    "hardshrink": (lambda x: F.hardshrink(x), [nan, 0.2, 2], [nan, 0, 2], [1, 0, 1]),
    "softshrink": (lambda x: F.softshrink(x), [nan, 0.2, 2], [nan, 0, 1.5], [1, 0, 1]),
    "elu": (lambda x: F.elu(x), [nan, 2], [nan, 2], [1, 1]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.5), [nan, -2], [nan, -1], [0.5, 0.5]),
    "clamp": (lambda x: x.clamp(0, 1), [nan, -1, 0.5], [nan, 0, 0.5], [0, 0, 1]),
    "clamp by tensors": (lambda x: x.clamp(tg.zeros_like(x)), [nan, -1, 0.5], [nan, 0, 0.5], [0, 0, 1]),
    "clamp by nan": (lambda x: x.clamp(tg.full_like(x, nan)), [1, 2], [nan, nan], [0, 0]),
    "maximum": (
        lambda x: tg.maximum(x, tg.tensor([1, nan, 2], dtype=x.dtype)), [nan, 1, 2], [nan, nan, 2], [1, 1, 0.5],
    ),
    "minimum": (
        lambda x: tg.minimum(x, tg.tensor([1, nan, 2], dtype=x.dtype)), [nan, 1, 2], [nan, nan, 2], [1, 1, 0.5],
    ),
    "max": (lambda x: x.max(0), [1, nan, 3], nan, [0, 1, 0]),
    "min": (lambda x: x.min(0), [1, nan, 3], nan, [0, 1, 0]),
    "sort": (lambda x: x.sort(0), [nan, 1, 0], [0, 1, nan], [1, 1, 1]),
    "topk": (lambda x: x.topk(2), [1, nan, 0, 3], [nan, 3], [0, 1, 0, 1]),
    "kthvalue": (lambda x: x.kthvalue(2), [nan, 1, 0], 1, [0, 1, 0]),
    "quantile": (lambda x: x.quantile(0.5), [1, nan, 3], nan, [0, 1, 0]),
    "nanquantile": (lambda x: x.nanquantile(0.5), [1, nan, 3], 2, [0.5, 0, 0.5]),
    "quantile with infinity": (lambda x: x.quantile(0.75), [-inf, 1, 3], 2, [0, 0.5, 0.5]),
    "logit": (lambda x: x.logit(), [0, 1, nan, 0.5], [-inf, inf, nan, 0], [inf, inf, nan, 4]),
    "lgamma": (lambda x: x.lgamma(), [-inf, inf, 0], [inf, inf, inf], [nan, inf, -inf]),
    "adaptive_avg_pool1d": (
        lambda x: F.adaptive_avg_pool1d(x.reshape(1, 1, -1), 3)[0, 0],
        [nan, 1, 2, 3], [nan, 1.5, 2.5], [0.5, 1, 1, 0.5],
    ),
    "interpolate": (
        lambda x: F.interpolate(x.reshape(1, 1, -1), size=2, mode="linear")[0, 0],
        [inf, inf, 1, 3], [inf, 2], [0.5] * 4,
    ),
    "max_pool1d": (lambda x: F.max_pool1d(x.reshape(1, 1, -1), 2)[0, 0], [nan, 1, 2, 3], [nan, 3], [1, 0, 0, 1]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_pytorchs(name, dtype):
    fn, x, wanted, gradient = CASES[name]
    with np.errstate(all="ignore"):
        value, found = values_and_gradients(fn, x, dtype)
    np.testing.assert_allclose(value, np.asarray(wanted, float), rtol=1e-6)
    np.testing.assert_allclose(found, np.asarray(gradient, float), rtol=1e-6)


def test_the_indices_of_running_extremes_are_those_of_the_latest_nan():
    assert tg.tensor([1.0, nan, 5.0, nan]).cummax(0).indices.tolist() == [0, 1, 1, 3]
    assert tg.tensor([[1.0, nan], [2.0, 0.0], [nan, nan]]).median(1).indices.tolist() == [1, 1, 0]


def test_quantile_gives_gradients_to_q():
    x, q = tg.tensor([1.0, 2.0, 4.0], dtype=tg.float64), tg.tensor([0.25, 0.75], dtype=tg.float64, requires_grad=True)
    x.quantile(q).sum().backward()
    assert q.grad.tolist() == [2.0, 4.0]


def test_polygamma_left_of_zero():
    found = tg.polygamma(1, tg.tensor([-0.5, -1.5, 0.5], dtype=tg.float64)).numpy()
    np.testing.assert_allclose(found, [8.934802200544679, 9.379246644989124, 4.934802200544679], rtol=1e-12)
