"""The backward pass: an iterator over the recorded graph.

    for step in backward_steps(loss):
        step.node, step.upstream, step.downstream

Newest node first, so each node is reached when everything that used it has handed its share back. A step
multiplies the upstream gradient with the node's local gradients and adds the products to what its inputs
have received so far. `Tensor.backward` exhausts this iterator; the debugger pauses in it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.graph import RELEASED, Node
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.op import unbroadcast

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


class Step(NamedTuple):
    """One step of the backward pass.

    Attributes
        node: the node that was worked on
        upstream: the gradient of the output with respect to the node's value
        downstream: per input, what this node contributes to the input's gradient; None where none is wanted.
            A leaf has no inputs: its step writes `.grad`.
    """

    node: Node
    upstream: Any
    downstream: tuple[Any, ...]


class BackwardPass:
    """The state of one backward pass.

    Attributes
        order: the nodes it will visit, in that order (leaves right behind the last of their consumers)
        position: how many of them are done
        grads: gradient received so far, by `node.seq`, of nodes not yet visited
        captured: gradients of the wanted inputs, by `seq` (only with `inputs`)

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

    def steps(self, watched: bool = True) -> Iterator[tuple[Node, Any, Sequence[Any]]]:
        """Visit the nodes one by one; yields (node, upstream, downstream) behind each.

        With ``watched=False`` nobody looks: it yields nothing and keeps no list of what it hands on.
        """
        grads, needed, captured, receive = self.grads, self.needed, self.captured, self.receive
        create_graph, release = self.create_graph, not (self.retain_graph or self.deferred)
        observe = modes.state.on_backward
        listed = watched or observe is not None
        owned, in_place, add = self.owned, not self.keep, np.add
        order = self.order
        # Leaves save nothing; anything changed before the oldest of the others was recorded is no concern.
        oldest = next((node.seq for node in reversed(order) if node.parents), None)
        check_versions = oldest is not None and versions.any_change_since(oldest)
        pop = grads.pop
        downstream: Any = ()
        for position in range(self.position, len(order)):
            node = order[position]
            self.position = position + 1
            g = pop(node.seq, None)
            if g is None:
                continue
            if type(g) is not ndarray:
                if isinstance(g, Lazy):
                    g = g.dense()
                    self.owned.add(node.seq)
                elif isinstance(g, np.generic):  # what NumPy makes of 0-d arrays
                    g = np.asarray(g)
            extra = node.extra
            hooks = None
            if extra is not None:
                hooks = extra.hooks
                if hooks is not None:
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
                if observe is not None:
                    observe(node, g, ())
                if watched:
                    yield node, g, ()
                continue
            if extra is not None and extra.target is not None and self.accumulate:
                self._write_grad(node, g, False)
            saved = node.saved
            if type(saved) is not tuple:
                saved = saved_values(node)
            if check_versions:
                _check_versions(node)
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
            if observe is not None:
                observe(node, g, downstream)
            saved = d = None
            if watched:
                yield node, g, downstream
            downstream = ()  # hold nothing: a leaf may take over an array that nobody else holds

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
                deque(self.steps(watched=False), maxlen=0)
        else:
            deque(self.steps(watched=False), maxlen=0)


# --- the public entrances --------------------------------------------------------------------------


def backward_steps(
    outputs: Any, seeds: Any = None, *, create_graph: bool = False, retain_graph: bool | None = None,
    inputs: Any = None,
) -> Iterator[Step]:  # fmt: skip
    """The backward pass of `outputs` (a tensor or several), one `Step` at a time.

    Exhausting it leaves exactly what `Tensor.backward` leaves. Raises RuntimeError as `backward` does: for
    outputs that need no grad, for a missing seed of a non-scalar output, for a graph already released.
    """
    roots, seeds, wanted = backward_roots(outputs, seeds, create_graph, inputs)
    work = BackwardPass(roots, seeds, create_graph=create_graph, retain_graph=retain_graph, inputs=wanted)
    for node, upstream, downstream in work.steps():
        yield Step(node, upstream, tuple(d.dense() if isinstance(d, Lazy) else d for d in downstream))


