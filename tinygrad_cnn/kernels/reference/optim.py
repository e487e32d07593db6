"""Optimiser updates, in place over flat lists of arrays. Formulas: the algorithm boxes of PyTorch's
`torch.optim` pages.

`params`, `grads` and each state list are parallel; every array of `params` and of the state is changed in
place, gradients never. Called by `tinygrad_cnn.optim` through `kernels`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layout import Array


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
        m[i][...] += (1 - beta1) * (g - m[i])
        v[i][...] = beta2 * v[i] + (1 - beta2) * (g * g)
        second = v[i]
        if amsgrad_state is not None:
            second = np.maximum(amsgrad_state[i], v[i], out=amsgrad_state[i])
        p -= (rate * m[i] / (np.sqrt(second) / float(root) + eps)).astype(p.dtype, copy=False)


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
