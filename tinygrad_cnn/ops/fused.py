"""What consecutive ops are computed as in one pass: the recipes of deferred tensors (see `autograd.fast.deferred`).

    convolution → + bias → ReLU → 2×2 max-pooling        convolution → batch normalisation → ReLU

Each op keeps its own node with its own local gradient. Behind the fused pooling only the pooled values exist;
ReLU's output, which its node would have saved, is computed again from the convolution's inputs when somebody looks
at it or steps through it. When nobody does, the gradient of pooling and ReLU is one pass too (`PooledGradient`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Array
from tinygrad_cnn.autograd.fast import deferred
from tinygrad_cnn.autograd.fast.deferred import Recipe
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops import conv
from tinygrad_cnn.ops.activation import relu_op
from tinygrad_cnn.ops.normalise import batch_norm, fixed_norm, inverse_std
from tinygrad_cnn.ops.pool import max_pool
from tinygrad_cnn.ops.pooled import RecomputableConv, UnderPool

ndarray = np.ndarray
Params = dict[str, Any]


def correlate(x: Any, w: Any, bias: Any, params: Params) -> Any:
    """The convolution and its bias (or None), deferred behind the convolution where that may save a pass."""
    y = conv.correlate(x, w, **params)
    z = unwrap(y)
    if y is z or not deferred.possible(z) or bias is not None and not _fits(bias, z):
        return y if bias is None else conv.bias_add(y, bias)
    if bias is None:
        return deferred.defer(Plain(z), y.node)
    parents = (y.node, bias.node)
    node = None
    if modes.state.now.grad and parents != (None, None):
        node = conv.bias_add.record(z, (z, bias.array), parents, {})
    # The bias is copied: it may be changed in place (by an optimiser) before anybody asks for the value.
    again = RecomputableConv(unwrap(x), unwrap(w), params, y.node)
    return deferred.defer(Biased(z, bias.array.copy(), again), node)


class Plain(Recipe):
    """A value that is there, and that nobody else has seen yet."""

    __slots__ = ()

    def compute(self, z: ndarray) -> ndarray:
        return z

    def then(self, x: Any, op: Any, inputs: tuple[Any, ...], params: Params) -> Any:
        return normalised(self, x, op, inputs, params)


class Biased(Recipe):
    """z + bias[c]."""

    __slots__ = ("bias", "conv")

    def __init__(self, z: ndarray, bias: ndarray, conv: RecomputableConv) -> None:
        super().__init__(z)
        self.bias, self.conv = bias, conv

    def compute(self, z: ndarray) -> ndarray:
        return kernels.bias_add(z, self.bias)

    def then(self, x: Any, op: Any, inputs: tuple[Any, ...], params: Params) -> Any:
        if op is relu_op and self.z is not None:
            recipe = BiasedReLU(self.z, self.bias, self.conv)
            return deferred.defer(recipe, relu_node(op, x, self.z, recipe)), params
        return normalised(self, x, op, inputs, params)


class BiasedReLU(Biased):
    """relu(z + bias[c]). It stands in the ReLU node's `saved` until its value is there, or pooled."""

    __slots__ = ()

    def compute(self, z: ndarray) -> ndarray:
        return kernels.bias_relu(z, self.bias)

    def then(self, x: Any, op: Any, inputs: tuple[Any, ...], params: Params) -> Any:
        if op is not max_pool or self.z is None or not _is_2x2(params, self.shape):
            return None
        recorded = x.node is not None and modes.state.now.grad
        if recorded and not self.conv.kept:
            return None  # computing ReLU's output again would need more memory than its output
        y, indices = kernels.bias_relu_max_pool2x2(self.z, self.bias)
        params = {**params, "indices": indices}
        if not recorded:
            return wrap(y), params
        node = op.record(y, (None,), (x.node,), params)
        if x.node.saved is self:
            x.node.saved = UnderPool(y, indices, self.bias, self.conv)
        return wrap(y, node), params


class Normed(Recipe):
    """weight · (z − mean) · invstd + bias per channel; z is the value of `source`, which tells us before others get
    it."""

    __slots__ = ("bias", "invstd", "mean", "weight")

    def __init__(
        self, source: Recipe, weight: ndarray | None, bias: ndarray | None, mean: ndarray, invstd: ndarray
    ) -> None:
        super().__init__(source.value())
        self.weight, self.bias, self.mean, self.invstd = weight, bias, mean, invstd
        source.read_by(self)

    def compute(self, z: ndarray) -> ndarray:
        return kernels.batch_norm_forward(z, self.weight, self.bias, self.mean, self.invstd)

    def then(self, x: Any, op: Any, inputs: tuple[Any, ...], params: Params) -> Any:
        if op is not relu_op or self.z is None:
            return None
        y = kernels.batch_norm_relu(self.z, self.weight, self.bias, self.mean, self.invstd)
        return wrap(y, relu_node(op, x, y, (y, None))), params


def normalised(source: Recipe, x: Any, op: Any, inputs: tuple[Any, ...], params: Params) -> Any:
    """Batch normalisation of a value nobody else has seen: the statistics now, the normalising pass when it is known
    whether ReLU follows. None for any other op."""
    if op not in (batch_norm, fixed_norm):
        return None
    z = source.value()
    if any(v is not None and not _fits(v, z) for v in inputs):
        return None
    weight, bias = (None if v is None else v.array for v in inputs)
    if op is batch_norm:
        mean, var = kernels.batch_statistics(z)
        params = {**params, "mean": mean, "var": var}
    mean, var = params["mean"], params["var"]
    if mean.dtype != source.dtype:
        return None
    # Copied, as the bias of a convolution is.
    recipe = Normed(source, _copy(weight), _copy(bias), mean.copy(), inverse_std(var, params["eps"]))
    parents = (x.node, *[None if v is None else v.node for v in inputs])
    node = None
    if modes.state.now.grad and any(parent is not None for parent in parents):
        node = op.record(z, (z, weight, bias), parents, params)
    return deferred.defer(recipe, node), params


def relu_node(op: Any, x: Any, like: ndarray, saved: Any) -> Node | None:
    """The node of relu(x), with what it saves given."""
    if x.node is None or not modes.state.now.grad:
        return None
    node = op.record(like, (None,), (x.node,), {})
    node.saved = saved
    return node


def _copy(v: ndarray | None) -> ndarray | None:
    return None if v is None else v.copy()


def _fits(bias: Array, z: ndarray) -> bool:
    return isinstance(bias, Handle) and bias.array.dtype == z.dtype


def _is_2x2(params: Params, shape: tuple[int, ...]) -> bool:
    return (
        params["kernel"] == params["stride"] == (2, 2)
        and params["padding"] == ((0, 0), (0, 0))
        and params["dilation"] == (1, 1)
        and not (params["ceil_mode"] and any(n % 2 for n in shape[2:]))
        and params.get("indices") is None
    )
