"""`torch.overrides`: tensors of other libraries are not called back."""

from __future__ import annotations

from typing import Any

__all__ = ["has_torch_function", "has_torch_function_unary", "has_torch_function_variadic", "is_tensor_like"]


def has_torch_function(_relevant_args: Any) -> bool:
    """False."""
    return False


def has_torch_function_unary(_obj: Any) -> bool:
    """False."""
    return False


def has_torch_function_variadic(*_args: Any) -> bool:
    """False."""
    return False


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a tensor."""
    from tinygrad_cnn import Tensor

    return isinstance(inp, Tensor)
