"""What all losses share: reductions under PyTorch's names, and whether two shapes fit."""

from __future__ import annotations

import warnings

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor


def reduction_of(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction's name; `size_average` and `reduce` are PyTorch's old way of saying it."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction expected 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction


def finish(loss: Tensor, reduction: str) -> Tensor:
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def weighted(loss: Tensor, weight: Tensor | None) -> Tensor:
    return loss if weight is None else loss * weight


def same_shape(name: str, input: Tensor, target: Tensor) -> None:
    if tuple(np.shape(unwrap(target))) != tuple(input.shape):
        raise wrong_shape(
            name, f"targets of the input's shape {tuple(input.shape)}, got {tuple(np.shape(unwrap(target)))}"
        )


def difference(name: str, input: Tensor, target: Tensor) -> Tensor:
    x, t = tuple(input.shape), tuple(np.shape(unwrap(target)))
    if x != t:
        try:
            np.broadcast_shapes(x, t)
        except ValueError as error:
            raise wrong_shape(name, f"targets of the input's shape {x}, got {t}") from error
        warnings.warn(
            f"{name}: the target's shape {t} is not the input's {x}; they are broadcast, which is seldom meant",
            UserWarning, stacklevel=3,
        )  # fmt: skip
    if isinstance(target, Handle) and target.array.dtype.kind not in "fc":
        target = wrap(target.array.astype(input.dtype))
    return input - target
