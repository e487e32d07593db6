"""Optimiser updates, in place over flat lists of arrays. Formulas: the algorithm boxes of PyTorch's
`torch.optim` pages.

`params`, `grads` and each state list are parallel; every array of `params` and of the state is changed in
place, gradients never. Called by `tinygrad_cnn.optim` through `kernels`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..layout import Array

# Numbers of each array that are worked on at a time.
PIECE = 1 << 15


def sgd(
    params: Sequence[Array],
    grads: Sequence[Array],
    buffers: Sequence[Array],
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> None:
    """See `kernels.sgd`."""
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        g = _regularised(p, g, weight_decay, maximize)
        if momentum:
            b = buffers[i]
            if first:
                b[...] = g
            else:
                b *= momentum
                b += (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        p -= lr * g


def adam(
    params: Sequence[Array],
    grads: Sequence[Array],
    m: Sequence[Array],
    v: Sequence[Array],
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    amsgrad_state: Sequence[Array] | None = None,
    maximize: bool,
) -> None:
    """See `kernels.adam` (Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter 2019)."""
    rate = lr / (1 - beta1**step)
    root = np.sqrt(1 - beta2**step)
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        g = _regularised(p, g, 0.0 if decoupled else weight_decay, maximize)
        if decoupled:
            p *= 1 - lr * weight_decay
        top = v[i] if amsgrad_state is None else amsgrad_state[i]
        for p_, g_, m_, v_, top_ in _pieces(p, g, m[i], v[i], top):
            d = np.empty_like(p_)
            m_ += np.multiply(np.subtract(g_, m_, out=d), 1 - beta1, out=d)
            v_ *= beta2
            v_ += np.multiply(np.multiply(g_, g_, out=d), 1 - beta2, out=d)
            if top_ is not v_:
                np.maximum(top_, v_, out=top_)
            np.sqrt(top_, out=d)
            d /= float(root)
            d += eps
            np.divide(m_, d, out=d)
            d *= rate
            p_ -= d


def _pieces(*arrays: Array) -> Iterator[Sequence[Array]]:
    """The arrays, which have one shape, a stretch at a time that stays in the cache; whole where they are small, or
    lie in another order. An array that comes twice comes twice."""
    if arrays[0].size <= PIECE or not all(a.flags.c_contiguous for a in arrays):
        yield arrays
        return
    flat = {id(a): a.reshape(-1) for a in arrays}
    for start in range(0, arrays[0].size, PIECE):
        piece = {key: a[start : start + PIECE] for key, a in flat.items()}
        yield [piece[id(a)] for a in arrays]


def rmsprop(
    params: Sequence[Array],
    grads: Sequence[Array],
    square_avg: Sequence[Array],
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    buffers: Sequence[Array] | None = None,
    grad_avg: Sequence[Array] | None = None,
    maximize: bool,
) -> None:
    """See `kernels.rmsprop`; centred where `grad_avg` is given."""
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        g = _regularised(p, g, weight_decay, maximize)
        s = square_avg[i]
        s[...] = alpha * s + (1 - alpha) * (g * g)
        spread = s
        if grad_avg is not None:
            grad_avg[i][...] += (1 - alpha) * (g - grad_avg[i])
            spread = s - grad_avg[i] * grad_avg[i]
        update = g / (np.sqrt(spread) + eps)
        if momentum:
            assert buffers is not None, (
                "rmsprop expected momentum buffers, got None: pass one array per parameter"
            )
            buffers[i][...] = momentum * buffers[i] + update
            update = buffers[i]
        p -= lr * update


def adagrad(
    params: Sequence[Array],
    grads: Sequence[Array],
    sums: Sequence[Array],
    *,
    step: int,
    lr: float,
    lr_decay: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """See `kernels.adagrad` (Duchi et al. 2011)."""
    rate = lr / (1 + (step - 1) * lr_decay)
    for p, g, s in zip(params, grads, sums, strict=True):
        g = _regularised(p, g, weight_decay, maximize)
        s += g * g
        p -= rate * g / (np.sqrt(s) + eps)


def _regularised(p: Array, g: Array, weight_decay: float, maximize: bool) -> Array:
    if maximize:
        g = -g
    return g + weight_decay * p if weight_decay else g
