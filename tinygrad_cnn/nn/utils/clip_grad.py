"""Clipping gradients, by their common norm or entry by entry."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.tensors.tensor import Tensor


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scale all gradients so that their common norm is at most `max_norm`; returns the norm there was.

    Raises RuntimeError for a norm that is not finite, with `error_if_nonfinite`.
    """
    grads = _grads(parameters)
    total = get_total_norm(grads, norm_type, error_if_nonfinite)
    _scale(grads, max_norm, total)
    return total


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """The norm of several tensors, as if they were one vector."""
    arrays = [t.array for t in ([tensors] if isinstance(tensors, Handle) else tensors)]
    p = float(norm_type)
    if not arrays:
        return wrap(np.zeros((), np.float32))
    if p == float("inf"):
        total = max(float(np.max(np.abs(a), initial=0.0)) for a in arrays)
    elif p == 2:
        total = float(np.sqrt(sum(_square(a) for a in arrays)))
    else:
        total = float(sum(float(np.sum(np.abs(a, dtype=np.float64) ** p)) for a in arrays) ** (1 / p))
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"the total norm of order {p} of the gradients is {total}, so it cannot be clipped; "
            "to go on regardless, set error_if_nonfinite=False"
        )
    return wrap(np.asarray(total, arrays[0].dtype))


def _square(a: np.ndarray) -> float:
    """‖a‖²; of float16 in float32, whose squares may be beyond float16."""
    a = a.astype(np.float32) if a.dtype == np.float16 else a
    return float(np.vdot(a, a))


def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale gradients by max_norm / total_norm where that is below 1."""
    _scale(_grads(parameters), max_norm, total_norm)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Clip every entry of every gradient to ±clip_value."""
    bound = float(clip_value)
    for grad in _grads(parameters):
        np.clip(grad.array, -bound, bound, out=grad.array)
        versions.bump(grad.array)


def clip_grad_norm(*args: Any, **kwargs: Any) -> Any:
    """The old name of `clip_grad_norm_`."""
    warnings.warn(
        "nn.utils.clip_grad_norm is deprecated in favor of nn.utils.clip_grad_norm_.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


def _grads(parameters: Any) -> list[Any]:
    tensors: Iterable[Any] = [parameters] if isinstance(parameters, Handle) else parameters
    return [t.grad for t in tensors if t.grad is not None]


def _scale(grads: list[Any], max_norm: float, total: Tensor) -> None:
    # The small constant and the cut at 1 are PyTorch's.
    factor = float(max_norm) / (float(total.array) + 1e-6)
    if factor < 1 or np.isnan(factor):
        for grad in grads:
            grad.array *= grad.array.dtype.type(factor)
            versions.bump(grad.array)
