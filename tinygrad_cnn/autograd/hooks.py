"""What users may hang on a node: functions that see, and may replace, gradients as they pass.

Only the containers; `hook_calls` runs what is in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.autograd.annotations import AnyFunction


class RemovableHandle:
    """Takes a hook off again: `handle.remove()`, or use it as a context manager."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._dict = hooks
        self.id = next(self._ids)

    def remove(self) -> None:
        self._dict.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.remove()


class Hooks:
    """The hooks of one node, each kind in the order of registration."""

    __slots__ = ("after_accumulate", "post", "pre", "tensor")

    def __init__(self) -> None:
        self.tensor: dict[int, Callable[[Any], Any]] = {}
        self.pre: dict[int, Callable[[tuple[Any, ...]], Any]] = {}
        self.post: dict[int, Callable[[tuple[Any, ...], tuple[Any, ...]], Any]] = {}
        self.after_accumulate: dict[int, Callable[[Any], Any]] = {}


def add_hook(hooks: dict[int, Any], fn: AnyFunction, *, prepend: bool = False) -> RemovableHandle:
    """Register `fn` and give back the handle that removes it."""
    if not callable(fn):
        raise TypeError(f"a hook must be callable, got {type(fn).__name__}")
    handle = RemovableHandle(hooks)
    if prepend:
        rest = dict(hooks)
        hooks.clear()
        hooks[handle.id] = fn
        hooks.update(rest)
    else:
        hooks[handle.id] = fn
    return handle
