"""Learning-rate schedules: PyTorch's rates, resumed anywhere, and its errors."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import optim
from tinygrad_cnn.optim import lr_scheduler

ANSWERS = json.loads(Path(__file__).with_name("reference.json").read_text())["schedules"]


def two_groups(cases):
    params = [tg.tensor(a, requires_grad=True) for a in cases.start()]
    return optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.03}], lr=0.1, momentum=0.9)


def now(optimizer):
    return [g[key] for g in optimizer.param_groups for key in ("lr", "momentum")]


@pytest.mark.oracle
@pytest.mark.parametrize("label", ANSWERS)
def test_a_schedule_gives_pytorchs_rates(label, cases):
    optimizer = two_groups(cases)
    scheduler = cases.SCHEDULES[label](lr_scheduler, optimizer)
    found = [now(optimizer), *cases.rates_of(optimizer, scheduler)]
    np.testing.assert_allclose(found, ANSWERS[label], rtol=1e-12, atol=1e-16)
    assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]


@pytest.mark.parametrize("label", ANSWERS)
@pytest.mark.parametrize("cut", [1, 7])
def test_a_loaded_schedule_goes_on_bit_for_bit(label, cut, cases):
    whole = two_groups(cases)
    expected = cases.rates_of(whole, cases.SCHEDULES[label](lr_scheduler, whole))
    optimizer = two_groups(cases)
    scheduler = cases.SCHEDULES[label](lr_scheduler, optimizer)
    cases.rates_of(optimizer, scheduler, range(cut))
    saved = json.loads(json.dumps([scheduler.state_dict(), optimizer.state_dict()]))
    again = two_groups(cases)
    continued = cases.SCHEDULES[label](lr_scheduler, again)
    saved[1]["state"] = {int(k): v for k, v in saved[1]["state"].items()}
    again.load_state_dict(saved[1])
    continued.load_state_dict(saved[0])
    assert cases.rates_of(again, continued, range(cut, cases.SCHEDULE_STEPS)) == expected[cut:]


def test_stepping_the_schedule_first_warns(cases):
    optimizer = two_groups(cases)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match=r"before optimizer.step"):
        scheduler.step()
    optimizer = two_groups(cases)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_wrong_options_are_named(cases):
    o = two_groups(cases)
    with pytest.raises(TypeError, match="is not an Optimizer"):
        lr_scheduler.StepLR(3, 2)
    with pytest.raises(ValueError, match="same length as optimizer.param_groups: 1 instead of 2"):
        lr_scheduler.LambdaLR(o, [lambda t: 1])
    with pytest.raises(ValueError, match=r"total_steps OR \(epochs AND steps_per_epoch\)"):
        lr_scheduler.OneCycleLR(o, 0.1)
    with pytest.raises(ValueError, match="Factor should be < 1.0"):
        lr_scheduler.ReduceLROnPlateau(o, factor=1.0)
    with pytest.raises(ValueError, match="one more than the number of"):
        lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [3])
    with pytest.raises(ValueError, match="same optimizer"):
        lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 1), lr_scheduler.StepLR(two_groups(cases), 1)])
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(two_groups(cases), 2, last_epoch=3)
    adagrad = optim.Adagrad([tg.ones(2, requires_grad=True)])
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        lr_scheduler.OneCycleLR(adagrad, 0.1, total_steps=3)


def test_one_cycle_says_when_it_is_over(cases):
    optimizer = two_groups(cases)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3)
    with pytest.raises(ValueError, match="number of total steps is 3"):
        cases.rates_of(optimizer, scheduler, range(4))


def test_one_cycle_moves_adams_beta(cases):
    optimizer = optim.Adam([tg.ones(2, requires_grad=True)])
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    optimizer.step()
    scheduler.step()
    assert 0.85 <= optimizer.param_groups[0]["betas"][0] < 0.95
