"""Networks and small graphs that the debugger's tests share."""

import os
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn
from tinygrad_cnn.nn import functional as F

ROOT = Path(__file__).parents[2]
#: No answer for so long (in seconds) means that none will come; a slow machine under load takes a fraction of it.
PATIENCE = 300


def environment(**more):
    """For a program of its own: readable kernels, whose first use takes no half a minute of compiling."""
    return {
        **os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1",
        "TINYGRAD_CNN_KERNELS": "reference", **more,
    }  # fmt: skip


class Problem:
    """A model with a batch; `loss()` records a fresh graph, the same one each time."""

    def __init__(self, model, x, target):
        self.model, self.x, self.target = model, x, target

    def loss(self):
        self.model.eval()
        self.model.requires_grad_(True)
        return F.cross_entropy(self.model(self.x), self.target)

    def grads(self):
        return {
            n: None if p.grad is None else p.grad.numpy().copy() for n, p in self.model.named_parameters()
        }

    def clear(self):
        for p in self.model.parameters():
            p.grad = None


def problem(name, shape, batch=2, dtype=None):
    tg.manual_seed(0)
    model = models.create(name, num_classes=10)
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((batch, *shape)).astype(np.float32))
    if dtype is not None:
        model, x = model.to(dtype), x.to(dtype)
    return Problem(model, x, tg.tensor(rng.integers(0, 10, batch)))


class Small(nn.Module):
    """Conv, norm, a residual branch and a shared weight: every way in which gradients meet."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, 10)

    def forward(self, x):
        y = F.relu(self.norm(self.conv(x)))
        y = y + tg.tanh(y) * y
        y = y.mean(dim=(2, 3))
        return self.fc(y) + self.fc(y * 2)


@pytest.fixture
def small():
    tg.manual_seed(1)
    rng = np.random.default_rng(1)
    return Problem(
        Small(), tg.tensor(rng.standard_normal((4, 1, 6, 6)).astype(np.float32)), tg.tensor([1, 2, 3, 4])
    )


@pytest.fixture
def mnist():
    return problem("mnist-cnn", (1, 28, 28))


@pytest.fixture
def resnet():
    return problem("resnet18-cifar", (3, 16, 16))


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        if a[name] is None:
            assert b[name] is None, name
        else:
            assert a[name].dtype == b[name].dtype
            assert a[name].tobytes() == b[name].tobytes(), name
