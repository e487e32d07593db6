"""+ - * / and powers: elementwise, with broadcasting.

Each op's local gradient stands beside its forward; the text beside it is what pictures and the debugger show.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.op import Elementwise

add = Elementwise("add", np.add, 1, 1, formula="a + b", local=("1", "1"))
sub = Elementwise("sub", np.subtract, 1, -1, formula="a - b", local=("1", "-1"))
neg = Elementwise("neg", np.negative, -1, formula="-x", local=("-1",))
positive = Elementwise("positive", np.positive, 1, formula="+x", local=("1",))
mul = Elementwise(
    "mul", np.multiply, lambda _y, _a, b: b, lambda _y, a, _b: a, formula="a · b", local=("b", "a")
)
div = Elementwise(
    "div", np.true_divide, lambda _y, _a, b: 1 / b, lambda y, _a, b: -y / b,
    vjp=(lambda g, _y, _a, b: g / b,),
    formula="a / b", local=("1 / b", "-y / b"),
)  # fmt: skip
pow = Elementwise(
    "pow", np.power,
    # where(b == 0): the slope of a constant is 0, also at a = 0, where a**-1 is infinite.
    lambda _y, a, b: np.where(b == 0, 0, b * np.power(a, np.where(b == 0, 1, b - 1))),
    # where(a == 0): y·log a has the limit 0 there for b > 0.
    lambda y, a, _b: y * np.log(np.where(a == 0, 1, a)),
    formula="a ** b", local=("b · a**(b-1)", "y · log(a)"),
)  # fmt: skip

for _numpy, _op in (
    (np.add, add), (np.subtract, sub), (np.negative, neg), (np.positive, positive), (np.multiply, mul),
    (np.true_divide, div), (np.power, pow), (np.float_power, pow),
):  # fmt: skip
    implements(_numpy)(_op)
