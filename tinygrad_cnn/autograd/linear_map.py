"""The local gradient as something one can hold: a linear map from an input's tangent to the output's.

    J = node.local_gradient(0)
    J.T(upstream)     # downstream: what the chain rule hands to the input
    J(tangent)        # push-forward
    J.dense()         # the Jacobian matrix itself, when it is small

It reads what the op states about itself and needs no code per op.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Array
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import dense, unwrap
from tinygrad_cnn.autograd.saved import saved_values


class LinearMap:
    """∂y/∂xᵢ of one node, as a linear operator of shape ``(*y.shape, *x.shape)``.

    Raises RuntimeError when the node's saved values were released by a backward pass (keep them with
    ``retain_graph=True``), IndexError for an input that does not exist, ValueError for an input through
    which no gradient flows.
    """

    __slots__ = ("i", "node")

    #: Largest Jacobian that `dense` writes out, in entries.
    MAX_DENSE = 4_000_000

    def __init__(self, node: Node, i: int) -> None:
        if not 0 <= i < len(node.parents):
            raise IndexError(f"{node.op.name} has {len(node.parents)} input(s), got input number {i}")
        if node.parents[i] is None:
            raise ValueError(f"no gradient flows to input {i} of {node.op.name}: it does not require grad")
        self.node, self.i = node, i

    @property
    def shape(self) -> tuple[int, ...]:
        """Output shape followed by input shape."""
        return (*self.node.shape, *self.node.parents[self.i].shape)  # type: ignore[union-attr]

    @property
    def structure(self) -> str:
        """One word: identity, diagonal, selection, linear or general."""
        return self.node.op.structure(self.node, self.i)

    @property
    def formula(self) -> str:
        """The local gradient as text, e.g. ``1 - y²``."""
        return self.node.op.local_text(self.i)

    @property
    def factor(self) -> np.ndarray:
        """The diagonal of an elementwise op's local gradient: ∂y/∂x entry by entry, in the output's shape.

        Raises TypeError when the map is not diagonal.
        """
        if not self.node.op.has_factor:
            raise TypeError(
                f"the local gradient of {self.node.op.name} is not diagonal ({self.structure}); "
                "use J(t), J.T(g) or J.dense()"
            )
        with modes.no_grad():
            value = np.asarray(self.node.op.factor(self.i, self.node, self._saved()), dtype=self.node.dtype)
        return np.broadcast_to(value, self.node.shape)

    def T(self, g: Array) -> np.ndarray:
        """Pull back: the upstream gradient (output's shape) in, the downstream one (input's shape) out."""
        g = np.asarray(unwrap(g), dtype=self.node.dtype)
        if g.shape != tuple(self.node.shape):
            raise ValueError(f"J.T expected an upstream gradient of shape {self.node.shape}, got {g.shape}")
        with modes.no_grad():
            d = self.node.op.pull(self.i, g, self.node, self._saved())
        if d is None:
            return np.zeros(self.node.parents[self.i].shape, self.node.dtype)  # type: ignore[union-attr]
        return dense(d)

    def __call__(self, t: Array) -> np.ndarray:
        """Push forward: a tangent of the input in, the tangent of the output out."""
        parent = self.node.parents[self.i]
        t = np.asarray(unwrap(t), dtype=self.node.dtype)
        if t.shape != tuple(parent.shape):  # type: ignore[union-attr]
            raise ValueError(f"J(t) expected a tangent of shape {parent.shape}, got {t.shape}")  # type: ignore[union-attr]
        with modes.no_grad():
            return np.asarray(unwrap(self.node.op.push(self.i, t, self.node, self._saved())))

    def dense(self) -> np.ndarray:
        """The Jacobian, of shape ``(*y.shape, *x.shape)``, one pulled-back unit vector per output entry.

        Raises ValueError when it would have more than `MAX_DENSE` entries.
        """
        rows = int(np.prod(self.node.shape, dtype=np.int64))
        entries = int(np.prod(self.shape, dtype=np.int64))
        if entries > self.MAX_DENSE:
            raise ValueError(
                f"the Jacobian of {self.node.op.name} has {entries:,} entries (shape {self.shape}), more than "
                f"{self.MAX_DENSE:,}; apply it with J(t) or J.T(g) instead"
            )
        parent = self.node.parents[self.i]
        jacobian = np.empty((rows, *parent.shape), self.node.dtype)  # type: ignore[union-attr]
        unit = np.zeros(self.node.shape, self.node.dtype)
        flat = unit.reshape(-1)
        for k in range(rows):
            flat[k] = 1
            jacobian[k] = self.T(unit)
            flat[k] = 0
        return jacobian.reshape(self.shape)

    def norm(self, iterations: int = 30) -> float:
        """The largest singular value: by how much the map can stretch a tangent.

        Exact for diagonal maps (largest factor); power iteration on JᵀJ from a fixed start otherwise.
        """
        if self.node.op.has_factor and self.node.parents[self.i].shape == self.node.shape:  # type: ignore[union-attr]
            factor = self.factor
            return float(np.max(np.abs(factor), initial=0.0))
        parent = self.node.parents[self.i]
        t = np.random.default_rng(0).standard_normal(parent.shape).astype(self.node.dtype)  # type: ignore[union-attr]
        size = float(np.linalg.norm(t.ravel()))
        for _ in range(iterations):
            if size == 0 or not np.isfinite(size):
                return size
            t = t / np.asarray(size, t.dtype)
            t = self.T(self(t))
            size = float(np.linalg.norm(t.ravel()))
        return size**0.5

    def _saved(self) -> tuple[Any, ...]:
        return saved_values(self.node)

    def __repr__(self) -> str:
        return f"<LinearMap ∂{self.node.op.name}/∂x{self.i} {self.structure}: {self.formula}, shape {self.shape}>"
