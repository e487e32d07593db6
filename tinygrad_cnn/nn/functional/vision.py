"""Changing the size of images: interpolation, and moving pixels between channels and positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.autograd.annotations import Sizes
from tinygrad_cnn.nn.functional.pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from tinygrad_cnn.ops import pool as ops
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor

_DIMENSIONS = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}


def interpolate(
    input: Tensor, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest", align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Resample input (N, C, *spatial) to `size`, or by `scale_factor`.

    `mode` is nearest, nearest-exact, linear (3-d input), bilinear or bicubic (4-d), trilinear (5-d) or area.
    `align_corners` puts the corner pixels' centres on each other. `antialias` widens the filter of bilinear and
    bicubic by the factor an image is made smaller, as Pillow does. Positions follow PyTorch's conventions.

    Raises ValueError for a mode that does not fit the input's dimensions, antialias with other modes, and unless
    exactly one of size and scale_factor is given.
    """
    spatial = tuple(input.shape[2:])
    d = len(spatial)
    if not 1 <= d <= 3:
        raise wrong_shape(
            "interpolate",
            f"an input (N, C, *spatial) with 1 to 3 spatial dimensions, got {tuple(input.shape)}",
        )
    if antialias and (mode not in ("bilinear", "bicubic") or d != 2):
        raise wrong_shape("interpolate", f"antialias only with bilinear and bicubic, got mode {mode!r}")
    if (size is None) == (scale_factor is None):
        raise wrong_shape(
            "interpolate", "either size or scale_factor, got " + ("neither" if size is None else "both")
        )
    if mode not in ("nearest", "nearest-exact", "area") and _DIMENSIONS.get(mode) != d:
        known = "nearest, nearest-exact, area, " + ", ".join(m for m, n in _DIMENSIONS.items() if n == d)
        raise wrong_shape("interpolate", f"a mode for {d + 2}-d input ({known}), got {mode!r}")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise wrong_shape("interpolate", f"align_corners only with linear and cubic modes, got mode {mode!r}")
    scales: tuple[float | None, ...] = (None,) * d
    if size is not None:
        target = (size,) * d if isinstance(size, int) else tuple(int(s) for s in size)
    else:
        factors: Sequence[Any] = scale_factor if isinstance(scale_factor, Sequence) else (scale_factor,) * d
        target = tuple(math.floor(float(n) * float(f)) for n, f in zip(spatial, factors))
        if not recompute_scale_factor:
            scales = tuple(float(f) for f in factors)
    if len(target) != d or any(m < 1 for m in target):
        raise wrong_shape(
            "interpolate",
            f"an output size of at least 1 in {d} dimensions, got {target} for input {tuple(input.shape)}",
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[d - 1](input, target)
    if mode.startswith("nearest") and all(
        m % n == 0 and s in (None, m // n) for n, m, s in zip(spatial, target, scales)
    ):
        return ops.nearest_upsample(input, factors=tuple(m // n for n, m in zip(spatial, target)))
    kind = mode if mode.startswith("nearest") else "cubic" if mode == "bicubic" else "linear"
    matrices = tuple(
        None if n == m and s in (None, 1.0) else
        ops.interpolation_matrix(n, m, kind, align_corners=bool(align_corners), scale=s, antialias=antialias)
        for n, m, s in zip(spatial, target, scales)
    )  # fmt: skip
    return ops.resample(input, matrices=matrices)


def upsample(
    input: Tensor,
    size: Sizes | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The old name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` with mode nearest."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: Tensor, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` with mode bilinear and aligned corners."""
    return interpolate(input, size, scale_factor, "bilinear", True)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(…, C·r², H, W) -> (…, C, H·r, W·r): channels become positions (Shi et al. 2016)."""
    *lead, c, h, w = input.shape
    r = upscale_factor
    if c % (r * r):
        raise wrong_shape(
            "pixel_shuffle", f"channels divisible by {r}² = {r * r}, got input {tuple(input.shape)}"
        )
    k = len(lead)
    x = input.reshape((*lead, c // (r * r), r, r, h, w))
    x = x.permute((*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return x.reshape((*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(…, C, H·r, W·r) -> (…, C·r², H, W): the inverse of `pixel_shuffle`."""
    *lead, c, h, w = input.shape
    r = downscale_factor
    if h % r or w % r:
        raise wrong_shape(
            "pixel_unshuffle", f"height and width divisible by {r}, got input {tuple(input.shape)}"
        )
    k = len(lead)
    x = input.reshape((*lead, c, h // r, r, w // r, r))
    x = x.permute((*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return x.reshape((*lead, c * r * r, h // r, w // r))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Interleave the channels of input (N, C, *spatial) from `groups` groups (Zhang et al. 2018, ShuffleNet)."""
    n, c, *spatial = input.shape
    if groups < 1 or c % groups:
        raise wrong_shape(
            "channel_shuffle", f"channels divisible by groups={groups}, got input {tuple(input.shape)}"
        )
    x = input.reshape((n, groups, c // groups, *spatial)).transpose(1, 2)
    return x.reshape((n, c, *spatial))


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`channel_shuffle`."""
    return channel_shuffle(input, groups)
