"""The switches that users know: `no_grad` and the others, as context managers and as decorators; the default dtype.

What they switch is in `state`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, DType
from tinygrad_cnn.autograd.state import state

F = TypeVar("F", bound=Callable[..., Any])


_default_dtype: np.dtype = np.dtype(np.float32)


def get_default_dtype() -> np.dtype:
    """The floating dtype of tensors made from Python numbers; float32 until changed, as in PyTorch."""
    return _default_dtype


def set_default_dtype(dtype: DType) -> None:
    """Set the floating dtype of tensors made from Python numbers.

    Raises TypeError when `dtype` is not a floating dtype.
    """
    global _default_dtype
    wanted = np.dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"set_default_dtype expected a floating dtype, got {wanted}")
    _default_dtype = wanted


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded in a graph."""
    return state.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return state.inference


class _Switch:
    """A context manager that is a decorator too (generator functions included, as in PyTorch)."""

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, *_exc: object) -> None:
        raise NotImplementedError

    def _clone(self) -> _Switch:
        return type(self)()

    def __call__(self, fn: F) -> F:
        if inspect.isgeneratorfunction(fn):

            @functools.wraps(fn)
            def generator(*args: Any, **kwargs: Any) -> Any:
                # The mode must hold while the body runs and must not leak into the consumer between items.
                with self._clone():
                    iterator = fn(*args, **kwargs)
                while True:
                    with self._clone():
                        try:
                            item = next(iterator)
                        except StopIteration as stop:
                            return stop.value
                    yield item

            return generator  # type: ignore[return-value]

        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._clone():
                return fn(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class _GradSwitch(_Switch):
    """Sets `state.grad` to `_value` for the time of the block."""

    _value = True

    def __init__(self) -> None:
        # A stack, so that one object may be entered again inside itself.
        self._before: list[bool] = []

    def __new__(cls, fn: AnyFunction | None = None) -> Any:
        self = super().__new__(cls)
        return cls()(fn) if callable(fn) else self  # `@no_grad` without parentheses

    def __enter__(self) -> None:
        self._before.append(state.grad)
        state.grad = self._value

    def __exit__(self, *_exc: object) -> None:
        state.grad = self._before.pop()


class no_grad(_GradSwitch):
    """Record nothing inside: ``with no_grad(): ...`` or ``@no_grad()``."""

    _value = False


class enable_grad(_GradSwitch):
    """Record inside, even within `no_grad`."""

    _value = True


class set_grad_enabled(_Switch):
    """Switch recording on or off, at once when called and put back when used as a context manager."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self._before = [state.grad]
        state.grad = self.mode

    def _clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __call__(self, fn: F) -> F:
        state.grad = self._before[0]  # used as a decorator: the mode belongs to the calls, not to here
        return super().__call__(fn)

    def __enter__(self) -> None:
        state.grad = self.mode

    def __exit__(self, *_exc: object) -> None:
        state.grad = self._before[0]


class inference_mode(_Switch):
    """Like `no_grad`, and `is_inference_mode_enabled` says so.

    PyTorch marks the tensors made inside and refuses them in a graph later; here they are ordinary tensors that
    require no grad.
    """

    def __init__(self, mode: bool = True) -> None:
        self.mode = bool(mode)
        self._before: list[tuple[bool, bool]] = []

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        return cls()(mode) if callable(mode) else self

    def _clone(self) -> inference_mode:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self._before.append((state.grad, state.inference))
        state.grad, state.inference = (False, True) if self.mode else (True, False)

    def __exit__(self, *_exc: object) -> None:
        state.grad, state.inference = self._before.pop()
