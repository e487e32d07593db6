"""Heads or tails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Operand, Tensor
from tinygrad_cnn.distributions.distribution import Distribution, parameters
from tinygrad_cnn.nn.functional import binary_cross_entropy_with_logits
from tinygrad_cnn.ops.random import bernoulli
from tinygrad_cnn.ops.special import logit


class Bernoulli(Distribution):
    """1 with probability `probs`, else 0; or give `logits`, log(p / (1 − p)). Raises ValueError unless one is given."""

    def __init__(
        self, probs: Operand | None = None, logits: Operand | None = None, validate_args: bool | None = None
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Bernoulli expected either probs or logits")
        if probs is not None:
            (self.probs,) = parameters(probs)
            fine = (self.probs.array >= 0) & (self.probs.array <= 1)
            self._check(validate_args, fine, f"probabilities between 0 and 1, got {probs}")
            self.logits = logit(self.probs, 1e-7 if self.probs.array.itemsize < 8 else 2.3e-16)
        else:
            (self.logits,) = parameters(logits)
            self._check(validate_args, ~np.isnan(self.logits.array), f"logits that are numbers, got {logits}")
            self.probs = self.logits.sigmoid()
        self.batch_shape = self.probs.shape

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with modes.no_grad():
            return bernoulli(self.probs.detach().expand(self._extended(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        logits, (value,) = self.logits, parameters(value)
        self._check_value((value.array == 0) | (value.array == 1), f"0 and 1, got {value}")
        shape = (logits + value.detach()).shape
        return -binary_cross_entropy_with_logits(logits.expand(shape), value.expand(shape), reduction="none")

    def entropy(self) -> Tensor:
        """−p·log p − (1 − p)·log(1 − p)."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)
