"""Residual networks (He et al., CVPR 2016) of basic blocks, with torchvision's module names."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn

__all__ = ["BasicBlock", "ResNet", "resnet18", "resnet18_cifar"]


class BasicBlock(nn.Module):
    """y = relu(F(x) + x), F two 3×3 convolutions with batch norm.

    Where the shape changes, a 1×1 convolution with batch norm takes x's place in the sum.
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Any) -> Any:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    """Four stages of basic blocks with 64, 128, 256 and 512 channels, then the mean over the image.

    blocks       blocks per stage
    small_images a 3×3 stem without pooling (for 32×32) instead of 7×7, stride 2, and a 3×3 max-pool
    """

    def __init__(
        self, blocks: tuple[int, int, int, int], num_classes: int = 1000, small_images: bool = False
    ) -> None:
        super().__init__()
        if small_images:
            self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, blocks[0], stride=1)
        self.layer2 = _stage(64, 128, blocks[1], stride=2)
        self.layer3 = _stage(128, 256, blocks[2], stride=2)
        self.layer4 = _stage(256, 512, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(num_classes: int = 1000) -> ResNet:
    """(N, 3, 224, 224) → (N, 1000), 11,689,512 parameters."""
    return ResNet((2, 2, 2, 2), num_classes)


def resnet18_cifar(num_classes: int = 10) -> ResNet:
    """(N, 3, 32, 32) → (N, 10), 11,173,962 parameters."""
    return ResNet((2, 2, 2, 2), num_classes, small_images=True)


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [BasicBlock(width, width) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(channels, width, stride), *rest)
