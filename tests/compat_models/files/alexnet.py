"""A plain network with local response normalisation, dropout and an adaptive pool."""
import torch
from torch import nn, Tensor
from typing import Any


class AlexNet(nn.Module):
    def __init__(self, num_classes: int = 10, dropout: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 24, kernel_size=5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(size=5, alpha=0.0001, beta=0.75, k=2),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(24, 48, kernel_size=3, padding="same"),
            nn.ReLU(inplace=True),
            nn.Conv2d(48, 32, 3, padding=1, padding_mode="reflect"),
            nn.PReLU(32),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(32 * 2 * 2, 64),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(64, num_classes),
        )
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(p, 0.1)

    def forward(self, x: Tensor) -> torch.Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        x = self.classifier(x)
        return x


def alexnet(**kwargs: Any) -> AlexNet:
    return AlexNet(**kwargs)
