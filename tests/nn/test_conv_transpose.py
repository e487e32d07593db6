"""Transposed convolution is the loop that its definition says, for every small combination of its settings."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F


def by_loops(x, w, stride, padding, output_padding, dilation, groups):
    """y[n, o, i·S + u·D − P] += x[n, c, i] · w[c, o, u], in any number of dimensions."""
    d = x.ndim - 2
    full = [(n - 1) * stride[k] + dilation[k] * (w.shape[2 + k] - 1) + 1 for k, n in enumerate(x.shape[2:])]
    y = np.zeros((x.shape[0], w.shape[1] * groups, *[n + m for n, m in zip(full, output_padding)]))
    per_in, per_out = w.shape[0] // groups, w.shape[1]
    for g in range(groups):
        ins, outs = slice(g * per_in, (g + 1) * per_in), slice(g * per_out, (g + 1) * per_out)
        for i, u in product(product(*map(range, x.shape[2:])), product(*map(range, w.shape[2:]))):
            at = tuple(i[k] * stride[k] + u[k] * dilation[k] for k in range(d))
            y[:, outs][(..., *at)] += x[:, ins][(..., *i)] @ w[ins][(..., *u)]
    cut = tuple(slice(p, n - p + m) for p, n, m in zip(padding, full, output_padding))
    return y[(slice(None), slice(None), *cut)]


def check(d, n, kernel, stride, padding, dilation, output_padding, groups, rng):
    x = rng.standard_normal((2, 2, *n))
    w = rng.standard_normal((2, 2 // groups, *kernel))
    wanted = by_loops(x, w, stride, padding, output_padding, dilation, groups)
    if 0 in wanted.shape:
        return 0
    for dtype, tol in ((np.float64, 1e-12), (np.float32, 1e-5)):
        a, b = (tg.from_numpy(v.astype(dtype)).requires_grad_() for v in (x, w))
        y = getattr(F, f"conv_transpose{d}d")(
            a, b, None, stride, padding, output_padding, groups, dilation
        )  # fmt: skip
        setting = f"{n=} {kernel=} {stride=} {padding=} {dilation=} {output_padding=} {groups=} {dtype=}"
        assert y.shape == wanted.shape, setting
        np.testing.assert_allclose(y.detach().numpy(), wanted, tol, tol, err_msg=setting)
        # Linear in each input: ⟨g, f(x)⟩ is ⟨∂x, x⟩ and ⟨∂w, w⟩.
        g = rng.standard_normal(wanted.shape)
        grads = tg.autograd.grad(y, [a, b], tg.from_numpy(g.astype(dtype)))
        for grad, v in zip(grads, (x, w)):
            np.testing.assert_allclose(np.sum(grad.numpy() * v), np.sum(g * wanted), 100 * tol, 100 * tol)
    return 1


#: n, kernel, stride, padding, dilation, output padding, groups.
SETTINGS = [
    s
    for s in product((1, 3), (1, 2), (1, 2, 3), (0, 1, 2), (1, 2, 4), (0, 1, 3), (1, 2))
    if s[5] < max(s[2], s[4])
]


def test_every_small_combination_in_one_dimension():
    rng = np.random.default_rng(0)
    done = [
        check(1, (n,), (k,), (s,), (p,), (e,), (m,), groups, rng) for n, k, s, p, e, m, groups in SETTINGS
    ]
    assert sum(done) > 300


@pytest.mark.parametrize("d", [2, 3])
def test_combinations_that_differ_between_dimensions(d):
    rng = np.random.default_rng(d)
    done = 0
    while done < 60:
        axes = [SETTINGS[k] for k in rng.integers(len(SETTINGS), size=d)]
        n, k, s, p, e, m, groups = zip(*axes)
        done += check(d, n, k, s, p, e, m, groups[0], rng)


def test_the_smallest_example():
    y = F.conv_transpose1d(
        tg.arange(1.0, 4).view(1, 1, 3), tg.ones(1, 1, 3), padding=1, output_padding=1, dilation=2
    )
    assert y.tolist() == [[[2, 4, 2, 4, 2, 3]]]
