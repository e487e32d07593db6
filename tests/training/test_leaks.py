"""A long training holds no more than a short one, without the help of the garbage collector."""

import gc
import tracemalloc

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.nn import functional as F


def nodes():
    return sum(issubclass(type(thing), Node) for thing in gc.get_objects())


def test_a_thousand_steps_leave_no_node_and_no_memory():
    tg.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(18, 3)
    )
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    x, y = tg.tensor(rng.standard_normal((4, 1, 8, 8), dtype=np.float32)), tg.tensor(rng.integers(0, 3, 4))

    def steps(n):
        for _ in range(n):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        steps(600)
        before, growth = nodes(), []
        # NumPy's and Python's own stores of small pieces of memory fill up, some thousand steps long; then no more.
        while len(growth) < 6 and (not growth or growth[-1] >= 20_000):
            held = tracemalloc.get_traced_memory()[0]
            steps(1000)
            growth.append(tracemalloc.get_traced_memory()[0] - held)
        assert nodes() == before
        assert growth[-1] < 20_000, growth
    finally:
        tracemalloc.stop()
        gc.enable()
