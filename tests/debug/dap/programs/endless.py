"""Backward passes until somebody ends it."""

import tinygrad_cnn as tg

x = tg.ones(2, requires_grad=True)
while True:
    (x * 2).sum().backward()
