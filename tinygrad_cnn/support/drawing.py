"""A door upwards: a training draws its history with `viz`, which stands above it. The root hands the function over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["curves", "register_curves"]

_drawing: list[Callable[..., Any]] = []


def register_curves(function: Callable[..., Any]) -> None:
    """Let `curves` call this function."""
    _drawing[:] = [function]


def curves(*args: Any, **options: Any) -> Any:
    """`viz.curves`."""
    return _drawing[0](*args, **options)
