"""How exact float32 convolutions are, measured against float64, and the setting that trades digits for speed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import kernels

compiled_only = pytest.mark.skipif(not find_spec("numba"), reason="the NumPy kernels have one precision")

# Batch, channels, outputs, size, kernel, padding: the tiles of 4, of 6, the sweep and the tile over a batch.
SIZES = {
    "3x3": (6, 64, 64, 16, 3, 1),
    "3x3, odd size": (5, 32, 48, 13, 3, 1),
    "3x3, many channels": (4, 256, 64, 8, 3, 1),
    "3x3, few tiles": (2, 64, 64, 4, 3, 1),
    "5x5": (6, 32, 64, 12, 5, 0),
    "5x5, padded batch": (12, 64, 32, 8, 5, 2),
    "5x5, one channel": (4, 1, 32, 28, 5, 0),
}


@pytest.fixture
def restored():
    """The precision as it was, after the test."""
    before = tg.get_float32_conv_precision()
    yield
    tg.set_float32_conv_precision(before)


def triad(form, name, dtype):
    """The three results of a size in float64 or float32."""
    n, c, o, size, k, pad = SIZES[name]
    geo = dict(stride=(1, 1), padding=((pad, pad), (pad, pad)), dilation=(1, 1), groups=1)
    rng = np.random.default_rng(0)
    out = size + 2 * pad - k + 1
    shapes = (n, c, size, size), (o, c, k, k), (n, o, out, out)
    x, w, g = (rng.standard_normal(shape).astype(np.float32).astype(dtype) for shape in shapes)
    return (
        form.correlate(x, w, **geo),
        form.correlate_input(g, w, shape=x.shape, **geo),
        form.correlate_weight(g, x, shape=w.shape, **geo),
    )


def error(got, exact):
    """The largest difference, relative to the largest value."""
    assert got.dtype == np.float32
    return np.abs(got - exact).max() / np.abs(exact).max()


@compiled_only
@pytest.mark.parametrize("name", SIZES)
def test_convolutions_are_as_exact_as_numpy_unless_asked_otherwise(name):
    assert tg.get_float32_conv_precision() == "highest"
    plain = kernels._load("reference", "asked for by a test")
    fast = kernels._load("compiled", "asked for by a test")
    exact = triad(plain, name, np.float64)
    for ours, numpys, e in zip(triad(fast, name, np.float32), triad(plain, name, np.float32), exact):
        assert error(ours, e) <= max(5e-7, 3 * error(numpys, e))


@compiled_only
@pytest.mark.parametrize("name", SIZES)
def test_high_precision_is_within_2e_5(name, restored):
    tg.set_float32_conv_precision("high")
    exact = triad(kernels._load("reference", "asked for by a test"), name, np.float64)
    for ours, e in zip(triad(kernels._load("compiled", "asked for by a test"), name, np.float32), exact):
        assert error(ours, e) <= 2e-5


@compiled_only
@pytest.mark.parametrize("name", ["3x3", "5x5"])
def test_the_setting_holds_from_the_next_convolution_on(name, restored):
    fast = kernels._load("compiled", "asked for by a test")
    first = triad(fast, name, np.float32)[0]
    tg.set_float32_conv_precision("high")
    assert (triad(fast, name, np.float32)[0] != first).any()
    tg.set_float32_conv_precision("highest")
    np.testing.assert_array_equal(triad(fast, name, np.float32)[0], first)


def test_other_names_are_refused_and_change_nothing(restored):
    tg.set_float32_conv_precision("high")
    with pytest.raises(ValueError, match="expected 'highest' or 'high', got 'medium'"):
        tg.set_float32_conv_precision("medium")
    assert tg.get_float32_conv_precision() == "high"


@compiled_only
@pytest.mark.parametrize("size, r", [(4, 3), (6, 3), (6, 5)])
def test_the_transforms_are_a_correlation_in_one_dimension(size, r):
    from tinygrad_cnn.kernels.compiled import winograd_transforms as one

    rng = np.random.default_rng(0)
    m = size + 1 - r
    d, g, upstream = (list(rng.standard_normal(n)) for n in (size, r, m))
    products = [a * b for a, b in zip(one.data(d), one.kernel(g, size), strict=True)]
    np.testing.assert_allclose(one.result(products, m), np.correlate(d, g), rtol=1e-12)
    # The weight gradient: the upstream gradient as the kernel of the same tile.
    products = [a * b for a, b in zip(one.data(d), one.kernel(upstream, size), strict=True)]
    np.testing.assert_allclose(one.result(products, r), np.correlate(d, upstream), rtol=1e-12)
