"""Normalisation with PyTorch's arguments: checks shapes, keeps running averages, calls `ops.normalise`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.fast import deferred
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.ops import normalise as ops
from tinygrad_cnn.ops import pool as pool_ops
from tinygrad_cnn.ops.elementwise import in_float32
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-05,
) -> Tensor:  # fmt: skip
    """Batch normalisation (Ioffe & Szegedy 2015) of input (N, C) or (N, C, …), per channel.

    In training the batch's mean and biased variance are used, and the running averages move towards them by
    `momentum` (with the unbiased variance, as in PyTorch); in evaluation the running averages are used.

    Raises ValueError for a batch with one value per channel in training, and for shapes that do not agree.
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise wrong_shape("batch_norm", f"an input (N, C, …), got {shape}")
    channels = shape[1]
    for what, value in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if value is not None and tuple(value.shape) != (channels,):
            raise wrong_shape(
                "batch_norm", f"{what} of shape ({channels},) for input {shape}, got {tuple(value.shape)}"
            )
    if not training:
        if running_mean is None or running_var is None:
            raise wrong_shape(
                "batch_norm", "running_mean and running_var in evaluation (training=False), got None"
            )
        dtype = np.result_type(input.dtype, np.float32) if input.dtype == np.float16 else input.dtype
        # Copies: a training step may move the averages before this node's backward pass.
        mean, var = (unwrap(v).astype(dtype) for v in (running_mean, running_var))
        return deferred.apply(ops.fixed_norm, input, (weight, bias), {"mean": mean, "var": var, "eps": float(eps)})[0]
    count = int(np.prod(shape, dtype=np.int64)) // max(1, channels)
    if not count:  # nothing to normalise, and no statistics to learn from
        return _affine(input * 1, weight, bias)
    if count == 1:
        raise wrong_shape(
            "batch_norm", f"more than 1 value per channel when training, got input size {shape}"
        )
    y, chosen = deferred.apply(ops.batch_norm, input, (weight, bias), {"eps": float(eps)})
    if running_mean is not None:
        _move(unwrap(running_mean), chosen["mean"], momentum)
    if running_var is not None:
        _move(unwrap(running_var), chosen["var"] * (count / (count - 1)), momentum)
    return y


def _move(running: np.ndarray, value: np.ndarray, momentum: float) -> None:
    np.copyto(running, (1 - momentum) * running + momentum * value, casting="same_kind")
    versions.bump(running)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:  # fmt: skip
    """Normalisation of each channel of each sample over its positions: input (N, C, *spatial)."""
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise wrong_shape("instance_norm", f"an input (N, C, *spatial), got {shape}")
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    positions = int(np.prod(shape[2:], dtype=np.int64))
    if positions <= 1:
        raise wrong_shape(
            "instance_norm", f"more than 1 spatial element when training, got input size {shape}"
        )
    axes = tuple(range(2, len(shape)))
    if running_mean is not None:
        values = unwrap(input)
        _move(unwrap(running_mean), values.mean(axis=axes).mean(axis=0), momentum)
        _move(unwrap(running_var), values.var(axis=axes, ddof=1).mean(axis=0), momentum)
    return _affine(ops.standardize(input, axes=axes, eps=float(eps)), weight, bias)


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int] | int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:  # fmt: skip
    """Normalisation over the last dimensions, which must be `normalized_shape` (Ba et al. 2016)."""
    axes = _last_axes("layer_norm", input, normalized_shape)
    y = ops.standardize(input, axes=axes, eps=float(eps))
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


@in_float32
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int] | int, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean(x²) + ε) over the last dimensions; `eps` None means the dtype's machine epsilon."""
    axes = _last_axes("rms_norm", input, normalized_shape)
    eps = float(np.finfo(input.dtype).eps) if eps is None else float(eps)
    y = input / np.sqrt(np.mean(input * input, axis=axes, keepdims=True) + eps)
    return y if weight is None else y * weight


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05,
) -> Tensor:  # fmt: skip
    """Normalisation of each group of channels of each sample: input (N, C, …) (Wu & He 2018)."""
    shape = tuple(input.shape)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise wrong_shape(
            "group_norm",
            f"a number of channels divisible by num_groups, got input {shape} and num_groups={num_groups}",
        )
    grouped = input.reshape((shape[0], num_groups, shape[1] // num_groups * prod(shape[2:])))
    return _affine(ops.standardize(grouped, axes=(2,), eps=float(eps)).reshape(shape), weight, bias)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + α · mean of x² over `size` neighbouring channels)^β (Krizhevsky et al. 2012; AlexNet)."""
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise wrong_shape("local_response_norm", f"an input (N, C, *spatial), got {shape}")
    if 0 in shape:
        return input
    # The channels become a spatial dimension and are averaged by a pooling window; padding counts as zeros.
    plane = (input * input).reshape((shape[0], 1, shape[1], -1))
    plane = np.pad(plane, ((0, 0), (0, 0), (size // 2, (size - 1) // 2), (0, 0)))
    mean = pool_ops.avg_pool(
        plane, kernel=(size, 1), stride=(1, 1), padding=(0, 0), ceil_mode=False, count_include_pad=True,
        divisor_override=None,
    )  # fmt: skip
    return input / (mean.reshape(shape) * alpha + k) ** beta


def normalize(
    input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12, out: None = None
) -> Tensor:
    """x / max(‖x‖ₚ, ε) along `dim`."""
    if out is not None:
        raise TypeError("normalize(out=…) is not supported: results are new tensors")
    # The bound holds in the norm's own dtype: 1e-12 is 0 in float16.
    return _normalize(input, p, dim, eps)


@in_float32
def _normalize(input: Tensor, p: float, dim: int | tuple[int, ...], eps: float) -> Tensor:
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


def _affine(xhat: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    n = xhat.ndim
    if weight is not None:
        xhat = xhat * ops.per_channel(weight, n)
    return xhat if bias is None else xhat + ops.per_channel(bias, n)


def _last_axes(name: str, input: Tensor, normalized_shape: Sequence[int] | int) -> tuple[int, ...]:
    last = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    shape = tuple(input.shape)
    if not last or shape[-len(last) :] != last:
        raise wrong_shape(name, f"an input ending in {last}, got {shape}")
    return tuple(range(len(shape) - len(last), len(shape)))
