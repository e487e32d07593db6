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
from tinygrad_cnn.autograd.backward import BackwardPass, Lazy, backward_roots, saved_values
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.hooks import Hooks, add_hook
from tinygrad_cnn.autograd.observe import leaf_names, value_of, values_of
from tinygrad_cnn.debug.breakpoints import Breakpoints
from tinygrad_cnn.debug.conditions import Namespace
from tinygrad_cnn.debug.selectors import Query, parse, suggestions
from tinygrad_cnn.errors import UsageError

if TYPE_CHECKING:
    from tinygrad_cnn.debug.check import Check
    from tinygrad_cnn.debug.explain import Explanation

ndarray = np.ndarray
Target = "Node | str | int | Query | Callable[[BackwardSession], bool]"
_MISSING: Any = object()


class Stop(NamedTuple):
    """Why the session stands where it stands.

    `kind` is start, step, back, breakpoint, condition, goto, edit, exception, end or closed; `text` says it
    in words; `breakpoint` is the number of the one that was hit.
    """

    kind: str
    text: str
    breakpoint: int | None = None


@dataclass
class Watch:
    """An expression shown at every stop."""

    id: int
    expression: str


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


class BackwardSession:
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
        self.names = leaf_names(self.nodes)
        self.breakpoints = breakpoints if breakpoints is not None else Breakpoints()
        self.watches: list[Watch] = []
        self.user_scopes = list(scopes)
        #: How many of the outermost Python frames belong to whoever started the program, not to it.
        self.hidden_frames = 0
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
    def total(self) -> int:
        return len(self.nodes)

    @property
    def node(self) -> Node | None:
        return self.nodes[self.position] if not self.closed and self.position < self.total else None

    @property
    def last(self) -> Node | None:
        """The node that was done last; None at the start."""
        return self._log[-1].node if self._log else None

    @property
    def at_end(self) -> bool:
        """Whether every node is done (it can still go back until `finish`)."""
        return self.node is None

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

    @property
    def hooked(self) -> bool:
        """Whether the user's hooks will see, and may replace, gradients at the paused node."""
        return self.node is not None and self.node.hooks is not None

    def name_of(self, node: Node) -> str | None:
        """A parameter's path, a tensor's name; None without one."""
        return self.names.get(node.seq) or node.name

    def label(self, node: Node) -> str:
        """``relu features.1``, ``fc.weight``, ``mul#12``: what people call the node."""
        if node.is_leaf:
            return self.name_of(node) or f"leaf#{node.seq}"
        name = node.name or node.module
        return f"{node.op.name} {name}" if name else f"{node.op.name}#{node.seq}"

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

    # --- moving ----------------------------------------------------------------------------------

    def step(self, n: int = 1) -> Stop:
        """Do `n` nodes. Past the last one it stays at the end. Raises what a rule or a hook raises, undone."""
        for _ in range(n):
            if not self._advance():
                return self._end()
        return (
            self._end()
            if self.node is None
            else self._stopped("step", f"step {self.position + 1} of {self.total}")
        )

    def back(self, n: int = 1) -> Stop:
        """Undo `n` nodes, and the edits made since. At the start it stays there."""
        self._open()
        for _ in range(n):
            if not self._undo():
                return self._stopped("start", "start of the backward pass")
        return self._stopped("back", f"back at step {self.position + 1} of {self.total}")

    def run_until(self, target: Any) -> Stop:
        """Go on to the next node where `target` holds: a selector or condition, or a function of the session."""
        test = self._test(target)
        while self._advance():
            if self.node is not None and test(self):
                said = (
                    target if isinstance(target, (str, Query)) else getattr(target, "__name__", "condition")
                )
                return self._stopped("condition", f"reached {said}")
        return self._end()

    def continue_(self, *, from_here: bool = False) -> Stop:
        """Go on to the next breakpoint, or the end. With `from_here` the paused node counts too."""
        self._open()
        while from_here or self._advance():
            from_here = False
            if self.node is not None:
                hit = self.breakpoints.hit(self)
                if hit is not None:
                    return self._stopped("breakpoint", f"breakpoint {hit.id}: {hit.query.text}", hit.id)
        return self._end()

    def reverse_continue(self) -> Stop:
        """Go back to the previous breakpoint, or the start."""
        self._open()
        while self._undo():
            hit = self.breakpoints.hit(self, count=False)
            if hit is not None:
                return self._stopped("breakpoint", f"breakpoint {hit.id}: {hit.query.text}", hit.id)
        return self._stopped("start", "start of the backward pass")

    def goto(self, target: Any) -> Stop:
        """Stand before a node, forwards or backwards: a node, a tensor, a step number (from 1), a selector
        (``relu``, ``net.py:12``): the next match, else the last one behind.

        Raises UsageError when there is no such node or no gradient reaches it.
        """
        self._open()
        if isinstance(target, (str, Query)):
            return self._goto_query(parse(target) if isinstance(target, str) else target)
        node = target.node if isinstance(target, Handle) else target
        if isinstance(target, (int, np.integer)):
            if not 1 <= target <= self.total + 1:
                raise UsageError(f"goto expected a step from 1 to {self.total}, got {target}")
            index = int(target) - 1
        elif isinstance(node, Node) and node.seq in self._index:
            index = self._index[node.seq]
        else:
            raise UsageError(f"goto: {target!r} is no node of this backward pass")
        before = self.position
        self._move_to(index)
        if self.position != index:
            here = self.nodes[index]
            self._move_to(before)
            raise UsageError(
                f"goto: no gradient reaches {self.label(here)} (step {index + 1}), the pass skips it"
            )
        return (
            self._end()
            if self.node is None
            else self._stopped("goto", f"went to step {index + 1} of {self.total}")
        )

    def finish_module(self) -> Stop:
        """Go on until the backward pass of the paused node's module is done (or a breakpoint is hit)."""
        path = self._paused().module
        if not path:
            return self.continue_()
        while self._advance():
            node = self.node
            if node is None:
                break
            hit = self.breakpoints.hit(self)
            if hit is not None:
                return self._stopped("breakpoint", f"breakpoint {hit.id}: {hit.query.text}", hit.id)
            if not node.is_leaf and node.module != path and not node.module.startswith(path + "."):
                return self._stopped("step", f"backward of {path} is done")
        return self._end()

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

    def evaluate(self, expression: str) -> Any:
        """The value of a Python expression over the paused node; its names are in `conditions.NAMES`.

        Raises UsageError with the reason when it cannot be evaluated.
        """
        return self.namespace.evaluate(expression)

    @property
    def namespace(self) -> Namespace:
        """The names an expression may use at this stop."""
        if self._names_here is None:
            self._names_here = Namespace(self)
        return self._names_here

    def matches(self, query: Query) -> bool:
        """Whether a query holds at the paused node."""
        node = self.node
        if node is None:
            return False
        selector = query.selector
        if selector is not None and not selector.matches(
            node, name=self.name_of(node), step=self.position + 1
        ):
            return False
        return query.condition is None or self.namespace.true(query.condition)

    def index_of(self, node: Node) -> int:
        """The node's place in the pass, from 0. Raises UsageError for a node of another graph."""
        try:
            return self._index[node.seq]
        except KeyError:
            raise UsageError(f"{node!r} is no node of this backward pass") from None

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

    def find(self, target: str | Query) -> list[Node]:
        """All nodes of the pass that a selector chooses (conditions are not looked at)."""
        query = parse(target) if isinstance(target, str) else target
        if query.selector is None:
            return []
        selector = query.selector
        return [n for k, n in enumerate(self.nodes) if selector.matches(n, name=self.name_of(n), step=k + 1)]

    def watch(self, expression: str) -> Watch:
        """Show an expression at every stop. Raises UsageError when it is none."""
        from tinygrad_cnn.debug.selectors import check_expression

        check_expression(expression)
        watch = Watch(max((w.id for w in self.watches), default=0) + 1, expression)
        self.watches.append(watch)
        return watch

    def unwatch(self, id: int) -> None:
        """Stop showing one. Raises UsageError when there is none of that number."""
        left = [w for w in self.watches if w.id != id]
        if len(left) == len(self.watches):
            raise UsageError(
                f"there is no watch {id}; there are: {', '.join(str(w.id) for w in left) or 'none'}"
            )
        self.watches[:] = left

    def check(self, node: Node | None = None, **options: Any) -> Check:
        """The node's rule against numerical differentiation in float64; see `check.check_node`."""
        from tinygrad_cnn.debug.check import check_node

        return check_node(self, node or self._paused(), **options)

    def explain(
        self, node: Node | None = None, index: Any = None, input: int = 0, **options: Any
    ) -> Explanation:
        """One entry of the gradient of an input, as the sum it is; see `explain.explain_entry`."""
        from tinygrad_cnn.debug.explain import explain_entry

        return explain_entry(self, node or self._paused(), index, input, **options)

    def into(self) -> BackwardSession:
        """A session inside the paused node: the backward pass of its definition in smaller ops.

        It writes no `.grad`; what it finds is in `captured`. Raises UsageError for ops without parts.
        """
        node = self._paused()
        definition = getattr(node.op, "definition", None)
        if definition is None:
            raise UsageError(
                f"{node.op.name} is a primitive without parts; `explain` writes out what it does"
            )
        values = self.input_values(node)
        xs: list[Any] = []
        wanted: list[Any] = []
        with modes.enable_grad():
            for i, (value, parent) in enumerate(zip(values, node.parents, strict=True)):
                if parent is None:
                    saved = node.saved[i + 1] if isinstance(node.saved, tuple) else None
                    xs.append(wrap(saved) if isinstance(saved, ndarray) else saved)
                    continue
                if value is None:
                    raise UsageError(f"cannot step into {node.op.name}: the value of its input {i} is gone")
                x = _fresh_leaf(value, node.op.input_name(i, len(values)))
                xs.append(x)
                wanted.append(x)
            y = definition(*xs, **node.op.given(node))
        inner = BackwardSession(
            y,
            self.upstream,
            inputs=wanted,
            accumulate=False,
            breakpoints=self.breakpoints,
            scopes=self.user_scopes,
        )
        inner._kept_alive = xs
        inner.stop = Stop("start", f"inside {self.label(node)}")
        return inner

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
            undo, what = self._edit_value(node, value, index)
        elif input is not None:
            undo, what = self._edit_edge(node, input, gradient, index)
        else:
            undo, what = self._edit_gradient(node, gradient, index)
        self._edits.append(_Edit(what, undo))
        return self._stopped("edit", what)

    def _edit_gradient(self, node: Node, gradient: Any, index: Any) -> tuple[Callable[[], None], str]:
        grads, owned = self._pass.grads, self._pass.owned
        if self._index.get(node.seq, -1) < self.position:
            raise UsageError(
                f"edit: {self.label(node)} is done (step {self._index.get(node.seq, 0) + 1}); goto it first"
            )
        old = grads.get(node.seq, _MISSING)
        was_owned = node.seq in owned
        new = _replaced(None if old is _MISSING else _array(old), gradient, index, node)
        grads[node.seq] = wrap(new) if self.create_graph else new
        owned.discard(node.seq)

        def undo() -> None:
            _put(grads, node.seq, old)
            (owned.add if was_owned else owned.discard)(node.seq)

        return undo, f"edited the gradient of {self.label(node)}" + _at(index)

    def _edit_edge(self, node: Node, input: int, gradient: Any, index: Any) -> tuple[Callable[[], None], str]:
        if node is not self.node:
            raise UsageError("edit(input=…) changes what the paused node hands on; goto that node first")
        if not 0 <= input < len(node.parents) or node.parents[input] is None:
            raise UsageError(f"edit: no gradient flows to input {input} of {node.op.name}")
        parent = node.parents[input]
        assert parent is not None
        edits = self._edge_edits
        old = edits.get(input, _MISSING)
        edits[input] = _replaced(self.downstream[input], gradient, index, parent)
        return lambda: _put(
            edits, input, old
        ), f"edited what {self.label(node)} hands to input {input}" + _at(index)

    def _edit_value(self, node: Node, value: Any, index: Any) -> tuple[Callable[[], None], str]:
        old = self.value_of(node)
        new = _replaced(old, value, index, node)
        changed: list[tuple[Node, Any]] = []
        for user in self.nodes:
            if not isinstance(user.saved, tuple):
                continue
            saved = list(user.saved)
            if user is node and saved and saved[0] is not None:
                saved[0] = new
            for i, parent in enumerate(user.parents):
                if parent is node and saved[i + 1] is not None:
                    saved[i + 1] = new
            if any(a is not b for a, b in zip(saved, user.saved, strict=True)):
                changed.append((user, user.saved))
                user.saved = tuple(saved)
        if not changed:
            raise UsageError(f"edit: no rule of this pass reads the value of {self.label(node)}")
        edited = self._edited_values
        before = edited.get(node.seq, _MISSING)
        edited[node.seq] = new
        self._value_cache = None

        def undo() -> None:
            for user, saved in changed:
                user.saved = saved
            _put(edited, node.seq, before)
            self._value_cache = None

        self._restore_values.append(undo)
        return undo, f"edited the value of {self.label(node)}" + _at(index)

    # --- the mechanics ---------------------------------------------------------------------------

    _upstream: ndarray | None = None
    _downstream: list[ndarray | None] | None = None
    _names_here: Namespace | None = None
    _kept_alive: Any = None

    def _paused(self) -> Node:
        self._open()
        node = self.node
        if node is None:
            raise UsageError("the backward pass is at its end; go back (`back`, `goto`) to look at a node")
        return node

    def _open(self) -> None:
        if self.closed:
            raise UsageError("this session is over: its graph was handed back")

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
            work.position, node, work.grads[node.seq], {seq: work.grads.get(seq, _MISSING) for seq in parents},
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
            _put(work.grads, seq, old)
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
        with modes.no_grad():
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

    def _test(self, target: Any) -> Callable[[BackwardSession], bool]:
        if isinstance(target, str):
            target = parse(target)
        if isinstance(target, Query):
            return lambda s: s.matches(target)
        if isinstance(target, Handle):
            target = target.node
        if isinstance(target, Node):
            return lambda s: s.node is target
        if callable(target):
            return target
        raise UsageError(
            f"expected a selector, a condition, a node or a function of the session, got {target!r}"
        )

    def _goto_query(self, query: Query) -> Stop:
        start = self.position
        if query.condition is None and query.selector is not None:
            found = [k for k in (self._index[n.seq] for n in self.find(query)) if k != start]
            if not found:
                if self.matches(query):
                    return self._stopped("goto", f"already at {query.text}")
                raise UsageError(self.nothing_matches(query))
            ahead = [k for k in found if k > start]
            return self.goto((ahead[0] if ahead else found[-1]) + 1)
        while self._advance():
            if self.matches(query):
                return self._stopped("goto", f"went to {query.text}")
        self._move_to(start)
        while self._undo():
            if self.matches(query):
                return self._stopped("goto", f"went back to {query.text}")
        self._move_to(start)
        raise UsageError(f"goto: at no node of this pass holds {query.text}")

    def nothing_matches(self, query: Query) -> str:
        """The sentence that says so, with words that would match."""
        words = suggestions(self.nodes, self.names)
        some = ", ".join(words[:8]) + (", …" if len(words) > 8 else "")
        return f"no node of this pass is chosen by {query.text!r}; there are: {some}"

    def _move_to(self, index: int) -> None:
        while self.position > index and self._undo():
            pass
        while self.position < index and self._advance():
            pass

    def _stopped(self, kind: str, text: str, breakpoint: int | None = None) -> Stop:
        if kind == "edit":
            self._upstream = self._downstream = self._names_here = None
        self.stop = Stop(kind, text, breakpoint)
        return self.stop

    def _end(self) -> Stop:
        return self._stopped("end", "end of the backward pass")

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


