"""Networks for 28×28 images of one channel: the lecture notes' CNN, a perceptron, LeNet-1, 4 and 5."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn

__all__ = ["MLP", "LeNet1", "LeNet4", "LeNet5", "MnistCNN"]


class MnistCNN(nn.Module):
    """(N, 1, 28, 28) → (N, 10). 28 → conv 5×5 → 24 → pool → 12 → conv 5×5 → 8 → pool → 4.

    Parameters: 832 + 51,264 + 1,049,600 + 10,250 = 1,111,946, nine tenths of them in the first dense layer.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, 1024),
            nn.ReLU(),
            nn.Linear(1024, num_classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


class MLP(nn.Sequential):
    """(N, 1, 28, 28) or (N, 784) → (N, 10) through one hidden layer of 128: 101,770 parameters."""

    def __init__(self, num_classes: int = 10, hidden: int = 128, inputs: int = 784) -> None:
        super().__init__(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


class LeNet1(nn.Module):
    """(N, 1, 28, 28) → (N, 10), 3,246 parameters (LeCun et al., NIPS 1990).

    28 → conv 5×5 → 24 → pool → 12 → conv 5×5 → 8 → pool → 4, with 4 and 12 maps. As in `LeNet5`, every map of S2 feeds
    every map of C3, where the paper leaves some out, and pooling has no weights.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 4, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 12, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(12 * 4 * 4, num_classes))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


class LeNet4(nn.Module):
    """(N, 1, 28, 28) → (N, 10), 51,050 parameters (LeCun et al., Comparison of learning algorithms, 1995).

    As `LeNet5`, with 4 maps in the first layer and one dense layer of 120 before the output; `padding` is the frame.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, padding: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 4, 5, padding=padding),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 16, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * 5 * 5, 120), nn.Tanh(), nn.Linear(120, num_classes)
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


class LeNet5(nn.Module):
    """(N, 1, 28, 28) → (N, 10), 61,706 parameters (LeCun et al., Proc. IEEE 1998).

    The paper's input is the digit in a 32×32 frame; here the first convolution's padding of 2 is that frame
    (`padding=0` takes 32×32 images). As is usual today, every map of S2 feeds every map of C3 (the paper
    leaves some out), pooling has no weights, and the output is a dense layer instead of radial basis units.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, padding: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=padding),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))
