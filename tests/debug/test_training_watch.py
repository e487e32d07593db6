"""A watched training is measured at every n-th step, left as it is, and its ailments are named."""

import json
import warnings

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.training import fit

from .diagnose_settings import classes, cnn, mlp, pictures


def train(model, data, steps=60, lr=0.1, every=5, warn=False, loss_fn=F.cross_entropy, **options):
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    watch = tg.debug.watch(model, optimizer, every=every, warn=warn, **options)
    with np.errstate(all="ignore"):
        for k in range(steps):
            x, y = data[k % len(data)]
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
    return watch


def rules(watch):
    return {(f.rule, f.where) for f in watch.findings}


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (lambda: mlp(8, 32, 32, 2), lambda: classes(n=320)),
        (lambda: mlp(8, 32, 2, activation=nn.Tanh), lambda: classes(n=320)),
        (cnn, pictures),
        (lambda: cnn(norm=False), pictures),
    ],
)
def test_a_healthy_training_has_no_findings(model, data):
    watch = train(model(), data(), lr=0.02)
    assert not watch.findings, str(watch)
    assert [r["step"] for r in watch.records] == list(range(0, 60, 5))
    assert "nothing wrong" in str(watch) and {"loss", "grad_norm", "update_ratio"} <= set(watch.records[0])


def test_dead_relus():
    model = mlp(8, 16, 2)
    with tg.no_grad():
        model[0].bias.fill_(-100.0)
    assert ("dead_relu", "1") in rules(train(model, classes()))


def test_saturated_activations():
    model = mlp(8, 16, 2, activation=nn.Tanh)
    with tg.no_grad():
        model[0].weight.mul_(200.0)
    assert ("saturated_activation", "1") in rules(train(model, classes(), lr=0.01))


def test_vanishing_gradients():
    assert ("vanishing_gradient", "0.weight") in rules(
        train(mlp(8, *[16] * 9, 2, activation=nn.Sigmoid), classes())
    )


@pytest.mark.parametrize("lr", [1e-8, 30.0])
def test_updates_of_a_wrong_size(lr):
    assert "weight_update_ratio" in {rule for rule, _ in rules(train(mlp(8, 16, 2), classes(), lr=lr))}


def test_a_loss_that_is_not_finite():
    watch = train(
        mlp(8, 16, 2), classes(), loss_fn=lambda y, t: F.cross_entropy(y, t) * float("nan"), every=10
    )
    assert ("exploding_tensor", "loss") in rules(watch)


def test_a_plateau():
    watch = train(mlp(8, 16, 2), classes(size=96), lr=1e-7, steps=100)
    assert ("loss_plateau", "loss") in rules(watch)


def test_over_fitting_is_a_validation_loss_that_rises_again_and_again():
    watch = train(mlp(8, 32, 2), classes())
    for loss in (0.7, 0.6, 0.5, 0.55, 0.52, 0.54):
        watch.validation(loss)
    assert not rules(watch)
    for loss in (0.6, 0.61, 0.65):
        watch.validation(loss)
    assert rules(watch) == {("over_fitting", "validation loss")}


def test_each_finding_warns_once_at_the_line_of_the_step():
    model = mlp(8, 16, 2)
    with tg.no_grad():
        model[0].bias.fill_(-100.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(model, classes(), warn=True)
    found = [w for w in caught if "dead_relu at 1, step 10" in str(w.message)]
    assert len(found) == 1 and found[0].filename == __file__


def test_the_training_goes_as_it_would_unwatched():
    def trained(watched):
        model = cnn()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        if watched:
            tg.debug.watch(model, optimizer, every=2)
        for x, y in pictures():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        return b"".join(p.array.tobytes() for p in model.parameters())

    assert trained(True) == trained(False)


def test_a_closed_watch_counts_no_more():
    model = mlp(8, 16, 2)
    watch = train(model, classes(), steps=6)
    watch.close()
    watch.optimizer.step()
    assert watch.step == 6


def test_evaluation_in_between_is_not_measured():
    model = mlp(8, 16, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    watch = tg.debug.watch(model, optimizer, every=1)
    x, y = classes()[0]
    with tg.no_grad():
        model(x)
    model.eval()
    model(x)
    assert watch._look is None and watch.step == 0


def test_the_noise_scale_is_the_variance_of_a_sample_over_the_square_of_the_mean():
    """A gradient of known mean and spread: the loss is the mean of w·x, so each sample's gradient is its x."""
    rng = np.random.default_rng(0)
    model = nn.Linear(50, 1, bias=False)
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    watch = tg.debug.watch(model, optimizer, every=2, warn=False)
    for _ in range(200):
        optimizer.zero_grad()
        model(tg.tensor((0.5 + rng.standard_normal((16, 50))).astype(np.float32))).mean().backward()
        optimizer.step()
    found = [r["noise_scale"] for r in watch.records[20:]]
    assert np.mean(found) == pytest.approx(50 / (50 * 0.25), rel=0.1)


class Writer:
    def __init__(self):
        self.scalars = []

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))


def test_measures_go_to_a_writer_a_file_and_a_page(tmp_path):
    writer = Writer()
    watch = train(mlp(8, 16, 2), classes(), writer=writer)
    assert ("watch/loss", watch.records[1]["loss"], 5) in writer.scalars
    saved = json.loads(watch.save(tmp_path / "w.json").read_text())
    assert saved["records"] == watch.records and saved["findings"] == []
    page = watch.html(tmp_path / "w.html").read_text()
    assert "<svg" in page and "60 steps, measured at every 5" in page and "http-equiv" not in page


def test_fit_writes_the_newest_measures_into_its_history():
    model = mlp(8, 16, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    watch = tg.debug.watch(model, optimizer, every=2, warn=False)
    x, y = (np.concatenate([b[k].numpy() for b in classes()]) for k in (0, 1))
    history = fit(model, (x, y), epochs=2, optimizer=optimizer, callbacks=[watch])
    assert history["grad_norm"][1] == [r["grad_norm"] for r in watch.records][-1]
    assert "update_ratio" in history and "dead/1" in history
    steps = watch.step
    optimizer.step()
    assert watch.step == steps  # closed with the training


@pytest.mark.parametrize(("options", "said"), [({"every": 0}, "at least 1"), ({"writer": 3}, "add_scalar")])
def test_what_it_cannot_use_is_told(options, said):
    model = nn.Linear(1, 1)
    with pytest.raises(UsageError, match=said):
        tg.debug.watch(model, optim.SGD(model.parameters(), lr=0.1), **options)
