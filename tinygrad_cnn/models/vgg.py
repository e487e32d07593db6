"""VGG (Simonyan & Zisserman 2015, arXiv:1409.1556) for 224×224 images, with torchvision's module names."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.published import without_weights

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

#: Convolutions in each of the five stages, by the paper's letters (table 1).
_CONFIGURATIONS = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Stages of 3×3 convolutions, each stage ended by a 2×2 max-pool (`features`); then three dense layers."""

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.zeros_(module.bias)
                elif isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, 0, 0.01)
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _vgg(name: str, configuration: str, normalised: bool, options: dict[str, Any]) -> VGG:
    layers: list[nn.Module] = []
    channels = 3
    for width, count in zip(_WIDTHS, _CONFIGURATIONS[configuration]):
        for _ in range(count):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width), nn.ReLU()] if normalised else [nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return VGG(nn.Sequential(*layers), **without_weights(name, options))


def vgg11(**options: Any) -> VGG:
    """Configuration A: (N, 3, 224, 224) → (N, 1000), 132,863,336 parameters. `options` are VGG's."""
    return _vgg("vgg11", "A", False, options)


def vgg11_bn(**options: Any) -> VGG:
    """Configuration A with batch normalisation: 132,868,840 parameters."""
    return _vgg("vgg11_bn", "A", True, options)


def vgg13(**options: Any) -> VGG:
    """Configuration B: 133,047,848 parameters."""
    return _vgg("vgg13", "B", False, options)


def vgg13_bn(**options: Any) -> VGG:
    """Configuration B with batch normalisation: 133,053,736 parameters."""
    return _vgg("vgg13_bn", "B", True, options)


def vgg16(**options: Any) -> VGG:
    """Configuration D: 138,357,544 parameters."""
    return _vgg("vgg16", "D", False, options)


def vgg16_bn(**options: Any) -> VGG:
    """Configuration D with batch normalisation: 138,365,992 parameters."""
    return _vgg("vgg16_bn", "D", True, options)


def vgg19(**options: Any) -> VGG:
    """Configuration E: 143,667,240 parameters."""
    return _vgg("vgg19", "E", False, options)


def vgg19_bn(**options: Any) -> VGG:
    """Configuration E with batch normalisation: 143,678,248 parameters."""
    return _vgg("vgg19_bn", "E", True, options)
