"""Averages of weights, and the schedule that goes with them: PyTorch's numbers."""

from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.optim.swa_utils import SWALR, AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn, update_bn


def shown(**options: Any) -> list[float]:
    model = nn.Linear(1, 1)
    averaged = AveragedModel(model, **options)
    for value in (1.0, 2.0, 4.0):
        with tg.no_grad():
            model.weight.fill_(value)
        averaged.update_parameters(model)
    return averaged.module.weight.flatten().tolist()


def test_all_weights_count_the_same_or_the_last_ones_more() -> None:
    assert shown() == pytest.approx([7 / 3])
    assert shown(avg_fn=get_ema_avg_fn(0.5)) == [2.75]
    assert shown(multi_avg_fn=get_ema_multi_avg_fn(0.5)) == [2.75]
    net = nn.Linear(1, 1)
    assert list(AveragedModel(net).state_dict()) == ["n_averaged", "module.weight", "module.bias"]
    with pytest.raises(ValueError, match="avg_fn or multi_avg_fn, got both"):
        AveragedModel(net, avg_fn=get_ema_avg_fn(), multi_avg_fn=get_ema_multi_avg_fn())


def test_buffers_are_copied_or_averaged() -> None:
    net = nn.BatchNorm1d(1)
    copied, averaged = AveragedModel(net), AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    for value in (0.0, 4.0):
        net.running_mean.fill_(value)
        copied.update_parameters(net)
        averaged.update_parameters(net)
    assert copied.module.running_mean.item() == 4
    assert averaged.module.running_mean.item() == 2


def test_running_averages_are_taken_anew() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2))
    net[0].running_mean.fill_(100)
    update_bn([(tg.ones(4, 2), 0), (3 * tg.ones(4, 2), 1)], net)
    np.testing.assert_allclose(net[0].running_mean.numpy(), [2, 2])
    assert net[0].momentum == 0.1


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        (dict(anneal_epochs=4), [0.17803300858899107, 0.125, 0.07196699141100894, 0.05, 0.05]),
        (dict(anneal_epochs=2, anneal_strategy="linear"), [0.125, 0.05, 0.05, 0.05, 0.05]),
        (dict(anneal_epochs=0), [0.05, 0.05, 0.05, 0.05, 0.05]),
    ],
)
def test_the_rate_goes_to_its_end(options: dict, rates: list[float]) -> None:
    optimizer = optim.SGD([tg.ones(1, requires_grad=True)], lr=0.2)
    schedule = SWALR(optimizer, swa_lr=0.05, **options)
    found = []
    for _ in rates:
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(found, rates, atol=1e-12)
