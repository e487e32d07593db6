"""What a model did while it was called: also the ops that nobody wants a gradient of, and the one that failed.

An observer of the forward pass. It gives nodes to ops that the engine does not record, and knows which node made
which array; `collect` draws them beside the recorded ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.inspect import (
    Node,
    Observer,
    Scope,
    calling_site,
    is_engine_file,
    remember_operands,
)
from tinygrad_cnn.autograd.state import state


class Failed:
    """The op of a node that stands for a call which raised an error."""

    kind = "failed"
    choice: tuple[str, ...] = ()
    is_view = False

    def __init__(self, name: str, error: BaseException) -> None:
        self.name = name
        self.formula = f"{type(error).__name__}: {error}"

    def input_name(self, i: int, _arity: int) -> str:
        return f"input {i}"


class Trace(Observer):
    """Watches one forward pass. It holds every array that was made, so that none is taken for another."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[np.ndarray, Node]] = {}
        self._refused: tuple[BaseException, Any, list[Any]] | None = None
        #: `seq`s of the nodes that the engine did not record
        self.unrecorded: set[int] = set()

    def on_record(self, node: Node, output: np.ndarray) -> None:
        self._made[id(output)] = (output, node)

    def on_unrecorded(
        self, op: Any, arrays: Sequence[Any], nodes: Sequence[Node | None], params: dict[str, Any], output: np.ndarray,
    ) -> None:  # fmt: skip
        parents = tuple(self._node_of(a, n) for a, n in zip(arrays, nodes, strict=True))
        self._add(op, arrays, parents, params, output)

    def on_failed(self, op: Any, arrays: Sequence[Any], error: Exception) -> None:
        self._refused = (error, op, list(arrays))

    def producer(self, array: Any) -> Node | None:
        """The node that made this very array during the pass."""
        known = self._made.get(id(array))
        return known[1] if known is not None and known[0] is array else None

    def inputs(self, node: Node) -> list[Node | None]:
        """The nodes of a node's inputs, those included that want no gradient."""
        operands = node.operands or (None,) * len(node.parents)
        return [
            self.producer(o.ref()) if parent is None and o is not None else parent
            for parent, o in zip(node.parents, operands, strict=True)
        ]

    def fail(self, error: BaseException) -> Node:
        """A node for the call that raised `error`, with the inputs that it was given."""
        call = _innermost_call(error.__traceback__)
        scope, arguments = call if call is not None else (None, [])
        name = scope.kind if scope is not None else "the forward pass"
        # The op's own error, or what was raised in its place.
        if self._refused is not None and self._refused[0] in (error, error.__cause__, error.__context__):
            name, arguments = self._refused[1].name, self._refused[2]
        given = [a for a in arguments if isinstance(a, (Handle, np.ndarray))]
        arrays = [a.array if isinstance(a, Handle) else a for a in given]
        parents = tuple(self._node_of(a, getattr(x, "node", None)) for a, x in zip(arrays, given, strict=True))
        saved = (None,) * (len(parents) + 1)
        node = Node(Failed(name, error), parents, {}, saved, (), np.dtype(np.float32), _site_of(error), scope)
        remember_operands(node, arrays)
        self.unrecorded.add(node.seq)
        return node

    def ends(self) -> list[Node]:
        """The nodes whose value no other node used, oldest first."""
        nodes = [node for _array, node in self._made.values()]
        used = {parent.seq for node in nodes for parent in self.inputs(node) if parent is not None}
        return sorted((node for node in nodes if node.seq not in used), key=lambda node: node.seq)

    def _node_of(self, array: Any, node: Node | None) -> Node | None:
        return node if node is not None else self.producer(array)

    def _add(
        self, op: Any, arrays: Sequence[Any], parents: tuple[Node | None, ...], params: dict[str, Any],
        output: np.ndarray,
    ) -> None:  # fmt: skip
        saved = (None,) * (len(parents) + 1)
        node = Node(op, parents, params, saved, output.shape, output.dtype, calling_site(4), state.scope)
        remember_operands(node, arrays)
        node.value = output
        self.unrecorded.add(node.seq)
        self._made[id(output)] = (output, node)


def _innermost_call(step: TracebackType | None) -> tuple[Scope, list[Any]] | None:
    """The scope of the innermost module call that the error came through, and the call's arguments."""
    found = None
    while step is not None:
        local = step.tb_frame.f_locals
        if step.tb_frame.f_code.co_name == "__call__" and isinstance(local.get("scope"), Scope):
            found = (local["scope"], [*local.get("args", ()), *local.get("kwargs", {}).values()])
        step = step.tb_next
    return found


def _site_of(error: BaseException) -> Any:
    """The innermost place outside the engine that the error came through."""
    site = None
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if not is_engine_file(code.co_filename):
            site = (code, step.tb_lasti)
        step = step.tb_next
    return site
