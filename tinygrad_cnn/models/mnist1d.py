"""Networks for MNIST-1D's signals of 40 points, as their papers describe them."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn

__all__ = ["MNIST1DCNN", "MNIST1DGRU", "MNIST1DMLP", "UDLCNN", "MNIST1DLogistic", "UDLDense"]


class MNIST1DCNN(nn.Sequential):
    """(N, 1, 40) → (N, 10): 40 → 19 → 10 → 5 points, 25 channels each; 5,210 parameters.

    Greydanus & Kobak, ICML 2024; there Adam with lr 1e-2 and 6,000 batches of 100 gives about 92 to 94 %.
    """

    def __init__(self, num_classes: int = 10, channels: int = 25) -> None:
        super().__init__(
            nn.Conv1d(1, channels, 5, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * 5, num_classes),
        )


class MNIST1DMLP(nn.Module):
    """(N, 1, 40) → (N, 10) through two hidden layers of 100, the second added to the first; 15,210 parameters."""

    def __init__(self, num_classes: int = 10, hidden: int = 100) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear1 = nn.Linear(40, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, num_classes)
        self.relu = nn.ReLU()

    def forward(self, x: Any) -> Any:
        h = self.relu(self.linear1(self.flatten(x)))
        h = h + self.relu(self.linear2(h))
        return self.linear3(h)


class MNIST1DLogistic(nn.Sequential):
    """(N, 1, 40) → (N, 10), one linear layer: multinomial logistic regression, 410 parameters."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(nn.Flatten(), nn.Linear(40, num_classes))


class UDLCNN(nn.Sequential):
    """(N, 1, 40) → (N, 10): 40 → 19 → 9 → 4 points, 15 channels each; 2,050 parameters.

    S. J. D. Prince, Understanding Deep Learning, figure 10.7: about 17 % test error.
    """

    def __init__(self, num_classes: int = 10, channels: int = 15) -> None:
        super().__init__(
            nn.Conv1d(1, channels, 3, stride=2),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 3, stride=2),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * 4, num_classes),
        )


class MNIST1DGRU(nn.Module):
    """(N, 1, 40) → (N, 10): a GRU of 6 units in each direction, all outputs into one linear layer.

    Greydanus & Kobak, ICML 2024: about 89 to 91 %.
    """

    def __init__(self, num_classes: int = 10, hidden: int = 6) -> None:
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(40 * 2 * hidden, num_classes)

    def forward(self, x: Any) -> Any:
        outputs, _ = self.gru(x.transpose(1, 2))
        return self.linear(outputs.flatten(1))


class UDLDense(nn.Sequential):
    """(N, 1, 40) → (N, 10) through 285, 135 and 60 units: as many as `UDLCNN` has in each layer, but 59,065 parameters.

    S. J. D. Prince, Understanding Deep Learning, figure 10.8: about 40 % test error.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(40, 285),
            nn.ReLU(),
            nn.Linear(285, 135),
            nn.ReLU(),
            nn.Linear(135, 60),
            nn.ReLU(),
            nn.Linear(60, num_classes),
        )
