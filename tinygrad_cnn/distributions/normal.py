"""The bell curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinygrad_cnn.autograd.annotations import Operand, Tensor
from tinygrad_cnn.distributions.distribution import Distribution, parameters
from tinygrad_cnn.ops.random import randn


class Normal(Distribution):
    """Mean `loc`, standard deviation `scale`."""

    def __init__(self, loc: Operand, scale: Operand, validate_args: object = None) -> None:
        self.loc, self.scale = parameters(loc, scale)
        if not (self.scale.array > 0).all():
            raise ValueError(f"Normal expected a positive scale, got {scale}")
        self.batch_shape = self.loc.shape

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.loc + self.scale * randn(self._extended(sample_shape), dtype=self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        return -(((value - self.loc) / self.scale) ** 2) / 2 - self.scale.log() - math.log(2 * math.pi) / 2

    def entropy(self) -> Tensor:
        """(1 + log 2π)/2 + log scale."""
        return self.scale.log() + (1 + math.log(2 * math.pi)) / 2

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale**2
