"""gradcheck passes what is right and names what is wrong: the op, the input, the element, both values."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd import Function, GradcheckError, gradcheck, gradgradcheck


class WrongAtOne(Function):
    """y = x², whose gradient is wrong for the entry with index 1."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g * tg.tensor(np.array([1.0, 1.5, 1.0]))


def leaf(*values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


def test_a_right_function_passes_in_all_modes():
    f = lambda x, y: (x.sin() * y).sum()
    args = (leaf(0.1, 0.2, 0.3), leaf(1.0, 2.0, 3.0))
    assert gradcheck(f, args, check_forward_ad=True)
    assert gradcheck(f, args, fast_mode=True)
    assert gradgradcheck(f, args)


def test_a_failure_names_op_input_element_and_both_values():
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: WrongAtOne.apply(x) + 1.0, (leaf(1.0, 2.0, 3.0),))
    text = str(caught.value)
    for part in ("WrongAtOne", "input 0", "[1]", "6", "4", "test_gradcheck.py"):
        assert part in text, (part, text)


def test_it_can_answer_instead_of_raising():
    assert gradcheck(WrongAtOne.apply, (leaf(1.0, 2.0, 3.0),), raise_exception=False) is False
    assert gradcheck(WrongAtOne.apply, (leaf(1.0, 2.0, 3.0),), raise_exception=False, fast_mode=True) is False


def test_low_precision_and_missing_gradients_are_refused():
    with pytest.raises(TypeError, match="float64"):
        gradcheck(lambda x: x, (tg.ones(2, requires_grad=True),))
    with pytest.raises(ValueError, match="requires_grad"):
        gradcheck(lambda x: x, (tg.ones(2),))
