"""Optimisers: PyTorch's numbers, state, groups and errors."""

import json
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import optim

ANSWERS = json.loads(Path(__file__).with_name("reference.json").read_text())
CS231N = json.loads((Path(__file__).parents[1] / "reference" / "cs231n_optim.json").read_text())


def leaves(arrays):
    return [tg.tensor(a, dtype=tg.float64, requires_grad=True) for a in arrays]


def run(optimizer, params, cases, steps):
    for k in steps:
        for p, g in zip(params, cases.gradients(k)):
            p.grad = tg.tensor(g)
        optimizer.step()


@pytest.mark.oracle
@pytest.mark.parametrize("label", ANSWERS["optimizers"])
def test_an_optimiser_goes_where_pytorchs_goes(label, cases):
    name, options = cases.OPTIMIZERS[label]
    params = leaves(cases.start())
    optimizer = getattr(optim, name)(params, **options)
    run(optimizer, params, cases, range(cases.STEPS))
    # PyTorch keeps NAdam's running product of momenta and ASGD's rate in float32.
    tolerance = {"NAdam": 1e-9, "ASGD": 1e-7}.get(name, 1e-12)
    for p, expected in zip(params, ANSWERS["optimizers"][label]["params"]):
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=tolerance, atol=tolerance)
    assert sorted(optimizer.state[params[0]]) == ANSWERS["optimizers"][label]["state"]


@pytest.mark.parametrize("label", ANSWERS["optimizers"])
def test_a_loaded_optimiser_goes_on_bit_for_bit(label, cases, tmp_path):
    name, options = cases.OPTIMIZERS[label]
    params = leaves(cases.start())
    whole = getattr(optim, name)(params, **options)
    run(whole, params, cases, range(5))
    tg.save(whole.state_dict(), tmp_path / "optimizer.npz")
    copies = leaves([p.detach().numpy().copy() for p in params])
    again = getattr(optim, name)(copies, lr=123.0)
    again.load_state_dict(tg.load(tmp_path / "optimizer.npz"))
    run(whole, params, cases, range(5, 12))
    run(again, copies, cases, range(5, 12))
    for p, q in zip(params, copies):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())


def test_cs231n_rmsprop():
    case = CS231N["rmsprop"]
    (w,) = leaves([np.linspace(-0.4, 0.6, 20).reshape(4, 5)])
    optimizer = optim.RMSprop([w], lr=case["lr"], alpha=case["decay"], eps=case["eps"])
    optimizer.state[w]["square_avg"] = tg.tensor(np.linspace(0.6, 0.9, 20).reshape(4, 5))
    w.grad = tg.tensor(np.linspace(-0.6, 0.4, 20).reshape(4, 5))
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), case["next_w"], atol=case["tol"])
    np.testing.assert_allclose(optimizer.state[w]["square_avg"].detach().numpy(), case["cache"], atol=case["tol"])


def test_cs231n_adam():
    case = CS231N["adam"]
    (w,) = leaves([np.linspace(-0.4, 0.6, 20).reshape(4, 5)])
    optimizer = optim.Adam([w], lr=case["lr"], betas=case["betas"], eps=case["eps"])
    optimizer.state[w].update(
        step=case["t0"],
        exp_avg=tg.tensor(np.linspace(0.6, 0.9, 20).reshape(4, 5)),
        exp_avg_sq=tg.tensor(np.linspace(0.7, 0.5, 20).reshape(4, 5)),
    )
    w.grad = tg.tensor(np.linspace(-0.6, 0.4, 20).reshape(4, 5))
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), case["next_w"], atol=case["tol"])
    np.testing.assert_allclose(optimizer.state[w]["exp_avg"].detach().numpy(), case["m"], atol=case["tol"])
    np.testing.assert_allclose(optimizer.state[w]["exp_avg_sq"].detach().numpy(), case["v"], atol=case["tol"])


def test_cs231n_momentum_with_the_rate_inside_the_velocity():
    # Their v is -lr times ours while the rate is constant.
    case = CS231N["sgd_momentum"]
    (w,) = leaves([np.linspace(-0.4, 0.6, 20).reshape(4, 5)])
    optimizer = optim.SGD([w], lr=case["lr"], momentum=case["momentum"])
    theirs = np.linspace(0.6, 0.9, 20).reshape(4, 5)
    optimizer.state[w]["momentum_buffer"] = tg.tensor(theirs / -case["lr"])
    w.grad = tg.tensor(np.linspace(-0.6, 0.4, 20).reshape(4, 5))
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), case["next_w"], atol=case["tol"])
    np.testing.assert_allclose(
        -case["lr"] * optimizer.state[w]["momentum_buffer"].detach().numpy(), case["velocity"], atol=case["tol"]
    )


