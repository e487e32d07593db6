"""The backward pass: an iterator over the recorded graph.

    for step in backward_steps(loss):
        step.node, step.upstream, step.downstream

Newest node first, so each node is reached when everything that used it has handed its share back. A step
multiplies the upstream gradient with the node's local gradients and adds the products to what its inputs
have received so far. `Tensor.backward` exhausts this iterator; the debugger pauses in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.backward_pass import BackwardPass, Lazy
from tinygrad_cnn.autograd.driver import run
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap


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
    run(BackwardPass(
        [t.node for t in tensors], seeds, create_graph=create_graph, retain_graph=retain_graph, inputs=wanted
    ))  # fmt: skip


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
    create_graph: bool = False, only_inputs: bool = True, allow_unused: bool | None = None,
    is_grads_batched: bool = False, materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of `outputs` with respect to `inputs`, without touching any `.grad`.

    Parameters as in PyTorch's ``torch.autograd.grad``. Returns one tensor per input, each of the input's
    shape; None for an input that was not used when ``allow_unused=True``, zeros with `materialize_grads`.

    Raises RuntimeError when an input requires no grad, or was not used and `allow_unused` is not set;
    NotImplementedError for `is_grads_batched`, ValueError for ``only_inputs=False``, which PyTorch gave up, too.
    """
    if is_grads_batched:
        raise NotImplementedError("autograd.grad(is_grads_batched=True) is not there: call it once per gradient")
    if not only_inputs:
        raise ValueError("autograd.grad expected only_inputs=True; backward() accumulates into leaves")
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
        if isinstance(g, np.ndarray):
            g = wrap(g if g.flags.writeable else g.copy())  # what a sum spreads is one number in memory
        results.append(g)
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
    run(work)
    assert work.captured is not None
    return [work.captured[x.node.seq] for x in inputs]


def backward_roots(
    outputs: Any, seeds: Any, create_graph: bool, inputs: Any = None
) -> tuple[list[Node], list[Any], list[Node] | None]:
    """What a `BackwardPass` starts from: the outputs' nodes, their checked seeds, the wanted inputs' nodes."""
    tensors, arrays = _outputs_and_seeds(outputs, seeds, create_graph)
    wanted = None if inputs is None else [_node_of(x, "inputs") for x in _as_list(inputs)]
    return [t.node for t in tensors], arrays, wanted


def _as_list(value: Any) -> list[Any]:
    # Any iterable of tensors: autograd.grad(loss, net.parameters()) gives a generator.
    single = isinstance(value, (Handle, np.ndarray, np.generic)) or not isinstance(value, Iterable)
    return [value] if single else list(value)


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
