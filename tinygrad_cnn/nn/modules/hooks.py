"""What users hang on modules: functions called before and after `forward` and around its backward pass.

A module without hooks pays one `is None` test per call. Backward hooks put a gate, a node that changes
nothing, on each side of the module: the gradient that passes the gate is what the hook sees and may replace.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.hooks import Hooks, RemovableHandle, add_hook
from tinygrad_cnn.autograd.op import Multilinear
from tinygrad_cnn.tensors.tensor import Tensor

Hook = Callable[..., Any]


class ModuleHooks:
    """The hooks of one module, each kind in the order of registration."""

    def __init__(self) -> None:
        self.forward_pre: dict[int, Hook] = {}
        self.forward: dict[int, Hook] = {}
        self.backward_pre: dict[int, Hook] = {}
        self.backward: dict[int, Hook] = {}
        self.with_kwargs: set[int] = set()
        self.always: set[int] = set()

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the module's `forward` with all hooks."""
        for key, fn in list(self.forward_pre.items()):
            if key in self.with_kwargs:
                new = fn(module, args, kwargs)
                if new is not None:
                    if not (isinstance(new, tuple) and len(new) == 2):
                        raise RuntimeError(
                            f"a forward pre-hook with kwargs must return None or (args, kwargs), got {new!r}"
                        )
                    args, kwargs = new
            else:
                new = fn(module, args)
                if new is not None:
                    args = new if isinstance(new, tuple) else (new,)
        watch = None
        if self.backward or self.backward_pre:
            watch = _BackwardWatch(module, self)
            args = watch.inputs(args)
        called: set[int] = set()
        try:
            result = module.forward(*args, **kwargs)
            for key, fn in list(self.forward.items()):
                called.add(key)
                new = (
                    fn(module, args, kwargs, result) if key in self.with_kwargs else fn(module, args, result)
                )
                if new is not None:
                    result = new
        except Exception:
            for key in self.always - called:
                fn = self.forward[key]
                fn(module, args, kwargs, None) if key in self.with_kwargs else fn(module, args, None)
            raise
        return watch.outputs(result) if watch is not None else result

    def empty(self) -> bool:
        return not (self.forward_pre or self.forward or self.backward_pre or self.backward)


