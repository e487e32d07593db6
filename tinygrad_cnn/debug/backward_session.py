"""A session with all that can be asked of it: the object that people and front ends hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinygrad_cnn import bridge
from tinygrad_cnn.autograd.inspect import BackwardPass
from tinygrad_cnn.bridge.passes import Pass
from tinygrad_cnn.debug import replay, snapshot
from tinygrad_cnn.debug.breakpoints import Breakpoints
from tinygrad_cnn.debug.check import Check, check_node
from tinygrad_cnn.debug.engine_pass import EnginePass
from tinygrad_cnn.debug.explain import explain_entry
from tinygrad_cnn.debug.paused import Stop
from tinygrad_cnn.debug.session import Session


class BackwardSession(Session):
    """A paused backward pass of `outputs` (a tensor or several).

        s = BackwardSession(loss)
        s.run_until("features.0")        # any selector or condition
        s.node, s.upstream, s.downstream
        s.step(); s.back(); s.explain(s.node, (0, 2)); s.check()
        s.finish()                       # exactly what loss.backward() would have left

    Parameters
        outputs, seeds: as in `autograd.backward`: ∂L/∂output, ones for a scalar. Tensors of PyTorch are stepped
            through in PyTorch's own graph (see `bridge`), without `inputs`
        retain_graph, create_graph: as in `Tensor.backward`
        inputs: only paths to these are followed (`autograd.grad`); their gradients are in `captured`
        accumulate: with `inputs`, write the `.grad` of those that are leaves all the same
        breakpoints: a table to share with other sessions
        scopes: mappings (a frame's locals and globals) in which expressions find the user's names

    Attributes
        node: the node it is paused before; None at the end of the pass
        position, total: how many nodes are done, and how many there are
        stop: why it stands here
        breakpoints, watches: the tables

    Raises RuntimeError as `backward` does: outputs without a graph, no seed for a non-scalar output, a graph
    that was released. As a context manager it finishes on leaving, or puts everything back on an error.
    """

    def __init__(
        self, outputs: Any, seeds: Any = None, *, retain_graph: bool | None = None, create_graph: bool = False,
        inputs: Any = None, accumulate: bool = True, breakpoints: Breakpoints | None = None,
        scopes: Sequence[Mapping[str, Any]] = (),
    ) -> None:  # fmt: skip
        begin = bridge.pass_of_torch if bridge.is_torch(outputs) else EnginePass.of
        work: Pass = begin(
            outputs,
            seeds,
            inputs,
            create_graph=create_graph,
            retain_graph=retain_graph,
            accumulate=accumulate,
        )
        super().__init__(work, breakpoints=breakpoints, scopes=scopes)

    @classmethod
    def on(
        cls, work: Pass, *, breakpoints: Breakpoints | None = None, scopes: Sequence[Mapping[str, Any]] = ()
    ) -> BackwardSession:
        """A session on a pass of whatever engine."""
        self = cls.__new__(cls)
        Session.__init__(self, work, breakpoints=breakpoints, scopes=scopes)
        return self

    @classmethod
    def of_pass(cls, work: BackwardPass, *, arrived: Any = None, **options: Any) -> BackwardSession:
        """A session on a pass that is under way: one that failed at its last node, with `arrived` its upstream.

        It cannot go back beyond that node, since an ordinary pass keeps no undo log.
        """
        return cls.on(EnginePass(work, arrived), **options)

    def state(self) -> dict[str, Any]:
        """Where it stands as plain data, ready for JSON; see `snapshot.describe`."""
        return snapshot.describe(self)

    def where(self) -> list[dict[str, Any]]:
        """The stack as plain data: the node, the modules around it, the Python frames that made it."""
        return snapshot.frames(self)

    def history(self) -> list[dict[str, Any]]:
        """The steps done so far as plain data: step, label, op, module, norm of upstream, edits."""
        return snapshot.history(self)

    def gradient_summary(self, node: Any) -> dict[str, Any] | None:
        """`gradient_of` as a plain summary with a picture."""
        return snapshot.summary(self.gradient_of(node), pixels=snapshot.PIXELS, signed=True)

    def check(self, node: Any = None, **options: Any) -> Check:
        """The node's rule against numerical differentiation in float64; see `check.check_node`."""
        return check_node(self, node or self._paused(), **options)

    def explain(self, node: Any = None, index: Any = None, input: int | None = None) -> Any:
        """One entry of the gradient of an input (of a leaf, its own), as the sum it is; see `explain.explain_entry`.

        Returns an `Explanation`, of a leaf a `Received`; `str` writes either out.
        """
        return explain_entry(self, node or self._paused(), index, input)

    def into(self) -> BackwardSession:
        """A session inside the paused node: the backward pass of its definition in smaller ops.

        It writes no `.grad`; what it finds is in `captured`. Raises UsageError for ops without parts.
        """
        node = self._paused()
        work = self._pass.inside(node, self.upstream)
        inner = BackwardSession.on(work, breakpoints=self.breakpoints, scopes=self.user_scopes)
        inner.stop = Stop("start", f"inside {self.label(node)}")
        return inner

    def record(self, path: Any, *, title: str = "") -> Path:
        """Write the whole pass as a replay file, or with ``.html`` as the page that plays it; see `replay.write`."""
        here = self.position
        self.run_to_end()
        visits = self.visits()
        try:
            return replay.write(self, visits, path, title=title)
        finally:
            self.return_to(here)
