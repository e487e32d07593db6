"""Each ailment is found where it was planted, and a healthy network gets a clean bill."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.debug import diagnose
from tinygrad_cnn.debug.moment import Moment
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F


def batches(n=3, size=32, features=8, scale=1.0, shift=0.0):
    rng = np.random.default_rng(0)
    out = []
    for _ in range(n):
        x = rng.standard_normal((size, features)).astype(np.float32)
        out.append(
            (tg.tensor(x * np.float32(scale) + np.float32(shift)), tg.tensor((x[:, 0] > 0).astype(np.int64)))
        )
    return out


def mlp(activation=nn.ReLU, depth=2, width=16):
    tg.manual_seed(0)
    layers = [nn.Linear(8, width), activation()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 2))


def rules(report):
    return {f.rule for f in report.findings}


def test_a_healthy_network_has_nothing():
    report = diagnose(mlp(), batches(), steps=10, lr=0.1)
    assert not report and "nothing wrong" in str(report), str(report)


def test_dead_relus():
    model = mlp()
    with tg.no_grad():
        model[0].bias.fill_(-100.0)
    found = diagnose(model, batches(), lr=0.1)
    assert [f.where for f in found.of("dead_relu")][0] == "1" and "16 of 16" in str(found)
    assert {f.where for f in found.of("all_zero")} >= {"0.weight", "0.bias"}


def test_saturated_activations():
    model = mlp(nn.Tanh)
    with tg.no_grad():
        model[0].weight.mul_(200.0)
    assert [f.where for f in diagnose(model, batches()).of("saturated_activation")] == ["1"]


def test_vanishing_gradients():
    found = diagnose(mlp(nn.Sigmoid, depth=8), batches())
    assert found.of("vanishing_gradient")[0].where == "0.weight"


def test_exploding_values_are_found_at_their_op():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 2)

        def forward(self, x):
            return self.fc(tg.exp(self.fc(x) * 1000)[:, :1] * x)

    found = diagnose(Net(), batches()).of("exploding_tensor")
    assert found and "exp" in found[0].where and "test_diagnose.py" in found[0].where


def test_parameters_that_never_get_a_gradient():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.c(F.relu(self.a(x)) + self.b(x).detach())

    assert {f.where for f in diagnose(Net(), batches()).of("unused_parameter")} == {"b.weight", "b.bias"}


def test_update_sizes_are_judged_with_the_users_optimiser():
    model = mlp()
    assert diagnose(model, batches(), optimizer=optim.SGD(model.parameters(), lr=100.0)).of(
        "weight_update_ratio"
    )
    assert diagnose(model, batches(), optimizer=optim.SGD(model.parameters(), lr=1e-9)).of(
        "weight_update_ratio"
    )
    assert not diagnose(model, batches(), optimizer=optim.SGD(model.parameters(), lr=0.1)).of(
        "weight_update_ratio"
    )


def test_a_loss_that_does_not_fall():
    model = mlp()
    found = diagnose(model, batches(), lambda y, t: F.cross_entropy(y.detach() + 0 * y, t))
    assert found.of("loss_not_decreasing")


def test_inputs_that_are_not_normalised():
    found = diagnose(mlp(), batches(scale=70.0, shift=120.0)).of("input_not_normalised")
    assert found and "mean 119" in found[0].how_much and "Normalize" in found[0].advice


def test_everything_is_left_as_it_was():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    data = batches()
    for x, t in data:
        F.cross_entropy(model(x), t).backward()
        optimizer.step()
    model[2].eval()
    before = Moment(model, optimizer)
    diagnose(model, data, optimizer=optimizer)
    after = Moment(model, optimizer)

    def flat(value):
        if isinstance(value, dict):
            return [y for k in value for y in [k, *flat(value[k])]]
        if isinstance(value, (list, tuple)):
            return [y for v in value for y in flat(v)]
        return [np.asarray(getattr(value, "array", value)).tobytes() if not isinstance(value, str) else value]

    assert flat(list(vars(before).values())) == flat(list(vars(after).values()))


def test_a_report_is_data_too():
    report = diagnose(mlp(), batches(scale=70.0))
    data = report.to_dict()
    assert data["findings"][0]["rule"] == "input_not_normalised" and data["losses"]


@pytest.mark.parametrize("loader", [[], [tg.ones(2, 2)]])
def test_a_loader_that_does_not_fit_is_told(loader):
    with pytest.raises(UsageError, match="diagnose expected"):
        diagnose(mlp(), loader)
