"""One of several classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Operand, Tensor
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.distributions.distribution import Distribution, parameters
from tinygrad_cnn.ops.activation import log_softmax
from tinygrad_cnn.ops.index import gather
from tinygrad_cnn.ops.random import multinomial


class Categorical(Distribution):
    """Class k with probability probs[…, k] (scaled to sum 1), or by `logits`. Raises ValueError unless one is given."""

    def __init__(
        self, probs: Operand | None = None, logits: Operand | None = None, validate_args: bool | None = None
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Categorical expected either probs or logits")
        if probs is not None:
            (weights,) = parameters(probs)
            fine = (weights.array >= 0) & (weights.array.sum(-1, keepdims=True) > 0)
            self._check(validate_args, fine, f"probabilities of at least 0, not all of them 0, got {probs}")
            self.probs = weights / weights.sum(-1, keepdim=True)
            self.logits = self.probs.log()
        else:
            (scores,) = parameters(logits)
            self._check(validate_args, ~np.isnan(scores.array), f"logits that are numbers, got {logits}")
            self.logits = log_softmax(scores, -1)
            self.probs = self.logits.exp()
        self.batch_shape = self.probs.shape[:-1]

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with modes.no_grad():
            table = self.probs.detach().reshape((-1, self.probs.shape[-1]))
            count = math.prod(sample_shape)
            return multinomial(table, count, replacement=True).t().reshape(self._extended(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        logits = self.logits
        array = unwrap(value)
        fine = (array >= 0) & (array < logits.shape[-1]) & (array == np.floor(array))
        self._check_value(fine, f"whole numbers from 0 to {logits.shape[-1] - 1}, got {value}")
        value = value.long()
        if value.ndim > logits.ndim - 1:
            logits = logits.expand((*value.shape, logits.shape[-1]))
        else:
            value = value.expand(logits.shape[:-1])
        return gather(logits, -1, value.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """−Σ p·log p."""
        return -(self.probs * self.logits).sum(-1)
