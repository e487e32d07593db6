"""The engine's own backward pass as a `Pass` that can go back.

Memory: until `release`, every gradient of the pass stays alive (steps hold references, never copies), and so does what
the nodes saved.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, leaf, wrap
from tinygrad_cnn.autograd.hooks import Hooks, add_hook
from tinygrad_cnn.autograd.inspect import (
    BackwardPass,
    Node,
    dense,
    lay_out,
    leaf_names,
    saved_values,
    value_of,
    values_of,
)
from tinygrad_cnn.autograd.roots import backward_roots
from tinygrad_cnn.bridge.passes import Pass, Step
from tinygrad_cnn.support.errors import UsageError

ndarray = np.ndarray
_MISSING: Any = object()


class EnginePass(Pass):
    """A `BackwardPass` under way; of one that failed at its last node, `arrived` is what had come there."""

    def __init__(self, work: BackwardPass, arrived: Any = None) -> None:
        if arrived is not None:
            work.position -= 1
            work.grads[work.order[work.position].seq] = arrived
        work.keep, work.deferred = True, not work.retain_graph
        self.work = work
        self.nodes: Sequence[Node] = work.order
        lay_out(self.nodes)  # what fused ops did not write down is looked at now
        self._values: dict[int, ndarray] | None = None
        self._edited: dict[int, Any] = {}
        self._restore: list[Callable[[], None]] = []
        self._kept_alive: Any = None
        self._settle()

    @classmethod
    def of(
        cls,
        outputs: Any,
        seeds: Any,
        inputs: Any,
        *,
        create_graph: bool,
        retain_graph: bool | None,
        accumulate: bool,
    ) -> EnginePass:
        """A pass that begins; parameters as in `BackwardSession`."""
        roots, given, wanted = backward_roots(outputs, seeds, create_graph, inputs)
        return cls(BackwardPass(
            roots, given, create_graph=create_graph, retain_graph=retain_graph, inputs=wanted,
            accumulate=accumulate, keep=True,
        ))  # fmt: skip

    @property
    def position(self) -> int:  # type: ignore[override]
        return self.work.position

    @property
    def create_graph(self) -> bool:
        """Whether the pass is itself recorded."""
        return self.work.create_graph

    @property
    def captured(self) -> list[Any]:
        return list((self.work.captured or {}).values())

    def arrived(self, node: Any) -> Any:
        return self.work.grads.get(node.seq)

    def _settle(self) -> None:
        """Skip nodes that no gradient reaches."""
        work = self.work
        while work.position < len(work.order) and work.order[work.position].seq not in work.grads:
            work.position += 1

    # --- moving ----------------------------------------------------------------------------------

    def advance(self, edits: Mapping[int, Any]) -> Step:
        work, position = self.work, self.work.position
        node = work.order[position]
        before = {p.seq: work.grads.get(p.seq, _MISSING) for p in node.parents if p is not None}
        arrived = work.grads[node.seq]
        captured = None if work.captured is None else work.captured.get(node.seq)
        tensor = node.tensor if work.accumulate else None
        grad, hooks = tensor.grad if tensor is not None else None, node.hooks

        def undo() -> None:
            work.position = position
            for seq, old in before.items():
                _put(work.grads, seq, old)
            work.grads[node.seq] = arrived
            if work.captured is not None and node.seq in work.captured:
                work.captured[node.seq] = captured
            if tensor is not None:
                tensor.grad = grad

        if edits:
            edited = {i: wrap(d) if self.create_graph else d for i, d in edits.items()}
            node.hooks = _with_edits(hooks, edited)
        try:
            _, upstream, downstream = next(iter(work.steps()))
        except BaseException:
            undo()
            raise
        finally:
            if edits:
                node.hooks = hooks
        self._settle()
        known = {seq: None if g is _MISSING else g for seq, g in before.items()}
        return Step(arrived, upstream, tuple(downstream), known, undo)

    def preview(self) -> list[Any]:
        node = self.nodes[self.position]
        if not node.parents:
            return []
        g = dense(self.work.grads[node.seq])
        with modes.no_grad(), np.errstate(all="ignore"):  # the step itself warns, once
            saved = saved_values(node)
            found = node.op.pull_all(g, node, saved)
        return [
            None if p is None or d is None else dense(d).astype(p.dtype, copy=False)
            for p, d in zip(node.parents, found, strict=True)
        ]

    def release(self) -> None:
        for restore in reversed(self._restore):
            restore()
        self.work.release()
        self._values = None

    # --- values and names --------------------------------------------------------------------------

    def value_of(self, node: Any) -> ndarray | None:
        own = self._edited.get(node.seq)
        own = value_of(node) if own is None else own
        if own is not None:
            return own
        if self._values is None:
            self._values = values_of([n for n in self.nodes if isinstance(n.saved, tuple)])
        return self._values.get(node.seq)

    def input_values(self, node: Any) -> list[ndarray | None]:
        numbers = (ndarray, np.generic, int, float, complex)
        saved = node.saved if isinstance(node.saved, tuple) else ()
        values: list[ndarray | None] = []
        for i, parent in enumerate(node.parents):
            value = saved[i + 1] if i + 1 < len(saved) else None
            if not isinstance(value, numbers) and parent is not None:
                value = self.value_of(parent)
            values.append(np.asarray(value) if isinstance(value, numbers) else None)
        return values

    def names(self, scopes: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """The innermost scope's variables, the first of several; else a parameter's path, a tensor's name."""
        leaves = {node.seq for node in self.nodes if node.is_leaf}
        found: dict[int, str] = {}
        for scope in scopes:
            for name, value in list(scope.items()):
                node = value.node if isinstance(value, Handle) else None
                if node is not None and node.seq in leaves and not name.startswith("_"):
                    found.setdefault(node.seq, name)
        return found | leaf_names(self.nodes)

    # --- editing -----------------------------------------------------------------------------------

    def set_gradient(self, node: Any, gradient: ndarray) -> Callable[[], None]:
        grads = self.work.grads
        old = grads.get(node.seq, _MISSING)
        grads[node.seq] = wrap(gradient) if self.create_graph else gradient
        return lambda: _put(grads, node.seq, old)

    def set_value(self, node: Any, value: ndarray) -> Callable[[], None] | None:
        changed: list[tuple[Node, Any]] = []
        for user in self.nodes:
            if not isinstance(user.saved, tuple):
                continue
            saved = list(user.saved)
            if user is node and saved and saved[0] is not None:
                saved[0] = value
            for i, parent in enumerate(user.parents):
                if parent is node and saved[i + 1] is not None:
                    saved[i + 1] = value
            if any(a is not b for a, b in zip(saved, user.saved, strict=True)):
                changed.append((user, user.saved))
                user.saved = tuple(saved)
        if not changed:
            return None
        before = self._edited.get(node.seq, _MISSING)
        self._edited[node.seq] = value
        self._values = None

        def undo() -> None:
            for user, saved in changed:
                user.saved = saved
            _put(self._edited, node.seq, before)
            self._values = None

        self._restore.append(undo)
        return undo

    # --- parts -------------------------------------------------------------------------------------

    def inside(self, node: Any, upstream: ndarray) -> EnginePass:
        """The backward pass of a composite op's definition in smaller ops; it writes no `.grad`."""
        if getattr(node.op, "definition", None) is None:
            super().inside(node, upstream)
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
                x = leaf(value, node.op.input_name(i, len(values)))
                xs.append(x)
                wanted.append(x)
            y = node.op.definition(*xs, **node.op.given(node))
        made = EnginePass.of(y, upstream, wanted, create_graph=False, retain_graph=None, accumulate=False)
        made._kept_alive = xs
        return made

    def rule(self, node: Any, upstream: ndarray) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
        op, saved, g = node.op, saved_values(node), upstream
        i = next((i for i, p in enumerate(node.parents) if p is not None), None)
        if i is None:
            raise UsageError("a leaf has no rule")
        rule, args, params = op.rule_at(i, g, node, saved)
        if not inspect.isfunction(rule):
            raise UsageError(f"the local gradient of {op.name} is {rule!r}: there is no code to walk through")
        return rule, args, params


def _put(table: dict[int, Any], key: int, old: Any) -> None:
    """Put an old entry back; `_MISSING` takes it out."""
    if old is _MISSING:
        table.pop(key, None)
    else:
        table[key] = old


def _with_edits(hooks: Hooks | None, edits: dict[int, Any]) -> Hooks:
    """A copy of a node's hooks whose last post-hook puts the edited gradients in."""
    made = Hooks()
    if hooks is not None:
        for kind in Hooks.__slots__:
            getattr(made, kind).update(getattr(hooks, kind))
    add_hook(made.post, lambda down, _up: tuple(edits.get(i, d) for i, d in enumerate(down)))
    return made
