"""`torch.compiler`: nothing is compiled, so its marks give back what they mark."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.support.switches import compile

__all__ = [
    "allow_in_graph",
    "compile",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "reset",
]


def disable(fn: Any = None, recursive: bool = True, **_options: Any) -> Any:
    """`fn` itself (or, called with options only, a decorator that gives back what it decorates)."""
    return fn if fn is not None else (lambda given: given)


def allow_in_graph(fn: Any) -> Any:
    """`fn` itself."""
    return fn


def is_compiling() -> bool:
    """False."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def reset() -> None:
    """Nothing to reset."""
