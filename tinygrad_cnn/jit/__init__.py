"""`tg.jit`, for model files that mark functions for PyTorch's compiler: here Python runs them as they are.

The decorators give back what they get. Saving or loading a compiled program is not possible and says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.support.errors import UsageError

__all__ = ["Attribute", "Final", "ScriptModule", "annotate", "export", "freeze", "fuser", "ignore", "interface"]
__all__ += ["is_scripting", "is_tracing", "isinstance", "load", "optimize_for_inference", "optimized_execution"]
__all__ += ["save", "script", "script_if_tracing", "script_method", "trace", "trace_module", "unused"]

_Any = TypeVar("_Any")
_isinstance = isinstance


def script(obj: _Any, *_args: Any, **_kwargs: Any) -> _Any:
    """`obj` itself: nothing is compiled."""
    return obj


def trace(func: _Any, *_args: Any, **_kwargs: Any) -> _Any:
    """`func` itself: nothing is compiled."""
    return func


def trace_module(mod: _Any, inputs: Any = None, *_args: Any, **_kwargs: Any) -> _Any:
    """`mod` itself: nothing is compiled."""
    return mod


def freeze(mod: _Any, *_args: Any, **_kwargs: Any) -> _Any:
    """`mod` itself: nothing is compiled."""
    return mod


def optimize_for_inference(mod: _Any, *_args: Any, **_kwargs: Any) -> _Any:
    """`mod` itself: nothing is compiled."""
    return mod


def export(fn: _Any) -> _Any:
    """A mark for PyTorch's compiler; `fn` itself."""
    return fn


def unused(fn: _Any) -> _Any:
    """A mark for PyTorch's compiler; `fn` itself."""
    return fn


def interface(obj: _Any) -> _Any:
    """A mark for PyTorch's compiler; `obj` itself."""
    return obj


def _overload(fn: _Any) -> _Any:
    return fn


def _overload_method(fn: _Any) -> _Any:
    return fn


def script_method(fn: _Any) -> _Any:
    """A mark for PyTorch's compiler; `fn` itself."""
    return fn


def script_if_tracing(fn: _Any) -> _Any:
    """A mark for PyTorch's compiler; `fn` itself."""
    return fn


def ignore(drop: Any = False, **_kwargs: Any) -> Any:
    """A mark for PyTorch's compiler, with or without parentheses; gives back the function."""
    return drop if callable(drop) else export


def annotate(the_type: Any, the_value: _Any) -> _Any:
    """`the_value` itself."""
    return the_value


def Attribute(value: _Any, type: Any = None) -> _Any:
    """`value` itself."""
    return value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's isinstance."""
    return _isinstance(obj, target_type)


def is_scripting() -> bool:
    """False: Python runs the model."""
    return False


def is_tracing() -> bool:
    """False: nothing is traced."""
    return False


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """Changes nothing: there is no compiler to tell."""
    yield


@contextlib.contextmanager
def fuser(name: str) -> Iterator[None]:
    """Changes nothing: there is no compiler to tell."""
    yield


class ScriptModule(Module):
    """A `Module`; its methods are not compiled."""


def save(m: Any, f: Any, *_args: Any, **_kwargs: Any) -> None:
    """Raises UsageError: there is no compiled program to save."""
    raise UsageError(
        "jit.save is not there: nothing is compiled. Save the weights: tg.save(m.state_dict(), path)"
    )


def load(f: Any, *_args: Any, **_kwargs: Any) -> Callable[..., Any]:
    """Raises UsageError: PyTorch's compiled programs cannot be run."""
    raise UsageError(
        f"jit.load cannot run PyTorch's compiled program {f}: make the model in Python and load its weights from a "
        ".safetensors file"
    )
