"""What a network costs: parameters, multiply-adds and memory, per layer and in all.

Shapes come from running the network once on zeros; multiply-adds and the memory of the backward pass from the
graph that this run records, so that layers of one's own and plain function calls are counted like any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.analysis.watch import sample_size
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, leaf
from tinygrad_cnn.autograd.inspect import held, observing
from tinygrad_cnn.autograd.versions import owner

__all__ = ["Layer", "Summary", "summary"]


@dataclass
class Layer:
    """One module that did something itself.

    name, kind       its path (``features.0``) and class
    output           shape of what it gave
    parameters       numbers in its own parameters (those shared with an earlier layer are not counted again)
    multiply_adds    of its convolutions and matrix products, for the whole batch
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass
class Summary:
    """The layers in the order they ran, and the totals. Memory is in bytes.

    parameter_bytes    the parameters (and as much again for their gradients, and for each of an optimiser's
                       memories: one for momentum, two for Adam)
    output_bytes       the outputs of all layers
    saved_bytes        what the forward pass keeps for the backward pass, parameters apart (in eval mode, so
                       without dropout's masks and batch norm's statistics)
    """

    input_shape: tuple[int, ...]
    layers: list[Layer]
    parameters: int
    trainable: int
    multiply_adds: int
    parameter_bytes: int
    output_bytes: int
    saved_bytes: int

    def __str__(self) -> str:
        rows = [("layer", "kind", "output", "parameters", "multiply-adds")]
        for layer in self.layers:
            shape = " × ".join(map(str, layer.output))
            macs = f"{layer.multiply_adds:,}" if layer.multiply_adds else "–"
            count = f"{layer.parameters:,}" if layer.parameters else "–"
            rows.append((layer.name, layer.kind, shape, count, macs))
        rows.append(("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = []
        for row in rows:
            cells = [cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
            lines.append("  ".join(cells).rstrip())
        rule = "─" * (sum(widths) + 8)
        text = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
        frozen = self.parameters - self.trainable
        still = f"; {frozen:,} parameters frozen" if frozen else ""
        text.append(f"input {' × '.join(map(str, self.input_shape))}{still}")
        text.append(
            f"memory: parameters {_mib(self.parameter_bytes)}, outputs {_mib(self.output_bytes)}, "
            f"kept for the backward pass {_mib(self.saved_bytes)}"
        )
        return "\n".join(text)


def summary(model: Any, input_size: Sequence[int], *, batch_size: int = 1, dtype: Any = None) -> Summary:
    """Run `model` once on zeros of shape (batch_size, *input_size) and say what each layer costs.

    Multiply-adds are those of convolutions, transposed convolutions and matrix products: pooling, norms,
    activations and biases are left out, as is usual. The model is put into eval mode for the run and back.
    Raises what the model raises on an input that does not fit.
    """
    from tinygrad_cnn.training.evaluation import evaluating

    # A leaf, so that layers with frozen parameters are recorded as well.
    x = leaf(np.zeros((batch_size, *sample_size(model, input_size)), dtype or modes.get_default_dtype()))
    names = {id(module): path for path, module in model.named_modules()}
    layers: list[Layer] = []
    counted: set[int] = set()
    open_layers: list[int] = []
    nodes: list[Node] = []

    def record(node: Node, _out: Any) -> None:
        nodes.append(node)
        if open_layers:
            layers[open_layers[-1]].multiply_adds += multiply_adds(node)

    def enter(module: Any, _inputs: Any) -> None:
        fresh = [p for p in module.parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, fresh))
        count = sum(p.array.size for p in fresh)
        open_layers.append(len(layers))
        layers.append(Layer(names[id(module)] or "(itself)", type(module).__name__, (), count, 0))

    def leave(_module: Any, _inputs: Any, output: Any) -> None:
        layers[open_layers.pop()].output = tuple(output.array.shape) if isinstance(output, Handle) else ()

    handles = []
    try:
        for module in model.modules():
            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        with evaluating(model), modes.enable_grad(), observing(on_record=record):
            output = model(x)
    finally:
        for handle in handles:
            handle.remove()

    parents = {path.rpartition(".")[0] for path in names.values() if path}
    parents |= {""} if len(names) > 1 else set()
    # Containers that only pass on are left out; one that computes something itself stays.
    kept = [
        layer
        for layer in layers
        if ("" if layer.name == "(itself)" else layer.name) not in parents or layer.parameters or layer.multiply_adds
    ]
    parameters = list(model.parameters())
    del output
    return Summary(
        input_shape=tuple(x.array.shape),
        layers=kept,
        parameters=sum(p.array.size for p in parameters),
        trainable=sum(p.array.size for p in parameters if p.requires_grad),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        parameter_bytes=sum(p.array.nbytes for p in parameters),
        output_bytes=sum(math.prod(layer.output) * x.array.itemsize for layer in kept),
        saved_bytes=_saved(nodes, parameters),
    )


def multiply_adds(node: Node) -> int:
    """Multiply-adds of the op behind `node`: a convolution's or a matrix product's, else 0."""
    name = node.op.name
    if name == "correlate":  # each output is a sum over C/groups · k products
        return math.prod(node.shape) * math.prod(_input_shape(node, 1)[1:])
    if name == "correlate_input":  # each input (of a transposed convolution) goes to O/groups · k places
        return math.prod(_input_shape(node, 0)) * math.prod(_input_shape(node, 1)[1:])
    if name in ("matmul", "linear"):
        return math.prod(node.shape) * _input_shape(node, 0)[-1]
    return 0


def _input_shape(node: Node, i: int) -> tuple[int, ...]:
    parent = node.parents[i]
    if parent is not None:
        return parent.shape
    saved = node.saved[i + 1]  # a frozen weight is no node, but the live input's rule keeps it
    return tuple(saved.shape)


def _saved(nodes: list[Node], parameters: list[Any]) -> int:
    """Bytes that nodes keep for their rules: each piece of memory once, parameters not at all."""
    own = {id(owner(p.array)) for p in parameters}
    kept: dict[int, int] = {}
    for node in nodes:
        values = [*held(node), *node.params.values()]
        for value in values:
            if isinstance(value, np.ndarray):
                memory = owner(value)
                if id(memory) not in own:
                    kept[id(memory)] = memory.nbytes
    return sum(kept.values())


def _mib(n: int) -> str:
    return f"{n / 2**20:.2f} MiB"
