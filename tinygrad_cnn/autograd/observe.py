"""Observers: what the engine tells of its work, and to whom.

An `Observer` is told of each node that is recorded and of each backward pass, in the thread in which it was
entered. The debugger, anomaly detection, profilers and pictures are observers; nothing patches the engine.
While nobody observes, an op and a pass make one `is None` test each.

    class Ops(Observer):
        def on_record(self, node, output):
            print(node.op.name, output.shape)

    with observing(Ops()):
        loss = net(x).sum()
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.backward_pass import BackwardPass
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.provenance import calling_stack
from tinygrad_cnn.autograd.state import Now, state


class Observer:
    """Override the events you want to be told of; the others cost nothing.

    All events come in the thread that entered the observer (see `observing`). An exception that an event raises
    goes on to whoever called the op or `backward`.
    """

    def on_record(self, node: Node, output: np.ndarray) -> None:
        """A node was recorded; `output` is its value, which must not be changed."""

    def on_unrecorded(
        self, op: Any, arrays: Sequence[Any], nodes: Sequence[Node | None], params: dict[str, Any], output: np.ndarray,
    ) -> None:  # fmt: skip
        """An op was called on tensors without being recorded: none of them wants a gradient, or recording is off.

        `nodes` are those of its inputs, None where an input has none.
        """

    def on_failed(self, op: Any, arrays: Sequence[Any], error: Exception) -> None:
        """The forward of an op refused its inputs; `error` goes on to the caller."""

    def on_pass_begin(self, work: BackwardPass) -> bool | None:
        """`backward()` or `autograd.grad` is about to run a pass.

        Return True to take the pass over: this method has then driven it (through a debugger, say), as far as it
        wanted, and the engine does nothing more. The newest observer is asked first; who comes after one that took
        over is not asked. Passes that begin inside another pass or inside this method are left alone.
        """
        return None

    def on_node_begin(self, node: Node, upstream: Tensor) -> None:
        """A pass is about to do `node`, at which the gradient `upstream` has arrived (before hooks)."""

    def on_node_end(self, node: Node, upstream: Tensor, downstream: Any) -> None:
        """A pass did `node`: `upstream` behind its hooks, and per input what it handed on (None: nothing)."""

    def on_pass_end(self, work: BackwardPass) -> None:
        """The pass of `on_pass_begin` is over."""

    def on_pass_failed(self, work: BackwardPass, error: BaseException) -> None:
        """The pass of `on_pass_begin` ended with `error`, which goes on to the caller; `work.failure` says where."""


class _Functions(Observer):
    """An observer made of functions."""

    def __init__(self, on_record: Any, on_backward: Any) -> None:
        if on_record is not None:
            self.on_record = on_record  # type: ignore[method-assign]
        if on_backward is not None:
            self.on_node_end = on_backward  # type: ignore[method-assign]


@contextlib.contextmanager
def observing(
    observer: Observer | None = None, *, on_record: Callable[[Node, np.ndarray], None] | None = None,
    on_backward: Callable[[Node, Any, Any], None] | None = None,
) -> Iterator[Any]:  # fmt: skip
    """Tell `observer` of this thread's work inside the block. Observers nest, and may end in any order.

    For a single event there is no need of a class: `on_record` is `Observer.on_record`, and `on_backward` is
    `Observer.on_node_end`.
    """
    observer = observer if observer is not None else _Functions(on_record, on_backward)
    now = state.now
    _enter(now, (*now.observers, observer))
    try:
        yield observer
    finally:
        rest = list(now.observers)
        for k in reversed(range(len(rest))):
            if rest[k] is observer:
                del rest[k]
                break
        _enter(now, tuple(rest))


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Tell nobody of this thread's work inside the block: for looking at a graph without leaving a trace."""
    now = state.now
    before = now.observers
    _enter(now, ())
    try:
        yield
    finally:
        _enter(now, before)


#: What is called with each outermost pass of whatever thread; see `on_every_pass`.
EVERY_PASS: list[Callable[[BackwardPass], None]] = []


@contextlib.contextmanager
def on_every_pass(fn: Callable[[BackwardPass], None]) -> Iterator[None]:
    """Inside the block, call ``fn(work)`` when a pass begins in any thread of the process, in that thread.

    Observers belong to one thread; this is how a debugger learns that another thread ran a pass too. `fn` cannot
    take the pass over.
    """
    EVERY_PASS.append(fn)
    try:
        yield
    finally:
        EVERY_PASS.remove(fn)


@contextlib.contextmanager
def keep_values(*, stack: bool = False) -> Iterator[None]:
    """Keep each node's output in `node.value` (and its creating Python frames in `node.stack`).

    Without it a node keeps only what its rules need. The arrays are kept by reference, not copied.
    """

    def keep(node: Node, out: np.ndarray) -> None:
        node.value = out
        if stack:
            node.stack = calling_stack(4)

    with observing(on_record=keep):
        yield


def _enter(now: Now, observers: tuple[Observer, ...]) -> None:
    """Make these the observers of a thread."""
    now.observers = observers
    recorders: list[Any] = [o.on_record for o in observers if _listens(o, "on_record")]
    unrecorded = [o.on_unrecorded for o in observers if _listens(o, "on_unrecorded")]
    failed = [o.on_failed for o in observers if _listens(o, "on_failed")]
    if unrecorded and not recorders:
        recorders = [_nothing]  # the fast paths, which tell nobody of anything, ask for `on_record` alone
    now.on_record = _joined(recorders)
    now.on_unrecorded, now.on_failed = _joined(unrecorded), _joined(failed)
    now.on_visit = tuple(o for o in observers if _listens(o, "on_node_begin", "on_node_end")) or None
    now.on_pass = (
        tuple(o for o in observers if _listens(o, "on_pass_begin", "on_pass_end", "on_pass_failed")) or None
    )


def _listens(observer: Observer, *events: str) -> bool:
    return any(
        getattr(getattr(observer, event), "__func__", None) is not getattr(Observer, event) for event in events
    )


def _nothing(*_args: Any) -> None:
    pass


def _joined(functions: list[Any]) -> Any:
    return None if not functions else functions[0] if len(functions) == 1 else _all(functions)


def _all(functions: list[Callable[..., None]]) -> Callable[..., None]:
    def each(*args: Any) -> None:
        for fn in functions:
            fn(*args)

    return each
