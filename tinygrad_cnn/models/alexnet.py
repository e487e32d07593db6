"""AlexNet for 224×224 images, with torchvision's module names, so that its weights fit by key."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.published import without_weights

__all__ = ["AlexNet", "alexnet"]


class AlexNet(nn.Module):
    """(N, 3, 224, 224) → (N, 1000), 61,100,840 parameters.

    Krizhevsky's one-tower form ("One weird trick", arXiv:1404.5997). The first layer, 11×11 with stride 4 and
    padding 2, gives 55×55.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet(**options: Any) -> AlexNet:
    """AlexNet; `options` are its constructor's."""
    return AlexNet(**without_weights("alexnet", options))
