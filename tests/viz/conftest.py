"""Small graphs that every test of pictures uses."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import functional as F

HOSTILE = [
    'quo"te',
    "back\\slash\\",
    "<script>alert(1)</script>",
    "a & b &amp; <b>",
    "}] -> {",
    "line\nbreak\ttab\x00nul",
    "\u202eright to left\u2066",
    "שלום עולם",
    "\ud800 lone surrogate",
    "x" * 10_000,
    "",
]


class Net(nn.Module):
    """A convolution used twice, so that a module is called again."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.act = nn.ReLU()
        self.mix = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(3 * 4 * 4, 5)

    def forward(self, x):
        x = self.act(self.conv(x))
        x = self.act(x + self.mix(x))
        return self.fc(F.max_pool2d(x, 2).flatten(1))


@pytest.fixture
def xyz():
    x = tg.tensor(2.0, requires_grad=True)
    y = tg.tensor(3.0, requires_grad=True)
    z = x * y
    return x, y, z


@pytest.fixture
def net():
    tg.manual_seed(0)
    return Net()


@pytest.fixture
def net_loss(net):
    x = tg.tensor(np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32))
    return F.cross_entropy(net(x), tg.tensor([1, 4]))


def chain(length):
    """A graph of `length` nodes in a row, and its leaf."""
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x
    for _ in range(length - 2):
        h = h * 1.0
    return h.sum(), x
