"""Stops in the forward pass: where a chosen node was just made, Python's own debugger opens in the user's frame.

The backward debugger walks nodes that exist already; the forward pass is the user's code, which pdb walks best.
So this only finds the place, says what was made there, and hands over.
"""

from __future__ import annotations

import pdb
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.inspect import Node
from tinygrad_cnn.debug import snapshot
from tinygrad_cnn.debug.attach import user_frames
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.debug.selectors import parse


class ForwardStops:
    """What `observing(on_record=…)` calls: opens pdb where one of the selectors holds.

    Conditions speak of the result: `value` (or `y`), `norm`, `nan`, `inf`, `nonfinite`, `op`, `module`, `shape`,
    `dtype`, `node`, `np`, and names of the user's frame. Raises UsageError for a selector that is none.
    """

    def __init__(
        self, texts: Sequence[str], show: Callable[[list[Any]], None], *, file: str | None = None
    ) -> None:
        self.queries = [parse(text, file=file) for text in texts]
        self.show = show
        self.stops = 0
        #: From the node that was chosen to the prompt's end: what is made in between does not stop again.
        self.busy = False

    def __call__(self, node: Node, out: np.ndarray) -> None:
        if self.busy:
            return
        for query in self.queries:
            if query.selector is None or query.selector.matches(node, name=node.name):
                frame = next(iter(user_frames()), None)
                if frame is not None and self._holds(query.condition, node, out, frame):
                    self._stop(node, out, query.text, frame)
                    return

    def _holds(self, condition: str | None, node: Node, out: np.ndarray, frame: FrameType) -> bool:
        """As for breakpoints, a condition that cannot be evaluated stops, and says why."""
        if condition is None:
            return True
        try:
            with np.errstate(all="ignore"):
                return bool(np.any(eval(condition, _names(node, out, frame))))
        except Exception as error:
            self.show([f"*** {condition!r}: {type(error).__name__}: {error}"])
            return True

    def _stop(self, node: Node, out: np.ndarray, text: str, frame: FrameType) -> None:
        self.stops += 1
        self.busy = True
        label = f"{node.op.name} {node.module}".rstrip()
        with np.errstate(all="ignore"):
            self.show([f"forward · {text} · {label} made {snapshot.show(out)}"])
        _Pdb(self).watch(frame)


#: Modules that `n` and `s` walk past.
_SKIPPED = [
    f"tinygrad_cnn.{room}*"
    for room in ("autograd", "ops", "kernels", "nn", "optim", "tensor", "utils", "debug")
]


class _Pdb(pdb.Pdb):
    """Stands at the end of the line that is being run in a frame."""

    def __init__(self, owner: ForwardStops) -> None:
        super().__init__(skip=_SKIPPED, nosigint=True, readrc=False)
        self.owner = owner
        self.prompt = "(Pdb) "

    def watch(self, frame: FrameType) -> None:
        self.reset()
        # As `set_trace`, but for the next event of this frame: the engine's own frames in between are nobody's.
        above: FrameType | None = frame
        while above is not None:
            above.f_trace = self.trace_dispatch
            self.botframe = above
            above = above.f_back
        self.set_next(frame)
        sys.settrace(self.trace_dispatch)

    def interaction(self, frame: Any, traceback: Any) -> None:
        self.owner.busy = True
        try:
            super().interaction(frame, traceback)
        finally:
            self.owner.busy = False


def _names(node: Node, out: np.ndarray, frame: FrameType) -> dict[str, Any]:
    """What a condition may say."""
    floats = out.dtype.kind == "f"
    nan, inf = (int(test(out).sum()) if floats else 0 for test in (np.isnan, np.isinf))
    return {
        **frame.f_globals, **frame.f_locals, "np": np, "node": node, "op": node.op.name, "module": node.module,
        "shape": tuple(node.shape), "dtype": node.dtype, "value": out, "y": out, "norm": norm(out),
        "nan": nan, "inf": inf, "nonfinite": nan + inf,
    }  # fmt: skip
