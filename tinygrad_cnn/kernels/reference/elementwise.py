"""Passes over whole activations: bias, ReLU, and the two with a 2x2 max-pooling in one go.

Arrays go back to `ops.elementwise` and `ops.conv`.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Ints
from ..layout import Array, accumulator, per_channel
from .pool import max_pool, scatter_windows


def bias_add(x: Array, bias: Array) -> Array:
    """See `kernels.bias_add`."""
    return np.add(x, per_channel(bias, x.ndim))


def channels_last(x: Array) -> Array:
    """See `kernels.channels_last`. NumPy's own loops do not mind."""
    return x


def channel_sums(g: Array) -> Array:
    """See `kernels.channel_sums`."""
    return np.asarray(g.sum(axis=(0, *range(2, g.ndim)), dtype=accumulator(g.dtype)).astype(g.dtype, copy=False))


def relu(x: Array) -> Array:
    """See `kernels.relu`. NaN stays NaN."""
    return np.asarray(np.maximum(x, 0))


def relu_input(g: Array, y: Array) -> Array:
    """See `kernels.relu_input`."""
    return np.where(y > 0, g, g.dtype.type(0)) if g.ndim == 0 else np.multiply(g, y > 0)


def bias_relu(x: Array, bias: Array) -> Array:
    """See `kernels.bias_relu`. The second op works on the first one's fresh array, still in the cache in part."""
    y = bias_add(x, bias)
    return np.maximum(y, 0, out=y)


def bias_relu_max_pool2x2(x: Array, bias: Array) -> tuple[Array, Array]:
    """See `kernels.bias_relu_max_pool2x2`: two passes here, one in the compiled path."""
    return max_pool(
        bias_relu(x, bias),
        kernel=(2, 2),
        stride=(2, 2),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        ceil_mode=False,
    )


def relu_max_pool2x2_input(g: Array, y: Array, indices: Array, *, shape: Ints) -> Array:
    """See `kernels.relu_max_pool2x2_input`. At the chosen positions ReLU's output is y."""
    return scatter_windows(relu_input(g, y), indices, shape=shape)
