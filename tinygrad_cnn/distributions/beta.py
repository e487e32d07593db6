"""A random share between 0 and 1, as mixing images and labels needs one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_cnn.autograd.annotations import Operand, Tensor
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.distributions.distribution import Distribution, parameters
from tinygrad_cnn.ops.random import default_generator
from tinygrad_cnn.ops.special import lgamma


class Beta(Distribution):
    """Density x^(a−1)·(1−x)^(b−1) / B(a, b). Samples have no gradient."""

    def __init__(self, concentration1: Operand, concentration0: Operand, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = parameters(concentration1, concentration0)
        fine = (self.concentration1.array > 0) & (self.concentration0.array > 0)
        self._check(validate_args, fine, f"positive numbers, got {concentration1} and {concentration0}")
        self.batch_shape = self.concentration1.shape

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        a, b = self.concentration1.array, self.concentration0.array
        with default_generator.lock:
            values = default_generator.numpy.beta(a, b, self._extended(sample_shape))
        return wrap(np.asarray(values, a.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        a, b = self.concentration1, self.concentration0
        value = parameters(value)[0]
        self._check_value((value.array >= 0) & (value.array <= 1), f"numbers between 0 and 1, got {value}")
        return (a - 1) * value.log() + (b - 1) * (1 - value).log() + lgamma(a + b) - lgamma(a) - lgamma(b)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total**2 * (total + 1))
