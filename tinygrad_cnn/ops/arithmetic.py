"""+ - * / and powers, with broadcasting: the primitives, and the functions of PyTorch's names around them.

Each op's local gradient stands beside its forward; the text beside it is what pictures and the debugger show.
Operators of `tensor.Tensor` call the primitives directly.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT, Operand
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.op import Elementwise
from tinygrad_cnn.ops.common import as_float, is_floating
from tinygrad_cnn.ops.declare import public

# --- the primitives --------------------------------------------------------------------------------

add_op = Elementwise("add", np.add, 1, 1, formula="a + b", local=("1", "1"))
sub_op = Elementwise("sub", np.subtract, 1, -1, formula="a - b", local=("1", "-1"))
neg_op = Elementwise("neg", np.negative, -1, formula="-x", local=("-1",))
positive_op = Elementwise("positive", np.positive, 1, formula="+x", local=("1",))
mul_op = Elementwise(
    "mul", np.multiply, lambda _y, _a, b: b, lambda _y, a, _b: a, formula="a · b", local=("b", "a")
)
div_op = Elementwise(
    "div", np.true_divide, lambda _y, _a, b: 1 / b, lambda y, _a, b: -y / b,
    vjp=(lambda g, _y, _a, b: g / b,),
    formula="a / b", local=("1 / b", "-y / b"),
)  # fmt: skip
pow_op = Elementwise(
    "pow", np.power,
    # where(b == 0): the slope of a constant is 0, also at a = 0, where a**-1 is infinite.
    lambda _y, a, b: np.where(b == 0, 0, b * np.power(a, np.where(b == 0, 1, b - 1))),
    # y·log a has the limit 0 at a = 0 for b > 0; PyTorch takes 0 for b = 0, too.
    lambda y, a, b: np.where((a == 0) & (b >= 0), 0, y * np.log(np.where((a == 0) & (b >= 0), 1, a))),
    formula="a ** b", local=("b · a**(b-1)", "y · log(a)"),
)  # fmt: skip
square_op = Elementwise("square", np.square, lambda _y, x: x + x, formula="x²", local=("2x",))
#: A number as the exponent: its own primitive, since most powers are of this kind and cost far less so.
power_op = Elementwise(
    "power", lambda x, exponent: np.power(x, exponent),
    lambda _y, x, exponent: exponent * np.power(x, exponent - 1) if exponent else np.zeros_like(x),
    formula="x ** n", local=("n · x**(n-1)",),
)  # fmt: skip
remainder_op = Elementwise(
    "remainder", np.remainder, 1, lambda _y, a, b: -np.floor(a / b),
    formula="a - b · floor(a / b)", local=("1", "-floor(a / b)"),
)  # fmt: skip
fmod_op = Elementwise(
    "fmod",
    np.fmod,
    1,
    lambda _y, a, b: -np.trunc(a / b),
    formula="a - b · trunc(a / b)",
    local=("1", "-trunc(a / b)"),
)
floor_divide_op = Elementwise(
    "floor_divide", np.floor_divide, lambda y, _a, _b: np.zeros_like(y), lambda y, _a, _b: np.zeros_like(y),
    formula="⌊a / b⌋", local=("0", "0"),
)  # fmt: skip
trunc_divide_op = Elementwise(
    "trunc_divide", lambda a, b: _trunc_divide(a, b),
    lambda y, _a, _b: np.zeros_like(y), lambda y, _a, _b: np.zeros_like(y),
    formula="a / b, rounded towards 0", local=("0", "0"),
)  # fmt: skip


def _trunc_divide(a: Array, b: Array) -> Array:
    quotient = np.floor_divide(a, b)
    if quotient.dtype.kind in "iu":  # exact: a float64 has no room for an int64
        return quotient + ((quotient < 0) & (quotient * b != a))
    return np.trunc(np.true_divide(a, b))


maximum_op = Elementwise(
    "maximum", np.maximum,
    # At a tie each side gets half, as in PyTorch: the subgradient that treats both alike. Where one is NaN, neither is
    # the smaller, and both get all.
    lambda _y, a, b: np.logical_not(a < b) - 0.5 * (a == b), lambda _y, a, b: np.logical_not(b < a) - 0.5 * (a == b),
    formula="max(a, b)", local=("1 where a > b, ½ where equal", "1 where b > a, ½ where equal"),
)  # fmt: skip
minimum_op = Elementwise(
    "minimum", np.minimum,
    lambda _y, a, b: np.logical_not(a > b) - 0.5 * (a == b), lambda _y, a, b: np.logical_not(b > a) - 0.5 * (a == b),
    formula="min(a, b)", local=("1 where a < b, ½ where equal", "1 where b < a, ½ where equal"),
)  # fmt: skip
fmax_op = Elementwise(
    "fmax", np.fmax, lambda _y, a, b: (a >= b) | (b != b), lambda _y, a, b: ~((a >= b) | (b != b)),
    formula="max(a, b), NaN counts as missing", local=("1 where a is chosen", "1 where b is chosen"),
)  # fmt: skip
fmin_op = Elementwise(
    "fmin", np.fmin, lambda _y, a, b: (a <= b) | (b != b), lambda _y, a, b: ~((a <= b) | (b != b)),
    formula="min(a, b), NaN counts as missing", local=("1 where a is chosen", "1 where b is chosen"),
)  # fmt: skip
hypot_op = Elementwise(
    "hypot",
    np.hypot,
    # At the origin no direction is better than another: 0, the subgradient in the middle (PyTorch gives NaN).
    lambda y, a, _b: a / np.where(y == 0, 1, y),
    lambda y, _a, b: b / np.where(y == 0, 1, y),
    formula="√(a² + b²)",
    local=("a / y", "b / y"),
)
atan2_op = Elementwise(
    "atan2", np.arctan2, lambda _y, a, b: b / _length2(a, b), lambda _y, a, b: -a / _length2(a, b),
    formula="angle of (b, a)", local=("b / (a² + b²)", "-a / (a² + b²)"),
)  # fmt: skip


def _length2(a: Array, b: Array) -> Array:
    """a² + b², and 1 at the origin, where no direction is better than another: the gradient is 0 there."""
    total = a * a + b * b
    return np.where(total == 0, 1.0, total)


logaddexp_op = Elementwise(
    "logaddexp", np.logaddexp, lambda y, a, _b: np.exp(a - y), lambda y, _a, b: np.exp(b - y),
    formula="log(eᵃ + eᵇ)", local=("exp(a - y)", "exp(b - y)"),
)  # fmt: skip
lerp_op = Elementwise(
    "lerp", lambda a, b, w: a + w * (b - a),
    lambda _y, _a, _b, w: 1 - w, lambda _y, _a, _b, w: w, lambda _y, a, b, _w: b - a,
    formula="a + c · (b - a)", local=("1 - c", "c", "b - a"),
)  # fmt: skip

# --- the functions ---------------------------------------------------------------------------------


@public(method=True, in_place=True, out=True)
def add(input: ArrayT, other: Operand, *, alpha: float = 1) -> ArrayT:
    """input + alpha · other, with broadcasting."""
    return add_op(input, other if alpha == 1 else mul_op(other, alpha))


@public(method=True, in_place=True, out=True, aliases=["subtract"])
def sub(input: ArrayT, other: Operand, *, alpha: float = 1) -> ArrayT:
    """input - alpha · other, with broadcasting."""
    return sub_op(input, other if alpha == 1 else mul_op(other, alpha))


@public(method=True)
def rsub(input: ArrayT, other: Operand, *, alpha: float = 1) -> ArrayT:
    """other - alpha · input."""
    return sub(other, input, alpha=alpha)


@public(method=True, in_place=True, out=True, aliases=["multiply"])
def mul(input: ArrayT, other: Operand) -> ArrayT:
    """input · other, with broadcasting."""
    return mul_op(input, other)


@public(method=True, in_place=True, out=True, aliases=["divide", "true_divide"])
def div(input: ArrayT, other: Operand, *, rounding_mode: str | None = None) -> ArrayT:
    """input / other; `rounding_mode` 'floor' or 'trunc' rounds the quotient (its gradient is then 0)."""
    if rounding_mode is None:
        return div_op(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        _check_divisor("div", input, other)
        return trunc_divide_op(input, other)
    raise ValueError(f"div expected rounding_mode None, 'floor' or 'trunc', got {rounding_mode!r}")


@public(method=True, in_place=True)
def floor_divide(input: ArrayT, other: Operand) -> ArrayT:
    """⌊input / other⌋; its gradient is 0. Raises ZeroDivisionError where an integer is divided by 0."""
    _check_divisor("floor_divide", input, other)
    return floor_divide_op(input, other)


def _check_divisor(name: str, input: Array, other: Operand) -> None:
    """Raise ZeroDivisionError for a division of integers by 0, of which NumPy makes a 0."""
    a, b = np.asarray(unwrap(input)), np.asarray(unwrap(other))
    if a.dtype.kind in "biu" and b.dtype.kind in "biu" and not b.all():
        raise ZeroDivisionError(f"{name} of integers by 0")


@public(method=True, in_place=True, out=True)
def pow(input: ArrayT, exponent: Operand) -> ArrayT:
    """input ** exponent, with broadcasting; a number as the exponent takes a cheaper path."""
    if isinstance(exponent, (int, float)):
        if exponent == 2:
            return square_op(input)
        return power_op(input, exponent=exponent)
    return pow_op(input, exponent)


@public(method=True, in_place=True, out=True, aliases=["negative"])
def neg(input: ArrayT) -> ArrayT:
    """-input."""
    return neg_op(input)


@public(method=True)
def positive(input: ArrayT) -> ArrayT:
    """+input."""
    return positive_op(input)


@public(method=True, in_place=True)
def square(input: ArrayT) -> ArrayT:
    """input²."""
    return square_op(input)


@public(method=True, in_place=True)
def remainder(input: ArrayT, other: Operand) -> ArrayT:
    """The remainder with the divisor's sign, as Python's %. Raises ZeroDivisionError for integers and a 0."""
    _check_divisor("remainder", input, other)
    return remainder_op(input, other)


@public(method=True, in_place=True)
def fmod(input: ArrayT, other: Operand) -> ArrayT:
    """The remainder with the dividend's sign, as C's fmod. Raises ZeroDivisionError for integers and a 0."""
    _check_divisor("fmod", input, other)
    return fmod_op(input, other)


@public(method=True, out=True)
def maximum(input: ArrayT, other: Operand) -> ArrayT:
    """The larger of the two, entry by entry; NaN wins."""
    return maximum_op(input, other)


@public(method=True, out=True)
def minimum(input: ArrayT, other: Operand) -> ArrayT:
    """The smaller of the two, entry by entry; NaN wins."""
    return minimum_op(input, other)


@public(method=True)
def fmax(input: ArrayT, other: Operand) -> ArrayT:
    """The larger of the two; a NaN gives way to a number."""
    return fmax_op(input, other)


@public(method=True)
def fmin(input: ArrayT, other: Operand) -> ArrayT:
    """The smaller of the two; a NaN gives way to a number."""
    return fmin_op(input, other)


@public(method=True, in_place=True)
def hypot(input: ArrayT, other: Operand) -> ArrayT:
    """√(input² + other²) without overflow."""
    return hypot_op(input, other)


@public(method=True, in_place=True, aliases=["arctan2"])
def atan2(input: ArrayT, other: Operand) -> ArrayT:
    """The angle of the point (other, input) in (-π, π]."""
    # NumPy computes with half precision for bytes; PyTorch in the default dtype.
    return atan2_op(input if is_floating(input) or is_floating(other) else as_float(input), other)


@public(method=True)
def logaddexp(input: ArrayT, other: Operand) -> ArrayT:
    """log(exp(input) + exp(other)) without overflow."""
    return logaddexp_op(input, other)


@public(method=True, in_place=True)
def lerp(input: ArrayT, end: Operand, weight: Operand) -> ArrayT:
    """input + weight · (end - input)."""
    return lerp_op(input, end, weight)


@public(method=True, in_place=True)
def addcmul(input: ArrayT, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> ArrayT:
    """input + value · tensor1 · tensor2."""
    return add(input, mul_op(tensor1, tensor2), alpha=value)


@public(method=True, in_place=True)
def addcdiv(input: ArrayT, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> ArrayT:
    """input + value · tensor1 / tensor2."""
    return add(input, div_op(tensor1, tensor2), alpha=value)


implements(np.add)(add_op)
implements(np.subtract)(sub_op)
implements(np.multiply)(mul_op)
implements(np.true_divide)(div_op)
implements(np.negative)(neg_op)
implements(np.positive)(positive_op)
implements(np.square)(square_op)
implements(np.power, np.float_power)(pow)
implements(np.remainder)(remainder)
implements(np.fmod)(fmod)
implements(np.maximum)(maximum_op)
implements(np.minimum)(minimum_op)
implements(np.fmax)(fmax_op)
implements(np.fmin)(fmin_op)
implements(np.hypot)(hypot_op)
implements(np.arctan2)(atan2_op)
implements(np.logaddexp)(logaddexp_op)
implements(np.floor_divide)(floor_divide)
