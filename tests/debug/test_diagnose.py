"""Each ailment is found where it was planted, and a healthy network gets a clean bill."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn, optim
from tinygrad_cnn.debug import diagnose
from tinygrad_cnn.debug.training_snapshot import RandomState, TrainingSnapshot
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F

from .diagnose_settings import HEALTHY, SICK


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
    before = TrainingSnapshot(model, optimizer)
    diagnose(model, data, optimizer=optimizer)
    after = TrainingSnapshot(model, optimizer)

    def flat(value):
        if isinstance(value, dict):
            return [y for k in value for y in [k, *flat(value[k])]]
        if isinstance(value, (list, tuple)):
            return [y for v in value for y in flat(v)]
        if isinstance(value, RandomState):
            return flat(vars(value))
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


def slow():
    """Learns, but not in ten steps of plain SGD at 0.01."""
    model = mlp(depth=3)
    with tg.no_grad():
        model[-1].weight.mul_(0.01)
        model[-1].bias.fill_(0.0)
    return model


def test_a_healthy_network_that_sgd_trains_slowly_is_not_accused():
    report = diagnose(slow(), batches(), lr=0.001)
    assert not report and "with Adam" in str(report), str(report)


@pytest.mark.parametrize("lr", [1e4, 1e-6])
def test_a_learning_rate_that_does_not_work_is_answered_with_one_that_does(lr):
    model = mlp()
    [found] = diagnose(model, batches(), optimizer=optim.SGD(model.parameters(), lr=lr)).of(
        "loss_not_decreasing"
    )
    assert "; with lr " in found.how_much and "it falls to" in found.how_much
    before = TrainingSnapshot(model)
    diagnose(model, batches(), optimizer=optim.SGD(model.parameters(), lr=lr))
    for name, value in TrainingSnapshot(model).model.items():
        np.testing.assert_array_equal(value.numpy(), before.model[name].numpy())


def test_a_softmax_before_a_loss_that_takes_scores():
    found = diagnose(nn.Sequential(mlp(), nn.Softmax(dim=1)), batches()).of("softmax_twice")
    assert [f.where for f in found] == ["1"]
    binary = [(x, t.float().reshape(-1, 1)) for x, t in batches()]
    model = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())
    assert diagnose(model, binary, F.binary_cross_entropy_with_logits).of("softmax_twice")
    assert not diagnose(model, binary, F.binary_cross_entropy).of("softmax_twice")


def test_targets_of_one_class():
    data = [(x, t * 0) for x, t in batches()]
    [found] = diagnose(mlp(), data).of("constant_targets")
    assert "all 96 targets are class 0" in found.how_much


def test_parameters_that_the_optimiser_does_not_have():
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model[-1] = nn.Linear(16, 2)
    found = diagnose(model, batches(), optimizer=optimizer).of("not_in_optimizer")
    assert [f.where for f in found] == ["4.weight", "4.bias", "optimizer"] and "2 tensor(s)" in found[
        -1
    ].how_much


def test_gradients_that_are_not_cleared():
    class Forgetful(optim.SGD):
        def zero_grad(self, set_to_none=True):
            pass

    model = mlp()
    assert diagnose(model, batches(), optimizer=Forgetful(model.parameters(), lr=0.1)).of(
        "gradient_not_cleared"
    )
    assert not diagnose(model, batches(), optimizer=optim.SGD(model.parameters(), lr=0.1)).of(
        "gradient_not_cleared"
    )


def test_frozen_parameters_are_named_and_no_finding():
    model = mlp()
    model[0].weight.requires_grad_(False)
    report = diagnose(model, batches(), lr=0.1)
    assert not report.findings and "frozen, so not judged: 0.weight" in report.looked_at


@pytest.mark.parametrize(
    ("name", "shape"), [("mnist-cnn", (1, 28, 28)), ("lenet5", (1, 28, 28)), ("mnist1d-cnn", (1, 40))]
)
def test_the_models_of_the_zoo_are_healthy(name, shape):
    rng = np.random.default_rng(0)
    tg.manual_seed(0)
    targets = [rng.integers(0, 10, 32) for _ in range(2)]
    data = [
        (tg.tensor((rng.standard_normal((32, *shape)) + t.reshape(-1, *[1] * len(shape)) / 10).astype(np.float32)),
         tg.tensor(t)) for t in targets
    ]  # fmt: skip
    assert not diagnose(models.create(name), data), str(diagnose(models.create(name), data))


def test_large_updates_that_get_the_loss_down_are_no_finding():
    model = mlp()
    with tg.no_grad():
        model[-1].weight.mul_(0.2)
    report = diagnose(model, batches(), optimizer=optim.SGD(model.parameters(), lr=0.5, momentum=0.9))
    assert not report.of("weight_update_ratio") and report.losses[-1] < report.losses[0], str(report)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_gives_no_alarm(name):
    model, data, loss_fn, options = HEALTHY[name]()
    report = diagnose(model, data, loss_fn, **options)
    assert not report, str(report)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SICK)
def test_a_sick_training_is_named_right(name):
    rule, build = SICK[name]
    model, data, loss_fn, options = build()
    report = diagnose(model, data, loss_fn, **options)
    assert rule in rules(report), str(report)


def test_there_are_forty_of_either():
    assert len(HEALTHY) >= 40 and len(SICK) >= 40


def test_a_bias_before_a_normalisation_is_a_note_and_no_ailment():
    model, data, loss_fn, options = HEALTHY["conv_with_bias_before_batchnorm"]()
    report = diagnose(model, data, loss_fn, **options)
    assert [f.where for f in report.notes if f.rule == "redundant_bias"] == ["0.bias", "4.bias"]
    assert "nothing wrong" in str(report) and "bias=False" in str(report)


def test_frozen_layers_are_named_as_such():
    model, data, loss_fn, options = HEALTHY["frozen_backbone"]()
    assert {f.where for f in diagnose(model, data, loss_fn, **options).of("frozen")} == {"0.weight", "0.bias"}


@pytest.mark.parametrize(("name", "lower"), [("adam_too_fast", True), ("sgd_too_slow", False)])
def test_the_learning_rate_that_is_named_works(name, lower):
    _, build = SICK[name]
    model, data, loss_fn, options = build()
    usual = options["optimizer"].param_groups[0]["lr"]
    found = next(f for f in diagnose(model, data, loss_fn, **options).findings if "learning_rate" in f.rule)
    better = float(found.how_much.split("with lr ")[1].split()[0])
    assert (better < usual) == lower
    model, data, loss_fn, options = build()
    options["optimizer"].param_groups[0]["lr"] = better
    assert not diagnose(model, data, loss_fn, **options)
