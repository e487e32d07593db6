"""What users may hang on a node: functions that see, and may replace, gradients as they pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap


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

    def on_upstream(self, g: Any) -> Any:
        """Run the tensor hooks and the node's pre-hooks over the gradient that arrives."""
        for fn in list(self.tensor.values()):
            g = _replaced(g, fn(_as_tensor(g)), fn)
        for fn in list(self.pre.values()):
            new = fn((_as_tensor(g),))
            g = _replaced(g, new[0] if isinstance(new, (tuple, list)) else new, fn)
        return g

    def on_downstream(self, downstream: list[Any], g: Any) -> list[Any]:
        """Run the node's post-hooks over what it hands to its inputs."""
        for fn in list(self.post.values()):
            new = fn(tuple(None if d is None else _as_tensor(d) for d in downstream), (_as_tensor(g),))
            if new is not None:
                if not isinstance(new, (tuple, list)):
                    new = (new,)
                if len(new) != len(downstream):
                    raise ValueError(
                        f"a node hook returned {len(new)} gradients for {len(downstream)} inputs; "
                        "return one per input, or None to leave them as they are"
                    )
                downstream = [
                    None if old is None else _replaced(old, n, fn)
                    for old, n in zip(downstream, new, strict=True)
                ]
        return downstream


def add_hook(hooks: dict[int, Any], fn: Callable[..., Any], *, prepend: bool = False) -> RemovableHandle:
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


def _as_tensor(g: Any) -> Any:
    if isinstance(g, Handle):
        return g
    return wrap(g if not hasattr(g, "dense") else g.dense())


def _replaced(old: Any, new: Any, fn: Callable[..., Any]) -> Any:
    if new is None:
        return old
    value = new if isinstance(old, Handle) else unwrap(new)
    if tuple(value.shape) != tuple(old.shape):
        name = getattr(fn, "__name__", repr(fn))
        raise ValueError(
            f"the hook {name} returned a gradient of shape {tuple(value.shape)}, expected {tuple(old.shape)}"
        )
    return value
