"""One backward pass: its order, what each node has received so far, and the step from node to node.

A step multiplies the upstream gradient with the node's local gradients and adds the products to what its
inputs have received so far. This is the definition: `visit` says what a step is. `fast.loop` does the same steps in
less time and is held equal to it; sessions, observers and passes that are recorded themselves use it as it stands.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import hook_calls, modes, versions
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.graph import Node, reachable
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.saved import check_versions, release, saved_tensors, saved_values
from tinygrad_cnn.autograd.state import state

Visited = tuple[Node, Any, Sequence[Any]]


class Failure(NamedTuple):
    """Where a pass failed: the node whose rule or hook raised, and the gradient that had arrived there."""

    node: Node
    upstream: Any


class BackwardPass:
    """The state of one backward pass.

    Attributes:
        order: the nodes it will visit, in that order (leaves right behind the last of their consumers)
        position: how many of them are done
        grads: gradient received so far, by `node.seq`, of nodes not yet visited
        captured: gradients of the wanted inputs, by `seq` (only with `inputs`)
        failure: where a rule or a hook raised, and what had arrived there; None while nothing did

    Args:
        outputs: where it starts
        seeds: ∂L/∂output for each of them, an array or tensor of the same shape
        create_graph: record the backward pass itself, so that it can be differentiated
        retain_graph: keep what the nodes saved; without it, each node lets go as soon as it is done
        inputs: tensors whose gradient is wanted, leaves or not: only paths to them are followed
        accumulate: write `.grad` (of the inputs, where there are any)
        keep: for stepping back: `.grad` is replaced, never changed in place, and what nodes saved is let go of only
            when `release` is called
    """

    def __init__(
        self, outputs: Sequence[Node], seeds: Sequence[Tensor], *, create_graph: bool = False,
        retain_graph: bool | None = None, inputs: Sequence[Handle] | None = None, accumulate: bool = True,
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
        self.captured: dict[int, Any] | None = None
        self.inputs = {x.node.seq: x for x in inputs or () if x.node is not None}
        self.order = _visiting_order(outputs)
        self.needed: set[int] | None = None
        if inputs is not None:
            self.captured = dict.fromkeys(self.inputs)
            self.needed = _leading_to(self.order, self.captured)
            self.order = [node for node in self.order if node.seq in self.needed]
        for node, seed in zip(outputs, seeds, strict=True):
            self.receive(node, seed)

    # --- one node ------------------------------------------------------------------------------

    def visit(self, node: Node, g: Any) -> tuple[Any, Sequence[Any]]:
        """Do one node, at which the gradient `g` has arrived.

        Gives the gradient behind the node's hooks, and what the node handed to each of its inputs (None: nothing).
        """
        hooks = node.hooks
        if hooks is not None:
            g = hook_calls.on_upstream(hooks, g)
        if self.captured is not None and node.seq in self.captured:
            self.captured[node.seq] = g
        if self.accumulate and (node.target is not None or node.seq in self.inputs):
            self.write_grad(node, g)
        wanted = [self.wants(parent) for parent in node.parents]
        if True not in wanted:  # a leaf, or an input behind which nothing is asked for: it keeps what it saved
            return g, ()
        saved = saved_values(node)
        check_versions(node, saved)
        if self.create_graph:  # of tensors, the rules compute tensors, and their work is recorded like any other
            saved = saved_tensors(node)
        downstream = node.op.pull_all(g, node, saved, wanted)
        if hooks is not None:
            downstream = hook_calls.on_downstream(hooks, downstream, g)
        for parent, want, d in zip(node.parents, wanted, downstream, strict=True):
            if want and d is not None:
                self.receive(parent, d)  # type: ignore[arg-type]
        if not (self.retain_graph or self.deferred):
            release(node)
        return g, downstream

    def wants(self, parent: Node | None) -> bool:
        """Whether a gradient should flow to this input of a node."""
        return parent is not None and (self.needed is None or parent.seq in self.needed)

    def receive(self, node: Node, d: Any) -> None:
        """Add a contribution to the gradient of `node`.

        The first is kept by reference, and sums are new arrays: no array that anybody else may hold is written to.
        """
        if d.dtype != node.dtype:
            d = d.astype(node.dtype)
        total = self.grads.get(node.seq)
        self.grads[node.seq] = d if total is None else total + d

    def write_grad(self, node: Node, g: Any) -> None:
        """Add `g` to the `.grad` of the node's tensor, if the tensor is still there."""
        tensor = self.inputs.get(node.seq, node.tensor)
        if tensor is None:
            return
        if tensor._grad is None:
            tensor._grad = g if isinstance(g, Handle) else wrap(g.copy("K"))
        elif isinstance(g, Handle):
            tensor._grad = tensor._grad + g
        elif self.keep or tensor._grad.node is not None:
            tensor._grad = wrap(tensor._grad.array + g)
        else:
            np.add(tensor._grad.array, g, out=tensor._grad.array)
            versions.bump(tensor._grad.array)
        if node.hooks is not None and node.is_leaf:
            hook_calls.after_accumulate(node.hooks, tensor)

    # --- from node to node -----------------------------------------------------------------------

    def advance(self) -> Visited | None:
        """Do the next node that a gradient reaches; gives (node, upstream, downstream), None at the end."""
        while self.position < len(self.order):
            node = self.order[self.position]
            self.position += 1
            g = self.grads.pop(node.seq, None)
            if g is None:
                continue
            if not isinstance(g, Handle):
                g = np.asarray(g)  # lays out a lazy gradient; 0-d sums give NumPy's scalars
            observers = state.now.on_visit or ()
            try:
                for observer in observers:
                    observer.on_node_begin(node, g)
                with modes.enable_grad() if self.create_graph else nullcontext():
                    upstream, downstream = self.visit(node, g)
            except BaseException as error:
                self.failed(node, g, error)
                raise
            for observer in observers:
                observer.on_node_end(node, upstream, downstream)
            return node, upstream, downstream
        return None

    def failed(self, node: Node, g: Any, error: BaseException) -> None:
        """Note where the pass failed, and tell the error which pass it was (`inspect.failed_pass` reads that).

        The pass does not hold the error, whose frames hold the pass.
        """
        self.failure = Failure(node, g)
        BaseException.__setattr__(error, "backward_pass", getattr(error, "backward_pass", self))

    def steps(self) -> Iterator[Visited]:
        """Visit the nodes one by one; yields (node, upstream, downstream) behind each."""
        paused = state.now.paused
        if not any(ref() is self for ref in paused):
            paused.append(weakref.ref(self, paused.remove))
        return iter(self.advance, None)

    def run(self) -> None:
        """Exhaust the pass."""
        while self.advance() is not None:
            pass

    def release(self) -> None:
        """Let go of what the visited nodes saved, as a pass without `keep` does on its way."""
        if self.deferred:
            for node in self.order[: self.position]:
                if not node.is_leaf:
                    release(node)


def _visiting_order(outputs: Sequence[Node]) -> list[Node]:
    """Newest first, but each leaf right behind the last of its consumers, where its gradient is complete."""
    order: list[Node] = []
    seen: set[int] = set()
    for node in reversed(reachable(outputs)):  # oldest first: the first consumer of a leaf is the last to be visited
        parents = node.parents
        if parents:
            for parent in reversed(parents):
                if parent is not None and not parent.parents and parent.seq not in seen:
                    seen.add(parent.seq)
                    order.append(parent)
            order.append(node)
    order.reverse()
    for node in outputs:
        if not node.parents and node.seq not in seen:
            seen.add(node.seq)
            order.append(node)
    return order


def _leading_to(order: Sequence[Node], wanted: dict[int, Any]) -> set[int]:
    """The nodes on some path to a wanted one."""
    needed = set(wanted)
    for node in sorted(order, key=lambda n: n.seq):
        if any(parent is not None and parent.seq in needed for parent in node.parents):
            needed.add(node.seq)
    return needed
