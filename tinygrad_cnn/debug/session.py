"""The session: a backward pass that stops where you like, goes back, and can be asked and edited.

A plain object over `BackwardPass`; nothing runs behind its back and no hook blocks. It is always paused
*before* a node: the upstream gradient has arrived, nothing has been handed on yet. Every front end
(`terminal`, the DAP server, the replay writer) is a skin over this file and over `snapshot`, which turns
where it stands into plain data.

Memory: until `finish`, every gradient of the pass stays alive (the undo log holds references, never
copies), and so does what the nodes saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.backward import backward_roots
from tinygrad_cnn.autograd.backward_pass import BackwardPass, Lazy
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.hooks import Hooks, add_hook
from tinygrad_cnn.autograd.inspect import lay_out, leaf_names, saved_values, value_of, values_of
from tinygrad_cnn.debug.breakpoints import Breakpoints
from tinygrad_cnn.debug.conditions import Namespace
from tinygrad_cnn.debug.editing import MISSING, edit_edge, edit_gradient, edit_value, put
from tinygrad_cnn.debug.walking import Stop, Walk, Watch
from tinygrad_cnn.support.errors import UsageError

if TYPE_CHECKING:
    from tinygrad_cnn.debug.check import Check

ndarray = np.ndarray


class Visit(NamedTuple):
    """A node that the pass has been through: what came, what it handed on, what had been there before."""

    node: Node
    upstream: Any
    downstream: tuple[Any, ...]
    before: dict[int, Any]
    edits: tuple[str, ...]


@dataclass
class _Undo:
    """What one step replaced: references only, O(inputs of the node)."""

    position: int
    node: Node
    arrived: Any
    grads: dict[int, Any]
    owned: set[int]
    captured: Any
    tensor: Any
    grad: Any
    hooks: Any
    edge_edits: dict[int, Any]
    upstream: Any = None
    downstream: tuple[Any, ...] = ()
    edits: list[_Edit] = field(default_factory=list)


class _Edit(NamedTuple):
    text: str
    undo: Callable[[], None]


class BackwardSession(Walk):
    """A paused backward pass of `outputs` (a tensor or several).

        s = BackwardSession(loss)
        s.run_until("features.0")        # any selector or condition
        s.node, s.upstream, s.downstream
        s.step(); s.back(); s.explain(s.node, (0, 2)); s.check()
        s.finish()                       # exactly what loss.backward() would have left

    Parameters
        outputs, seeds: as in `autograd.backward`: ∂L/∂output, ones for a scalar
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
        roots, given, wanted = backward_roots(outputs, seeds, create_graph, inputs)
        self._set_up(
            BackwardPass(
                roots, given, create_graph=create_graph, retain_graph=retain_graph, inputs=wanted,
                accumulate=accumulate, keep=True,
            ),
            breakpoints, scopes,
        )  # fmt: skip

    @classmethod
    def of_pass(
        cls, work: BackwardPass, *, arrived: Any = None, breakpoints: Breakpoints | None = None,
        scopes: Sequence[Mapping[str, Any]] = (),
    ) -> BackwardSession:  # fmt: skip
        """A session on a pass that is under way: one that failed at its last node, with `arrived` its upstream.

        It cannot go back beyond that node, since an ordinary pass keeps no undo log.
        """
        self = cls.__new__(cls)
        if arrived is not None:
            work.position -= 1
            work.grads[work.order[work.position].seq] = arrived
        work.keep, work.deferred = True, not work.retain_graph
        self._set_up(work, breakpoints, scopes)
        return self

    def _set_up(
        self, work: BackwardPass, breakpoints: Breakpoints | None, scopes: Sequence[Mapping[str, Any]]
    ) -> None:
        self._pass = work
        self.nodes: list[Node] = work.order
        lay_out(self.nodes)  # what fused ops did not write down is looked at now
        self.names = _variables(self.nodes, scopes) | leaf_names(self.nodes)
        self.breakpoints = breakpoints if breakpoints is not None else Breakpoints()
        self.watches: list[Watch] = []
        self.user_scopes = list(scopes)
        #: How many of the outermost Python frames belong to whoever started the program, not to it.
        self.hidden_frames = 0
        #: Which backward pass of the program this is, from 1, where somebody counts them.
        self.number = 1
        self.closed = False
        self.error: BaseException | None = None
        self._log: list[_Undo] = []
        self._edits: list[_Edit] = []  # since the last step
        self._edge_edits: dict[int, Any] = {}  # of the paused node, by input
        self._restore_values: list[Callable[[], None]] = []
        self._edited_values: dict[int, Any] = {}
        self._value_cache: dict[int, ndarray] | None = None
        self._index = {node.seq: k for k, node in enumerate(self.nodes)}
        self._settle()
        self.stop = Stop("start", "start of the backward pass")

    # --- where it stands -------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many nodes are behind; the paused one is number ``position + 1`` of `total`."""
        return self._pass.position

    @property
    def node(self) -> Node | None:
        """The node it is paused before; None at the end of the pass."""
        return super().node

    @property
    def last(self) -> Node | None:
        """The node that was done last; None at the start."""
        return self._log[-1].node if self._log else None

    @property
    def upstream(self) -> ndarray:
        """∂L/∂y of the paused node, before its hooks ran. Raises UsageError at the end of the pass."""
        if self._upstream is None:
            self._upstream = _array(self._pass.grads[self._paused().seq])
        return self._upstream

    @property
    def downstream(self) -> list[ndarray | None]:
        """Per input of the paused node, what its step will hand back (None where none is wanted).

        Computed without its hooks and without changing anything. Raises what the rule raises.
        """
        if self._downstream is None:
            self._downstream = self._preview()
        return self._downstream

    @property
    def captured(self) -> list[Any]:
        """With `inputs`: their gradients so far, in the order given."""
        return list((self._pass.captured or {}).values())

    @property
    def create_graph(self) -> bool:
        return self._pass.create_graph

    def edited_edge(self, input: int) -> bool:
        """Whether what the paused node hands to this input was edited."""
        return input in self._edge_edits

    @property
    def hooked(self) -> bool:
        """Whether the user's hooks will see, and may replace, gradients at the paused node."""
        return self.node is not None and self.node.hooks is not None

    def value_of(self, node: Node) -> ndarray | None:
        """The node's value, if anything still holds it (run under `autograd.observe.keep_values` to keep all)."""
        own = self._edited_values.get(node.seq)
        own = value_of(node) if own is None else own
        if own is not None:
            return own
        if self._value_cache is None:
            self._value_cache = values_of([n for n in self.nodes if isinstance(n.saved, tuple)])
        return self._value_cache.get(node.seq)

    def input_values(self, node: Node | None = None) -> list[ndarray | None]:
        """The values of the inputs of a node (the paused one), None where nothing holds one."""
        node = node or self._paused()
        saved = node.saved if isinstance(node.saved, tuple) else ()
        values: list[ndarray | None] = []
        for i, parent in enumerate(node.parents):
            value = saved[i + 1] if i + 1 < len(saved) else None
            if not isinstance(value, (ndarray, np.generic, int, float, complex)) and parent is not None:
                value = self.value_of(parent)
            values.append(
                np.asarray(value) if isinstance(value, (ndarray, np.generic, int, float, complex)) else None
            )
        return values

    def gradient_of(self, node: Node) -> ndarray | None:
        """The gradient that has arrived at a node so far; of one already done, what its step used."""
        if node.seq in self._pass.grads:
            return _array(self._pass.grads[node.seq])
        for done in reversed(self._log):
            if done.node is node:
                return _array(done.upstream)
        tensor = node.tensor
        return tensor.grad.array if tensor is not None and tensor.grad is not None else None

    def gradient_summary(self, node: Node) -> dict[str, Any] | None:
        """`gradient_of` as a plain summary with a picture."""
        from tinygrad_cnn.debug.snapshot import PIXELS, summary

        return summary(self.gradient_of(node), pixels=PIXELS, signed=True)

    def arrived(self, node: Node) -> ndarray | None:
        """The gradient that waits at a node which is not done yet; None where nothing has arrived."""
        g = self._pass.grads.get(node.seq)
        return None if g is None else _array(g)

    def visits(self) -> list[Visit]:
        """The steps done so far, oldest first."""
        return [_visit(undo) for undo in self._log]

    @property
    def last_visit(self) -> Visit | None:
        """The step done last; None at the start."""
        return _visit(self._log[-1]) if self._log else None

    def state(self) -> dict[str, Any]:
        """Where it stands as plain data, ready for JSON; see `snapshot.describe`."""
        from tinygrad_cnn.debug.snapshot import describe

        return describe(self)

    def where(self) -> list[dict[str, Any]]:
        """The stack as plain data: the node, the modules around it, the Python frames that made it."""
        from tinygrad_cnn.debug.snapshot import frames

        return frames(self)

    def history(self) -> list[dict[str, Any]]:
        """The steps done so far as plain data: step, label, op, module, norm of upstream, edits."""
        from tinygrad_cnn.debug.snapshot import history

        return history(self)

    def run_to_end(self) -> None:
        """Do all the rest, breakpoints or not, without ending the session."""
        while self._advance():
            pass

    def return_to(self, position: int) -> None:
        """Stand again where it stood, without becoming another stop."""
        self._move_to(position)

    # --- the end ---------------------------------------------------------------------------------

    def finish(self) -> None:
        """Do the rest without stopping and end the session, leaving exactly what `backward()` leaves."""
        if self.closed:
            return
        while self._advance():
            pass
        for restore in reversed(self._restore_values):
            restore()
        self._pass.release()
        self._close("finished")

    def abort(self) -> None:
        """End the session and put everything back: every `.grad` as it was before, the graph unused."""
        if self.closed:
            return
        while self._undo():
            pass
        self._undo_edits()
        self._close("abandoned; every .grad is as it was before")

    def __enter__(self) -> BackwardSession:
        return self

    def __exit__(self, kind: Any, *_exc: Any) -> None:
        self.finish() if kind is None else self.abort()

    # --- asking ----------------------------------------------------------------------------------

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
        for undo in self._log:
            for g in (undo.arrived, *undo.downstream, *undo.grads.values()):
                array = unwrap(g)
                if isinstance(array, ndarray):
                    owner = array if array.base is None else array.base
                    arrays[id(owner)] = getattr(owner, "nbytes", array.nbytes)
        return sum(arrays.values())

    def check(self, node: Node | None = None, **options: Any) -> Check:
        """The node's rule against numerical differentiation in float64; see `check.check_node`."""
        from tinygrad_cnn.debug.check import check_node

        return check_node(self, node or self._paused(), **options)

    def explain(self, node: Node | None = None, index: Any = None, input: int | None = None) -> Any:
        """One entry of the gradient of an input (of a leaf, its own), as the sum it is; see `explain.explain_entry`.

        Returns an `Explanation`, of a leaf a `Received`; `str` writes either out.
        """
        from tinygrad_cnn.debug.explain import explain_entry

        return explain_entry(self, node or self._paused(), index, input)

    def into(self) -> BackwardSession:
        """A session inside the paused node: the backward pass of its definition in smaller ops.

        It writes no `.grad`; what it finds is in `captured`. Raises UsageError for ops without parts.
        """
        from tinygrad_cnn.debug.parts import session_inside

        return session_inside(self)

    def record(self, path: Any, **options: Any) -> Any:
        """Write the whole pass as a replay file; see `replay.write`."""
        from tinygrad_cnn.debug.replay import write

        return write(self, path, **options)

    # --- editing ---------------------------------------------------------------------------------

    def edit(
        self, gradient: Any = None, *, node: Node | None = None, input: int | None = None, value: Any = None,
        index: Any = None,
    ) -> Stop:  # fmt: skip
        """Change a number of the pass; everything behind it uses the new one. `back` undoes it.

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
        if (gradient is None) == (value is None):
            raise UsageError("edit expects either a gradient or value=…, and one of them")
        if value is not None:
            undo, what = edit_value(self, node, value, index)
        elif input is not None:
            undo, what = edit_edge(self, node, input, gradient, index)
        else:
            undo, what = edit_gradient(self, node, gradient, index)
        self._edits.append(_Edit(what, undo))
        self._upstream = self._downstream = self._names_here = None
        return self._stopped("edit", what)

    # --- the mechanics ---------------------------------------------------------------------------

    _upstream: ndarray | None = None
    _downstream: list[ndarray | None] | None = None
    _names_here: Namespace | None = None
    _kept_alive: Any = None

    def _settle(self) -> None:
        """Skip nodes that no gradient reaches, and forget what was computed about the last stop."""
        work = self._pass
        while work.position < len(work.order) and work.order[work.position].seq not in work.grads:
            work.position += 1
        self._upstream = self._downstream = self._names_here = None

    def _advance(self) -> bool:
        """Do the paused node. On an error, everything is as before and the error goes on."""
        self._open()
        node = self.node
        if node is None:
            return False
        work = self._pass
        parents = {p.seq for p in node.parents if p is not None}
        tensor = node.tensor if work.accumulate else None
        undo = _Undo(
            work.position, node, work.grads[node.seq], {seq: work.grads.get(seq, MISSING) for seq in parents},
            (parents | {node.seq}) & work.owned, None if work.captured is None else work.captured.get(node.seq),
            tensor, tensor.grad if tensor is not None else None, node.hooks, self._edge_edits, edits=self._edits,
        )  # fmt: skip
        if self._edge_edits:
            node.hooks = _with_edits(node.hooks, self._edge_edits)
        self._log.append(undo)
        self._edits, self._edge_edits = [], {}
        try:
            with modes.enable_grad() if work.create_graph else nullcontext():
                _, undo.upstream, down = next(iter(work.steps()))
            undo.downstream = tuple(down)
        except BaseException as error:
            self.error = error
            self._undo(keep_edits=True)
            self._stopped("exception", f"{type(error).__name__} in {node.op.name}.backward: {error}")
            raise
        finally:
            if undo.edge_edits:
                node.hooks = undo.hooks
        self._settle()
        return True

    def _undo(self, *, keep_edits: bool = False) -> bool:
        if not keep_edits:
            self._undo_edits()
        if not self._log:
            return False
        undo = self._log.pop()
        work = self._pass
        work.position = undo.position
        for seq, old in undo.grads.items():
            put(work.grads, seq, old)
            work.owned.discard(seq)
        work.owned.discard(undo.node.seq)
        work.owned |= undo.owned
        work.grads[undo.node.seq] = undo.arrived
        if work.captured is not None and undo.node.seq in work.captured:
            work.captured[undo.node.seq] = undo.captured
        if undo.tensor is not None:
            undo.tensor.grad = undo.grad
        self._edits, self._edge_edits = undo.edits, undo.edge_edits
        self._upstream = self._downstream = self._names_here = None
        return True

    def _undo_edits(self) -> None:
        for edit in reversed(self._edits):
            edit.undo()
        self._edits.clear()
        self._upstream = self._downstream = self._names_here = None

    def _preview(self) -> list[ndarray | None]:
        node = self._paused()
        if not node.parents:
            return []
        g = self.upstream
        with modes.no_grad(), np.errstate(all="ignore"):  # the step itself warns, once
            saved = saved_values(node)
            if node.op.kind == "general":
                found = node.op.pull_all(g, node, saved)
            else:
                found = [
                    None if p is None else node.op.pull(i, g, node, saved) for i, p in enumerate(node.parents)
                ]
        out: list[ndarray | None] = []
        for i, (parent, d) in enumerate(zip(node.parents, found, strict=True)):
            if parent is None or d is None:
                out.append(None)
            else:
                d = self._edge_edits.get(i, d)
                out.append(_array(d).astype(parent.dtype, copy=False))
        return out

    def _close(self, text: str) -> None:
        self.closed = True
        self._log.clear()
        self._edits.clear()
        self._value_cache = None
        self._upstream = self._downstream = self._names_here = None
        self.stop = Stop("closed", text)

    def __repr__(self) -> str:
        place = "over" if self.closed else f"step {min(self.position + 1, self.total)} of {self.total}"
        node = self.node
        return f"<BackwardSession {place}{f': {self.label(node)}' if node is not None else ''} ({self.stop.text})>"


def _variables(nodes: list[Node], scopes: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """What the program's own variables call the leaves, by `seq`: the innermost scope's name, the first of several."""
    leaves = {node.seq for node in nodes if node.is_leaf}
    found: dict[int, str] = {}
    for scope in scopes:
        for name, value in list(scope.items()):
            node = value.node if isinstance(value, Handle) else None
            if node is not None and node.seq in leaves and not name.startswith("_"):
                found.setdefault(node.seq, name)
    return found


def _visit(undo: _Undo) -> Visit:
    return Visit(
        undo.node,
        _array(undo.upstream),
        tuple(None if d is None else _array(d) for d in undo.downstream),
        {seq: None if g is MISSING else _array(g) for seq, g in undo.grads.items()},
        tuple(edit.text for edit in undo.edits),
    )


def _array(g: Any) -> ndarray:
    return g.dense() if isinstance(g, Lazy) else np.asarray(unwrap(g))


def _with_edits(hooks: Hooks | None, edits: dict[int, Any]) -> Hooks:
    """A copy of a node's hooks whose last post-hook puts the edited gradients in."""
    made = Hooks()
    if hooks is not None:
        for kind in Hooks.__slots__:
            getattr(made, kind).update(getattr(hooks, kind))
    add_hook(made.post, lambda down, _up: tuple(edits.get(i, d) for i, d in enumerate(down)))
    return made
