"""SqueezeNet (Iandola et al. 2016, arXiv:1602.07360), with torchvision's names and keys."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.published import without_weights
from tinygrad_cnn.ops.shape import cat

__all__ = ["Fire", "SqueezeNet", "squeezenet1_0", "squeezenet1_1"]

#: By version: the first convolution's channels and window, and the squeezed widths between the pools.
_VERSIONS = {
    "1_0": (96, 7, ((16, 16, 32), (32, 48, 48, 64), (64,))),
    "1_1": (64, 3, ((16, 16), (32, 32), (48, 48, 64, 64))),
}


class Fire(nn.Module):
    """A 1×1 convolution to few channels; of these, a 1×1 and a 3×3 convolution side by side."""

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        sides = self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))
        return cat(sides, 1)


class SqueezeNet(nn.Module):
    """(N, 3, 224, 224) → (N, 1000), without dense layers: 1,248,424 parameters ("1_0") or 1,235,496 ("1_1")."""

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in _VERSIONS:
            raise ValueError(f"SqueezeNet expected version {' or '.join(_VERSIONS)}, got {version!r}")
        self.num_classes = num_classes
        width, window, groups = _VERSIONS[version]
        layers: list[nn.Module] = [nn.Conv2d(3, width, window, stride=2), nn.ReLU()]
        for group in groups:
            layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            for squeezed in group:
                layers.append(Fire(width, squeezed, 4 * squeezed, 4 * squeezed))
                width = 8 * squeezed
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(512, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, 0.0, 0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)


def squeezenet1_0(**options: Any) -> SqueezeNet:
    """The paper's network; `options` are SqueezeNet's."""
    return SqueezeNet("1_0", **without_weights("squeezenet1_0", options))


def squeezenet1_1(**options: Any) -> SqueezeNet:
    """The authors' later one, with less than half of the arithmetic."""
    return SqueezeNet("1_1", **without_weights("squeezenet1_1", options))
