"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.tensors.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """The entries of all parameters, one behind the other."""
    return np.concatenate([param.reshape(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Any]) -> None:
    """Write a vector's entries into the parameters. Raises ValueError when it is too short or too long."""
    values = unwrap(vec)
    params = list(parameters)
    total = sum(param.array.size for param in params)
    if values.shape != (total,):
        raise ValueError(
            f"vector_to_parameters expected a vector of {total} entries, got shape {values.shape}"
        )
    start = 0
    for param in params:
        size = param.array.size
        param.array[...] = values[start : start + size].reshape(param.array.shape)
        versions.bump(param.array)
        start += size
