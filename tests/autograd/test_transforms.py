"""tg.func: each transform against the formula, nested transforms, and what they refuse."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import func


def vector(*values):
    return tg.tensor(np.array(values, np.float64))


def f(x):
    return (x**3).sum() + x[0] * x[1]


def test_grad():
    np.testing.assert_allclose(func.grad(f)(vector(1.0, 2.0)).numpy(), [3.0 + 2.0, 12.0 + 1.0])


def test_grad_of_several_arguments_and_aux():
    def g(x, y):
        return (x * y).sum(), x + 1

    (dx, dy), aux = func.grad(g, argnums=(0, 1), has_aux=True)(vector(2.0), vector(5.0))
    assert (float(dx), float(dy), float(aux)) == (5.0, 2.0, 3.0)


def test_grad_of_a_dict_of_parameters():
    found = func.grad(lambda p: (p["w"] * 3.0 + p["b"]).sum())({"w": vector(1.0), "b": vector(2.0)})
    assert float(found["w"]) == 3.0
    assert float(found["b"]) == 1.0


def test_grad_and_value():
    g, value = func.grad_and_value(lambda x: x * x)(tg.tensor(3.0))
    assert (float(g), float(value)) == (6.0, 9.0)


def test_grad_nests_to_any_order():
    g = lambda x: x.sin()
    for expected in (np.cos(0.3), -np.sin(0.3), -np.cos(0.3), np.sin(0.3)):
        g = func.grad(g)
        np.testing.assert_allclose(float(g(tg.tensor(np.float64(0.3)))), expected, rtol=1e-12)


def test_inner_and_outer_derivatives_are_not_confused():
    # d/dx [x · d/dy (x + y)] = 1: perturbation confusion would give 2.
    outer = func.grad(lambda x: x * func.grad(lambda y: x + y)(tg.tensor(1.0)))
    assert float(outer(tg.tensor(1.0))) == 1.0


def test_jvp_and_vjp_are_transposes_of_each_other():
    random = np.random.default_rng(0)
    w = tg.tensor(random.standard_normal((4, 3)))

    def g(x):
        return (x @ w).tanh()

    x, t, v = (tg.tensor(random.standard_normal(s)) for s in ((2, 4), (2, 4), (2, 3)))
    _, pushed = func.jvp(g, (x,), (t,))
    _, pull = func.vjp(g, x)
    np.testing.assert_allclose(float((pushed * v).sum()), float((pull(v)[0] * t).sum()), rtol=1e-12)
    pull(v)  # may be called again


def test_jacobians_forward_and_reverse_agree():
    a = np.random.default_rng(1).standard_normal((3, 4))

    def g(x):
        return (tg.tensor(a) @ x).exp()

    x = vector(0.1, 0.2, 0.3, 0.4)
    expected = np.exp(a @ x.numpy())[:, None] * a
    np.testing.assert_allclose(func.jacrev(g)(x).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(func.jacfwd(g)(x).numpy(), expected, rtol=1e-12)


def test_hessian_and_hvp():
    a = np.random.default_rng(2).standard_normal((3, 3))

    def g(x):
        return x @ (tg.tensor(a) @ x) + (x**3).sum()

    x = vector(0.5, -1.0, 2.0)
    expected = a + a.T + np.diag(6 * x.numpy())
    np.testing.assert_allclose(func.hessian(g)(x).numpy(), expected, rtol=1e-10)
    v = vector(1.0, 2.0, 3.0)
    value, product = func.hvp(g, x, v)
    np.testing.assert_allclose(float(value), float(g(x)))
    np.testing.assert_allclose(product.numpy(), expected @ v.numpy(), rtol=1e-10)


def test_jacobian_with_several_outputs_and_arguments():
    blocks = func.jacrev(lambda x, y: (x * y, x + y), argnums=(0, 1))(vector(2.0, 3.0), vector(5.0, 7.0))
    np.testing.assert_allclose(blocks[0][0].numpy(), np.diag([5.0, 7.0]))
    np.testing.assert_allclose(blocks[1][1].numpy(), np.eye(2))
    forward = func.jacfwd(lambda x, y: (x * y, x + y), argnums=(0, 1))(vector(2.0, 3.0), vector(5.0, 7.0))
    np.testing.assert_allclose(forward[0][1].numpy(), np.diag([2.0, 3.0]))


def test_results_carry_no_graph_unless_something_outside_is_differentiated():
    assert func.grad(f)(vector(1.0, 2.0)).requires_grad is False
    w = tg.tensor(np.array(2.0), requires_grad=True)
    inner = func.grad(lambda x: (w * x * x).sum())(vector(3.0))
    inner.sum().backward()
    assert float(w.grad) == 6.0


def test_transforms_work_under_no_grad():
    with tg.no_grad():
        assert float(func.grad(lambda x: x * x)(tg.tensor(3.0))) == 6.0


def test_no_gradient_is_left_behind():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    func.grad(f)(x)
    assert x.grad is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: func.grad(lambda x: x * 2)(vector(1.0, 2.0)),
            RuntimeError,
            r"scalar result, got shape \(2,\)",
        ),
        (lambda: func.grad(lambda x: x)(tg.tensor([1])), TypeError, "floating tensors"),
        (lambda: func.grad(lambda x: 3.0)(vector(1.0)), TypeError, "should return tensors"),
        (lambda: func.grad(f, argnums=3)(vector(1.0)), ValueError, "argnums names argument 3"),
        (
            lambda: func.jvp(f, (vector(1.0, 2.0),), (vector(1.0),)),
            ValueError,
            "tangent of the primal's shape",
        ),
        (lambda: func.jvp(f, vector(1.0), vector(1.0)), TypeError, "tuples of primals"),
        (
            lambda: func.vjp(f, vector(1.0, 2.0))[1](vector(1.0, 2.0)),
            RuntimeError,
            "cotangent of the output's shape",
        ),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_functional_call_swaps_parameters_for_one_call():
    layer = tg.nn.Linear(2, 1)
    before = layer.weight
    out = func.functional_call(layer, {"weight": tg.ones(1, 2), "bias": tg.zeros(1)}, (tg.ones(1, 2),))
    assert float(out) == 2.0
    assert layer.weight is before
    with pytest.raises(KeyError, match="no parameter or buffer 'wight'"):
        func.functional_call(layer, {"wight": tg.ones(1, 2)}, (tg.ones(1, 2),))


def test_pull_backs_linear_maps_and_ensembles_have_pytorchs_forms():
    x = tg.tensor([1.0, 2.0])
    (g,) = func.vjp(tg.sin, x)[1](tg.ones(2))
    np.testing.assert_allclose(g.numpy(), np.cos([1, 2]), rtol=1e-6)
    y, push = func.linearize(lambda a: a * a, x)
    assert (y.tolist(), push(tg.ones(2)).tolist()) == ([1, 4], [2, 4])
    assert tg.autograd.functional.vhp(lambda a: (a**3).sum(), x, tg.ones(2))[1].tolist() == [6, 12]
    nets = [tg.nn.BatchNorm1d(2) for _ in range(3)]
    params, buffers = func.stack_module_state(nets)
    assert params["weight"].shape == (3, 2)
    outputs = func.vmap(lambda p, b: func.functional_call(nets[0].eval(), (p, b), (tg.ones(4, 2),)))(params, buffers)
    assert outputs.shape == (3, 4, 2)


def test_hessian_through_integer_indices_and_quantile():
    rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    wanted = [[402.0, -400.0], [-400.0, 200.0]]
    assert func.hessian(rosenbrock)(vector(1.0, 2.0)).tolist() == wanted
    assert func.hessian(rosenbrock)(tg.tensor([1.0, 2.0])).dtype == tg.float32
    value, product = func.hvp(rosenbrock, vector(1.0, 2.0), vector(1.0, 0.0))
    assert value.item() == 100 and product.tolist() == wanted[0]
    # The 0.3-quantile of three squares is 0.4 x₀² + 0.6 x₁².
    found = func.hessian(lambda x: tg.quantile(x**2, 0.3))(vector(1.0, 2.0, 4.0))
    np.testing.assert_allclose(found.numpy(), np.diag([0.8, 1.2, 0.0]), atol=1e-12)