def test_parameters_without_a_gradient_stay_and_are_not_remembered():
    a, b = leaves([np.ones(2), np.ones(3)])
    optimizer = optim.Adam([a, b])
    a.grad = tg.ones(2, dtype=tg.float64)
    optimizer.step()
    assert np.array_equal(b.detach().numpy(), np.ones(3)) and b not in optimizer.state
    assert not np.array_equal(a.detach().numpy(), np.ones(2))


def test_a_parameter_that_joins_late_starts_its_own_count():
    a, b = leaves([np.ones(2), np.ones(2)])
    optimizer = optim.Adam([a, b], lr=0.1)
    for _ in range(3):
        a.grad = tg.ones(2, dtype=tg.float64)
        optimizer.step()
    a.grad = b.grad = tg.ones(2, dtype=tg.float64)
    optimizer.step()
    # Adam's first step is lr · sign(g).
    np.testing.assert_allclose(b.detach().numpy(), 0.9, atol=1e-7)


def test_groups_have_their_own_options():
    a, b = leaves([np.zeros(2), np.zeros(2)])
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 1.0}], lr=0.5)
    a.grad = b.grad = tg.ones(2, dtype=tg.float64)
    optimizer.step()
    assert a.tolist() == [-0.5, -0.5] and b.tolist() == [-1.0, -1.0]
    assert [g["params"] for g in optimizer.state_dict()["param_groups"]] == [[0], [1]]


def test_zero_grad_forgets_or_fills_with_zeros():
    (a,) = leaves([np.zeros(2)])
    optimizer = optim.SGD([a], lr=1.0)
    a.grad = tg.ones(2, dtype=tg.float64)
    held = a.grad
    optimizer.zero_grad(set_to_none=False)
    assert a.grad is held and held.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert a.grad is None


