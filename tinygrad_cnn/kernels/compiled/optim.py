"""Optimiser updates in Numba: all parameters in one compiled call per shard, one pass over memory.

A table holds the addresses of each parameter's arrays, so that a list of any length costs one call. Float32
arrays that fill their memory without gaps; anything else goes to the reference. Called through `kernels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numba import carray, njit

from .. import threads
from ..layout import Array
from ..reference import optim as reference
from .arrays import WORTH_A_THREAD, alike
from .vector import floats

Arrays = Sequence[Array]


def sgd(
    params: Arrays, grads: Arrays, buffers: Arrays, *, lr: float, momentum: float = 0.0, dampening: float =
    0.0, weight_decay: float = 0.0, nesterov: bool = False, maximize: bool = False, first: bool = False,
) -> None:  # fmt: skip
    """See `kernels.sgd`."""
    state = [buffers] if momentum else []
    rest = _update(
        params, grads, state, sgd_pass, _floats(-1 if maximize else 1, lr, momentum, 1 - dampening,
        weight_decay), bool(momentum), nesterov, first,
    )  # fmt: skip
    if rest:
        reference.sgd(
            [params[i] for i in rest], [grads[i] for i in rest], [buffers[i] for i in rest] if momentum else
            [], lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize, first=first,
        )  # fmt: skip


def adam(
    params: Arrays, grads: Arrays, m: Arrays, v: Arrays, *, step: int, lr: float, beta1: float = 0.9,
    beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0, decoupled: bool = False,
    amsgrad_state: Arrays | None = None, maximize: bool = False,
) -> None:  # fmt: skip
    """See `kernels.adam`."""
    values = _floats(
        -1 if maximize else 1, lr / (1 - beta1**step), 1 - beta1, beta2, 1 - beta2, float(np.sqrt(1 -
        beta2**step)), eps, 0.0 if decoupled else weight_decay, 1 - lr * weight_decay if decoupled else 1.0,
    )  # fmt: skip
    state = [m, v] if amsgrad_state is None else [m, v, amsgrad_state]
    rest = _update(params, grads, state, adam_pass, values, amsgrad_state is not None)
    if rest:
        picked = [[a[i] for i in rest] for a in (params, grads, m, v)]
        reference.adam(
            *picked, step=step, lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay,
            decoupled=decoupled, amsgrad_state=amsgrad_state and [amsgrad_state[i] for i in rest],
            maximize=maximize,
        )  # fmt: skip


def rmsprop(
    params: Arrays, grads: Arrays, square_avg: Arrays, *, lr: float, alpha: float = 0.99, eps: float = 1e-8,
    weight_decay: float = 0.0, momentum: float = 0.0, buffers: Arrays | None = None, grad_avg: Arrays | None
    = None, maximize: bool = False,
) -> None:  # fmt: skip
    """See `kernels.rmsprop`."""
    # The table has a column for each state; one that is not used repeats square_avg and is not touched.
    use = bool(momentum) and buffers is not None
    state = [
        square_avg,
        buffers if use and buffers else square_avg,
        square_avg if grad_avg is None else grad_avg,
    ]
    values = _floats(-1 if maximize else 1, lr, alpha, 1 - alpha, eps, weight_decay, momentum)
    rest = list(range(len(params)))
    if use or not momentum:
        rest = _update(params, grads, state, rmsprop_pass, values, use, grad_avg is not None)
    if rest:
        reference.rmsprop(
            [params[i] for i in rest], [grads[i] for i in rest], [square_avg[i] for i in rest], lr=lr,
            alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, buffers=buffers and
            [buffers[i] for i in rest], grad_avg=grad_avg and [grad_avg[i] for i in rest], maximize=maximize,
        )  # fmt: skip


def adagrad(
    params: Arrays, grads: Arrays, sums: Arrays, *, step: int, lr: float, lr_decay: float = 0.0, eps: float =
    1e-10, weight_decay: float = 0.0, maximize: bool = False,
) -> None:  # fmt: skip
    """See `kernels.adagrad`."""
    values = _floats(-1 if maximize else 1, lr / (1 + (step - 1) * lr_decay), eps, weight_decay)
    rest = _update(params, grads, [sums], adagrad_pass, values)
    if rest:
        reference.adagrad(
            [params[i] for i in rest], [grads[i] for i in rest], [sums[i] for i in rest], step=step, lr=lr,
            lr_decay=lr_decay, eps=eps, weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip


def _update(
    params: Arrays, grads: Arrays, state: list[Arrays], work: Callable[..., None], values: Array, *flags: bool
) -> list[int]:
    """Runs `work` over all parameters it can treat; returns the indices of the others."""
    rest, lines, keep = [], [], []
    total = 0
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        arrays = [p, g, *(s[i] for s in state)]
        if any(a.dtype != np.float32 or a.shape != p.shape for a in arrays) or not alike(p, *arrays[2:]):
            rest.append(i)
            continue
        if not alike(p, g):
            like = np.empty_like(p)
            like[...] = g
            arrays[1] = like
            keep.append(like)
        if not all(a.flags.writeable for a in (p, *arrays[2:])):
            raise ValueError(
                f"an optimiser expected writable parameters and state, got a read-only one: number {i}"
            )
        lines.append((total, *(a.ctypes.data for a in arrays)))
        total += p.size
    if lines:
        table = np.array([*lines, (total, *(0,) * (len(lines[0]) - 1))], np.int64)
        threads.run_shards(lambda a, b: work(table, a, b, values, *flags), total, grain=WORTH_A_THREAD)
    return rest


def _floats(*values: float) -> Array:
    """Float32 in an array: as Python numbers they would turn the loops into float64."""
    return np.array(values, np.float32)


# Passes over numbers [first, last) of all parameters, counted through; table lines are (first number,
# addresses) ------


@njit(nogil=True, cache=True, error_model="numpy")
def sgd_pass(table, first, last, values, use_momentum, nesterov, fresh):  # type: ignore[no-untyped-def]
    sign, lr, momentum, keep, decay = values[0], values[1], values[2], values[3], values[4]
    for line in range(len(table) - 1):
        low, high = max(first, table[line, 0]), min(last, table[line + 1, 0])
        if low >= high:
            continue
        shift, count = (low - table[line, 0]) * 4, high - low
        p, g = carray(floats(table[line, 1] + shift), count), carray(floats(table[line, 2] + shift), count)
        if not use_momentum:
            for i in range(count):
                p[i] -= lr * (sign * g[i] + decay * p[i])
            continue
        b = carray(floats(table[line, 3] + shift), count)
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            new = d if fresh else momentum * b[i] + keep * d
            b[i] = new
            p[i] -= lr * (d + momentum * new if nesterov else new)


@njit(nogil=True, cache=True, error_model="numpy")
def adam_pass(table, first, last, values, amsgrad):  # type: ignore[no-untyped-def]
    sign, rate, one, beta2, two, root = values[0], values[1], values[2], values[3], values[4], values[5]
    eps, decay, shrink = values[6], values[7], values[8]
    for line in range(len(table) - 1):
        low, high = max(first, table[line, 0]), min(last, table[line + 1, 0])
        if low >= high:
            continue
        shift, count = (low - table[line, 0]) * 4, high - low
        p, g = carray(floats(table[line, 1] + shift), count), carray(floats(table[line, 2] + shift), count)
        m, v = carray(floats(table[line, 3] + shift), count), carray(floats(table[line, 4] + shift), count)
        if amsgrad:
            top = carray(floats(table[line, table.shape[1] - 1] + shift), count)
            for i in range(count):
                d = sign * g[i] + decay * p[i]
                m[i] += one * (d - m[i])
                v[i] = beta2 * v[i] + two * (d * d)
                top[i] = v[i] if v[i] > top[i] or v[i] != v[i] else top[i]
                p[i] = shrink * p[i] - rate * m[i] / (np.sqrt(top[i]) / root + eps)
            continue
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            a = m[i] + one * (d - m[i])
            b = beta2 * v[i] + two * (d * d)
            m[i] = a
            v[i] = b
            p[i] = shrink * p[i] - rate * a / (np.sqrt(b) / root + eps)


@njit(nogil=True, cache=True, error_model="numpy")
def rmsprop_pass(table, first, last, values, use_momentum, centred):  # type: ignore[no-untyped-def]
    sign, lr, alpha, rest, eps, decay, momentum = (
        values[0], values[1], values[2], values[3], values[4], values[5], values[6],
    )  # fmt: skip
    for line in range(len(table) - 1):
        low, high = max(first, table[line, 0]), min(last, table[line + 1, 0])
        if low >= high:
            continue
        shift, count = (low - table[line, 0]) * 4, high - low
        p, g = carray(floats(table[line, 1] + shift), count), carray(floats(table[line, 2] + shift), count)
        s, b = carray(floats(table[line, 3] + shift), count), carray(floats(table[line, 4] + shift), count)
        mean = carray(floats(table[line, 5] + shift), count)
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            s[i] = alpha * s[i] + rest * (d * d)
            spread = s[i]
            if centred:
                mean[i] += rest * (d - mean[i])
                spread -= mean[i] * mean[i]
            update = d / (np.sqrt(spread) + eps)
            if use_momentum:
                update += momentum * b[i]
                b[i] = update
            p[i] -= lr * update


@njit(nogil=True, cache=True, error_model="numpy")
def adagrad_pass(table, first, last, values):  # type: ignore[no-untyped-def]
    sign, rate, eps, decay = values[0], values[1], values[2], values[3]
    for line in range(len(table) - 1):
        low, high = max(first, table[line, 0]), min(last, table[line + 1, 0])
        if low >= high:
            continue
        shift, count = (low - table[line, 0]) * 4, high - low
        p, g = carray(floats(table[line, 1] + shift), count), carray(floats(table[line, 2] + shift), count)
        s = carray(floats(table[line, 3] + shift), count)
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            s[i] += d * d
            p[i] -= rate * d / (np.sqrt(s[i]) + eps)
