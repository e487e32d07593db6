"""Normalisation and dropout as lecture notes write them, to compare with the layers of `nn`, which follow PyTorch.

Two conventions differ. Notes divide by σ + ε, PyTorch by √(σ² + ε). Notes call p the probability to keep, PyTorch the
one to drop; and original dropout scales at test time, inverted dropout (PyTorch's) while training.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.ops.random import rand
from tinygrad_cnn.support.errors import UsageError

__all__ = ["inverted_dropout", "normalise", "original_dropout"]

#: The dimensions of (N, C, H, W) over which each normalisation takes mean and spread.
_OVER = {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}


def normalise(x: Any, kind: str, *, groups: int = 1, eps: float = 1e-5, as_pytorch: bool = False) -> Any:
    """(x − μ) / (σ + ε) of a batch (N, C, H, W), without γ and β.

    Args:
        x: the batch, a tensor
        kind: "batch" (μ and σ over N, H, W), "layer" (C, H, W), "instance" (H, W) or "group" (H, W and a
            group of channels)
        groups: how many groups the channels make, for "group"
        eps: ε
        as_pytorch: divide by √(σ² + ε) instead, as `nn`'s layers do

    Returns:
        a tensor of x's shape

    Raises:
        UsageError: for another kind or shape, and channels that the groups do not divide
    """
    if kind not in (*_OVER, "group") or x.ndim != 4:
        raise UsageError(
            f"normalise() expected one of {', '.join([*_OVER, 'group'])} and a batch (N, C, H, W), got {kind!r} and "
            f"{tuple(x.shape)}"
        )
    if kind == "group":
        n, c = x.shape[:2]
        if c % groups:
            raise UsageError(f"normalise(): {groups} groups do not divide {c} channels")
        parts = x.reshape(n * groups, c // groups, *x.shape[2:])
        return normalise(parts, "layer", eps=eps, as_pytorch=as_pytorch).reshape(x.shape)
    over = _OVER[kind]
    centred = x - x.mean(over, keepdim=True)
    variance = (centred * centred).mean(over, keepdim=True)
    return centred / ((variance + eps).sqrt() if as_pytorch else variance.sqrt() + eps)


def original_dropout(x: Any, keep: float, training: bool) -> Any:
    """Keep each entry with probability `keep` while training; at test time, multiply by `keep` instead."""
    return x * _mask(x, keep) if training else x * keep


def inverted_dropout(x: Any, keep: float, training: bool) -> Any:
    """Keep each entry with probability `keep` and divide by it while training; nothing to do at test time.

    It is ``F.dropout(x, p=1 - keep, training=training)``.
    """
    return x * _mask(x, keep) / keep if training else x


def _mask(x: Any, keep: float) -> Any:
    if not 0 < keep <= 1:
        raise UsageError(f"dropout expected a probability to keep in (0, 1], got {keep}")
    return (rand(*x.shape) < keep).to(x.dtype)
