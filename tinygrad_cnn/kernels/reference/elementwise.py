"""Passes over whole activations: bias, ReLU, and the two with a 2x2 max-pooling in one go.

Arrays go back to `ops.elementwise` and `ops.conv`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layout import Array, accumulator, channels_to_last, empty_channels_last, is_channels_last, per_channel
from .pool import max_pool_of
from .shards import in_shards, worth_sharing


def bias_add(x: Array, bias: Array) -> Array:
    """x (N, C, ...) + bias (C,) along axis 1."""
    if not is_channels_last(x) or bias.shape != x.shape[1:2]:
        return np.add(x, per_channel(bias, x.ndim))
    # The biases, repeated along a row of pixels: NumPy's inner loop then takes the row in one run.
    row = np.tile(bias, x.shape[-1])
    y = empty_channels_last(x.shape, np.result_type(x, bias))

    def add(x: Array, y: Array) -> None:
        np.add(channels_to_last(x).reshape(-1, row.size), row, out=channels_to_last(y).reshape(-1, row.size))

    _over_batch(add, x, y)
    return y


def channels_last(x: Array) -> Array:
    """x (N, C, H, W), in the memory order that the convolutions want: a copy where that saves them making their own."""
    if is_channels_last(x):
        return x
    y = empty_channels_last(x.shape, x.dtype)
    _over_batch(lambda x, y: np.copyto(y, x), x, y)
    return y


def channel_sums(g: Array) -> Array:
    """The sum (C,) of g (N, C, ...) over all axes but 1: the gradient of `bias_add`'s bias."""
    acc = accumulator(g.dtype)
    if is_channels_last(g):
        # Down the batch first, in long runs, then over the pixels: faster than one sum, and it rounds less.
        total = g.sum(axis=0, dtype=acc).reshape(g.shape[1], -1).sum(axis=1)
    else:
        total = np.asarray(g.sum(axis=(0, *range(2, g.ndim)), dtype=acc))
    return total.astype(g.dtype, copy=False)


def relu(x: Array) -> Array:
    """max(x, 0); NaN stays NaN."""
    y = np.empty_like(x)
    _over_batch(lambda x, y: np.maximum(x, 0, out=y), x, y)
    return y


def relu_input(g: Array, y: Array) -> Array:
    """0 where y <= 0, else g (at nan, too, as in PyTorch); y may be ReLU's input or its output."""
    bits = _BITS.get(g.dtype)
    if g.ndim == 0 or bits is None or g.shape != y.shape:
        return np.where(y <= 0, g.dtype.type(0), g)
    dx = np.empty_like(g)
    _over_batch(lambda g, y, dx: _let_through(g, y, dx, bits), g, y, dx)
    return dx


# Integers as wide as a float.
_BITS = {np.dtype(f"f{n}"): np.dtype(f"i{n}") for n in (2, 4, 8)}


def _let_through(g: Array, y: Array, dx: Array, bits: np.dtype[Any]) -> None:
    """Writes g, or 0 where y <= 0, to dx. All bits or none: as fast as a product, which would make nan of inf * 0."""
    np.bitwise_and(g.view(bits), (y <= 0).view(np.int8) - np.int8(1), out=dx.view(bits))


def bias_relu(x: Array, bias: Array) -> Array:
    """relu(bias_add(x, bias)) in one pass.

    The second op works on the first one's fresh array, still in the cache in part.
    """
    y = bias_add(x, bias)
    _over_batch(lambda y: np.maximum(y, 0, out=y), y)
    return y


def bias_relu_max_pool2x2(x: Array, bias: Array) -> tuple[Array, Array]:
    """(y, indices) of max_pool(relu(x + bias)) with 2x2 windows at stride 2, in one pass over x (N, C, H, W).

    y and indices are all that the backward pass of pooling and ReLU needs: at the chosen positions ReLU gave y.
    """
    return max_pool_of(
        lambda block: bias_relu(block, bias),
        x,
        kernel=(2, 2),
        stride=(2, 2),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        ceil_mode=False,
    )


def _over_batch(work: Callable[..., Any], *arrays: Array) -> None:
    """work(*arrays), where they are large on shards of the batch in threads."""
    touched = sum(a.size for a in arrays)
    if worth_sharing(touched):
        in_shards(lambda start, stop: work(*(a[start:stop] for a in arrays)), len(arrays[0]), touched)
    else:
        work(*arrays)
