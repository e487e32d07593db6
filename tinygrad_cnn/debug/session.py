"""The session: a pass that stops where you like, goes back, and can be edited.

A plain state machine over a `Pass`; nothing runs behind its back and no hook blocks. It is always paused *before* a
node: the upstream gradient has arrived, nothing has been handed on yet. What can be asked of it stands in files of
their own (`snapshot`, `explain`, `check`); `backward_session` puts both together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.inspect import dense
from tinygrad_cnn.bridge.passes import Pass, Step, Visit
from tinygrad_cnn.debug.breakpoints import Breakpoints
from tinygrad_cnn.debug.conditions import Namespace
from tinygrad_cnn.debug.paused import Stop, Watch
from tinygrad_cnn.debug.walking import Walk
from tinygrad_cnn.support.errors import UsageError

ndarray = np.ndarray


class _Edit(NamedTuple):
    text: str
    undo: Callable[[], None]


@dataclass
class _Edits:
    """What was changed since the last step; `edges` is what the paused node will hand on, by input."""

    done: list[_Edit] = field(default_factory=list)
    edges: dict[int, Any] = field(default_factory=dict)


class _Done(NamedTuple):
    node: Any
    step: Step
    edits: _Edits


class Session(Walk):
    """A paused pass: see `BackwardSession`, which says more of it."""

    def __init__(
        self, work: Pass, *, breakpoints: Breakpoints | None = None, scopes: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._pass = work
        self.nodes = list(work.nodes)
        self.names = work.names(scopes)
        self.breakpoints = breakpoints if breakpoints is not None else Breakpoints()
        self.watches: list[Watch] = []
        self.user_scopes = list(scopes)
        #: How many of the outermost Python frames belong to whoever started the program, not to it.
        self.hidden_frames = 0
        #: Which backward pass of the program this is, from 1, where somebody counts them.
        self.number = 1
        #: Whether a program waits for this pass, and may have others.
        self.in_program = False
        #: Whatever must live as long as the session does; a graph holds its leaves' tensors by weak references.
        self.kept_alive: Any = None
        self.closed = False
        self.error: BaseException | None = None
        self._log: list[_Done] = []
        self._edits = _Edits()
        self._index = {node.seq: k for k, node in enumerate(self.nodes)}
        self._forget()
        self.stop = Stop("start", "start of the backward pass")

    # --- where it stands -------------------------------------------------------------------------

    @property
    def position(self) -> int:
        return self._pass.position

    @property
    def last(self) -> Any:
        """The node that was done last; None at the start."""
        return self._log[-1].node if self._log else None

    @property
    def upstream(self) -> ndarray:
        """∂L/∂y of the paused node, before its hooks ran. Raises UsageError at the end of the pass."""
        if self._upstream is None:
            self._upstream = dense(self._pass.arrived(self._paused()))
        return self._upstream

    @property
    def downstream(self) -> list[ndarray | None]:
        """Per input of the paused node, what its step will hand back (None where none is wanted).

        Computed without its hooks and without changing anything. Raises what the rule raises.
        """
        if self._downstream is None:
            parents = self._paused().parents
            found = self._pass.preview() if parents else []
            edges = self._edits.edges
            self._downstream = [
                None if p is None or d is None else dense(edges.get(i, d))
                for i, (p, d) in enumerate(zip(parents, found, strict=True))
            ]
        return self._downstream

    @property
    def captured(self) -> list[Any]:
        """With `inputs`: their gradients so far, in the order given."""
        return self._pass.captured

    def edited_edge(self, input: int) -> bool:
        """Whether what the paused node hands to this input was edited."""
        return input in self._edits.edges

    @property
    def pending_edits(self) -> list[str]:
        """What was edited since the last step."""
        return [edit.text for edit in self._edits.done]

    @property
    def hooked(self) -> bool:
        """Whether the user's hooks will see, and may replace, gradients at the paused node."""
        return self.node is not None and self.node.hooks is not None

    def value_of(self, node: Any) -> ndarray | None:
        """The node's value, if anything still holds it (run under `autograd.observe.keep_values` to keep all)."""
        return self._pass.value_of(node)

    def input_values(self, node: Any = None) -> list[ndarray | None]:
        """The values of the inputs of a node (the paused one), None where nothing holds one."""
        return self._pass.input_values(node or self._paused())

    def cannot_rerun(self, node: Any) -> str:
        """Why the node's forward cannot be run again, which a check needs; empty when it can."""
        return self._pass.cannot_rerun(node)

    def gradient_of(self, node: Any) -> ndarray | None:
        """The gradient that has arrived at a node so far; of one already done, what its step used."""
        arrived = self.arrived(node)
        if arrived is not None:
            return arrived
        for done in reversed(self._log):
            if done.node is node:
                return dense(done.step.upstream)
        tensor = node.tensor
        return tensor.grad.array if tensor is not None and tensor.grad is not None else None

    def arrived(self, node: Any) -> ndarray | None:
        """The gradient that waits at a node which is not done yet; None where nothing has arrived."""
        g = self._pass.arrived(node)
        return None if g is None else dense(g)

    def visits(self) -> list[Visit]:
        """The steps done so far, oldest first."""
        return [_visit(done) for done in self._log]

    @property
    def last_visit(self) -> Visit | None:
        """The step done last; None at the start."""
        return _visit(self._log[-1]) if self._log else None

    @property
    def namespace(self) -> Namespace:
        """The names an expression may use at this stop."""
        if self._names_here is None:
            self._names_here = Namespace(self)
        return self._names_here

    @property
    def nbytes(self) -> int:
        """Bytes of the gradients that are held so that it can go back."""
        arrays: dict[int, int] = {}
        for _, step, _ in self._log:
            for g in (step.arrived, *step.downstream, *step.before.values()):
                array = unwrap(g)
                if isinstance(array, ndarray):
                    owner = array if array.base is None else array.base
                    arrays[id(owner)] = getattr(owner, "nbytes", array.nbytes)
        return sum(arrays.values())

    def rule(self) -> Any:
        """The paused node's backward rule as (function, arguments, keyword arguments); see `Pass.rule`."""
        return self._pass.rule(self._paused(), self.upstream)

    # --- the end ---------------------------------------------------------------------------------

    def run_to_end(self) -> None:
        """Do all the rest, breakpoints or not, without ending the session."""
        while self._advance():
            pass

    def return_to(self, position: int) -> None:
        """Stand again where it stood, without becoming another stop."""
        self._move_to(position)

    def finish(self) -> None:
        """Do the rest without stopping and end the session, leaving exactly what `backward()` leaves."""
        if not self.closed:
            self.run_to_end()
            self._pass.release()
            self._close("finished")

    def abort(self) -> None:
        """End the session and put everything back: every `.grad` as it was before, the graph unused."""
        if not self.closed:
            while self._undo():
                pass
            self._undo_edits()
            self._close("abandoned; every .grad is as it was before")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *_exc: Any) -> None:
        self.finish() if kind is None else self.abort()

    # --- editing ---------------------------------------------------------------------------------

    def edit(
        self, gradient: Any = None, *, node: Any = None, input: int | None = None, value: Any = None,
        index: Any = None,
    ) -> Stop:  # fmt: skip
        """Change a number of the pass; everything behind it uses the new one. `back` undoes it.

        No array that anybody else may hold is written to: a new one takes its place.

        Parameters
            gradient: the new gradient, of the right shape or a number for all entries
            node: whose (the paused one); it must not be done yet
            input: change only what the paused node hands to this input
            value: instead of a gradient, a new value of the node, for the rules that read it
                (the tensors themselves are not touched)
            index: change only this entry (or slice)

        Raises UsageError for a node that is done, a shape that does not fit, or a value nobody saved.
        """
        here = self._paused()
        node = node or here
        label = self.label(node)
        if (gradient is None) == (value is None):
            raise UsageError("edit expects either a gradient or value=…, and one of them")
        if value is not None:
            undo = self._pass.set_value(node, _replaced(self.value_of(node), value, index, node))
            if undo is None:
                raise UsageError(f"edit: no rule of this pass reads the value of {label}")
            what = f"the value of {label}"
        elif input is not None:
            undo, what = self._edit_edge(node, input, gradient, index), f"what {label} hands to input {input}"
        else:
            if self._index.get(node.seq, -1) < self.position:
                step = self._index.get(node.seq, 0) + 1
                raise UsageError(f"edit: {label} is done (step {step}); goto it first")
            undo = self._pass.set_gradient(node, _replaced(self.arrived(node), gradient, index, node))
            what = f"the gradient of {label}"
        what = f"edited {what}" + ("" if index is None else f" at {index}")
        self._edits.done.append(_Edit(what, undo))
        self._forget()
        return self._stopped("edit", what)

    def _edit_edge(self, node: Any, input: int, gradient: Any, index: Any) -> Callable[[], None]:
        if node is not self.node:
            raise UsageError("edit(input=…) changes what the paused node hands on; goto that node first")
        if not 0 <= input < len(node.parents) or node.parents[input] is None:
            raise UsageError(f"edit: no gradient flows to input {input} of {node.op.name}")
        edges = self._edits.edges
        old = dict(edges)
        edges[input] = _replaced(self.downstream[input], gradient, index, node.parents[input])

        def undo() -> None:
            edges.clear()
            edges.update(old)

        return undo

    # --- the mechanics ---------------------------------------------------------------------------

    _upstream: ndarray | None = None
    _downstream: list[ndarray | None] | None = None
    _names_here: Namespace | None = None

    def _forget(self) -> None:
        """Forget what was computed about the last stop."""
        self._upstream = self._downstream = self._names_here = None

    def _advance(self) -> bool:
        """Do the paused node. On an error, everything is as before and the error goes on."""
        self._open()
        node = self.node
        if node is None:
            return False
        try:
            step = self._pass.advance(self._edits.edges)
        except BaseException as error:
            self.error = error
            self._forget()
            self._stopped("exception", f"{type(error).__name__} in {node.op.name}.backward: {error}")
            raise
        self._log.append(_Done(node, step, self._edits))
        self._edits = _Edits()
        self._forget()
        return True

    def _undo(self) -> bool:
        self._undo_edits()
        if not self._log:
            return False
        _, step, self._edits = self._log.pop()
        step.undo()
        self._forget()
        return True

    def _undo_edits(self) -> None:
        for edit in reversed(self._edits.done):
            edit.undo()
        self._edits.done.clear()
        self._forget()

    def _close(self, text: str) -> None:
        self.closed = True
        self._log.clear()
        self._edits = _Edits()
        self._forget()
        self.stop = Stop("closed", text)

    def __repr__(self) -> str:
        place = "over" if self.closed else f"step {min(self.position + 1, self.total)} of {self.total}"
        node = self.node
        at = f": {self.label(node)}" if node is not None else ""
        return f"<{type(self).__name__} {place}{at} ({self.stop.text})>"


def _visit(done: _Done) -> Visit:
    node, step, edits = done
    return Visit(
        node,
        dense(step.upstream),
        tuple(None if d is None else dense(d) for d in step.downstream),
        {seq: None if g is None else dense(g) for seq, g in step.before.items()},
        tuple(edit.text for edit in edits.done),
    )


def _replaced(old: ndarray | None, new: Any, index: Any, node: Any) -> ndarray:
    """A fresh array of the node's shape: `new`, or `old` with `new` at `index`."""
    try:
        given = np.asarray(unwrap(new), dtype=node.dtype)
        if index is None:
            return np.broadcast_to(given, node.shape).copy()
        fresh = np.zeros(node.shape, node.dtype) if old is None else np.array(old, dtype=node.dtype)
        fresh[index] = given
        return fresh
    except (ValueError, TypeError, IndexError) as error:
        raise UsageError(
            f"edit expected a number or an array of shape {tuple(node.shape)}: {error}"
        ) from None