def backward(
    outputs: Any,
    seeds: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate gradients of `outputs` into the `.grad` of the leaves they depend on (see `Tensor.backward`)."""
    tensors, seeds = _outputs_and_seeds(outputs, seeds, create_graph)
    wanted = None
    if inputs is not None:
        wanted = []
        for x in _as_list(inputs):
            node = _node_of(x, "inputs")
            if node.target is None:
                raise RuntimeError(
                    "backward(inputs=…) expected leaf tensors (or ones with retain_grad()), "
                    f"got the result of {node.op.name}; use autograd.grad for its gradient"
                )
            wanted.append(node)
    BackwardPass(
        [t.node for t in tensors], seeds, create_graph=create_graph, retain_graph=retain_graph, inputs=wanted
    ).run()


def gradients(
    outputs: Sequence[Any], inputs: Sequence[Any], seeds: Sequence[Any], *, create_graph: bool = False,
    retain_graph: bool | None = None,
) -> list[Any]:  # fmt: skip
    """Gradients with respect to `inputs`, zeros where an output does not depend on one; `.grad` untouched."""
    found = _pull_to(outputs, inputs, seeds, create_graph, retain_graph)
    return [
        (wrap(np.zeros_like(x.array)) if create_graph else np.zeros_like(x.array)) if g is None else g
        for x, g in zip(inputs, found, strict=True)
    ]


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None,
    create_graph: bool = False, allow_unused: bool | None = None, materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of `outputs` with respect to `inputs`, without touching any `.grad`.

    Parameters as in PyTorch's ``torch.autograd.grad``. Returns one tensor per input, each of the input's
    shape; None for an input that was not used when ``allow_unused=True``, zeros with `materialize_grads`.

    Raises RuntimeError when an input requires no grad, or was not used and `allow_unused` is not set.
    """
    tensors, seeds = _outputs_and_seeds(outputs, grad_outputs, create_graph)
    wanted = _as_list(inputs)
    for k, x in enumerate(wanted):
        if not isinstance(x, Handle) or x.node is None:
            raise RuntimeError(
                f"autograd.grad: input {k} does not require grad; make it with requires_grad=True"
            )
    found = _pull_to(tensors, wanted, seeds, create_graph, retain_graph)
    results = []
    for k, (x, g) in enumerate(zip(wanted, found, strict=True)):
        if g is None and materialize_grads:
            g = np.zeros_like(x.array)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"autograd.grad: input {k} of shape {tuple(x.shape)} was not used to compute the outputs; "
                "pass allow_unused=True to get None for it, or materialize_grads=True to get zeros"
            )
        results.append(g if g is None or isinstance(g, Handle) else wrap(g))
    return tuple(results)


def _pull_to(
    outputs: Sequence[Any],
    inputs: Sequence[Any],
    seeds: Sequence[Any],
    create_graph: bool,
    retain: bool | None,
) -> list[Any]:
    live = [(o.node, s) for o, s in zip(outputs, seeds, strict=True) if o.node is not None]
    work = BackwardPass(
        [node for node, _ in live], [seed for _, seed in live], create_graph=create_graph, retain_graph=retain,
        inputs=[x.node for x in inputs], accumulate=False,
    )  # fmt: skip
    work.run()
    assert work.captured is not None
    return [work.captured[x.node.seq] for x in inputs]


def backward_roots(
    outputs: Any, seeds: Any, create_graph: bool, inputs: Any = None
) -> tuple[list[Node], list[Any], list[Node] | None]:
    """What a `BackwardPass` starts from: the outputs' nodes, their checked seeds, the wanted inputs' nodes."""
    tensors, arrays = _outputs_and_seeds(outputs, seeds, create_graph)
    wanted = None if inputs is None else [_node_of(x, "inputs") for x in _as_list(inputs)]
    return [t.node for t in tensors], arrays, wanted


