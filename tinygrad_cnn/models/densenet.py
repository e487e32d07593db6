"""Densely connected networks (Huang et al., CVPR 2017), with torchvision's names and keys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.published import without_weights
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.ops.shape import cat
from tinygrad_cnn.utils.checkpoint import checkpoint

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201"]


class _DenseLayer(nn.Module):
    """`growth_rate` new channels from all that are there, through a 1×1 convolution to `bn_size` times as many."""

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool,
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate, self.memory_efficient = float(drop_rate), memory_efficient

    def forward(self, *features: Tensor) -> Tensor:
        if self.memory_efficient and any(feature.requires_grad for feature in features):
            narrow = checkpoint(self._narrowed, *features, use_reentrant=False)
        else:
            narrow = self._narrowed(*features)
        new = self.conv2(self.relu2(self.norm2(narrow)))
        return F.dropout(new, self.drop_rate, self.training) if self.drop_rate > 0 else new

    def _narrowed(self, *features: Tensor) -> Tensor:
        return self.conv1(self.relu1(self.norm1(cat(features, 1))))


class _DenseBlock(nn.ModuleDict):
    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.values():
            features.append(layer(*features))
        return cat(features, 1)


class DenseNet(nn.Module):
    """Blocks in which every layer sees all layers before it; between them, half the channels and half the size.

    growth_rate        channels that a layer adds;  bn_size: its 1×1 convolution's width in units of that
    block_config       layers in each block;  num_init_features: channels before the first
    memory_efficient   recompute the narrowed features in the backward pass instead of keeping them
    """

    def __init__(
        self, growth_rate: int = 32, block_config: Sequence[int] = (6, 12, 24, 16), num_init_features: int = 64,
        bn_size: int = 4, drop_rate: float = 0, num_classes: int = 1000, memory_efficient: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        width = num_init_features
        parts: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
            "norm0": nn.BatchNorm2d(width),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, stride=2, padding=1),
        }
        for k, count in enumerate(block_config, 1):
            block = _DenseBlock()
            for i in range(count):
                block[f"denselayer{i + 1}"] = _DenseLayer(
                    width + i * growth_rate, growth_rate, bn_size, drop_rate, memory_efficient
                )
            parts[f"denseblock{k}"] = block
            width += count * growth_rate
            if k < len(block_config):
                parts[f"transition{k}"] = _transition(width)
                width //= 2
        parts["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(OrderedDict(parts))
        self.classifier = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x))
        return self.classifier(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


def _transition(width: int) -> nn.Sequential:
    parts = {
        "norm": nn.BatchNorm2d(width),
        "relu": nn.ReLU(),
        "conv": nn.Conv2d(width, width // 2, 1, bias=False),
        "pool": nn.AvgPool2d(2),
    }
    return nn.Sequential(OrderedDict(parts))


def _densenet(name: str, growth: int, layers: Sequence[int], start: int, options: dict[str, Any]) -> DenseNet:
    return DenseNet(growth, layers, start, **without_weights(name, options))


def densenet121(**options: Any) -> DenseNet:
    """(N, 3, 224, 224) → (N, 1000), 7,978,856 parameters. `options` are DenseNet's."""
    return _densenet("densenet121", 32, (6, 12, 24, 16), 64, options)


def densenet161(**options: Any) -> DenseNet:
    """28,681,000 parameters."""
    return _densenet("densenet161", 48, (6, 12, 36, 24), 96, options)


def densenet169(**options: Any) -> DenseNet:
    """14,149,480 parameters."""
    return _densenet("densenet169", 32, (6, 12, 32, 32), 64, options)


def densenet201(**options: Any) -> DenseNet:
    """20,013,928 parameters."""
    return _densenet("densenet201", 32, (6, 12, 48, 32), 64, options)
