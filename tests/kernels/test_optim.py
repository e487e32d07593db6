"""Optimiser updates follow PyTorch's formulas, in place, whatever the layout of a parameter or its gradient."""

from __future__ import annotations

import numpy as np
import pytest


def arrays(rng, dtype, layout=lambda a: a):
    return [
        layout(rng.standard_normal(s).astype(dtype)) for s in [(7, 5), (33,), (4, 3, 2, 2), (1,), (300, 200)]
    ]


def fortran(a):
    return np.asfortranarray(a)


def spaced(a):
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


LAYOUTS = [lambda a: a, fortran, spaced]


def check(form, run, formula, states, dtype, layouts):
    """Three steps of a kernel against the formula written for one array at a time, in float64."""
    rng = np.random.default_rng(0)
    params = arrays(rng, dtype, layouts[0])
    grads = [arrays(rng, dtype, layouts[1]) for _ in range(3)]
    state = [[np.zeros_like(p) for p in params] for _ in range(states)]
    exact = [p.astype(np.float64) for p in params]
    memory = [[np.zeros(p.shape) for _ in range(states)] for p in params]
    for step, g in enumerate(grads, 1):
        before = [a.copy() for a in g]
        run(form, params, g, state, step)
        for a, b in zip(g, before):
            np.testing.assert_array_equal(a, b)
        for i, p in enumerate(exact):
            exact[i] = formula(p, g[i].astype(np.float64), memory[i], step)
    for p, e in zip(params, exact):
        assert p.dtype == dtype
        np.testing.assert_allclose(p, e, rtol=2e-5 if dtype == np.float32 else 1e-10, atol=1e-6)
    for k in range(states):
        for s, e in zip(state[k], memory):
            np.testing.assert_allclose(s, e[k], rtol=2e-4 if dtype == np.float32 else 1e-10, atol=1e-6)


@pytest.fixture(params=[(0, 0), (1, 0), (0, 1), (2, 2)], ids=["plain", "fortran", "mixed", "gaps"])
def layouts(request):
    return [LAYOUTS[i] for i in request.param]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("momentum, nesterov, dampening", [(0, False, 0), (0.9, False, 0.1), (0.9, True, 0)])
def test_sgd(form, layouts, dtype, momentum, nesterov, dampening):
    settings = dict(lr=0.1, momentum=momentum, dampening=dampening, weight_decay=0.01, nesterov=nesterov)

    def run(form, p, g, s, step):
        form.sgd(p, g, s[0], **settings, maximize=False, first=step == 1)

    def formula(p, g, s, step):
        g = g + 0.01 * p
        if momentum:
            s[0] = g if step == 1 else momentum * s[0] + (1 - dampening) * g
            g = g + momentum * s[0] if nesterov else s[0]
        return p - 0.1 * g

    check(form, run, formula, 1 if momentum else 0, dtype, layouts) if momentum else check(
        form, lambda f, p, g, s, step: run(f, p, g, [[]], step), formula, 0, dtype, layouts
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam(form, layouts, dtype, decoupled, amsgrad):
    def run(form, p, g, s, step):
        form.adam(
            p, g, s[0], s[1], step=step, lr=0.01, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.1,
            decoupled=decoupled, amsgrad_state=s[2] if amsgrad else None, maximize=True,
        )  # fmt: skip

    def formula(p, g, s, step):
        g = -g
        if decoupled:
            p = p * (1 - 0.01 * 0.1)
        else:
            g = g + 0.1 * p
        s[0] = 0.9 * s[0] + 0.1 * g
        s[1] = 0.99 * s[1] + 0.01 * g * g
        v = s[1]
        if amsgrad:
            v = s[2] = np.maximum(s[2], s[1])
        return p - 0.01 * (s[0] / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8)

    check(form, run, formula, 2 + amsgrad, dtype, layouts)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("centred, momentum", [(False, 0), (False, 0.9), (True, 0.9)])
def test_rmsprop(form, layouts, dtype, centred, momentum):
    def run(form, p, g, s, step):
        form.rmsprop(
            p, g, s[0], lr=0.01, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=momentum,
            buffers=s[1] if momentum else None, grad_avg=s[2] if centred else None, maximize=False,
        )  # fmt: skip

    def formula(p, g, s, step):
        g = g + 0.1 * p
        s[0] = 0.9 * s[0] + 0.1 * g * g
        spread = s[0]
        if centred:
            s[2] = 0.9 * s[2] + 0.1 * g
            spread = s[0] - s[2] ** 2
        update = g / (np.sqrt(spread) + 1e-3)
        if momentum:
            update = s[1] = momentum * s[1] + update
        return p - 0.01 * update

    check(form, run, formula, 1 + bool(momentum) + centred, dtype, layouts)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adagrad(form, layouts, dtype):
    def run(form, p, g, s, step):
        form.adagrad(p, g, s[0], step=step, lr=0.1, lr_decay=0.5, eps=1e-6, weight_decay=0.1, maximize=False)

    def formula(p, g, s, step):
        g = g + 0.1 * p
        s[0] = s[0] + g * g
        return p - 0.1 / (1 + (step - 1) * 0.5) * g / (np.sqrt(s[0]) + 1e-6)

    check(form, run, formula, 1, dtype, layouts)
