"""A convolution and the batch normalisation behind it as one convolution, for evaluation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.tensors.tensor import Tensor


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of `conv` that computes bn(conv(x)). Raises AssertionError unless both are in evaluation mode."""
    if conv.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
    transpose: bool = False,
) -> tuple[Any, Any]:
    """Weight and bias of the fused convolution: w·s and (b − mean)·s + shift, with s = weight / √(var + ε)."""
    mean = bn_rm.array
    bias = np.zeros_like(mean) if conv_b is None else conv_b.array
    scale = (1 if bn_w is None else bn_w.array) / np.sqrt(bn_rv.array + bn_eps)
    shift = 0 if bn_b is None else bn_b.array
    w = conv_w.array
    shape = [1] * w.ndim
    shape[1 if transpose else 0] = -1
    return Parameter((w * scale.reshape(shape)).astype(w.dtype)), Parameter(
        ((bias - mean) * scale + shift).astype(w.dtype)
    )
