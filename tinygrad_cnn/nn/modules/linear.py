"""Dense layers: every output sees every input."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.autograd.annotations import DType
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.modules.lazy import LazyMixin
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter, UninitializedParameter
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.tensors.tensor import Tensor


class Identity(Module):
    """The input itself; takes and ignores any arguments."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """y = x·Wᵀ + b for x (…, in_features); weight (out_features, in_features), bias (out_features,)."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Device | None = None, dtype: DType = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(init.blank((out_features, in_features), dtype, device))
        self.register_parameter("bias", Parameter(init.blank((out_features,), dtype, device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """PyTorch's start: both uniform in ±1/√in_features."""
        init.default_(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )


class Bilinear(Module):
    """y_k = x₁ᵀ·W_k·x₂ + b_k; weight (out_features, in1_features, in2_features)."""

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device: Device | None = None,
        dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(init.blank((out_features, in1_features, in2_features), dtype, device))
        self.register_parameter("bias", Parameter(init.blank((out_features,), dtype, device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in ±1/√in1_features, as in PyTorch."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class LazyLinear(LazyMixin, Linear):
    """A `Linear` that learns `in_features` from its first input."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Device | None = None, dtype: DType = None) -> None:
        super().__init__(0, 0, False, device, dtype)
        self.out_features = out_features
        self.weight = UninitializedParameter(True, device, dtype)
        if bias:
            self.bias = UninitializedParameter(True, device, dtype)

    def initialize_parameters(self, input: Tensor) -> None:
        """Take the number of inputs from the first one."""
        own: Any = self
        self.in_features = int(input.shape[-1])
        own.weight.materialize((self.out_features, self.in_features))
        if own.bias is not None:
            own.bias.materialize((self.out_features,))
