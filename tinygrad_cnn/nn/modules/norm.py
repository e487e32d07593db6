"""Normalisation layers: their weights, biases and running averages; the arithmetic is in `nn.functional`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.modules.lazy import LazyMixin
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter, UninitializedParameter
from tinygrad_cnn.ops.expect import wrong_shape


class _NormBase(Module):
    """Weights, biases and running averages of one value per channel."""

    _version = 2

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool, dtype: Any,
        bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            if wanted:
                setattr(self, name, Parameter(init.blank((num_features,), dtype)))
            else:
                self.register_parameter(name, None)
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, init.blank((num_features,), dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", wrap(np.zeros((), np.int64)) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Running averages back to mean 0, variance 1."""
        if self.track_running_stats:
            for name, value in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
                buffer = getattr(self, name)
                buffer.array[...] = value
                versions.bump(buffer.array)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and fresh running averages."""
        self.reset_running_stats()
        _reset(self)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any) -> None:
        # Files from before PyTorch 0.4.1 have no count of batches.
        key = prefix + "num_batches_tracked"
        if self.num_batches_tracked is not None and key not in state_dict and (local_metadata.get("version") or 2) < 2:
            state_dict[key] = np.zeros((), np.int64)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    dimensions: ClassVar[tuple[int, ...]]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Any) -> Any:
        if input.ndim not in self.dimensions:
            wanted = " or ".join(f"{n}-d" for n in self.dimensions)
            raise wrong_shape(type(self).__name__, f"{wanted} input, got {input.ndim}-d {tuple(input.shape)}")
        if input.shape[1] != self.num_features:
            raise wrong_shape(type(self).__name__, f"{self.num_features} channels, got {input.shape[1]}: input {tuple(input.shape)}")
        momentum = 0.0 if self.momentum is None else self.momentum
        tracked = self.num_batches_tracked
        if self.training and self.track_running_stats and tracked is not None:
            np.add(tracked.array, 1, out=tracked.array)
            if self.momentum is None:  # a cumulative average: every batch counts the same
                momentum = 1.0 / float(tracked.array)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        keep = not self.training or self.track_running_stats
        return F.batch_norm(
            input, self.running_mean if keep else None, self.running_var if keep else None, self.weight, self.bias,
            by_batch, momentum, self.eps,
        )  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of x (N, C) or (N, C, L); see `nn.functional.batch_norm`."""

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of x (N, C, H, W); see `nn.functional.batch_norm`."""

    dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of x (N, C, D, H, W); see `nn.functional.batch_norm`."""

    dimensions = (5,)


class _LazyBatchNorm(LazyMixin):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, affine, track_running_stats, bias=bias)  # type: ignore[call-arg]
        own: Any = self
        for name, param in own._parameters.items():
            if param is not None:
                own._parameters[name] = None
                setattr(own, name, UninitializedParameter())

    def forward(self, input: Any) -> Any:
        own: Any = self
        if own.num_features == 0:
            own.num_features = n = int(input.shape[1])
            for param in (own.weight, own.bias):
                if param is not None:
                    param.materialize((n,))
            if own.track_running_stats:
                own.running_mean, own.running_var = init.blank((n,)), init.blank((n,))
            self.__class__ = self.cls_to_become  # type: ignore[assignment]
            own.reset_parameters()
        return own.forward(input)


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """A `BatchNorm1d` that learns its number of channels from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """A `BatchNorm2d` that learns its number of channels from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """A `BatchNorm3d` that learns its number of channels from its first input."""

    cls_to_become = BatchNorm3d


class _InstanceNorm(_NormBase):
    spatial: ClassVar[int]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Any) -> Any:
        d = self.spatial
        if input.ndim not in (d + 1, d + 2):
            raise wrong_shape(type(self).__name__, f"{d + 1}-d or {d + 2}-d input, got {tuple(input.shape)}")
        channels = input.shape[-d - 1]
        if self.affine and channels != self.num_features:
            raise wrong_shape(type(self).__name__, f"{self.num_features} channels, got {channels}: input {tuple(input.shape)}")
        x = input if input.ndim == d + 2 else input.unsqueeze(0)
        y = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, self.momentum if self.momentum is not None else 0.0, self.eps,
        )  # fmt: skip
        return y if input.ndim == d + 2 else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Normalisation of each channel of each sample, x (N, C, L)."""

    spatial = 1


class InstanceNorm2d(_InstanceNorm):
    """Normalisation of each channel of each sample, x (N, C, H, W)."""

    spatial = 2


class InstanceNorm3d(_InstanceNorm):
    """Normalisation of each channel of each sample, x (N, C, D, H, W)."""

    spatial = 3


class LayerNorm(Module):
    """Normalisation over the last dimensions `normalized_shape`."""

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            if wanted:
                setattr(self, name, Parameter(init.blank(self.normalized_shape, dtype)))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset(self)

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / √(mean(x²) + ε) over the last dimensions `normalized_shape`."""

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = Parameter(init.blank(self.normalized_shape, dtype))
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Any) -> Any:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalisation of `num_groups` groups of channels of each sample, x (N, C, …)."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm expected num_channels divisible by num_groups, got {num_channels} and {num_groups}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            if wanted:
                setattr(self, name, Parameter(init.blank((num_channels,), dtype)))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset(self)

    def forward(self, input: Any) -> Any:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """Normalisation over neighbouring channels; see `nn.functional.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Any) -> Any:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _reset(module: Any) -> None:
    if module.weight is not None:
        init.ones_(module.weight)
    if module.bias is not None:
        init.zeros_(module.bias)


class CrossMapLRN2d(LocalResponseNorm):
    """PyTorch's old name of `LocalResponseNorm`."""


__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LocalResponseNorm",
    "RMSNorm",
]  # fmt: skip
