"""Lazy layers: those that learn the number of their input's channels from their first input."""

from __future__ import annotations

from typing import Any, ClassVar

from tinygrad_cnn.nn.parameter import is_lazy
from tinygrad_cnn.tensors.tensor import Tensor


class LazyMixin:
    """Turns an instance into its finished class at the first call."""

    cls_to_become: ClassVar[type]

    def has_uninitialized_params(self) -> bool:
        """Whether a shape is still unknown."""
        own: Any = self
        return any(is_lazy(p) for p in own._parameters.values())

    def initialize_parameters(self, input: Tensor) -> None:
        """Take the missing sizes from the input; every lazy layer defines it."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params():
            super().reset_parameters()  # type: ignore[misc]

    def forward(self, input: Tensor, *args: Any) -> Tensor:
        if self.has_uninitialized_params():
            self.initialize_parameters(input)
            self.reset_parameters()
        own: Any = self
        own.__class__ = self.cls_to_become
        return self.forward(input, *args)
