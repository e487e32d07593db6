"""One backward pass: its order, what each node has received so far, and the step from node to node.

A step multiplies the upstream gradient with the node's local gradients and adds the products to what its
inputs have received so far. `backward` is the door for users; the debugger holds a `BackwardPass` itself.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.broadcast import unbroadcast
from tinygrad_cnn.autograd.graph import RELEASED, Node
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.saved import check_versions, saved_tensors, saved_values

ndarray = np.ndarray


class Lazy:
    """A gradient that is known but not yet laid out: mostly zeros, written only when somebody looks.

    Subclasses (indexing's scatter) give `shape`, `dtype`, `dense()` (a fresh array) and `add_to(array)`.
    """

    __slots__ = ()
    shape: tuple[int, ...]
    dtype: np.dtype

    def dense(self) -> ndarray:
        raise NotImplementedError

    def add_to(self, total: ndarray) -> None:
        raise NotImplementedError

    def through(self, node: Node) -> ndarray | None:
        """What `node` hands to its only input when this is its upstream gradient, where that is known without
        laying it out; None where it is not. Asked only while nobody looks."""
        return None


class Failure(NamedTuple):
    """Where a pass failed: the node whose rule or hook raised, and the gradient that had arrived there."""

    node: Node
    upstream: Any


class BackwardPass:
    """The state of one backward pass.

    Attributes
        order: the nodes it will visit, in that order (leaves right behind the last of their consumers)
        position: how many of them are done
        grads: gradient received so far, by `node.seq`, of nodes not yet visited
        captured: gradients of the wanted inputs, by `seq` (only with `inputs`)
        failure: where a rule or a hook raised, and what had arrived there; None while nothing did

    Parameters
        outputs, seeds: where it starts, and ∂L/∂output for each (an array or tensor of the same shape)
        create_graph: record the backward pass itself, so that it can be differentiated
        retain_graph: keep what the nodes saved; without it, each node lets go as soon as it is done
        inputs: nodes whose gradient is wanted: only paths to them are followed, `.grad` is left alone
        accumulate: with `inputs`, write `.grad` of those that are leaves all the same
        keep: for stepping back: never add in place, so that references to earlier sums stay valid, and let
            go of what nodes saved only when `release` is called
    """

    def __init__(
        self, outputs: Sequence[Node], seeds: Sequence[Any], *, create_graph: bool = False,
        retain_graph: bool | None = None, inputs: Sequence[Node] | None = None, accumulate: bool = True,
        keep: bool = False,
    ) -> None:  # fmt: skip
        self.create_graph = create_graph
        self.retain_graph = create_graph if retain_graph is None else retain_graph
        self.keep = keep or create_graph
        self.deferred = keep and not self.retain_graph
        self.accumulate = accumulate
        self.position = 0
        self.failure: Failure | None = None
        self.grads: dict[int, Any] = {}
        self.owned: set[int] = set()
        self.captured: dict[int, Any] | None = None
        self.order = _visiting_order(outputs)
        self.needed: set[int] | None = None
        if inputs is not None:
            self.captured = {node.seq: None for node in inputs}
            self.needed = _leading_to(self.order, self.captured)
            self.order = [node for node in self.order if node.seq in self.needed]
        for node, seed in zip(outputs, seeds, strict=True):
            self.receive(node, seed)

    # --- one node ------------------------------------------------------------------------------

    def steps(self) -> Iterator[tuple[Node, Any, Sequence[Any]]]:
        """Visit the nodes one by one; yields (node, upstream, downstream) behind each."""
        paused = modes.state.now.paused
        if not any(ref() is self for ref in paused):
            paused.append(weakref.ref(self, paused.remove))
        return self._steps(watched=True)

    def _steps(self, watched: bool) -> Iterator[tuple[Node, Any, Sequence[Any]]]:
        # With watched=False nobody looks: it yields nothing and keeps no list of what it hands on.
        grads, needed, captured, receive = self.grads, self.needed, self.captured, self.receive
        create_graph, release = self.create_graph, not (self.retain_graph or self.deferred)
        observers = modes.state.now.on_visit
        listed = watched or observers is not None
        unseen = not (listed or self.keep)
        owned, in_place, add = self.owned, not self.keep, np.add
        order = self.order
        # Leaves save nothing; anything changed before the oldest of the others was recorded is no concern.
        oldest = next((node.seq for node in reversed(order) if node.parents), None)
        suspicious = oldest is not None and versions.any_change_since(oldest)
        pop = grads.pop
        downstream: Any = ()
        arrived: Any = None
        try:
            for position in range(self.position, len(order)):
                node = order[position]
                self.position = position + 1
                g = pop(node.seq, None)
                if g is None:
                    continue
                if type(g) is not ndarray:
                    if isinstance(g, Lazy):
                        if unseen and node.extra is None and (captured is None or node.seq not in captured):
                            d = g.through(node)
                            if d is not None:
                                receive(node.parents[0], d)  # type: ignore[arg-type]  # its only input is live
                                if release:
                                    node.saved = RELEASED
                                continue
                        g = g.dense()
                        self.owned.add(node.seq)
                    elif isinstance(g, np.generic):  # what NumPy makes of 0-d arrays
                        g = np.asarray(g)
                for observer in observers or ():
                    observer.on_node_begin(node, g)
                extra = node.extra
                hooks = None
                if extra is not None:
                    hooks = extra.hooks
                    if hooks is not None:
                        arrived = g
                        g = hooks.on_upstream(g)
                if captured is not None and node.seq in captured:
                    captured[node.seq] = g
                parents = node.parents
                if not parents:
                    if self.accumulate:
                        # Taken over as it is when nobody else holds the array (or what it is a view of).
                        alone = not create_graph and (
                            node.seq in self.owned
                            or sys.getrefcount(g) <= _ALONE
                            and (g.base is None or sys.getrefcount(g.base) <= _ALONE)
                        )
                        self._write_grad(node, g, alone)
                    arrived = None
                    for observer in observers or ():
                        observer.on_node_end(node, g, ())
                    if watched:
                        yield node, g, ()
                    continue
                if extra is not None and extra.target is not None and self.accumulate:
                    self._write_grad(node, g, False)
                saved = node.saved
                if type(saved) is not tuple:
                    saved = saved_values(node)
                if suspicious:
                    check_versions(node, saved)
                op = node.op
                if create_graph:
                    saved = saved_tensors(node)
                if hooks is not None or op.kind == "general":
                    downstream = op.pull_all(g, node, saved)
                    if hooks is not None:
                        downstream = hooks.on_downstream(downstream, g)
                    for parent, d in zip(parents, downstream):
                        if parent is not None and d is not None and (needed is None or parent.seq in needed):
                            receive(parent, d)
                else:
                    # What `op.pull_all` does, without its calls: most nodes are of this kind, and cheap.
                    params, pullers = node.params, op.pullers
                    if listed:
                        downstream = [None] * len(parents)
                    i = -1
                    for parent in parents:
                        i += 1
                        if parent is None or needed is not None and parent.seq not in needed:
                            continue
                        if pullers is None:
                            d = op.pull(i, g, node, saved)
                        else:
                            d = pullers[i](g, saved, params)
                            if d.shape != parent.shape:
                                d = unbroadcast(d, parent.shape)
                        if listed:
                            downstream[i] = d
                        seq = parent.seq
                        if d.dtype is not parent.dtype:
                            receive(parent, d)
                        elif seq not in grads:
                            grads[seq] = d
                        elif seq in owned and in_place and type(d) is ndarray:
                            total = grads[seq]
                            add(total, d, total)
                        else:
                            receive(parent, d)
                if release:
                    node.saved = RELEASED
                    if op.choice:
                        node.params = {k: v for k, v in node.params.items() if k not in op.choice}
                for observer in observers or ():
                    observer.on_node_end(node, g, downstream)
                saved = d = arrived = None
                if watched:
                    yield node, g, downstream
                downstream = ()  # hold nothing: a leaf may take over an array that nobody else holds
        except GeneratorExit:  # nobody wants more of the steps
            raise
        except BaseException as error:
            self.failure = Failure(node, g if arrived is None else arrived)
            # A plain attribute, since the pass must not hold the error, whose frames hold the pass.
            BaseException.__setattr__(error, "backward_pass", getattr(error, "backward_pass", self))
            raise

    def receive(self, node: Node, d: Any) -> None:
        """Add a contribution to the gradient of `node`.

        The first is kept by reference, the second added out of place, later ones in place: no array that
        anybody else may hold is ever written to.
        """
        if d.dtype is not node.dtype and d.dtype != node.dtype:
            d = d.astype(node.dtype) if not isinstance(d, Lazy) else d.dense().astype(node.dtype)
        seq = node.seq
        grads = self.grads
        total = grads.get(seq)
        if total is None:
            grads[seq] = d
        elif seq in self.owned:
            if self.keep:  # the same additions in the same order and memory layout, on a copy
                grads[seq] = total = total.copy("K")
            if isinstance(d, Lazy):
                d.add_to(total)
            else:
                np.add(total, d, out=total)
        elif isinstance(total, Lazy) or isinstance(d, Lazy):
            first, second = (total, d) if isinstance(total, Lazy) else (d, total)
            fresh = first.dense()
            if isinstance(second, Lazy):
                second.add_to(fresh)
            else:
                np.add(fresh, second, out=fresh)
            grads[seq] = fresh
            self.owned.add(seq)
        else:
            grads[seq] = total = total + d
            if type(total) is ndarray:  # neither a tensor nor one of the scalars that 0-d sums give
                self.owned.add(seq)

    def _write_grad(self, node: Node, g: Any, owned: bool) -> None:
        tensor = node.target() if node.target is not None else None
        if tensor is None:
            return
        if tensor.grad is None:
            if isinstance(g, Handle):
                tensor.grad = g
            else:
                tensor.grad = wrap(g if owned and not self.keep and g.flags.writeable else g.copy("K"))
        elif isinstance(g, Handle):
            tensor.grad = tensor.grad + g
        elif self.keep or tensor.grad.node is not None:
            tensor.grad = wrap(tensor.grad.array + g)
        else:
            np.add(tensor.grad.array, g, out=tensor.grad.array)
            versions.bump(tensor.grad.array)
        if node.hooks is not None and node.is_leaf:
            for fn in list(node.hooks.after_accumulate.values()):
                fn(tensor)

    def release(self) -> None:
        """Let go of what the visited nodes saved, as a pass without `keep` does on its way."""
        if self.deferred:
            for node in self.order[: self.position]:
                if node.parents and node.saved is not RELEASED:
                    node.saved = RELEASED
                    node.params = {k: v for k, v in node.params.items() if k not in node.op.choice}

    def run(self) -> None:
        """Exhaust the pass."""
        if self.create_graph:
            with modes.enable_grad():
                deque(self._steps(watched=False), maxlen=0)
        else:
            deque(self._steps(watched=False), maxlen=0)


def _visiting_order(outputs: Sequence[Node]) -> list[Node]:
    """Newest first, but each leaf right behind the last of its consumers, where its gradient is complete."""
    found: dict[int, Node] = {}
    last: dict[int, int] = {}  # a leaf's seq -> that of its oldest consumer, the last to be visited
    leaves: dict[int, Node] = {}
    stack = []
    for node in outputs:
        if node.parents:
            found[node.seq] = node
            stack.append(node)
        else:
            leaves[node.seq] = node
            last.setdefault(node.seq, node.seq)
    while stack:
        node = stack.pop()
        for parent in node.parents:
            if parent is None:
                continue
            seq = parent.seq
            if parent.parents:
                if seq not in found:
                    found[seq] = parent
                    stack.append(parent)
            else:
                leaves[seq] = parent
                if node.seq < last.get(seq, node.seq + 1) or last[seq] == seq:
                    last[seq] = node.seq
    behind: dict[int, list[Node]] = {}
    for seq, consumer in last.items():
        behind.setdefault(consumer, []).append(leaves[seq])
    order: list[Node] = []
    for seq in sorted(found.keys() | behind.keys(), reverse=True):
        if seq in found:
            order.append(found[seq])
        if seq in behind:
            order += behind[seq]
    return order


def _leading_to(order: Sequence[Node], wanted: dict[int, Any]) -> set[int]:
    """The nodes on some path to a wanted one."""
    needed = set(wanted)
    for node in sorted(order, key=lambda n: n.seq):
        if any(parent is not None and parent.seq in needed for parent in node.parents):
            needed.add(node.seq)
    return needed


def _refcount_when_alone() -> int:
    g = np.empty(1)
    return sys.getrefcount(g)


#: What `sys.getrefcount(local)` gives when nothing else holds the array (it differs between Pythons).
_ALONE = _refcount_when_alone()