def test_step_calls_the_closure_with_recording_on_and_returns_its_loss():
    (a,) = leaves([np.array([3.0])])
    optimizer = optim.SGD([a], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (a * a).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 9.0 and abs(a.item() - 2.4) < 1e-12


def test_a_backward_pass_over_values_from_before_the_step_complains():
    (a,) = leaves([np.array([3.0])])
    loss = (a * a).sum()
    a.grad = tg.ones(1, dtype=tg.float64)
    optim.SGD([a], lr=0.1).step()
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_named_parameters_are_accepted():
    (a,) = leaves([np.zeros(2)])
    optimizer = optim.SGD([("weight", a)], lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight"] and optimizer.param_groups[0]["params"][0] is a


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", dict(lr=-1), "Invalid learning rate: -1"),
        ("SGD", dict(lr=float("nan")), "Invalid learning rate: nan"),
        ("SGD", dict(lr=0.1, momentum=-1), "Invalid momentum value: -1"),
        ("SGD", dict(lr=0.1, weight_decay=-1), "Invalid weight_decay value: -1"),
        ("SGD", dict(lr=0.1, nesterov=True), "Nesterov momentum requires a momentum and zero dampening"),
        ("Adam", dict(betas=(1.0, 0.9)), "Invalid beta parameter at index 0: 1.0"),
        ("AdamW", dict(betas=(0.9, -1)), "Invalid beta parameter at index 1: -1"),
        ("Adam", dict(eps=-1), "Invalid epsilon value: -1"),
        ("RMSprop", dict(alpha=-1), "Invalid alpha value: -1"),
        ("Adagrad", dict(lr_decay=-1), "Invalid lr_decay value: -1"),
        ("Adadelta", dict(rho=2), "Invalid rho value: 2"),
        ("NAdam", dict(momentum_decay=-1), "Invalid momentum_decay value: -1"),
        ("Adam", dict(differentiable=True), "differentiable=True is not supported"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)(leaves([np.ones(2)]), **options)


def test_an_unknown_option_is_a_type_error_and_pytorchs_hints_are_not():
    optim.Adam(leaves([np.ones(2)]), foreach=True, fused=False, capturable=False)
    with pytest.raises(TypeError, match="unexpected keyword argument 'momentum'"):
        optim.Adam(leaves([np.ones(2)]), momentum=0.9)


def test_what_is_no_list_of_leaves_is_refused():
    (a,) = leaves([np.ones(2)])
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD([], lr=0.1)
    with pytest.raises(TypeError, match="should be an iterable of Tensors"):
        optim.SGD(a, lr=0.1)
    with pytest.raises(TypeError, match="one of the params is int"):
        optim.SGD([1], lr=0.1)
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor.* mul"):
        optim.SGD([a * 2], lr=0.1)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": [a]}, {"params": [a]}], lr=0.1)
    with pytest.raises(TypeError, match="ordered"):
        optim.SGD([{"params": {a}}], lr=0.1)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    (a,) = leaves([np.ones(2)])
    (b,) = leaves([np.ones(3)])
    optimizer, other = optim.Adam([a]), optim.Adam([b])
    b.grad = tg.ones(3, dtype=tg.float64)
    other.step()
    with pytest.raises(ValueError, match=r"exp_avg of parameter 0 has shape \(3,\), the parameter \(2,\)"):
        optimizer.load_state_dict(other.state_dict())
    assert not optimizer.state
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        optimizer.load_state_dict(optim.Adam(leaves([np.ones(1), np.ones(1)])).state_dict())


def test_repr_lists_the_options():
    assert "lr: 0.1" in repr(optim.SGD(leaves([np.ones(1)]), lr=0.1))


#: PyTorch's losses at the beginning of each step down the valley.
SLOW = [5.227200000000001, 0.4010297089917252, 0.01582024145746018, 0.00028482667082039203]
FAST = [5.227200000000001, 1.0897095589820265, 0.5238662054759752, 0.05857667960177686]


def valley(x):
    return (1 - x[0]) ** 2 + 2 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parametrize(
    ("options", "losses"), [(dict(lr=0.1), SLOW), (dict(max_iter=5, history_size=2), FAST)]
)
def test_lbfgs_goes_where_pytorchs_goes(options, losses):
    x = tg.tensor([-1.2, 1.0], dtype=tg.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], **options)

    def closure():
        optimizer.zero_grad()
        loss = valley(x)
        loss.backward()
        return loss

    np.testing.assert_allclose([optimizer.step(closure).item() for _ in losses], losses, rtol=1e-9)


def waves(x):
    return (tg.sin(3 * x) * x**2).sum() + 0.01 * (x**4).sum()


def kinks(x):
    return x.abs().sum() + 0.1 * (x**2).sum()


#: (function, options, PyTorch's loss at the beginning of each step, its evaluations, where it ends).
SEARCHES = [
    (valley, dict(max_iter=3), [5.227200000000001, 3.06329144719166, 0.6834199856686077], 9,
     [0.5895012710890919, 0.1397494897692621]),
    (valley, dict(lr=10, max_iter=4, history_size=2), [5.227200000000001, 1.3044800395805278, 0.02129330110167467],
     18, [1.1020909362974352, 1.2370271035896585]),
    (valley, dict(max_iter=8, max_eval=3), [5.227200000000001, 3.06329144719166, 0.6834199856686077], 9,
     [0.5895012710890919, 0.1397494897692621]),
    (waves, dict(lr=10, max_iter=4, history_size=2), [0.8090854464044542, -1.5895640227881633, -2.47744049828042],
     16, [-0.5954230246725818, 1.5668632691309003]),
    (waves, dict(lr=0.01, max_iter=2), [0.8090854464044542, 0.40215950900688135, -0.689700112911932], 9,
     [-0.6616715737440699, 1.5044396122791153]),
    (kinks, dict(lr=10, max_iter=4, history_size=2), [2.444, 0.1515927993596466, 0.09650120924699586], 17,
     [0.012686176256134855, -0.01265146178315465]),
    (kinks, dict(lr=0.01, max_iter=2), [2.444, 2.322467347487234, 0.9311985514646461], 9,
     [0.019163934426233927, -0.1798360655737774]),
]  # fmt: skip


@pytest.mark.parametrize(("function", "options", "losses", "evaluations", "end"), SEARCHES)
def test_the_line_search_of_lbfgs_makes_pytorchs_trials(function, options, losses, evaluations, end):
    x = tg.tensor([-1.2, 1.0], dtype=tg.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe", **options)
    trials = []

    def closure():
        optimizer.zero_grad()
        loss = function(x)
        loss.backward()
        trials.append(loss.item())
        return loss

    np.testing.assert_allclose([optimizer.step(closure).item() for _ in losses], losses, rtol=1e-9)
    assert len(trials) == evaluations
    np.testing.assert_allclose(x.detach().numpy(), end, rtol=1e-8)


def test_lbfgs_says_what_it_needs():
    x = tg.zeros(2, requires_grad=True)
    with pytest.raises(TypeError, match="expected a closure that computes the loss and calls backward"):
        optim.LBFGS([x]).step()
    with pytest.raises(ValueError, match="line_search_fn None or 'strong_wolfe', got 'armijo'"):
        optim.LBFGS([x], line_search_fn="armijo")
    with pytest.raises(ValueError, match="one parameter group"):
        optim.LBFGS([{"params": [x]}, {"params": [tg.zeros(1, requires_grad=True)]}])


def test_hooks_are_called_around_each_step_until_they_are_removed():
    p = tg.ones(2, requires_grad=True)
    optimizer = tg.optim.SGD([p], lr=1.0)
    seen = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("before", p.tolist(), o)))
    after = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("after", p.tolist(), o)))
    p.sum().backward()
    optimizer.step()
    before.remove(), after.remove()
    optimizer.step()
    assert seen == [("before", [1.0, 1.0], optimizer), ("after", [0.0, 0.0], optimizer)]
