"""What 2x2 max-pooling leaves of a ReLU and a convolution that were computed in one pass with it.

The ReLU's output was never laid out: it is computed again when somebody looks, and the gradient below the pooling is
laid out late. `fused` records such nodes; the rule of max-pooling asks `below_pool`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.fast.lazy import Lazy
from tinygrad_cnn.autograd.graph import Node

ndarray = np.ndarray
Params = dict[str, Any]


class RecomputableConv:
    """A convolution's inputs, from which its output can be computed again."""

    __slots__ = ("kept", "params", "w", "x")

    def __init__(self, x: ndarray, w: ndarray, params: Params, node: Node | None) -> None:
        self.x, self.w, self.params = x, w, params
        #: Whether the convolution's own node keeps its input: then holding it here costs nothing.
        self.kept = node is not None and type(node.saved) is tuple and node.saved[1] is not None

    def compute(self, seq: int) -> ndarray:
        """The output. Raises RuntimeError when an input was changed in place after the clock showed `seq`."""
        for value, what in ((self.x, "input"), (self.w, "weight")):
            if versions.changed_since(value, seq):
                raise RuntimeError(
                    f"the value of relu is computed again from the convolution before it, whose {what} of shape "
                    f"{value.shape} has been changed in place since. Look at it before the change, or call "
                    "set_fusion(False) before the forward pass."
                )
        return kernels.correlate(self.x, self.w, **self.params)


class UnderPool:
    """Stands in the `saved` of a ReLU whose output exists only pooled."""

    __slots__ = ("bias", "conv", "indices", "y")

    def __init__(self, y: ndarray, indices: ndarray, bias: ndarray, conv: RecomputableConv) -> None:
        self.y, self.indices, self.bias, self.conv = y, indices, bias, conv

    @property
    def held(self) -> tuple[ndarray, ...]:
        return self.y, self.indices, self.bias, self.conv.x, self.conv.w

    def restore(self, node: Node) -> tuple[Any, ...]:
        """What ReLU's node would have saved. It is not kept: looking changes nothing."""
        return (kernels.bias_relu(self.conv.compute(node.seq), self.bias), None)

    peek = restore


class PooledGradient(Lazy):
    """The gradient below max-pooling: g at the chosen positions, zeros elsewhere."""

    __slots__ = ("dtype", "g", "indices", "shape")

    def __init__(self, g: ndarray, indices: ndarray, shape: tuple[int, ...]) -> None:
        self.g, self.indices, self.shape = g, indices, shape
        self.dtype = g.dtype

    def dense(self) -> ndarray:
        return kernels.scatter_windows(self.g, self.indices, shape=self.shape)

    def add_to(self, total: ndarray) -> None:
        total += self.dense()

    def through(self, node: Node) -> ndarray | None:
        """The gradient below the ReLU whose output was pooled. At the chosen positions that is the pooled value, so
        what ReLU stops is set to zero before it is spread: a pass over a quarter of the numbers."""
        saved = node.saved
        if type(saved) is not UnderPool or saved.indices is not self.indices:
            return None
        if versions.changed_since(saved.y, node.seq):
            return None
        return kernels.scatter_windows(kernels.relu_input(self.g, saved.y), self.indices, shape=self.shape)


def below_pool(g: Any, x: Any, indices: ndarray) -> PooledGradient | None:
    """Max-pooling's gradient for its input node `x`, not laid out where ReLU below it needs it no other way."""
    if type(g) is ndarray and isinstance(x, Node) and type(x.saved) is UnderPool:
        return PooledGradient(g, indices, x.shape)
    return None
