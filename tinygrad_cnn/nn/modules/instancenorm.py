"""Instance normalisation layers: each channel of each sample by itself."""

from __future__ import annotations

from typing import ClassVar

from tinygrad_cnn.autograd.annotations import DType
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn.modules.batchnorm import _NormBase
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor


class _InstanceNorm(_NormBase):
    spatial: ClassVar[int]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Device | None = None, dtype: DType = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        d = self.spatial
        if input.ndim not in (d + 1, d + 2):
            raise wrong_shape(type(self).__name__, f"{d + 1}-d or {d + 2}-d input, got {tuple(input.shape)}")
        channels = input.shape[-d - 1]
        if self.affine and channels != self.num_features:
            raise wrong_shape(
                type(self).__name__,
                f"{self.num_features} channels, got {channels}: input {tuple(input.shape)}",
            )
        x = input if input.ndim == d + 2 else input.unsqueeze(0)
        y = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, 0.0 if self.momentum is None else self.momentum, self.eps,
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


__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]
