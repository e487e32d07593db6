"""What each thread is doing: is the graph recorded, under which module call, and who observes it.

Every op reads `state.now` once per call, so it is one plain object per thread and nothing more. The switches
that users know (`no_grad` and the others) are in `modes`; observers are entered by `observe`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.scope import Scope


class Now:
    """The state of one thread."""

    __slots__ = (
        "grad", "inference", "observers", "on_failed", "on_pass", "on_record", "on_unrecorded", "on_visit", "paused",
        "running", "scope",
    )  # fmt: skip

    def __init__(self) -> None:
        self.grad = True
        self.inference = False
        self.scope: Scope | None = None
        #: The observers of this thread, oldest first. The `on_…` slots follow from it (see `observe`); each is
        #: None while nobody listens, which is the one test that an op and a pass make.
        self.observers: tuple[Any, ...] = ()
        self.on_record: Callable[[Any, np.ndarray], None] | None = None
        self.on_unrecorded: Callable[..., None] | None = None
        self.on_failed: Callable[..., None] | None = None
        self.on_visit: tuple[Any, ...] | None = None
        self.on_pass: tuple[Any, ...] | None = None
        #: The backward passes that this thread runs, outermost first.
        self.running: list[Any] = []
        #: Weak references to passes that are driven step by step, from their first step on.
        self.paused: list[Any] = []


class _State(threading.local):
    """The calling thread's state. Hot paths read `state.now` once and then its plain slots."""

    def __init__(self) -> None:
        self.now = Now()

    grad = property(lambda self: self.now.grad, lambda self, on: setattr(self.now, "grad", on))
    inference = property(lambda self: self.now.inference, lambda self, on: setattr(self.now, "inference", on))
    scope = property(lambda self: self.now.scope, lambda self, scope: setattr(self.now, "scope", scope))


state = _State()
