"""The backward pass: an iterator over the recorded graph.

    for step in backward_steps(loss):
        step.node, step.upstream, step.downstream

Newest node first, so each node is reached when everything that used it has handed its share back. A step
multiplies the upstream gradient with the node's local gradients and adds the products to what its inputs
have received so far. `Tensor.backward` exhausts this iterator; the debugger pauses in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tinygrad_cnn.autograd.annotations import Tensor, Tensors
from tinygrad_cnn.autograd.backward_pass import BackwardPass
from tinygrad_cnn.autograd.driver import run
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, dense
from tinygrad_cnn.autograd.roots import backward_roots


class Step(NamedTuple):
    """One step of the backward pass.

    Attributes:
        node: the node that was worked on
        upstream: the gradient of the output with respect to the node's value
        downstream: per input, what this node contributes to the input's gradient; None where none is wanted.
            A leaf has no inputs: its step writes `.grad`.
    """

    node: Node
    upstream: Any
    downstream: tuple[Any, ...]


def backward_steps(
    outputs: Tensor, seeds: Tensors | None = None, *, create_graph: bool = False, retain_graph: bool | None = None,
    inputs: Tensors | None = None,
) -> Iterator[Step]:  # fmt: skip
    """The backward pass of `outputs` (a tensor or several), one `Step` at a time.

    Exhausting it leaves exactly what `Tensor.backward` leaves. Raises RuntimeError as `backward` does: for
    outputs that need no grad, for a missing seed of a non-scalar output, for a graph already released.
    """
    roots, seeds, wanted = backward_roots(outputs, seeds, create_graph, inputs)
    work = BackwardPass(roots, seeds, create_graph=create_graph, retain_graph=retain_graph, inputs=wanted)
    for node, upstream, downstream in work.steps():
        yield Step(node, upstream, tuple(d if d is None or isinstance(d, Handle) else dense(d) for d in downstream))


def backward(
    outputs: Tensors, seeds: Tensors | None = None, retain_graph: bool | None = None, create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:  # fmt: skip
    """Accumulate gradients of `outputs` into the `.grad` of the leaves they depend on, or of `inputs`
    (see `Tensor.backward`)."""
    roots, seeds, wanted = backward_roots(outputs, seeds, create_graph, inputs)
    run(BackwardPass(roots, seeds, create_graph=create_graph, retain_graph=retain_graph, inputs=wanted))