# --- helpers ---------------------------------------------------------------------------------------


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


def saved_values(node: Node) -> tuple[Any, ...]:
    """What a node saved: (output, *inputs), None where no rule needs the value.

    Recomputes it for nodes made under `utils.checkpoint`. Raises RuntimeError when a backward pass has
    released it.
    """
    saved = node.saved
    if type(saved) is tuple:
        return saved
    if saved is not RELEASED:
        return saved.restore(node)
    live = tuple(parent is not None for parent in node.parents)
    if any(node.op.keeps(live)) or node.op.choice:
        raise RuntimeError(
            f"backward a second time through {node.op.name} ({_place(node)}): the values it saved were freed by "
            "the first pass. Pass retain_graph=True to the first backward() if you need two, "
            "or compute the output again."
        )
    return (None,) * (len(live) + 1)


def _check_versions(node: Node) -> None:
    for k, value in enumerate(node.saved):
        if versions.changed_since(value, node.seq):
            what = "its output" if k == 0 else f"its input {k - 1}"
            raise RuntimeError(
                f"{node.op.name} ({_place(node)}) needs {what} of shape {tuple(np.shape(value))} for its gradient, but "
                "that value has been changed in place since. Change a copy (t.clone()), or change it after backward()."
            )


def _place(node: Node) -> str:
    where = node.where
    text = f" `{where.text}`" if where is not None and where.text else ""
    return f"made at {where}{text}" if where is not None else "made in the engine"


def saved_tensors(node: Node) -> tuple[Any, ...]:
    """What a node saved, as tensors that lead back into the graph (see `saved_values`)."""
    saved = saved_values(node)
    values = [wrap(saved[0], node) if isinstance(saved[0], ndarray) else saved[0]]
    for value, parent in zip(saved[1:], node.parents, strict=True):
        values.append(wrap(value, parent) if isinstance(value, ndarray) else value)
    return tuple(values)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _node_of(x: Any, what: str) -> Node:
    if not isinstance(x, Handle) or x.node is None:
        raise RuntimeError(f"backward: one of the {what} does not require grad")
    return x.node


def _outputs_and_seeds(outputs: Any, seeds: Any, create_graph: bool) -> tuple[list[Any], list[Any]]:
    tensors = _as_list(outputs)
    given = _as_list(seeds) if seeds is not None else [None] * len(tensors)
    if len(given) != len(tensors):
        raise RuntimeError(
            f"backward expected one gradient per output: {len(tensors)} outputs, {len(given)} gradients"
        )
    arrays = []
    for t, seed in zip(tensors, given, strict=True):
        if not isinstance(t, Handle):
            raise TypeError(f"backward expected tensors, got {type(t).__name__}")
        if t.node is None:
            raise RuntimeError(
                "backward: this tensor does not require grad and has no graph behind it. Make an input with "
                "requires_grad=True, and compute outside no_grad() and without detach()."
            )
        if seed is None:
            if t.array.size != 1:
                raise RuntimeError(
                    f"backward() without a gradient expected a scalar (one element), got shape {tuple(t.array.shape)}; "
                    "reduce it first (loss.sum() or .mean()), or pass gradient= of that shape"
                )
            seed = np.ones_like(t.array)
        elif tuple(np.shape(unwrap(seed))) != t.array.shape:
            raise RuntimeError(
                f"backward expected a gradient of the output's shape {tuple(t.array.shape)}, "
                f"got {tuple(np.shape(unwrap(seed)))}"
            )
        elif not create_graph:
            seed = np.asarray(unwrap(seed))
        arrays.append(seed if not create_graph or isinstance(seed, Handle) else wrap(np.asarray(seed)))
    return tensors, arrays


def _refcount_when_alone() -> int:
    g = np.empty(1)
    return sys.getrefcount(g)


#: What `sys.getrefcount(local)` gives when nothing else holds the array (it differs between Pythons).
_ALONE = _refcount_when_alone()