def _visit(undo: _Undo) -> Visit:
    return Visit(
        undo.node,
        _array(undo.upstream),
        tuple(None if d is None else _array(d) for d in undo.downstream),
        {seq: None if g is _MISSING else _array(g) for seq, g in undo.grads.items()},
        tuple(edit.text for edit in undo.edits),
    )


def _array(g: Any) -> ndarray:
    return g.dense() if isinstance(g, Lazy) else np.asarray(unwrap(g))


def _put(table: dict[int, Any], key: int, old: Any) -> None:
    if old is _MISSING:
        table.pop(key, None)
    else:
        table[key] = old


def _at(index: Any) -> str:
    return "" if index is None else f" at {index}"


def _replaced(old: ndarray | None, new: Any, index: Any, node: Node) -> ndarray:
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


def _with_edits(hooks: Hooks | None, edits: dict[int, Any]) -> Hooks:
    """A copy of a node's hooks whose last post-hook puts the edited gradients in."""
    made = Hooks()
    if hooks is not None:
        for kind in Hooks.__slots__:
            getattr(made, kind).update(getattr(hooks, kind))
    add_hook(made.post, lambda down, _up: tuple(edits.get(i, d) for i, d in enumerate(down)))
    return made


def _fresh_leaf(value: ndarray, name: str) -> Any:
    from tinygrad_cnn.autograd.handle import make_leaf

    x = wrap(value)
    x.name = name
    x.node = make_leaf(x)
    return x
