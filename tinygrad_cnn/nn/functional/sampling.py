"""Images looked up at positions that may be learned (spatial transformers), and classes drawn with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.ops.activation import softmax
from tinygrad_cnn.ops.elementwise import clamp, where
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.pool import cubic_weights, linear_weights
from tinygrad_cnn.ops.scatter import scatter
from tinygrad_cnn.tensors.tensor import Tensor


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Positions (N, *spatial, d) for `grid_sample`: theta (N, d, d+1) times each output pixel's (x, y[, z], 1).

    `size` is the output's, (N, C, H, W) or (N, C, D, H, W) (Jaderberg et al. 2015).
    """
    spatial = tuple(int(n) for n in size[2:])
    d = len(spatial)
    if d not in (2, 3) or tuple(theta.shape[1:]) != (d, d + 1) or theta.shape[0] != size[0]:
        raise wrong_shape(
            "affine_grid",
            f"theta (N, 2, 3) with size (N, C, H, W), or (N, 3, 4) with (N, C, D, H, W), got {tuple(theta.shape)} and "
            f"{tuple(size)}",
        )
    lines = [_centres(n, bool(align_corners)) for n in spatial]
    *_, last = axes = np.meshgrid(*lines, indexing="ij")
    points = np.stack([*reversed(axes), np.ones_like(last)], -1).reshape(1, -1, d + 1)
    return matmul(wrap(points.astype(theta.dtype)), theta.transpose(1, 2)).reshape((size[0], *spatial, d))


def _centres(n: int, align_corners: bool) -> np.ndarray:
    if align_corners:
        return np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """The values of input (N, C, H, W) at the positions grid (N, H', W', 2): (N, C, H', W'); or one dimension more.

    A position is (x, y[, z]) with −1 and 1 the input's edges (or, with `align_corners`, its outermost pixels' centres).
    `mode` is bilinear, nearest or (4-d input only) bicubic; `padding_mode` zeros, border or reflection says what lies
    outside.

    Raises ValueError for shapes that do not fit and unknown words.
    """
    spatial = tuple(input.shape[2:])
    d = len(spatial)
    if d not in (2, 3) or grid.ndim != d + 2 or grid.shape[0] != input.shape[0] or grid.shape[-1] != d:
        raise wrong_shape(
            "grid_sample",
            f"input (N, C, H, W) with grid (N, H', W', 2), or (N, C, D, H, W) with (N, D', H', W', 3), got "
            f"{tuple(input.shape)} and {tuple(grid.shape)}",
        )
    modes = ("bilinear", "nearest", "bicubic")[: 3 if d == 2 else 2]
    if mode not in modes or padding_mode not in ("zeros", "border", "reflection"):
        raise wrong_shape(
            "grid_sample",
            f"mode {' or '.join(modes)} and padding_mode zeros, border or reflection, got "
            f"{mode!r} and {padding_mode!r}",
        )
    aligned = bool(align_corners)
    places = [_pixels(grid[..., d - 1 - k], n, aligned) for k, n in enumerate(spatial)]
    if mode != "bicubic":  # whose neighbours are brought inside one by one
        places = [_brought_inside(p, n, padding_mode, aligned) for p, n in zip(places, spatial)]
    pixels = input.permute((0, *range(2, d + 2), 1))
    batch = np.arange(input.shape[0]).reshape((-1,) + (1,) * d)
    total: Any = None
    if mode == "nearest":
        # To the even neighbour at ties, as in PyTorch.
        total = _taken(pixels, batch, [np.rint(unwrap(p)).astype(np.int64) for p in places])
    else:
        low = [np.floor(unwrap(p)) for p in places]
        # Per dimension: the neighbours' distances from the floor, and their weights.
        weigh = cubic_weights if mode == "bicubic" else linear_weights
        sides = [weigh(p - f) for p, f in zip(places, low)]
        for corner in product(*sides):
            weight: Any = 1
            index = []
            for f, n, (side, share) in zip(low, spatial, corner):
                weight = weight * share
                index.append(np.asarray(_brought_inside(f + side, n, padding_mode, aligned)).astype(np.int64))
            part = _taken(pixels, batch, index) * weight.unsqueeze(-1)
            total = part if total is None else total + part
    return total.permute((0, d + 1, *range(1, d + 1)))


def _pixels(position: Tensor, n: int, align_corners: bool) -> Tensor:
    """A coordinate between −1 and 1 as one between 0 and n − 1."""
    return (position + 1) / 2 * (n - 1) if align_corners else ((position + 1) * n - 1) / 2


def _brought_inside(place: Tensor, n: int, padding_mode: str, align_corners: bool) -> Tensor:
    """A coordinate (tensor or array) brought between 0 and n − 1, as `padding_mode` says; "zeros" leaves it."""
    if padding_mode == "reflection":
        first, length = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
        if length == 0:
            return place * 0
        away = np.abs(place - first)
        turns = np.floor(unwrap(away) / length)
        rest = away - turns * length
        odd = turns % 2
        place = rest * (1 - 2 * odd) + odd * length + first
    return place if padding_mode == "zeros" else clamp(place, 0, n - 1)


def _taken(pixels: Tensor, batch: np.ndarray, index: list[np.ndarray]) -> Tensor:
    """The pixels at the index, zero outside: (N, *positions, C)."""
    inside: Any = True
    clipped = []
    for k, i in enumerate(index):
        n = pixels.shape[k + 1]
        inside = inside & (i >= 0) & (i < n)
        clipped.append(np.clip(i, 0, n - 1))
    found = pixels[(batch, *clipped)]
    # Chosen, not multiplied by 0: a nan at the edge is not looked at from outside.
    return found if inside.all() else where(inside[..., None], found, 0)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): a random choice of one class through which gradients flow.

    With `hard` the values are one-hot, the gradient still the soft one's (Jang et al. 2017). `eps` is not used.
    """
    from tinygrad_cnn.ops.random import rand

    with_noise = logits - (-rand(tuple(logits.shape), dtype=logits.dtype).clamp(min=1e-38).log()).clamp(min=1e-38).log()
    soft = softmax(with_noise / tau, dim)
    if not hard:
        return soft
    chosen = soft.detach().max(dim, keepdim=True)[1]
    one_hot = scatter(wrap(np.zeros(soft.shape, soft.dtype)), dim, chosen, 1.0)
    return one_hot - soft.detach() + soft
