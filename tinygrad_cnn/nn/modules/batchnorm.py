"""Batch normalisation layers: their weights, biases and running averages."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.annotations import DType
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.modules.lazy import LazyMixin
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter, UninitializedParameter
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor


class _NormBase(Module):
    """Weights, biases and running averages of one value per channel."""

    _version = 2

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool,
        device: Device, dtype: DType, bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(init.blank((num_features,), dtype, device)) if wanted else None)
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, init.blank((num_features,), dtype, device) if track_running_stats else None)
        self.register_buffer(
            "num_batches_tracked", wrap(np.zeros((), np.int64)) if track_running_stats else None
        )
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
        # Files from before PyTorch 0.4.1, and plain dicts, need not have a count of batches.
        key = prefix + "num_batches_tracked"
        if (
            self.num_batches_tracked is not None
            and key not in state_dict
            and (local_metadata.get("version") or 1) < 2
        ):
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
        track_running_stats: bool = True, device: Device | None = None, dtype: DType = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self.dimensions:
            wanted = " or ".join(f"{n}-d" for n in self.dimensions)
            raise wrong_shape(type(self).__name__, f"{wanted} input, got {input.ndim}-d {tuple(input.shape)}")
        if input.shape[1] != self.num_features:
            raise wrong_shape(
                type(self).__name__,
                f"{self.num_features} channels, got {input.shape[1]}: input {tuple(input.shape)}",
            )
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


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation over all processes. There is one here, so it is `BatchNorm` for input of any dimensions."""

    dimensions = tuple(range(2, 10))

    def __init__(
        self, num_features: int, eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, process_group: object | None = None, device: Device | None = None,
        dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.process_group = process_group

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: object | None = None) -> Any:
        """The module with each BatchNorm in it replaced by one of this class with the same parameters and averages."""
        made = module
        if isinstance(module, _BatchNorm):
            made = cls(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats,
                process_group,
            )  # fmt: skip
            made._parameters.update(module._parameters)
            made._buffers.update(module._buffers)
            made.training = module.training
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made


class _LazyBatchNorm(LazyMixin):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Device | None = None, dtype: DType = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)  # type: ignore[call-arg]
        own: Any = self
        for name, param in own._parameters.items():
            if param is not None:
                own._parameters[name] = None
                setattr(own, name, UninitializedParameter(True, device, dtype))

    def forward(self, input: Tensor) -> Tensor:
        own: Any = self
        if own.num_features == 0:
            own.num_features = n = int(input.shape[1])
            for param in (own.weight, own.bias):
                if param is not None:
                    param.materialize((n,))
            if own.track_running_stats:
                for name in ("running_mean", "running_var"):
                    setattr(own, name, init.blank((n,), getattr(own, name).dtype))
            own.__class__ = self.cls_to_become
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


def _reset(module: Module) -> None:
    if module.weight is not None:
        init.ones_(module.weight)
    if module.bias is not None:
        init.zeros_(module.bias)


__all__ = [
    "SyncBatchNorm",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
]
