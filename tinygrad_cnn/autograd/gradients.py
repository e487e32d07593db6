"""Gradients with respect to chosen inputs, handed back instead of accumulated: `autograd.grad`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Tensor, Tensors
from tinygrad_cnn.autograd.backward_pass import BackwardPass
from tinygrad_cnn.autograd.driver import run
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.roots import as_list, outputs_and_seeds


def gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], seeds: Sequence[Tensor], *, create_graph: bool = False,
    retain_graph: bool | None = None,
) -> list[Any]:  # fmt: skip
    """Gradients with respect to `inputs`, zeros where an output does not depend on one; `.grad` untouched."""
    found = _pull_to(outputs, inputs, seeds, create_graph, retain_graph)
    return [
        (wrap(np.zeros_like(x.array)) if create_graph else np.zeros_like(x.array)) if g is None else g
        for x, g in zip(inputs, found, strict=True)
    ]


def grad(
    outputs: Tensor, inputs: Tensors, grad_outputs: Tensors | None = None, retain_graph: bool | None = None,
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
    tensors, seeds = outputs_and_seeds(outputs, grad_outputs, create_graph)
    wanted = as_list(inputs)
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
            g = wrap(g if g.flags.writeable else g.copy())  # a sum's gradient is a read-only broadcast view
        results.append(g)
    return tuple(results)


def _pull_to(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    seeds: Sequence[Tensor],
    create_graph: bool,
    retain: bool | None,
) -> list[Any]:
    live = [(o.node, s) for o, s in zip(outputs, seeds, strict=True) if o.node is not None]
    work = BackwardPass(
        [node for node, _ in live], [seed for _, seed in live], create_graph=create_graph, retain_graph=retain,
        inputs=inputs, accumulate=False,
    )  # fmt: skip
    run(work)
    assert work.captured is not None
    return [work.captured[x.node.seq] for x in inputs]
