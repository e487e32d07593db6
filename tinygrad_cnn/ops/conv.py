"""Convolution: the triad {correlate, its input transpose, its weight transpose}, and unfold with its transpose.

What deep-learning libraries call convolution is cross-correlation, one sum per output position:

    y[n, o, i, j] = Σ_c Σ_u Σ_v  x[n, c, i·S + u·D − P, j·S + v·D − P] · w[o, c, u, v]

with stride S, padding P and dilation D. It is linear in x and linear in w, and the three ops are each other's
transposes: the triad is closed under differentiation, so gradients of any order stay inside it. Transposed
convolution *is* `correlate_input`. The arithmetic is in `kernels`; arguments are checked in `nn.functional`.

Params of all: stride, dilation (ints per dimension), padding ((low, high) pairs), groups.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.annotations import Array
from tinygrad_cnn.autograd.op import Multilinear

correlate = Multilinear(
    "correlate", kernels.correlate,
    lambda g, x, w, **geometry: correlate_input(g, w, shape=x.shape, **geometry),
    lambda g, x, w, **geometry: correlate_weight(g, x, shape=w.shape, **geometry),
    formula="Σ x[c, i·S + u·D − P, …] · w[o, c, u, …]",
    local=("g spread over the windows with w", "g summed over the windows of x"),
    doc="Cross-correlation of x (N, C, *spatial) with w (O, C/groups, *k); gives (N, O, *out).",
)  # fmt: skip

correlate_input: Multilinear = Multilinear(
    "correlate_input", kernels.correlate_input,
    lambda u, g, w, *, shape, **geometry: correlate(u, w, **geometry),
    lambda u, g, w, *, shape, **geometry: correlate_weight(g, u, shape=w.shape, **geometry),
    formula="Σ g[o, i, …] · w[o, c, u, …] at i·S + u·D − P",
    local=("correlate(u, w)", "g correlated with u"),
    doc="The transpose of `correlate` in x: g (N, O, *out), w (O, C/groups, *k) -> `shape` (N, C, *spatial).",
)  # fmt: skip

correlate_weight: Multilinear = Multilinear(
    "correlate_weight", kernels.correlate_weight,
    lambda v, g, x, *, shape, **geometry: correlate(x, v, **geometry),
    lambda v, g, x, *, shape, **geometry: correlate_input(g, v, shape=x.shape, **geometry),
    formula="Σ g[o, i, …] · x[c, i·S + u·D − P, …]",
    local=("correlate(x, v)", "g spread over the windows with v"),
    doc="The transpose of `correlate` in w: g (N, O, *out), x (N, C, *spatial) -> `shape` (O, C/groups, *k).",
)  # fmt: skip


def _sum_to_channels(g: Array) -> Array:
    if type(g) is np.ndarray:
        return kernels.channel_sums(g)
    return np.sum(g, axis=(0, *range(2, len(g.shape))))


def _handed_on(g: Array) -> Array:
    # Both gradients of the convolution below read it: one change of memory order instead of two.
    return kernels.channels_last(g) if type(g) is np.ndarray and g.ndim > 2 else g


bias_add = Multilinear(
    "bias_add", kernels.bias_add,
    lambda g, _x, _b: _handed_on(g),
    lambda g, _x, _b: _sum_to_channels(g),
    joint=True, formula="x + b[c]", local=("1", "1, summed over all positions of the channel"),
    doc="x (N, C, …) plus one number per channel, b (C,).",
)  # fmt: skip

unfold = Multilinear(
    "unfold", kernels.unfold,
    lambda g, x, **geometry: fold(g, shape=x.shape, **geometry),
    selection=True, formula="the windows of x as columns", local=("each column back to its window, overlaps added",),
    doc="All windows of x (N, C, *spatial) as columns (N, C·prod(kernel), windows).",
)  # fmt: skip

fold: Multilinear = Multilinear(
    "fold", kernels.fold,
    lambda g, _cols, *, shape, **geometry: unfold(g, **geometry),
    formula="columns added up where their windows lie", local=("the windows of g as columns",),
    doc="The transpose of `unfold`: columns (N, C·prod(kernel), windows) -> `shape` (N, C, *spatial).",
)  # fmt: skip

__all__ = ["bias_add", "correlate", "correlate_input", "correlate_weight", "fold", "unfold"]
