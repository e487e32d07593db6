"""Optimiser updates, in place over flat lists of arrays. Formulas: the algorithm boxes of PyTorch's
`torch.optim` pages.

`params`, `grads` and each state list are parallel; every array of `params` and of the state is changed in
place, gradients never. Called by `tinygrad_cnn.optim` through `kernels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..layout import Array
from .shards import in_shards

# Numbers of each array that are worked on at a time: an update is many passes, and only the first should wait for
# memory.
PIECE = 1 << 16


def sgd(
    params: Sequence[Array],
    grads: Sequence[Array],
    buffers: Sequence[Array],
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """torch.optim.SGD's step on parallel lists, in place. `buffers` may be empty without momentum; `first`
    starts them."""

    def update(p: Array, g: Array, b: Array | None = None) -> None:
        g = _regularised(p, g, weight_decay, maximize)
        if b is not None:
            if first:
                b[...] = g
            else:
                b *= momentum
                b += (1 - dampening) * g if dampening else g
            g = g + momentum * b if nesterov else b
        p -= lr * g

    _in_pieces(update, params, grads, *([buffers] if momentum else []), passes=4)


def adam(
    params: Sequence[Array],
    grads: Sequence[Array],
    m: Sequence[Array],
    v: Sequence[Array],
    *,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    amsgrad_state: Sequence[Array] | None = None,
    maximize: bool = False,
) -> None:
    """torch.optim.Adam's step (AdamW's where `decoupled`), in place; `step` counts from 1.

    Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter 2019.
    """
    # p -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps), the corrections multiplied out of the loop.
    root = math.sqrt(1 - beta2**step)
    rate = lr * root / (1 - beta1**step)

    def update(p: Array, g: Array, m: Array, v: Array, top: Array | None = None) -> None:
        g = _regularised(p, g, 0.0 if decoupled else weight_decay, maximize)
        if decoupled and weight_decay:
            p *= 1 - lr * weight_decay
        d = np.empty_like(p)  # the one array that is made: all passes write into it
        np.subtract(g, m, out=d)
        d *= 1 - beta1
        m += d
        np.multiply(g, g, out=d)
        d *= 1 - beta2
        v *= beta2
        v += d
        if top is not None:
            v = np.maximum(top, v, out=top)
        np.sqrt(v, out=d)
        d += eps * root
        np.divide(m, d, out=d)
        d *= rate
        p -= d

    states = (m, v) if amsgrad_state is None else (m, v, amsgrad_state)
    _in_pieces(update, params, grads, *states, passes=16)


def rmsprop(
    params: Sequence[Array],
    grads: Sequence[Array],
    square_avg: Sequence[Array],
    *,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-08,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    buffers: Sequence[Array] | None = None,
    grad_avg: Sequence[Array] | None = None,
    maximize: bool = False,
) -> None:
    """torch.optim.RMSprop's step, in place; centred where `grad_avg` is given, `buffers` only with
    momentum."""
    assert not momentum or buffers is not None, (
        "rmsprop expected momentum buffers, got None: pass one array per parameter"
    )

    def update(p: Array, g: Array, s: Array, *others: Array) -> None:
        rest = list(others)
        g = _regularised(p, g, weight_decay, maximize)
        s *= alpha
        s += (1 - alpha) * (g * g)
        spread = s
        if grad_avg is not None:
            average = rest.pop(0)
            average += (1 - alpha) * (g - average)
            spread = s - average * average
        step = g / (np.sqrt(spread) + eps)
        if momentum:
            b = rest.pop(0)
            b *= momentum
            b += step
            step = b
        p -= lr * step

    given = [grad_avg, buffers if momentum else None]
    _in_pieces(update, params, grads, square_avg, *(state for state in given if state is not None), passes=10)


def adagrad(
    params: Sequence[Array],
    grads: Sequence[Array],
    sums: Sequence[Array],
    *,
    step: int,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """torch.optim.Adagrad's step, in place; `step` counts from 1 (Duchi et al. 2011)."""
    rate = lr / (1 + (step - 1) * lr_decay)

    def update(p: Array, g: Array, s: Array) -> None:
        g = _regularised(p, g, weight_decay, maximize)
        s += g * g
        p -= rate * g / (np.sqrt(s) + eps)

    _in_pieces(update, params, grads, sums, passes=7)


def _in_pieces(update: Callable[..., Any], *lists: Sequence[Array], passes: int) -> None:
    """update(p, g, ...) on pieces of the arrays of parallel lists, in threads where there is much to do."""
    pieces = [piece for arrays in zip(*lists, strict=True) for piece in _pieces(arrays)]

    def shard(start: int, stop: int) -> None:
        for piece in pieces[start:stop]:
            update(*piece)

    in_shards(shard, len(pieces), passes * sum(p.size for p in lists[0]))


def _pieces(arrays: Sequence[Array]) -> Iterator[Sequence[Array]]:
    """Arrays of one shape, a few rows at a time; whole where they are small."""
    size = arrays[0].size
    if size <= PIECE:
        yield arrays
        return
    rows = len(arrays[0])
    step = max(1, PIECE * rows // size)
    for start in range(0, rows, step):
        yield [a[start : start + step] for a in arrays]


def _regularised(p: Array, g: Array, weight_decay: float, maximize: bool) -> Array:
    if maximize:
        g = -g
    return g + weight_decay * p if weight_decay else g
