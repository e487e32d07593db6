"""Two backward passes through a small graph."""

import tinygrad_cnn as tg

x = tg.tensor([[1.0, 2.0], [3.0, -4.0]], requires_grad=True)
for _ in range(2):
    y = (x * 3).relu()
    loss = (y.square() * 0.5 + y).sum()
    loss.backward()
