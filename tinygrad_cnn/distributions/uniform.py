"""All values of an interval alike."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_cnn.autograd.annotations import Operand, Tensor
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.distributions.distribution import Distribution, parameters
from tinygrad_cnn.ops.elementwise import where
from tinygrad_cnn.ops.random import rand


class Uniform(Distribution):
    """Between `low` (included) and `high`."""

    def __init__(self, low: Operand, high: Operand, validate_args: bool | None = None) -> None:
        self.low, self.high = parameters(low, high)
        self._check(validate_args, self.low.array < self.high.array, f"low < high, got {low} and {high}")
        self.batch_shape = self.low.shape

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.low + (self.high - self.low) * rand(self._extended(sample_shape), dtype=self.low.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        array = unwrap(value)
        fine = (array >= self.low.array) & (array <= self.high.array)
        self._check_value(fine, f"numbers from {self.low} to {self.high}, got {value}")
        inside = (value >= self.low) & (value < self.high)
        return where(inside, -(self.high - self.low).log(), -float("inf"))

    def entropy(self) -> Tensor:
        """log(high − low)."""
        return (self.high - self.low).log()

    @property
    def mean(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low) ** 2 / 12
