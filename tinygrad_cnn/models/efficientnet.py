"""EfficientNet-B0 (Tan & Le, ICML 2019), with torchvision's names and keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.blocks import Conv2dNormActivation, SqueezeExcitation, StochasticDepth, divisible
from tinygrad_cnn.models.published import without_weights

__all__ = ["EfficientNet", "MBConv", "MBConvConfig", "efficientnet_b0"]

Layer = Callable[..., nn.Module]


class MBConvConfig:
    """A stage: its blocks' expansion, window, the first one's stride, channels before and after, and their number.

    `width_mult` scales the channels (to multiples of 8), `depth_mult` the number of blocks.
    """

    def __init__(
        self, expand_ratio: float, kernel: int, stride: int, input_channels: int, out_channels: int, num_layers: int,
        width_mult: float = 1.0, depth_mult: float = 1.0, block: Layer | None = None,
    ) -> None:  # fmt: skip
        self.expand_ratio, self.kernel, self.stride = expand_ratio, kernel, stride
        self.input_channels = divisible(input_channels * width_mult, 8)
        self.out_channels = divisible(out_channels * width_mult, 8)
        self.num_layers = math.ceil(num_layers * depth_mult)
        self.block = block or MBConv

    def following(self) -> MBConvConfig:
        """The configuration of the blocks behind the first: the size and the channels stay."""
        width = self.out_channels
        return MBConvConfig(self.expand_ratio, self.kernel, 1, width, width, 1, block=self.block)


class MBConv(nn.Module):
    """1×1 to more channels, depthwise convolution, squeeze and excitation, 1×1 to fewer; plus x if it fits."""

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Layer,
        se_layer: Layer = SqueezeExcitation,
    ) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"MBConv expected stride 1 or 2, got {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        width = divisible(cnf.input_channels * cnf.expand_ratio, 8)
        common: dict[str, Any] = dict(norm_layer=norm_layer, activation_layer=nn.SiLU)
        layers: list[nn.Module] = []
        if width != cnf.input_channels:
            layers.append(Conv2dNormActivation(cnf.input_channels, width, kernel_size=1, **common))
        layers.append(Conv2dNormActivation(width, width, cnf.kernel, cnf.stride, groups=width, **common))
        squeezed = max(1, cnf.input_channels // 4)
        layers.append(se_layer(width, squeezed, activation=partial(nn.SiLU, inplace=True)))
        layers.append(
            Conv2dNormActivation(
                width, cnf.out_channels, kernel_size=1, norm_layer=norm_layer, activation_layer=None
            )
        )
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


class EfficientNet(nn.Module):
    """Stages of blocks as `inverted_residual_setting` says; later blocks are left out more often in training.

    `last_channel` is the width before the classifier, four times the last stage's unless given.
    """

    def __init__(
        self, inverted_residual_setting: Sequence[MBConvConfig], dropout: float, stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000, norm_layer: Layer | None = None, last_channel: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("EfficientNet expected one stage at least, got none")
        norm = norm_layer or nn.BatchNorm2d
        common: dict[str, Any] = dict(norm_layer=norm, activation_layer=nn.SiLU)
        layers: list[nn.Module] = [
            Conv2dNormActivation(3, inverted_residual_setting[0].input_channels, 3, 2, **common)
        ]
        total, done = sum(stage.num_layers for stage in inverted_residual_setting), 0
        for stage in inverted_residual_setting:
            blocks = []
            for k in range(stage.num_layers):
                made = stage if k == 0 else stage.following()
                blocks.append(stage.block(made, stochastic_depth_prob * done / total, norm))
                done += 1
            layers.append(nn.Sequential(*blocks))
        width = inverted_residual_setting[-1].out_channels
        wide = last_channel or 4 * width
        layers.append(Conv2dNormActivation(width, wide, kernel_size=1, **common))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(wide, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                most = 1.0 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -most, most)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def efficientnet_b0(**options: Any) -> EfficientNet:
    """(N, 3, 224, 224) → (N, 1000), 5,288,548 parameters. `options` are EfficientNet's."""
    stages = [
        MBConvConfig(*row)
        for row in ((1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3),
                    (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1))
    ]  # fmt: skip
    return EfficientNet(stages, **{"dropout": 0.2, **without_weights("efficientnet_b0", options)})
