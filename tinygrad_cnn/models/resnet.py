"""Residual networks (He et al., CVPR 2016), wide ones and ResNeXt: one class, with torchvision's names and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.published import without_weights

__all__ = [
    "BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet18_cifar", "resnet34", "resnet50", "resnet101",
    "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
]  # fmt: skip

Layer = Callable[..., nn.Module]


class BasicBlock(nn.Module):
    """y = relu(F(x) + x), F two 3×3 convolutions with normalisation: `inplanes` channels to `planes`.

    Where the shape changes, `downsample` (a 1×1 convolution with normalisation) takes x's place in the sum.
    """

    expansion = 1

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Layer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups != 1 or base_width != 64 or dilation != 1:
            raise ValueError(
                f"BasicBlock has one group, base_width=64 and no dilation, got {groups}, {base_width} and {dilation}; "
                "Bottleneck has them"
            )
        norm = norm_layer or nn.BatchNorm2d
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class Bottleneck(nn.Module):
    """As `BasicBlock`, F a 1×1, a 3×3 and a 1×1 convolution to 4 `planes` channels; the stride is the 3×3 one's."""

    expansion = 4

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Layer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = nn.Conv2d(inplanes, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(
            width, width, 3, stride=stride, padding=dilation, groups=groups, bias=False, dilation=dilation
        )
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, planes * self.expansion, 1, bias=False)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet(nn.Module):
    """Four stages of blocks for 64, 128, 256 and 512 planes, then the mean over the image and a dense layer.

    block, layers        the kind of block, and how many in each stage
    zero_init_residual   each block begins as the identity: its last normalisation is zeroed
    groups, width_per_group   of the 3×3 convolution in a Bottleneck (ResNeXt and wide networks)
    replace_stride_with_dilation   for stages 2 to 4: keep the size, and widen the convolutions' windows instead
    norm_layer           BatchNorm2d unless given
    small_images         a 3×3 stem without pooling (for 32×32) instead of 7×7, stride 2, and a 3×3 max-pool
    """

    def __init__(
        self, block: type[BasicBlock] | type[Bottleneck], layers: Sequence[int], num_classes: int = 1000,
        zero_init_residual: bool = False, groups: int = 1, width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None, norm_layer: Layer | None = None,
        small_images: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        dilate = [False, *(replace_stride_with_dilation or (False,) * 3)]
        if len(dilate) != 4:
            raise ValueError(
                f"replace_stride_with_dilation expected 3 values, got {replace_stride_with_dilation}"
            )
        norm = norm_layer or nn.BatchNorm2d
        if small_images:
            self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.inplanes, self.dilation = 64, 1
        options = dict(groups=groups, base_width=width_per_group, norm_layer=norm)
        stages = [
            self._stage(block, 64 << k, layers[k], 1 if k == 0 else 2, dilate[k], options) for k in range(4)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, (BasicBlock, Bottleneck)):
                last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                nn.init.zeros_(last.weight)

    def _stage(
        self, block: type[Any], planes: int, count: int, stride: int, dilate: bool, options: dict[str, Any]
    ) -> nn.Sequential:
        dilation = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        width = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != width:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, width, 1, stride=stride, bias=False), options["norm_layer"](width)
            )
        blocks = [block(self.inplanes, planes, stride, downsample, dilation=dilation, **options)]
        self.inplanes = width
        blocks += [block(width, planes, dilation=self.dilation, **options) for _ in range(count - 1)]
        return nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _resnet(
    name: str, block: type[Any], layers: Sequence[int], given: dict[str, Any], **options: Any
) -> ResNet:
    return ResNet(block, layers, **{**options, **without_weights(name, given)})


def resnet18(**options: Any) -> ResNet:
    """(N, 3, 224, 224) → (N, 1000), 11,689,512 parameters. `options` are ResNet's."""
    return _resnet("resnet18", BasicBlock, (2, 2, 2, 2), options)


def resnet18_cifar(num_classes: int = 10) -> ResNet:
    """(N, 3, 32, 32) → (N, 10), 11,173,962 parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, small_images=True)


def resnet34(**options: Any) -> ResNet:
    """21,797,672 parameters."""
    return _resnet("resnet34", BasicBlock, (3, 4, 6, 3), options)


def resnet50(**options: Any) -> ResNet:
    """25,557,032 parameters."""
    return _resnet("resnet50", Bottleneck, (3, 4, 6, 3), options)


def resnet101(**options: Any) -> ResNet:
    """44,549,160 parameters."""
    return _resnet("resnet101", Bottleneck, (3, 4, 23, 3), options)


def resnet152(**options: Any) -> ResNet:
    """60,192,808 parameters."""
    return _resnet("resnet152", Bottleneck, (3, 8, 36, 3), options)


def resnext50_32x4d(**options: Any) -> ResNet:
    """32 groups of 4 channels (Xie et al. 2017): 25,028,904 parameters."""
    return _resnet("resnext50_32x4d", Bottleneck, (3, 4, 6, 3), options, groups=32, width_per_group=4)


def resnext101_32x8d(**options: Any) -> ResNet:
    """32 groups of 8 channels: 88,791,336 parameters."""
    return _resnet("resnext101_32x8d", Bottleneck, (3, 4, 23, 3), options, groups=32, width_per_group=8)


def resnext101_64x4d(**options: Any) -> ResNet:
    """64 groups of 4 channels: 83,455,272 parameters."""
    return _resnet("resnext101_64x4d", Bottleneck, (3, 4, 23, 3), options, groups=64, width_per_group=4)


def wide_resnet50_2(**options: Any) -> ResNet:
    """Twice the channels inside of a block (Zagoruyko & Komodakis 2016): 68,883,240 parameters."""
    return _resnet("wide_resnet50_2", Bottleneck, (3, 4, 6, 3), options, width_per_group=128)


def wide_resnet101_2(**options: Any) -> ResNet:
    """Twice the channels inside of a block: 126,886,696 parameters."""
    return _resnet("wide_resnet101_2", Bottleneck, (3, 4, 23, 3), options, width_per_group=128)
