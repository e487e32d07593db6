"""The gradients of convolutions as functions, at PyTorch's path: from shapes, the other operand and ∂L/∂output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.gradients import grad
from tinygrad_cnn.autograd.handle import leaf, unwrap
from tinygrad_cnn.nn.functional.conv import conv1d, conv2d, conv3d
from tinygrad_cnn.tensors.tensor import Tensor

Sizes = int | Sequence[int]

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _of_input(conv: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def conv_input(
        input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Sizes = 1, padding: Sizes = 0,
        dilation: Sizes = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        """∂L/∂input of a convolution: ∂L/∂output spread over the windows with the weight."""
        x = leaf(np.zeros(tuple(input_size), unwrap(weight).dtype))
        with modes.enable_grad():
            y = conv(x, weight, None, stride, padding, dilation, groups)
        return grad(y, x, grad_output)[0]

    conv_input.__name__ = conv_input.__qualname__ = f"{conv.__name__}_input"
    return conv_input


def _of_weight(conv: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def conv_weight(
        input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Sizes = 1, padding: Sizes = 0,
        dilation: Sizes = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        """∂L/∂weight of a convolution: ∂L/∂output times the windows of the input, summed."""
        w = leaf(np.zeros(tuple(weight_size), unwrap(input).dtype))
        with modes.enable_grad():
            y = conv(input, w, None, stride, padding, dilation, groups)
        return grad(y, w, grad_output)[0]

    conv_weight.__name__ = conv_weight.__qualname__ = f"{conv.__name__}_weight"
    return conv_weight


conv1d_input, conv2d_input, conv3d_input = (_of_input(conv) for conv in (conv1d, conv2d, conv3d))
conv1d_weight, conv2d_weight, conv3d_weight = (_of_weight(conv) for conv in (conv1d, conv2d, conv3d))
