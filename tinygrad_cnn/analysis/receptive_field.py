"""Which part of the input a unit of a layer sees: by the layers' geometry, and by its gradient.

Reads the recorded graph, so branches (a residual block's) are followed as they are: where two meet, the
field is what either sees. Used by `viz.receptive_field`, which draws it on the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.analysis.watch import as_batch, evaluating, layer_outputs, layer_path, sample_size
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.gradients import grad
from tinygrad_cnn.autograd.graph import Node, reachable
from tinygrad_cnn.autograd.handle import Handle, leaf, unwrap
from tinygrad_cnn.support.errors import UsageError


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer's units, per spatial dimension, in pixels of the input.

    Attributes
        layer: module path (the op's name outside modules)
        kind: what the layer is: its last op
        shape: of the layer's output
        size: side lengths of the region that one unit sees, padding not cut off
        jump: distance between the regions of neighbouring units (the product of the strides)
        start: first pixel of the region of unit (0, …, 0); negative where it lies in the padding
        whole: whether every unit sees all of the input (behind a flatten, a global pooling, a mean)
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    size: tuple[int, ...]
    jump: tuple[int, ...]
    start: tuple[int, ...]
    whole: bool = False

    def region(self, unit: Sequence[int], input_size: Sequence[int]) -> tuple[slice, ...]:
        """The pixels that a unit at a spatial position sees, cut at the input's border."""
        if self.whole:
            return tuple(slice(0, n) for n in input_size)
        found = []
        for at, size, jump, start, n in zip(unit, self.size, self.jump, self.start, input_size, strict=True):
            first = start + at * jump
            found.append(slice(max(0, first), min(n, first + size)))
        return tuple(found)


def receptive_field(model: Any, input_size: Sequence[int]) -> list[Field]:
    """The receptive field of each layer of a convolutional network, in the order of computation.

    size ← size + (kernel − 1) · dilation · jump, jump ← jump · stride, start ← start − padding · jump
    (Araujo, Norris, Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks").

    `input_size` is that of one sample, ``(3, 224, 224)``, or with the batch in front. The model
    is called once, in evaluation
    mode. Raises UsageError when the input has no spatial dimension.
    """
    size = sample_size(model, input_size)
    if len(size) < 2:
        raise UsageError(f"receptive_field() expected an input size of (channels, …spatial), got {size}")
    shape = (1, *size)
    parameters = iter(getattr(model, "parameters", lambda: ())())
    dtype = next((p.array.dtype for p in parameters), np.dtype(np.float32))
    x = leaf(np.zeros(shape, dtype))
    with evaluating(model), modes.enable_grad():
        output = model(x)
    nodes = reachable([output.node])[::-1]
    n = len(shape) - 2
    known: dict[int, Field] = {x.node.seq: Field("", "input", shape, (1,) * n, (1,) * n, (0,) * n)}
    layers: dict[str, Field] = {}
    for node in nodes:
        parents = [known[p.seq] for p in node.parents if p is not None and p.seq in known]
        if not parents or not node.parents:
            continue
        field = known[node.seq] = _through(node, _union(parents), shape[2:])
        layers[field.layer] = field
    return list(layers.values())


def effective_field(model: Any, image: Any, layer: str, unit: Sequence[int] | None = None) -> np.ndarray:
    """How much each pixel really moves one unit: |∂unit/∂pixel|, of the image's shape without the batch.

    `image` is (C, *spatial), or a batch whose first counts. `unit` is (channel, *position) in the layer's
    output; by default the middle of the strongest channel. It lies within the region of `receptive_field`,
    and is mostly smaller (Luo et al. 2016).
    """
    x = _leaf_of(image)
    with evaluating(model), modes.enable_grad():
        outputs = layer_outputs(model, x, [layer])
    output = outputs[layer_path(model, layer)]
    at = (0, *(unit if unit is not None else middle_unit(output.array)))
    if len(at) != output.array.ndim or any(
        not -n <= k < n for k, n in zip(at, output.array.shape, strict=False)
    ):
        raise UsageError(
            f"the layer {layer!r} gives {output.array.shape[1:]} units, there is none at {tuple(at[1:])}"
        )
    seed = np.zeros_like(output.array)
    seed[at] = 1
    (g,) = grad(output, x, seed, allow_unused=True)
    return np.abs(unwrap(g)[0]) if g is not None else np.zeros(x.array.shape[1:])


def middle_unit(output: np.ndarray) -> tuple[int, ...]:
    """The unit in the middle of the channel with the largest mean activation."""
    flat = output[0].reshape(output.shape[1], -1).mean(axis=1)
    return (int(np.argmax(flat)), *(n // 2 for n in output.shape[2:]))


# --- how each kind of node changes the field ----------------------------------------------------------


def _through(node: Node, field: Field, pixels: tuple[int, ...]) -> Field:
    layer = node.module or node.op.name
    n = len(pixels)
    params = node.params
    spatial = tuple(node.shape[2:])
    if "stride" in params and "dilation" in params or "kernel" in params:
        weight = node.parents[1] if len(node.parents) > 1 else None
        kernel = params.get("kernel") or (
            weight.shape[2:] if weight is not None else _saved_shape(node, 1)[2:]
        )
        stride, dilation = _each(params.get("stride", 1), n), _each(params.get("dilation", 1), n)
        before = [p[0] for p in _borders(params.get("padding", 0), n)]
        size = tuple(
            r + (k - 1) * d * j
            for r, k, d, j in zip(field.size, _each(kernel, n), dilation, field.jump, strict=True)
        )
        start = tuple(s - p * j for s, p, j in zip(field.start, before, field.jump, strict=True))
        jump = tuple(j * s for j, s in zip(field.jump, stride, strict=True))
        return Field(layer, node.op.name, node.shape, size, jump, start, field.whole)
    same_grid = len(node.shape) == n + 2 and spatial == field.shape[2:]
    if same_grid or field.whole:
        return Field(layer, node.op.name, node.shape, field.size, field.jump, field.start, field.whole)
    return Field(layer, node.op.name, node.shape, pixels, (0,) * n, (0,) * n, True)


def _union(fields: list[Field]) -> Field:
    first = fields[0]
    if len(fields) == 1:
        return first
    start = tuple(min(f.start[k] for f in fields) for k in range(len(first.start)))
    end = tuple(max(f.start[k] + f.size[k] for f in fields) for k in range(len(first.start)))
    size = tuple(e - s for s, e in zip(start, end, strict=True))
    jump = tuple(max(f.jump[k] for f in fields) for k in range(len(first.jump)))
    return Field(first.layer, first.kind, first.shape, size, jump, start, any(f.whole for f in fields))


def _saved_shape(node: Node, i: int) -> tuple[int, ...]:
    saved = node.saved[i + 1] if isinstance(node.saved, tuple) and i + 1 < len(node.saved) else None
    return tuple(getattr(saved, "shape", ()))


def _each(value: Any, n: int) -> tuple[int, ...]:
    return (int(value),) * n if isinstance(value, (int, np.integer)) else tuple(int(v) for v in value)


def _borders(value: Any, n: int) -> list[tuple[int, int]]:
    """Padding as (before, behind) per dimension, from a number, one each, or pairs."""
    if isinstance(value, (int, np.integer)):
        return [(int(value), int(value))] * n
    return [(int(v), int(v)) if isinstance(v, (int, np.integer)) else (int(v[0]), int(v[1])) for v in value]


def _leaf_of(image: Any) -> Handle:
    return leaf(as_batch(image).array[:1].copy())
