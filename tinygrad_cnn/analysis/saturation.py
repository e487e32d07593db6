"""Units that no longer learn: dead ReLUs, saturated sigmoids, by their own local gradients.

Needs no list of activations: an elementwise op with one input whose local gradient varies is one, and a
unit is saturated where that local gradient is (nearly) zero, since nothing flows back through it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygrad_cnn.autograd.graph import RELEASED, Node, reachable
from tinygrad_cnn.autograd.handle import Handle


@dataclass(frozen=True)
class Saturation:
    """One activation layer over one batch.

    Attributes
        layer: module path, or the op's name with its number outside modules
        op: relu, sigmoid, tanh…
        share: of entries with |local gradient| ≤ tolerance, from 0 to 1
        dead: share of units (entries without the batch) where that holds for every sample
        channels: the same share per channel (dimension 1), which shows dead feature maps
        mean_gradient: mean of |local gradient|
    """

    layer: str
    op: str
    share: float
    dead: float
    channels: np.ndarray
    mean_gradient: float


def saturation(loss: Handle, tolerance: float = 1e-3) -> list[Saturation]:
    """Saturated units of each activation in the graph behind `loss` (a loss or a model's output).

    Call it before the backward pass, or after one with ``retain_graph=True``: it reads saved values. Raises
    TypeError without a graph and RuntimeError when the values were freed.
    """
    if not isinstance(loss, Handle) or loss.node is None:
        raise TypeError("saturation() expected a tensor with a graph behind it: compute it outside no_grad()")
    found = []
    for node in reachable([loss.node])[::-1]:
        if is_activation(node):
            if node.saved is RELEASED:
                raise RuntimeError(
                    "saturation() expected saved values, but a backward pass has freed them: call it before "
                    "backward(), "
                    "or pass retain_graph=True"
                )
            found.append(_measured(node, tolerance))
    return found


def is_activation(node: Node) -> bool:
    op = node.op
    return (
        op.has_factor
        and bool(node.parents)
        and node.parents[0] is not None
        and all(parent is None for parent in node.parents[1:])
        and op.constants[0] is None
        and len(node.parents) == 1
        and len(node.shape) > 1
    )


def _measured(node: Node, tolerance: float) -> Saturation:
    slope = np.abs(node.local_gradient(0).factor)
    flat = slope <= tolerance
    per_channel = flat.mean(axis=tuple(k for k in range(flat.ndim) if k != 1))
    return Saturation(
        layer=node.module or f"{node.op.name} #{node.seq}",
        op=node.op.name,
        share=float(flat.mean()) if flat.size else 0.0,
        dead=float(flat.all(axis=0).mean()) if flat.size else 0.0, channels=per_channel,
        mean_gradient=float(slope.mean()) if slope.size else 0.0,
    )  # fmt: skip


def table(rows: list[Saturation]) -> str:
    """The measurements as aligned text."""
    width = max([len(r.layer) for r in rows] + [5])
    lines = [f"{'layer':<{width}}  {'op':<8}  saturated   dead  mean |∂y/∂x|"]
    lines += [
        f"{r.layer:<{width}}  {r.op:<8}  {r.share:>9.1%}  {r.dead:>5.1%}  {r.mean_gradient:>12.3g}"
        for r in rows
    ]
    return "\n".join(lines)


__all__: list[str] = ["Saturation", "saturation", "table"]
