"""`torchvision.ops.misc`: parts of networks, which are those of `tinygrad_cnn.models.blocks`."""

from tinygrad_cnn.models.blocks import (
    MLP,
    Conv2dNormActivation,
    Conv3dNormActivation,
    FrozenBatchNorm2d,
    Permute,
    SqueezeExcitation,
)

__all__ = [
    "MLP", "Conv2dNormActivation", "Conv3dNormActivation", "ConvNormActivation", "FrozenBatchNorm2d", "Permute",
    "SqueezeExcitation",
]  # fmt: skip

#: The old name, from before there were two.
ConvNormActivation = Conv2dNormActivation
