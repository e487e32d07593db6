"""A hook raises in the middle of a backward pass, and the program catches it."""

import tinygrad_cnn as tg

x = tg.ones(3, requires_grad=True)
y = (x * 2).exp()


def bad(_gradient):
    raise ValueError("no such luck")


y.register_hook(bad)
try:
    y.sum().backward()
except ValueError as error:
    print("caught", error)
