"""MobileNet (Howard et al. 2017, arXiv:1704.04861): depthwise 3×3 convolutions, each with a 1×1 behind it."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.blocks import Conv2dNormActivation
from tinygrad_cnn.models.published import without_weights

__all__ = ["MobileNetV1", "mobilenet_v1"]

#: (channels, stride) of the pairs, the paper's table 1.
_PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


class MobileNetV1(nn.Module):
    """(N, 3, 224, 224) → (N, 1000), 4,231,976 parameters; `width_mult` is the paper's α. torchvision has it not."""

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.001) -> None:
        super().__init__()
        width = int(32 * width_mult)
        layers: list[nn.Module] = [Conv2dNormActivation(3, width, stride=2)]
        for channels, stride in _PAIRS:
            layers.append(Conv2dNormActivation(width, width, stride=stride, groups=width))
            layers.append(Conv2dNormActivation(width, int(channels * width_mult), 1))
            width = int(channels * width_mult)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def mobilenet_v1(**options: Any) -> MobileNetV1:
    """MobileNetV1; `options` are its constructor's."""
    return MobileNetV1(**without_weights("mobilenet_v1", options))
