"""The focal loss of dense detectors."""

from __future__ import annotations

from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.nn import functional as F

__all__ = ["sigmoid_focal_loss"]


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """Binary cross entropy times (1 − pₜ)^gamma, pₜ the probability of the right answer (Lin et al. 2017, equation 5).

    `inputs` are logits and `targets` 0 or 1, of one shape; `alpha` from 0 up weighs the ones, 1 − alpha the zeros.
    Raises ValueError for another reduction than none, mean and sum, and for an alpha above 1.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"sigmoid_focal_loss expected reduction none, mean or sum, got {reduction!r}")
    if alpha > 1:
        raise ValueError(f"sigmoid_focal_loss expected alpha up to 1 (below 0: no weights), got {alpha}")
    p = inputs.sigmoid()
    wrong = p + targets - 2 * p * targets  # 1 − pₜ
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * wrong**gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss
