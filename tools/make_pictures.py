"""Draw the graphs that the README shows: python tools/make_pictures.py (writes docs/pictures/)."""

from pathlib import Path

import tinygrad_cnn as tg
from tinygrad_cnn import nn, viz
from tinygrad_cnn.nn import functional as F

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.block = Block()
        self.fc = nn.Linear(8, 10)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.fc(self.block(F.relu(self.stem(x))).mean((2, 3)))


def neuron() -> viz.Graph:
    """One neuron with its local gradients as numbers."""
    x = tg.tensor(2.0, requires_grad=True)
    w = tg.tensor(-0.5, requires_grad=True)
    b = tg.tensor(1.5, requires_grad=True)
    h = w * x + b
    y = h.tanh()
    loss = (y - 1) ** 2
    return viz.graph(loss, direction="LR")


def residual() -> viz.Graph:
    """A residual block: the short cut carries the larger gradient."""
    tg.manual_seed(0)
    images, targets = tg.randn(4, 1, 28, 28), tg.tensor([0, 1, 2, 3])
    loss = F.cross_entropy(Net()(images), targets)
    graph = viz.graph(loss, names={"images": images})
    for module in graph.description.modules:
        module.open = module.path in ("", "block")
    return graph


if __name__ == "__main__":
    for draw in (neuron, residual):
        draw().save(OUT / f"{draw.__name__}.svg")
