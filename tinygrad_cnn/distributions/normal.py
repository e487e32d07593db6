"""The bell curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinygrad_cnn.autograd.annotations import Operand, Tensor
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.distributions.distribution import Distribution, parameters
from tinygrad_cnn.ops.random import randn


class Normal(Distribution):
    """Mean `loc`, standard deviation `scale`."""

    def __init__(self, loc: Operand, scale: Operand, validate_args: bool | None = None) -> None:
        self.loc, self.scale = parameters(loc, scale)
        fine = (self.scale.array > 0) & ~np.isnan(self.loc.array)
        self._check(validate_args, fine, f"loc a number and scale > 0, got {scale}")
        self.batch_shape = self.loc.shape

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.loc + self.scale * randn(self._extended(sample_shape), dtype=self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(~np.isnan(unwrap(value)), f"numbers, got {value}")
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
