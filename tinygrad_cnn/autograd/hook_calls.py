"""Running the hooks of a node, at the gradient that arrives and at what the node hands on."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.autograd.annotations import AnyFunction
from tinygrad_cnn.autograd.handle import Handle, dense, unwrap, wrap
from tinygrad_cnn.autograd.hooks import Hooks


def on_upstream(hooks: Hooks, g: Any) -> Any:
    """Run the tensor hooks and the node's pre-hooks over the gradient that arrives."""
    for fn in list(hooks.tensor.values()):
        g = _replaced(g, fn(_as_tensor(g)), fn)
    for fn in list(hooks.pre.values()):
        new = fn((_as_tensor(g),))
        g = _replaced(g, new[0] if isinstance(new, (tuple, list)) else new, fn)
    return g


def on_downstream(hooks: Hooks, downstream: list[Any], g: Any) -> list[Any]:
    """Run the node's post-hooks over what it hands to its inputs."""
    for fn in list(hooks.post.values()):
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


def after_accumulate(hooks: Hooks, tensor: Any) -> None:
    """Run what wants to know that a leaf's `.grad` was written."""
    for fn in list(hooks.after_accumulate.values()):
        fn(tensor)


def _as_tensor(g: Any) -> Any:
    return g if isinstance(g, Handle) else wrap(dense(g))


def _replaced(old: Any, new: Any, fn: AnyFunction) -> Any:
    if new is None:
        return old
    value = new if isinstance(old, Handle) else unwrap(new)
    if tuple(value.shape) != tuple(old.shape):
        name = getattr(fn, "__name__", repr(fn))
        raise ValueError(
            f"the hook {name} returned a gradient of shape {tuple(value.shape)}, expected {tuple(old.shape)}"
        )
    return value
