"""A NaN is born in the backward pass, of 0 times infinity; the loss itself is finite."""

import warnings

import tinygrad_cnn as tg

warnings.simplefilter("ignore")
x = tg.tensor([0.0, 1.0], requires_grad=True)
y = x.log().clamp(min=-10.0)
y.sum().backward()
