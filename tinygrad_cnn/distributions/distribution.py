"""What all random variables share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops.shape import broadcast_tensors


class Distribution:
    """A random variable for each entry of its parameters; `batch_shape` is their common shape."""

    batch_shape: tuple[int, ...] = ()
    _validates = True

    def _check(self, validate_args: bool | None, fine: object, wanted: str) -> None:
        """Note whether arguments are to be checked (they are unless it is False), and check the parameters.

        Raises ValueError unless all of `fine` holds.
        """
        self._validates = validate_args is not False
        if self._validates and not np.all(unwrap(fine)):
            raise ValueError(f"{type(self).__name__} expected {wanted}; validate_args=False takes any numbers")

    def _check_value(self, fine: object, wanted: str) -> None:
        """Raises ValueError unless all entries of a value are possible, or nothing is to be checked."""
        if self._validates and not np.all(unwrap(fine)):
            raise ValueError(f"{type(self).__name__}.log_prob expected {wanted}; validate_args=False takes any numbers")

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values of shape (*sample_shape, *batch_shape) through which gradients reach the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample: its samples have no gradient")

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values of shape (*sample_shape, *batch_shape), without gradients."""
        with modes.no_grad():
            return self.rsample(sample_shape).detach()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density (or probability) at `value`."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        raise NotImplementedError

    @property
    def variance(self) -> Tensor:
        """The expected squared distance from the mean."""
        raise NotImplementedError

    def _extended(self, sample_shape: Sequence[int]) -> tuple[int, ...]:
        return (*tuple(sample_shape), *self.batch_shape)


def parameters(*values: Tensor | float | None) -> tuple[Tensor, ...]:
    """The parameters as float tensors of one shape."""
    given = [v for v in values if isinstance(v, Handle)]
    dtype = given[0].array.dtype if given else modes.get_default_dtype()
    tensors: list[Tensor] = [v if isinstance(v, Handle) else wrap(np.asarray(v, dtype)) for v in values]
    return tuple(broadcast_tensors(*tensors))
