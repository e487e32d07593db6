"""The elementwise kind: local gradients that are one factor per entry, and the hot path of small tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from sys import _getframe
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import handle, modes
from tinygrad_cnn.autograd.broadcast import explained, settle, unbroadcast
from tinygrad_cnn.autograd.graph import Node, _inside, calling_site
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.primitive import NO_PARAMS, Op, Rule, needed, union
from tinygrad_cnn.autograd.versions import tick

ndarray = np.ndarray
_new = object.__new__
_F32 = np.dtype(np.float32)
#: The code object that made the last node directly: a user's loop comes back to the same one.
_outside: list[Any] = [None]


class Elementwise(Op):
    """y = f(x₁, x₂, …) entry by entry, with broadcasting.

    Rule i is a factor: ``(y, *xs, **params) -> ∂y/∂xᵢ``, an array that broadcasts to y, or a constant.
    `vjp` may give fused pull-backs ``(g, y, *xs, **params)`` for inputs where factor-then-multiply costs a
    temporary on a hot path or would give 0·inf; tests hold the two equal.
    """

    kind = "elementwise"

    def __init__(
        self, name: str, forward: Callable[..., Any], *rules: Rule,
        vjp: Sequence[Callable[..., Any] | None] = (), **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, forward, **options)
        self.rules = rules
        self.constants = tuple(rule if isinstance(rule, (int, float)) else None for rule in rules)
        self.fused = tuple(vjp) + (None,) * (len(rules) - len(vjp))
        self._needs = tuple(
            frozenset()
            if constant is not None
            else needed(rule, skip=0) | (needed(fused, 1) if fused else frozenset())
            for rule, constant, fused in zip(rules, self.constants, self.fused, strict=True)
        )
        self.pullers = tuple(map(_puller, rules, self.constants, self.fused))  # fmt: skip

    def keeps(self, live: tuple[bool, ...]) -> tuple[bool, ...]:
        needed = union(self._needs, live)
        return tuple(k in needed for k in range(len(live) + 1))

    def method(self, reflected: bool = False) -> Callable[..., Any]:
        """The op as a plain function of one or two tensors, for operators and methods.

        It does what `__call__` does, unrolled for the commonest case: this is the hot path of small tensors.
        """
        fast = _unary(self) if len(self.rules) == 1 else _binary(self)
        if not reflected:
            return fast
        slow = self.__call__

        def method(b: Any, a: Any) -> Any:
            return slow(a, b)

        return method

    def _settle(self, out: ndarray, arrays: Sequence[Any]) -> ndarray:
        dtype = out.dtype
        for x in arrays:
            if type(x) is ndarray and x.dtype is not dtype:
                return settle(out, arrays)
        return out

    def factor(self, i: int, node: Node, saved: tuple[Any, ...]) -> Any:
        """∂y/∂xᵢ as an array (or a constant)."""
        constant = self.constants[i]
        if constant is not None:
            return constant
        return self.rules[i](*saved, **node.params)  # type: ignore[operator]

    def pull(self, i: int, g: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        assert self.pullers is not None
        d = self.pullers[i](g, saved, node.params)
        shape = node.parents[i].shape  # type: ignore[union-attr]
        return d if d.shape == shape else unbroadcast(d, shape)

    def push(self, i: int, t: Any, node: Node, saved: tuple[Any, ...]) -> Any:
        d = t * self.factor(i, node, saved)
        return d if d.shape == node.shape else np.broadcast_to(d, node.shape)

    def structure(self, node: Node, i: int) -> str:
        return "identity" if self.constants[i] == 1 else "diagonal"


def _unary(op: Elementwise) -> Callable[..., Any]:
    forward, state, keep = op.forward, modes.state, op.keeps((True,))
    keep_y, keep_x = keep

    def method(x: Any) -> Any:
        now = state.now
        if now.on_record is not None or not isinstance(x, Handle):
            return op(x)
        array, parent = x.array, x.node
        out = forward(array)
        if type(out) is not ndarray:
            out = np.asarray(out)
        if out.dtype is not array.dtype:
            out = op._settle(out, (array,))
        if parent is None or not now.grad or out.dtype.kind != "f":
            return wrap(out)
        saved = (out if keep_y else None, array if keep_x else None)
        frame = _getframe(1)
        code = frame.f_code
        site = (code, frame.f_lasti) if _inside.get(code.co_filename) is False else calling_site()
        return wrap(out, Node(op, (parent,), NO_PARAMS, saved, out.shape, out.dtype, site, now.scope))

    return method


def _binary(op: Elementwise) -> Callable[..., Any]:
    forward, state = op.forward, modes.state
    keep_first, keep_second, keep_both = (op.keeps(k) for k in ((True, False), (False, True), (True, True)))

    def method(a: Any, b: Any) -> Any:
        x, first = a.array, a.node
        dtype = x.dtype
        y: Any
        if isinstance(b, Handle):
            y, second = b.array, b.node
            if y.dtype is not dtype:
                return op(a, b)  # the long way settles what NumPy and PyTorch promote differently
        elif type(b) is float or type(b) is int:
            y, second = b, None
        elif isinstance(b, (ndarray, np.generic, int, float)):
            return op(a, b)
        else:
            return NotImplemented
        now = state.now
        if now.on_record is not None:
            return op(a, b)
        try:  # without an exception it costs nothing
            out = forward(x, y)
        except ValueError as error:
            raise explained(op.name, (x, y), error) from None
        if type(out) is not ndarray:
            out = np.asarray(out)
        if dtype is not _F32:  # float32 with itself or a number gives itself
            if out.dtype is not dtype:
                out = op._settle(out, (x, y))
                dtype = out.dtype
            if dtype.kind != "f":
                return wrap(out)
        if first is None:
            if second is None:
                return wrap(out)
            keep = keep_second
        else:
            keep = keep_first if second is None else keep_both
        if not now.grad:
            return wrap(out)
        # Slot by slot instead of Node(...) and wrap(...): a third of this function's time would be calls.
        node = _new(Node)
        node.op = op
        node.parents = (first, second)
        node.params = NO_PARAMS
        node.saved = (out if keep[0] else None, x if keep[1] else None, y if keep[2] else None)
        node.shape = out.shape
        node.dtype = dtype
        node.seq = tick()
        frame = _getframe(1)
        node.code = code = frame.f_code
        node.lasti = frame.f_lasti
        if code is not _outside[0]:
            if _inside.get(code.co_filename) is False:
                _outside[0] = code
            else:
                node.code, node.lasti = calling_site() or (None, 0)
        node.scope = now.scope
        node.extra = None
        result: Any = _new(handle._tensor_type)
        result.array = out
        result.node = node
        result.grad = result.name = None
        return result

    return method


def _puller(rule: Any, constant: float | None, fused: Callable[..., Any] | None) -> Callable[..., Any]:
    """Upstream times local for one input, decided once instead of at every call."""
    if constant is not None:
        return (lambda g, _saved, _params: g) if constant == 1 else (lambda g, _saved, _params: g * constant)
    if fused is not None:
        return lambda g, saved, params: fused(g, *saved, **params)
    slot = _plain_slot(rule)
    if slot is not None:
        return lambda g, saved, _params: g * saved[slot]

    def pull(g: Any, saved: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return g * (rule(*saved, **params) if params else rule(*saved))

    return pull


def _plain_slot(rule: Any) -> int | None:
    """Which of (y, *xs) the rule gives back as it is, as those of mul and exp do; None when it computes."""
    count = len(inspect.signature(rule).parameters)
    marks = [object() for _ in range(count)]
    try:
        found = rule(*marks)
    except Exception:
        return None
    return next((k for k, mark in enumerate(marks) if mark is found), None)
