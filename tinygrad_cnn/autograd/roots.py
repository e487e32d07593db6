"""What a backward pass starts from: outputs and their seeds, checked, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Tensor, Tensors
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap


def backward_roots(
    outputs: Tensor, seeds: Tensors, create_graph: bool, inputs: Tensors | None = None
) -> tuple[list[Node], list[Any], list[Handle] | None]:
    """What a `BackwardPass` starts from: the outputs' nodes, their checked seeds, the wanted inputs."""
    tensors, arrays = outputs_and_seeds(outputs, seeds, create_graph)
    wanted = None if inputs is None else [_with_grad(x) for x in as_list(inputs)]
    return [t.node for t in tensors], arrays, wanted


def as_list(value: Tensor) -> list[Any]:
    # Any iterable of tensors: autograd.grad(loss, net.parameters()) gives a generator.
    single = isinstance(value, (Handle, np.ndarray, np.generic)) or not isinstance(value, Iterable)
    return [value] if single else list(value)


def _with_grad(x: Tensor) -> Handle:
    if not isinstance(x, Handle) or x.node is None:
        raise RuntimeError("backward: one of the inputs does not require grad")
    return x


def outputs_and_seeds(outputs: Tensor, seeds: Tensors, create_graph: bool) -> tuple[list[Any], list[Any]]:
    tensors = as_list(outputs)
    given = as_list(seeds) if seeds is not None else [None] * len(tensors)
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
