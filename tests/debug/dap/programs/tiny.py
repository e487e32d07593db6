"""Two passes through a small graph, for tests that make many stops."""

import tinygrad_cnn as tg

x = tg.tensor([[1.0, 2.0], [3.0, -4.0]], requires_grad=True)
for _ in range(2):
    y = (x * 3).relu()
    loss = (y.exp() * 1e-6 + y).sum()
    loss.backward()
