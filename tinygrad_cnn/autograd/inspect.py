"""The door through which the graph is read: by pictures, the debugger, and tools of your own.

Public and documented; whatever looks at a recorded graph from above the engine imports it from here and needs no
other file of `autograd`. Looking changes nothing: no saved value is computed that a backward pass would not
find, no hook is called, no observer is told.

    from tinygrad_cnn.autograd import inspect

    loss = net(x).sum()
    for node in inspect.reachable([loss.node]):
        print(node, inspect.value_of(node))

* nodes: `Node`, `reachable`, `edges`, `LEAF`, `Scope`, `Site`; inputs without a gradient: `node.operands`, `Operand`;
  whose line it is: `is_engine_file`, `in_package`, `calling_site`
* values: `value_of`, `values_of`, `saved_of`, `lay_out`, `held`, `is_released`, `at_hand`, `check_versions`, `version`
* names: `leaf_names`; local gradients: `node.local_gradient(i)`, a `LinearMap`
* passes: `BackwardPass`, `running_pass`, `failed_pass`, `dense`, `without_hooks`
* observers: `Observer`, `observing`, `unobserved`, `on_every_pass`, `keep_values`
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.backward_pass import BackwardPass, Failure
from tinygrad_cnn.autograd.graph import RELEASED, Node, reachable
from tinygrad_cnn.autograd.handle import LEAF, dense
from tinygrad_cnn.autograd.linear_map import LinearMap
from tinygrad_cnn.autograd.observe import Observer, keep_values, observing, on_every_pass, unobserved
from tinygrad_cnn.autograd.operands import Operand, remember_operands
from tinygrad_cnn.autograd.provenance import (
    PACKAGE,
    Site,
    calling_site,
    calling_stack,
    in_package,
    is_engine_file,
)
from tinygrad_cnn.autograd.saved import check_versions, saved_values
from tinygrad_cnn.autograd.scope import Scope
from tinygrad_cnn.autograd.state import state
from tinygrad_cnn.autograd.versions import changed_since, version

__all__ = [
    "LEAF",
    "PACKAGE",
    "BackwardPass",
    "Failure",
    "LinearMap",
    "Node",
    "Observer",
    "Operand",
    "Scope",
    "Site",
    "at_hand",
    "calling_site",
    "calling_stack",
    "changed_since",
    "check_versions",
    "dense",
    "edges",
    "failed_pass",
    "held",
    "in_package",
    "is_engine_file",
    "is_released",
    "keep_values",
    "lay_out",
    "leaf_names",
    "observing",
    "on_every_pass",
    "reachable",
    "remember_operands",
    "running_pass",
    "saved_of",
    "saved_values",
    "unobserved",
    "value_of",
    "values_of",
    "version",
    "without_hooks",
]


# --- nodes ------------------------------------------------------------------------------------------


def edges(nodes: Iterable[Node]) -> Iterator[tuple[Node, int, Node]]:
    """Each (consumer, input number, producer) among the nodes."""
    for node in nodes:
        for i, parent in enumerate(node.parents):
            if parent is not None:
                yield node, i, parent


# --- values ------------------------------------------------------------------------------------------


def value_of(node: Node) -> np.ndarray | None:
    """The value of a node as far as anything still holds it: kept, a leaf's, or saved by its own op."""
    if node.value is not None:
        return node.value
    tensor = node.tensor
    if tensor is not None:
        return tensor.array
    saved = saved_of(node)
    return saved[0] if saved and isinstance(saved[0], np.ndarray) else None


def values_of(nodes: Iterable[Node]) -> dict[int, np.ndarray]:
    """The values that anything among the nodes still holds, by `seq`: consumers save their inputs."""
    found: dict[int, np.ndarray] = {}
    for node in nodes:
        own = value_of(node)
        if own is not None:
            found[node.seq] = own
        if isinstance(node.saved, tuple):
            for parent, value in zip(node.parents, node.saved[1:], strict=False):
                if parent is not None and isinstance(value, np.ndarray):
                    found.setdefault(parent.seq, value)
    return found


def saved_of(node: Node) -> tuple[Any, ...] | None:
    """What a node saved: (output, *inputs). None where it was released, where getting it back would run the user's
    code again (`utils.checkpoint`), or where it can no longer be computed. (`saved_values` is the engine's own
    way: it runs the code again, and raises where there is nothing.)"""
    saved = node.saved
    if type(saved) is tuple:
        return saved
    look = getattr(saved, "peek", None)
    if look is None:
        return None
    try:
        return look(node)
    except RuntimeError:  # an input was changed in place since: the value is unknown, and a rule would say so
        return None


def held(node: Node) -> tuple[Any, ...]:
    """The arrays that a node holds for its rules at this moment, in whatever form."""
    saved = node.saved
    return saved if type(saved) is tuple else getattr(saved, "held", ())


def lay_out(nodes: Iterable[Node]) -> None:
    """Give fused nodes what they would have saved on their own, for whoever is going to step through them."""
    for node in nodes:
        if type(node.saved) is not tuple:
            saved = saved_of(node)
            if saved is not None:
                node.saved = saved


def is_released(node: Node) -> bool:
    """Whether a backward pass has freed what the node saved."""
    return node.saved is RELEASED


def at_hand(node: Node) -> bool:
    """Whether what a node saved is there: neither freed, nor to be had only by running the user's code again."""
    return type(node.saved) is tuple or hasattr(node.saved, "peek")


# --- names -------------------------------------------------------------------------------------------


def leaf_names(nodes: Iterable[Node]) -> dict[int, str]:
    """Readable names of the leaves among the nodes, by `seq`.

    A parameter's is the path of the module that used it first and its own name there
    (``features.0.weight``), as in `Module.named_parameters`; a named tensor's is its name.
    """
    names: dict[int, str] = {}
    for node in sorted(nodes, key=lambda n: n.seq):
        for parent in node.parents:
            if parent is not None and parent.is_leaf and parent.seq not in names:
                tensor = parent.tensor
                name = (tensor.name if tensor is not None else None) or parent.name
                if name is None:
                    continue
                in_module = node.module and getattr(tensor, "is_parameter", False)
                names[parent.seq] = f"{node.module}.{name}" if in_module else name
    return names


# --- passes ------------------------------------------------------------------------------------------


def running_pass(roots: Sequence[Node]) -> BackwardPass | None:
    """The pass of this thread that began at these outputs, has done a node, and is not over; None if there is none."""
    wanted = {node.seq for node in roots}
    now = state.now
    for work in [*now.running, *[ref() for ref in now.paused]]:
        under_way = work is not None and 0 < work.position < len(work.order) and work.grads
        if under_way and any(node.seq in wanted for node in work.order[: len(wanted)]):
            return work
    return None


def failed_pass(error: BaseException) -> BackwardPass | None:
    """The pass in which `error` was raised (the innermost), or one that it came from; None if there is none.

    `work.failure` has the node and the gradient that had arrived there.
    """
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        work = getattr(one, "backward_pass", None)
        if isinstance(work, BackwardPass) and work.failure is not None:
            return work
        one = one.__cause__ or one.__context__
    return None


@contextlib.contextmanager
def without_hooks(nodes: Iterable[Node]) -> Iterator[None]:
    """Take the hooks off these nodes for the time of the block: they may count, print or change things."""
    taken = [(node, node.hooks) for node in nodes if node.hooks is not None]
    for node, _hooks in taken:
        node.hooks = None
    try:
        yield
    finally:
        for node, hooks in taken:
            node.hooks = hooks
