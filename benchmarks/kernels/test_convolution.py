"""Forward, input gradient and weight gradient of the convolutions that the networks here have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_cnn.kernels import geometry

#: name -> (N, C, size, outputs, kernel, stride, padding, groups)
CASES = {
    "5x5 1-32@28": (64, 1, 28, 32, 5, 1, 0, 1),
    "5x5 32-64@12": (64, 32, 12, 64, 5, 1, 0, 1),
    "5x5 6-16@14": (64, 6, 14, 16, 5, 1, 0, 1),
    "3x3 64@32": (8, 64, 32, 64, 3, 1, 1, 1),
    "3x3/2 64-128@32": (8, 64, 32, 128, 3, 2, 1, 1),
    "1x1 64-128@32": (8, 64, 32, 128, 1, 1, 0, 1),
    "depthwise 64@32": (8, 64, 32, 64, 3, 1, 1, 64),
    "11x11/4 3-64@224": (2, 3, 224, 64, 11, 4, 2, 1),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, image: Any) -> Any:
    n, c, size, o, k, s, p, groups = CASES[request.param]
    geo: dict[str, Any] = dict(stride=(s, s), padding=((p, p), (p, p)), dilation=(1, 1), groups=groups)
    x = image((n, c, size, size))
    w = np.random.default_rng(1).standard_normal((o, c // groups, k, k), dtype=np.float32)
    return x, w, image(geometry.correlate_shape(x.shape, w.shape, **geo), 2), geo


def test_forward(benchmark: Any, form: Any, case: Any) -> None:
    x, w, g, geo = case
    assert benchmark(form.correlate, x, w, **geo).shape == g.shape


def test_input_gradient(benchmark: Any, form: Any, case: Any) -> None:
    x, w, g, geo = case
    assert benchmark(form.correlate_input, g, w, shape=x.shape, **geo).shape == x.shape


def test_weight_gradient(benchmark: Any, form: Any, case: Any) -> None:
    x, w, g, geo = case
    assert benchmark(form.correlate_weight, g, x, shape=w.shape, **geo).shape == w.shape
