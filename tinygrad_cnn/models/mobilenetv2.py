"""MobileNetV2 (Sandler et al., CVPR 2018), with torchvision's names and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.blocks import Conv2dNormActivation, divisible
from tinygrad_cnn.models.published import without_weights
from tinygrad_cnn.nn import functional as F

__all__ = ["InvertedResidual", "MobileNetV2", "mobilenet_v2"]

Layer = Callable[..., nn.Module]

#: Expansion, channels, blocks and the first one's stride of each stage (the paper's table 2).
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1×1 to `expand_ratio` times the channels, depthwise 3×3, 1×1 to `oup` without activation; plus x if it fits."""

    def __init__(
        self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Layer | None = None
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual expected stride 1 or 2, got {stride}")
        norm = norm_layer or nn.BatchNorm2d
        hidden = round(inp * expand_ratio)
        self.stride, self.out_channels = stride, oup
        self.use_res_connect = stride == 1 and inp == oup
        common: dict[str, Any] = dict(norm_layer=norm, activation_layer=nn.ReLU6)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(Conv2dNormActivation(inp, hidden, kernel_size=1, **common))
        layers.append(Conv2dNormActivation(hidden, hidden, stride=stride, groups=hidden, **common))
        layers += [nn.Conv2d(hidden, oup, 1, bias=False), norm(oup)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """(N, 3, 224, 224) → (N, 1000), 3,504,872 parameters.

    width_mult   scales all channels, to multiples of `round_nearest`
    inverted_residual_setting   (expansion, channels, blocks, stride) of each stage
    block, norm_layer   InvertedResidual and BatchNorm2d unless given
    """

    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None, round_nearest: int = 8,
        block: Layer | None = None, norm_layer: Layer | None = None, dropout: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__()
        stages = _STAGES if inverted_residual_setting is None else inverted_residual_setting
        if not stages or any(len(stage) != 4 for stage in stages):
            raise ValueError(
                f"inverted_residual_setting expected rows of 4 numbers, got {inverted_residual_setting}"
            )
        make, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        common: dict[str, Any] = dict(norm_layer=norm, activation_layer=nn.ReLU6)
        width = divisible(32 * width_mult, round_nearest)
        self.last_channel = divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [Conv2dNormActivation(3, width, stride=2, **common)]
        for expansion, channels, count, stride in stages:
            wider = divisible(channels * width_mult, round_nearest)
            for k in range(count):
                features.append(
                    make(width, wider, stride if k == 0 else 1, expand_ratio=expansion, norm_layer=norm)
                )
                width = wider
        features.append(Conv2dNormActivation(width, self.last_channel, kernel_size=1, **common))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), (1, 1)).flatten(1))


def mobilenet_v2(**options: Any) -> MobileNetV2:
    """MobileNetV2; `options` are its constructor's."""
    return MobileNetV2(**without_weights("mobilenet_v2", options))
