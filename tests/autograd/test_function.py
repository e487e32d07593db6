"""User-defined ops: recorded as one node, differentiable again, checked for shapes and counts."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd import Function, grad, gradcheck, gradgradcheck, once_differentiable


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return y * g


class Both(Function):
    """Two differentiable outputs and one that is not."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        sign = x.sign()
        ctx.mark_non_differentiable(sign)
        return x * factor, x + 1, sign

    @staticmethod
    def backward(ctx, g_scaled, g_shifted, _g_sign):
        return g_scaled * ctx.factor + g_shifted, None


def leaf(*values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


def test_a_function_is_one_node_with_its_name():
    y = Cube.apply(leaf(2.0))
    assert y.node.op.name == "Cube"
    assert y.node.where.filename.endswith("test_function.py")


@pytest.mark.parametrize("fn", [Cube.apply, Exp.apply])
def test_first_and_second_derivatives(fn):
    assert gradcheck(fn, (leaf(0.5, -1.2),), check_forward_ad=True)
    assert gradgradcheck(fn, (leaf(0.5, -1.2),))


def test_several_outputs():
    x = leaf(2.0, 3.0)
    scaled, shifted, sign = Both.apply(x, 5.0)
    assert not sign.requires_grad
    (scaled.sum() + 2 * shifted.sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), [7.0, 7.0])


def test_an_output_that_is_not_used_counts_as_zero():
    x = leaf(2.0)
    scaled, _, _ = Both.apply(x, 5.0)
    scaled.backward()
    assert float(x.grad) == 5.0


def test_setup_context_style():
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    assert gradcheck(Square.apply, (leaf(1.5),))


def test_a_saved_output_makes_no_cycle():
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(leaf(1.0))
        watch = weakref.ref(y.node)
        del y
        assert watch() is None
    finally:
        gc.enable()


def test_a_saved_tensor_changed_in_place_is_noticed():
    x = leaf(2.0)
    y = Cube.apply(x)
    with tg.no_grad():
        x.add_(1.0)
    with pytest.raises(RuntimeError, match="saved tensor 0 .* changed in place"):
        y.backward()


def test_once_differentiable_refuses_the_second_derivative():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0)
    Once.apply(x).backward()
    assert float(x.grad) == 2.0
    y = x * x
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad(Once.apply(y) * y, x, create_graph=True)


def test_wrong_count_and_wrong_shape_are_named():
    class Count(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match=r"Count\.backward returned 1 gradients, expected 2"):
        Count.apply(leaf(1.0), leaf(2.0)).backward()

    class Shape(Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match=r"shape \(\) for argument 0, expected \(2,\)"):
        Shape.apply(leaf(1.0, 2.0)).backward()


def test_without_gradients_nothing_is_recorded():
    with tg.no_grad():
        assert Cube.apply(leaf(2.0)).node is None
    assert Cube.apply(tg.ones(2)).node is None
