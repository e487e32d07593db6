"""Optimiser updates in Numba: all parameters in one compiled call per shard, one pass over memory.

A table holds the addresses of each parameter's arrays, so that a list of any length costs one call. Float32
arrays that fill their memory without gaps; anything else goes to the reference. Called through `kernels`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layout import Array
from ..reference import optim as reference
from .arrays import WORTH_A_THREAD, alike, like, view
from .native import Task, address
from .vector import integers

Arrays = Sequence[Array]
_F32 = np.dtype(np.float32)


def sgd(
    params: Arrays, grads: Arrays, buffers: Arrays, *, lr: float, momentum: float = 0.0, dampening: float =
    0.0, weight_decay: float = 0.0, nesterov: bool = False, maximize: bool = False, first: bool = False,
) -> None:  # fmt: skip
    """See `reference`."""
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
    """See `reference`."""
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
    """See `reference`."""
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
    """See `reference`."""
    values = _floats(-1 if maximize else 1, lr / (1 + (step - 1) * lr_decay), eps, weight_decay)
    rest = _update(params, grads, [sums], adagrad_pass, values)
    if rest:
        reference.adagrad(
            [params[i] for i in rest], [grads[i] for i in rest], [sums[i] for i in rest], step=step, lr=lr,
            lr_decay=lr_decay, eps=eps, weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip


def _update(
    params: Arrays, grads: Arrays, state: list[Arrays], work: Task, values: Array, *flags: bool
) -> list[int]:
    """Runs `work` over all parameters it can treat; returns the indices of the others."""
    rest: list[int] = []
    lines: list[int] = []
    keep: list[Array] = []  # copies live until the pass is done
    total = 0
    for i, arrays in enumerate(zip(params, grads, *state, strict=True)):
        p = arrays[0]
        if not _plain(arrays):
            one = _treatable(i, arrays)
            if one is None:
                rest.append(i)
                continue
            arrays = one
            keep.append(arrays[1])
        lines.append(total)
        lines += map(address, arrays)
        total += p.size
    if lines:
        width = 3 + len(state)
        switches = sum(flag << i for i, flag in enumerate(flags))
        entries = (address(values), switches, len(lines) // width, width, *lines, total)
        work.run(entries, total, WORTH_A_THREAD)
    return rest


def _plain(arrays: Arrays) -> bool:
    """The usual case, in few words: float32 in C order, and all but the gradient (the second) writable."""
    p = arrays[0]
    shape = p.shape
    for a in arrays:
        flags = a.flags
        if a.dtype is not _F32 or a.shape != shape:
            return False
        if not flags.carray and not (a is arrays[1] and flags.c_contiguous):
            return False
    return True


def _treatable(i: int, arrays: Arrays) -> tuple[Array, ...] | None:
    """Arrays of one parameter in one memory order (the gradient may be copied); None if the pass cannot take them."""
    p, g, *state = arrays
    if any(a.dtype != np.float32 or a.shape != p.shape for a in arrays) or not alike(p, *state):
        return None
    if not all(a.flags.writeable for a in (p, *state)):
        raise ValueError(
            f"an optimiser expected writable parameters and state, got a read-only one: number {i}"
        )
    return (p, like(p, g), *state)


def _floats(*values: float) -> Array:
    """Float32 in an array: as Python numbers they would turn the loops into float64."""
    return np.array([*values, *[0.0] * (9 - len(values))], np.float32)


# Passes over numbers [first, last) of all parameters, counted through. Tables are (values, switches, lines, width of a
# line), then per parameter a line of its first number and the addresses of its arrays, then the total.


@Task
def sgd_pass(table, first, last):
    """Switches: momentum, Nesterov, first step."""
    t = integers(table)
    values = view(t[0], 9)
    sign, lr, momentum, keep, decay = values[0], values[1], values[2], values[3], values[4]
    nesterov, fresh = t[1] & 2, t[1] & 4
    for line in range(t[2]):
        at = 4 + line * t[3]
        low, high = max(first, t[at]), min(last, t[at + t[3]])
        if low >= high:
            continue
        shift, count = (low - t[at]) * 4, high - low
        p, g = view(t[at + 1] + shift, count), view(t[at + 2] + shift, count)
        if not t[1] & 1:
            for i in range(count):
                p[i] -= lr * (sign * g[i] + decay * p[i])
            continue
        b = view(t[at + 3] + shift, count)
        if fresh:
            for i in range(count):
                b[i] = sign * g[i] + decay * p[i]
                p[i] -= lr * (b[i] + momentum * b[i] if nesterov else b[i])
            continue
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            new = momentum * b[i] + keep * d
            b[i] = new
            p[i] -= lr * (d + momentum * new if nesterov else new)


@Task
def adam_pass(table, first, last):
    """Switch: AMSGrad."""
    t = integers(table)
    values = view(t[0], 9)
    sign, rate, one, beta2, two, root = values[0], values[1], values[2], values[3], values[4], values[5]
    eps, decay, shrink = values[6], values[7], values[8]
    for line in range(t[2]):
        at = 4 + line * t[3]
        low, high = max(first, t[at]), min(last, t[at + t[3]])
        if low >= high:
            continue
        shift, count = (low - t[at]) * 4, high - low
        p, g = view(t[at + 1] + shift, count), view(t[at + 2] + shift, count)
        m, v = view(t[at + 3] + shift, count), view(t[at + 4] + shift, count)
        if t[1] & 1:
            top = view(t[at + 5] + shift, count)
            for i in range(count):
                d = sign * g[i] + decay * p[i]
                m[i] += one * (d - m[i])
                v[i] = beta2 * v[i] + two * (d * d)
                top[i] = top[i] if v[i] <= top[i] else v[i]
                p[i] = shrink * p[i] - rate * m[i] / (np.sqrt(top[i]) / root + eps)
            continue
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            a = m[i] + one * (d - m[i])
            b = beta2 * v[i] + two * (d * d)
            m[i] = a
            v[i] = b
            p[i] = shrink * p[i] - rate * a / (np.sqrt(b) / root + eps)


@Task
def rmsprop_pass(table, first, last):
    """Switches: momentum, centred."""
    t = integers(table)
    values = view(t[0], 9)
    sign, lr, alpha, rest, eps = values[0], values[1], values[2], values[3], values[4]
    decay, momentum = values[5], values[6]
    for line in range(t[2]):
        at = 4 + line * t[3]
        low, high = max(first, t[at]), min(last, t[at + t[3]])
        if low >= high:
            continue
        shift, count = (low - t[at]) * 4, high - low
        p, g = view(t[at + 1] + shift, count), view(t[at + 2] + shift, count)
        s, b = view(t[at + 3] + shift, count), view(t[at + 4] + shift, count)
        mean = view(t[at + 5] + shift, count)
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            s[i] = alpha * s[i] + rest * (d * d)
            spread = s[i]
            if t[1] & 2:
                mean[i] += rest * (d - mean[i])
                spread -= mean[i] * mean[i]
            update = d / (np.sqrt(spread) + eps)
            if t[1] & 1:
                update += momentum * b[i]
                b[i] = update
            p[i] -= lr * update


@Task
def adagrad_pass(table, first, last):
    """No switches."""
    t = integers(table)
    values = view(t[0], 9)
    sign, rate, eps, decay = values[0], values[1], values[2], values[3]
    for line in range(t[2]):
        at = 4 + line * t[3]
        low, high = max(first, t[at]), min(last, t[at + t[3]])
        if low >= high:
            continue
        shift, count = (low - t[at]) * 4, high - low
        p, g = view(t[at + 1] + shift, count), view(t[at + 2] + shift, count)
        s = view(t[at + 3] + shift, count)
        for i in range(count):
            d = sign * g[i] + decay * p[i]
            s[i] += d * d
            p[i] -= rate * d / (np.sqrt(s[i]) + eps)
