"""Errors about shapes, in one voice: who expected what, what came, and in which module.

    raise wrong_shape("conv2d", "3 input channels, got 1: input (8, 1, 28, 28), weight (16, 3, 3, 3)")
    -> Conv2d expected 3 input channels, got 1: input (8, 1, 28, 28), weight (16, 3, 3, 3) [module features.0]

It reads the running module from the engine's state and hands an exception back; callers raise it.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.promotion import ShapeError

__all__ = ["ShapeError", "check_unwrapped", "where", "who", "wrong_shape"]


def wrong_shape(function: str, expected: str) -> ShapeError:
    """The error `<who> expected <expected>`, where who is the running layer if it does that function."""
    return ShapeError(f"{who(function)} expected {expected}{where()}")


def check_unwrapped(function: str, index: np.ndarray) -> None:
    """Raise IndexError for a negative number among places that count from 0: NumPy would count it from the end.

    Arguments are checked before; this is for arrays that were changed through `numpy()` between forward and backward.
    """
    if index.size and index.min() < 0:
        raise IndexError(f"{function} expected integers from 0 on, got {index.min()}{where()}: was it changed?")


def who(function: str) -> str:
    """The running layer's class when it is the layer of `function` (Conv2d for conv2d), else the function."""
    scope = modes.state.scope
    if scope is not None and scope.kind.lower() == function.replace("_", ""):
        return scope.kind
    return function


def where() -> str:
    """` [module features.0]` while a named module runs, else nothing."""
    scope = modes.state.scope
    return f" [module {scope.path}]" if scope is not None and scope.path else ""
