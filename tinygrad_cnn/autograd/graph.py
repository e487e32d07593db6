"""The graph: nodes, and the order in which they were made.

A `Node` is one value of the computation: the op that made it, the nodes of its inputs, and what the op's
rules need later. Edges join nodes and never tensors, and nothing points forward, so a graph is freed by
reference counting the moment its last output is dropped.

The number `seq` that a node draws when it is made is larger than that of each of its inputs. Sorting by
`seq` therefore *is* a topological sort, and no recursion is needed anywhere.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Params, Shape, Tensor
from tinygrad_cnn.autograd.hooks import Hooks
from tinygrad_cnn.autograd.provenance import Site
from tinygrad_cnn.autograd.scope import Scope
from tinygrad_cnn.autograd.versions import tick


class _Released:
    """What stands in `Node.saved` once a backward pass has used and freed it."""

    def __repr__(self) -> str:
        return "<released>"


RELEASED: Any = _Released()


class _Extra:
    """What only few nodes have, kept apart so that the many cost less."""

    __slots__ = ("hooks", "name", "operands", "stack", "target", "value")

    def __init__(self) -> None:
        self.hooks: Hooks | None = None
        self.name: str | None = None
        self.operands: tuple[Any, ...] | None = None
        self.stack: tuple[Site, ...] | None = None
        self.target: weakref.ref[Any] | None = None
        self.value: np.ndarray | None = None


def _extra(name: str, doc: str) -> Any:
    """An attribute of `Node` that is None until somebody sets it."""

    def get(node: Node) -> Any:
        return None if node.extra is None else getattr(node.extra, name)

    def set(node: Node, value: Tensor) -> None:
        if node.extra is None:
            node.extra = _Extra()
        setattr(node.extra, name, value)

    return property(get, set, doc=doc)


class Node:
    """One value of the graph.

    Op, parents, shape and number never change. A backward pass frees `saved` (and the choices among `params`);
    hooks, the name and what `keep_values` keeps are set later, in `extra`.

    Its number `seq` is larger than any parent's.

    Args:
        op: the primitive that made it (`LEAF` for parameters and other inputs)
        parents: one entry per input, None where no gradient is wanted
        params: the op's keyword arguments, and what its forward recorded (a pooling's choices, say)
        saved: (output, *inputs), None where no rule needs the value
        shape: of the value
        dtype: of the value
        site: the code object and instruction that made it; `where` is the line
        scope: the module call it was made under
    """

    __slots__ = (
        "__weakref__", "code", "dtype", "extra", "lasti", "op", "params", "parents", "saved", "scope", "seq", "shape",
    )  # fmt: skip

    code: CodeType | None
    lasti: int

    def __init__(
        self, op: Any, parents: tuple[Node | None, ...], params: Params, saved: Any,
        shape: Shape, dtype: np.dtype, site: tuple[CodeType, int] | None, scope: Scope | None,
    ) -> None:  # fmt: skip
        self.op = op
        self.parents = parents
        self.params = params
        self.saved = saved
        self.shape = shape
        self.dtype = dtype
        self.seq: int = tick()
        self.code, self.lasti = site if site is not None else (None, 0)
        self.scope = scope
        self.extra: _Extra | None = None

    hooks = _extra("hooks", "None, or the `Hooks` that users registered.")
    operands = _extra("operands", "Per input, the `Operand` of an array that wants no gradient; None without any.")
    name = _extra("name", "A label for pictures and the debugger.")
    target = _extra("target", "Weak reference to the tensor whose `.grad` this node's gradient goes to.")
    value = _extra("value", "The output itself, kept only under `keep_values`.")
    stack = _extra("stack", "The creating Python frames, kept only under `keep_values(stack=True)`.")

    @property
    def is_leaf(self) -> bool:
        return not self.parents

    @property
    def site(self) -> tuple[CodeType, int] | None:
        """Where it was made, as (code, instruction offset): cheap to compare, see `where` for the line."""
        return (self.code, self.lasti) if self.code is not None else None

    @property
    def where(self) -> Site | None:
        """The source line outside the engine that made this node."""
        return Site(self.code, self.lasti) if self.code is not None else None

    @property
    def module(self) -> str:
        """The module path it was made under, e.g. ``features.1``; empty outside modules."""
        return self.scope.path if self.scope is not None else ""

    @property
    def formula(self) -> str:
        """What was computed and its local gradients, as text."""
        return self.op.formula_of(self)

    def local_gradient(self, i: int = 0) -> Any:
        """The local gradient with respect to input `i`: a `LinearMap` that can be looked at and applied."""
        return self.op.linear_map(self, i)

    @property
    def tensor(self) -> Tensor:
        """The leaf (or retained) tensor of this node, or None when it is gone."""
        return self.target() if self.target is not None else None

    @property
    def label(self) -> str:
        """A short name: the user's, else the op's."""
        return self.name or self.op.name

    def __repr__(self) -> str:
        made = f" at {self.where}" if self.code is not None else ""
        under = f" in {self.module}" if self.module else ""
        named = f" {self.name!r}" if self.name else ""
        return f"<Node {self.op.name}#{self.seq}{named} {tuple(self.shape)} {self.dtype}{under}{made}>"


def reachable(roots: Iterable[Node | None]) -> list[Node]:
    """All nodes that the roots depend on, the roots included, newest first (each before its inputs).

    Linear in the number of edges, with an explicit stack: depth costs memory, never recursion.
    """
    found = {root.seq: root for root in roots if root is not None}
    stack = list(found.values())
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent.seq not in found:
                found[parent.seq] = parent
                stack.append(parent)
    return [found[seq] for seq in sorted(found, reverse=True)]
