"""`torch.fx`, as far as model files that are never traced need it."""

from __future__ import annotations

from typing import Any, NoReturn

from tinygrad_cnn.support.errors import UsageError

__all__ = ["symbolic_trace", "wrap"]


def wrap(fn_or_name: Any) -> Any:
    """A mark for PyTorch's tracer; gives back the function."""
    return fn_or_name


def symbolic_trace(root: Any, concrete_args: Any = None) -> NoReturn:
    """Raises UsageError: modules are not traced symbolically."""
    raise UsageError(
        f"fx.symbolic_trace: a {type(root).__name__} is not traced symbolically here. Call the module; its graph is "
        "recorded then, and tinygrad-cnn graph draws it"
    )
