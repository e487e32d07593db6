"""A small network for images of any size and number of channels, for a few hundred pictures of one's own."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn

__all__ = ["ImageCNN"]


class ImageCNN(nn.Module):
    """(N, C, H, W) → (N, num_classes), H and W from 8 up: four convolutions with batch normalisation.

    Each of the first three halves the image; the average over all places of the last one's 128 maps makes the network
    independent of the image's size. 242,474 parameters with 3 channels and 10 classes.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        widths = (in_channels, 32, 64, 128)
        layers: list[Any] = []
        for before, width in zip(widths, widths[1:]):
            layers += [
                nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            ]  # fmt: skip
        layers += [nn.Conv2d(128, 128, 3, padding=1, bias=False), nn.BatchNorm2d(128), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, num_classes))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))