class HookMixin:
    """Registering hooks on a module."""

    _hooks: ModuleHooks | None

    def _own_hooks(self) -> ModuleHooks:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", ModuleHooks())
        assert self._hooks is not None
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each `forward`; what it returns, if anything, replaces the args."""
        own = self._own_hooks()
        handle = add_hook(own.forward_pre, hook, prepend=prepend)
        if with_kwargs:
            own.with_kwargs.add(handle.id)
        return handle

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each `forward`; what it returns replaces the output."""
        own = self._own_hooks()
        handle = add_hook(own.forward, hook, prepend=prepend)
        if with_kwargs:
            own.with_kwargs.add(handle.id)
        if always_call:
            own.always.add(handle.id)
        return handle

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the output's gradient is known; it may return another one."""
        return add_hook(self._own_hooks().backward_pre, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the module's backward pass is done.

        Both are tuples, one entry per positional argument and per output, None where no gradient flows. What
        the hook returns, if anything, replaces `grad_input`.
        """
        return add_hook(self._own_hooks().backward, hook, prepend=prepend)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """The old name of `register_full_backward_hook`."""
        return self.register_full_backward_hook(hook)


#: y = x, as the node where a module begins or ends. Not a view: layers that work in place may change it.
gate = Multilinear("gate", lambda x: x, lambda g, _x: g, joint=True, formula="x", local=("1",))

#: Several tensors as one long vector, so that a hook sees all their gradients at once; and back.
pack = Multilinear(
    "pack", lambda *xs, starts: np.concatenate([np.ravel(x) for x in xs]), joint=True,
    each=lambda i, g, *xs, starts: np.reshape(
        unpack(g, start=starts[i], size=math.prod(xs[i].shape), total=starts[-1]), xs[i].shape
    ),
    formula="concatenate(x.ravel() for x in xs)",
)  # fmt: skip
unpack: Multilinear = Multilinear(
    "unpack", lambda v, *, start, size, total: v[start : start + size],
    lambda g, _v, *, start, size, total: embed(g, start=start, size=size, total=total),
    formula="v[start : start + size]",
)  # fmt: skip


def _embed(g: np.ndarray, *, start: int, size: int, total: int) -> np.ndarray:
    v = np.zeros(total, g.dtype)
    v[start : start + size] = g
    return v


embed: Multilinear = Multilinear(
    "embed", _embed, lambda g, _x, *, start, size, total: unpack(g, start=start, size=size, total=total),
    formula="zeros with x at [start : start + size]",
)  # fmt: skip


def _starts(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Where each array begins in the vector, and its length behind them."""
    return tuple(itertools.accumulate((math.prod(shape) for shape in shapes), initial=0))


class _BackwardWatch:
    """One call's gates, and what has passed them."""

    def __init__(self, module: Any, hooks: ModuleHooks) -> None:
        self.module, self.hooks = module, hooks
        self.arity = 0
        self.grad_output: tuple[Any, ...] = ()
        self.watches_input = False

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.arity = len(args)
        new, self.watches_input = _gated(args, self.at_input)
        return tuple(new)

    def outputs(self, result: Any) -> Any:
        many = isinstance(result, (tuple, list))
        new, _ = _gated(result if many else (result,), self.at_output)
        return type(result)(new) if many else new[0]

    def at_output(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for fn in list(self.hooks.backward_pre.values()):
            grads = _replaced(grads, fn(self.module, grads), fn)
        self.grad_output = grads
        if not self.watches_input:
            nothing = (None,) * self.arity
            for fn in list(self.hooks.backward.values()):
                fn(self.module, nothing, grads)
        return grads

    def at_input(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for fn in list(self.hooks.backward.values()):
            grads = _replaced(grads, fn(self.module, grads, self.grad_output), fn)
        return grads


def _gated(
    values: Sequence[Any], arrived: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> tuple[list[Any], bool]:
    """The values with a gate on those that carry gradients; `arrived` sees and may replace what comes back."""
    new = list(values)
    live = [i for i, v in enumerate(values) if isinstance(v, Handle) and v.node is not None]
    if not live:
        return new, False

    def spread(grads: list[Any]) -> tuple[Any, ...]:
        row: list[Any] = [None] * len(values)
        for i, g in zip(live, grads, strict=True):
            row[i] = g
        return tuple(row)

    if len(live) == 1:
        (i,) = live
        new[i] = gate(values[i])
        on_upstream = lambda g: arrived(spread([g]))[i]
        node = new[i].node
    else:
        shapes = [values[i].array.shape for i in live]
        starts = _starts(shapes)

        def part(v: Tensor, k: int) -> Any:
            size = starts[k + 1] - starts[k]
            return unpack(v, start=starts[k], size=size, total=starts[-1]).reshape(shapes[k])

        vector = pack(*[values[i] for i in live], starts=starts)
        node = vector.node
        for k, i in enumerate(live):
            new[i] = part(vector, k)

        def on_upstream(v: Tensor) -> Any:
            row = arrived(spread([part(v, k) for k in range(len(live))]))
            return pack(*[row[i] for i in live], starts=starts)

    if node is not None:
        node.hooks = Hooks()
        node.hooks.tensor[0] = on_upstream
    return new, node is not None


def _replaced(old: tuple[Any, ...], new: Any, fn: Hook) -> tuple[Any, ...]:
    if new is None:
        return old
    if not isinstance(new, (tuple, list)):
        new = (new,)
    if len(new) != len(old):
        name = getattr(fn, "__name__", repr(fn))
        raise RuntimeError(f"the backward hook {name} returned {len(new)} gradients, expected {len(old)}")
    return tuple(o if n is None else n for o, n in zip(old, new, strict=True))
