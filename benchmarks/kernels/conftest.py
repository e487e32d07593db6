"""What the kernel benchmarks share: both forms of the kernels, and arrays in the layout that networks give them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import kernels


@pytest.fixture(params=["compiled", "reference"])
def form(request: pytest.FixtureRequest) -> Any:
    """The kernels, compiled and in NumPy."""
    if request.param == "compiled" and find_spec("numba") is None:
        pytest.skip("Numba is not installed")
    return kernels._load(request.param, "asked for by a benchmark")


@pytest.fixture
def image() -> Any:
    """Random channels-last images of a shape (N, C, H, W)."""

    def make(shape: tuple[int, int, int, int], seed: int = 0) -> np.ndarray:
        n, c, h, w = shape
        rows = np.random.default_rng(seed).standard_normal((n, h, w, c), dtype=np.float32)
        return rows.transpose(0, 3, 1, 2)

    return make
