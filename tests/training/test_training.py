"""fit, evaluate, predict, callbacks, history, metrics: what they promise on problems small enough to check."""

import json
import math

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim, training
from tinygrad_cnn.errors import CheckpointError, UsageError
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.training import (
    Callback,
    CSVLogger,
    DivergedError,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    Trainer,
    accuracy,
    class_report,
    confusion_matrix,
    evaluate,
    fit,
    predict,
    top_k_accuracy,
)
from tinygrad_cnn.utils.data import DataLoader, TensorDataset


def blobs(n=120, seed=0):
    """Three well separated clouds."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.standard_normal((n, 2)) + 6 * np.stack([np.cos(y * 2.1), np.sin(y * 2.1)], 1)
    return x.astype(np.float32), y


def net(seed=0, dropout=0.0):
    tg.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))


# --- fit, evaluate, predict -----------------------------------------------------------------------------


def test_fit_learns_what_can_be_learned():
    model = net()
    history = fit(model, blobs(), 5, validation=blobs(seed=1), lr=0.02, batch_size=16)
    assert evaluate(model, blobs(seed=2)).accuracy > 0.97
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history.columns()[:5] == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert history["val_accuracy"][-1] == evaluate(model, blobs(seed=1)).accuracy


def test_a_network_learns_fifty_samples_by_heart():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((50, 8)).astype(np.float32), rng.integers(0, 4, 50)
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 4))
    fit(model, data, 60, lr=0.02, batch_size=10)
    assert evaluate(model, data).accuracy == 1.0


def test_the_epochs_loss_is_the_mean_over_its_samples():
    model, (x, y) = net(), blobs(10)
    expected = F.cross_entropy(model(tg.tensor(x)), tg.tensor(y)).item()
    # Learning rate 0: every batch sees the same weights, and batches of 4, 4 and 2 count by their size.
    history = fit(model, (x, y), 1, optimizer=optim.SGD(model.parameters(), lr=0.0), batch_size=4, shuffle=False)
    assert math.isclose(history["loss"][0], expected, rel_tol=1e-5)


def test_evaluate_reports_the_mean_loss_the_accuracy_and_the_confusion():
    model, (x, y) = net(), blobs(50)
    found = evaluate(model, (x, y), batch_size=7)
    scores = model(tg.tensor(x))
    assert math.isclose(found.loss, F.cross_entropy(scores, tg.tensor(y)).item(), rel_tol=1e-5)
    right = scores.detach().numpy().argmax(1) == y
    assert found.accuracy == right.mean() and found.samples == 50
    assert found.confusion.sum() == 50 and np.trace(found.confusion) == right.sum()


def test_regression_has_a_loss_and_no_accuracy():
    x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    model = nn.Linear(1, 1)
    history = fit(model, (x, 3 * x + 1), 100, loss=F.mse_loss, lr=0.1, batch_size=10)
    assert history["loss"][-1] < 1e-3 and "accuracy" not in history
    found = evaluate(model, (x, 3 * x + 1), loss=F.mse_loss)
    assert found.accuracy is None and found.loss < 1e-3


def test_evaluation_leaves_modes_gradients_and_statistics_alone():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model[1].eval()
    before = {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}
    evaluate(model, blobs())
    predict(model, blobs()[0])
    assert model.training and not model[1].training and model[2].training
    assert all(np.array_equal(before[k], v.detach().numpy()) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_predict_gives_all_outputs_in_order_from_arrays_loaders_and_data_sets():
    model, (x, y) = net(dropout=0.5), blobs(23)
    model.eval()
    expected = model(tg.tensor(x)).detach().numpy()
    for data in (x, tg.tensor(x), (x, y), DataLoader(TensorDataset(tg.tensor(x)), 5)):
        np.testing.assert_allclose(predict(model, data, batch_size=5).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_what_is_no_data_is_refused():
    with pytest.raises(TypeError, match=r"expected a DataLoader, a Dataset, a pair .* got int"):
        fit(net(), 3)
    with pytest.raises(TypeError, match=r"a batch must be a pair \(inputs, targets\), got list of 3"):
        fit(net(), TensorDataset(tg.ones(2, 2), tg.ones(2), tg.ones(2)))
    with pytest.raises(ValueError, match="at least one batch per epoch, got none"):
        fit(net(), (np.zeros((0, 2), np.float32), np.zeros(0, int)))
    with pytest.raises(ValueError, match="at least one sample, got none"):
        evaluate(net(), (np.zeros((0, 2), np.float32), np.zeros(0, int)))
    with pytest.raises(UsageError, match="unknown optimizer 'adamm'; known: sgd, adam"):
        fit(net(), blobs(), optimizer="adamm")


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_no_number_ends_the_training_with_its_place():
    x, y = blobs(20)
    x[13] = np.inf
    with pytest.raises(DivergedError, match=r"the loss became nan in epoch 1, batch 4"):
        fit(net(), (x, y), batch_size=4, shuffle=False)


def test_schedules_step_per_epoch_or_per_batch():
    for per, expected in (("epoch", [1.0, 0.5, 0.25]), ("batch", [1 / 2**4, 1 / 2**8, 1 / 2**12])):
        model = net()
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        rate = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        history = fit(
            model, blobs(40), 3, optimizer=optimizer, scheduler=rate, schedule_per=per, batch_size=10,
            loss=lambda y, t: F.cross_entropy(y, t) * 0,
        )  # fmt: skip
        assert history["lr"] == expected


def test_plateau_schedule_sees_the_validation_loss():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    rate = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    fit(model, blobs(20), 3, validation=blobs(20), optimizer=optimizer, scheduler=rate)
    assert rate.best == pytest.approx(evaluate(model, blobs(20)).loss)


# --- callbacks ------------------------------------------------------------------------------------------


def test_callbacks_are_told_of_everything_in_order():
    seen = []

    class Tell(Callback):
        pass

    for event in ("on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end"):
        setattr(Tell, event, lambda self, trainer, event=event: seen.append(event[3:]))
    fit(net(), blobs(20), 2, batch_size=10, callbacks=[Tell()])
    epoch = ["epoch_begin", "batch_end", "batch_end", "epoch_end"]
    assert seen == ["train_begin", *epoch, *epoch, "train_end"]


def test_early_stopping_waits_and_puts_the_best_weights_back():
    values = iter([3.0, 2.0, 2.5, 2.2, 9.0, 9.0])
    weights = []

    class Fake(Callback):
        def on_epoch_end(self, trainer):
            trainer.history.records[-1]["val_loss"] = next(values)
            weights.append(trainer.model[0].weight.detach().numpy().copy())

    model = net()
    stopper = EarlyStopping(patience=2, restore_best=True)
    history = fit(model, blobs(), 6, callbacks=[Fake(), stopper], lr=0.05)
    assert len(history) == 4 and stopper.best == 2.0
    assert np.array_equal(model[0].weight.detach().numpy(), weights[1])
    assert not np.array_equal(weights[1], weights[3])


def test_callbacks_start_afresh_in_the_training_of_another_model(tmp_path):
    stop = EarlyStopping("loss", patience=2, restore_best=True)
    keep = ModelCheckpoint(tmp_path / "best.npz", "loss", save_best_only=True)
    first = net()
    fit(first, blobs(), 4, callbacks=[stop, keep], lr=0.05)
    (tmp_path / "best.npz").unlink()
    second = net(seed=1)
    before = second[0].weight.detach().clone()
    history = fit(second, blobs(), 3, callbacks=[stop, keep], lr=1e-6)  # worse than the first ever was
    assert len(history) == 3
    assert (tmp_path / "best.npz").exists()
    assert tg.allclose(second[0].weight, before, atol=1e-3)  # its own weights, not those of the first


def test_a_resumed_training_keeps_what_its_callbacks_knew():
    trainer = Trainer(net(), optim.SGD(net().parameters(), 0.0), callbacks=[EarlyStopping("loss", patience=3)])
    trainer.optimizer = optim.SGD(trainer.model.parameters(), 1e-12)
    loader = DataLoader(TensorDataset(*map(tg.tensor, blobs(30))), 30)
    trainer.fit(loader, 3)  # the loss stands still: waited twice
    again = Trainer(net(), optim.SGD(net().parameters(), 0.0), callbacks=[EarlyStopping("loss", patience=3)])
    again.optimizer = optim.SGD(again.model.parameters(), 1e-12)
    again.load_state_dict(trainer.state_dict())
    again.fit(loader, 10)
    assert again.epoch == 4
    trainer.fit(loader, 10)  # a further call has its whole patience
    assert trainer.epoch == 6


def test_nan_is_never_the_best():
    class Record:
        fresh, resumed = True, False

        def __init__(self, *values):
            self.history = History([{"epoch": k, "loss": v} for k, v in enumerate(values)])

    watch = EarlyStopping("loss")
    assert [watch.improved(Record(v)) for v in (math.nan, 2.0, math.nan, 1.0)] == [False, True, False, True]
    watch.best = math.nan  # what a run of version 0.1 may have saved
    assert watch.improved(Record(5.0))
    assert Record(math.nan, 2.0, 1.0, math.nan).history.best("loss")["loss"] == 1.0


def test_a_training_option_that_would_not_be_read_is_refused():
    loader = DataLoader(TensorDataset(*map(tg.tensor, blobs(20))), 10)
    for option in ({"batch_size": 5}, {"shuffle": True}, {"generator": tg.Generator()}):
        with pytest.raises(UsageError, match=f"the DataLoader has {next(iter(option))}=.*: set it where"):
            fit(net(), loader, **option)
    for function in (evaluate, predict):
        with pytest.raises(UsageError, match="the DataLoader has batch_size=10, not 5"):
            function(net(), loader, batch_size=5)
    model = net()
    with pytest.raises(UsageError, match=r"the SGD optimizer has its own learning rate: leave lr=0.5 out"):
        fit(model, loader, optimizer=optim.SGD(model.parameters(), 0.1), lr=0.5)
    with pytest.raises(UsageError, match="schedule_per='batch' says when a scheduler steps, and there is none"):
        fit(model, loader, schedule_per="batch")
    with pytest.raises(UsageError, match="generator draws a random order, and these data are not shuffled"):
        fit(model, blobs(20), shuffle=False, generator=tg.Generator())
    with pytest.raises(ValueError, match="mode expected 'min', 'max' or None, got 'maximum'"):
        History([{"loss": 1.0}]).best("loss", "maximum")
    with pytest.raises(ValueError, match="every_batches expected a number of batches from 1 up, or None, got 0"):
        training.RunCheckpoint("run", every_batches=0)


def test_what_is_no_validation_data_is_refused_before_the_first_epoch():
    model = net()
    before = model[0].weight.detach().clone()
    with pytest.raises(TypeError, match=r"expected a DataLoader, a Dataset, a pair .* got float"):
        fit(model, blobs(), validation=0.1)
    assert tg.equal(model[0].weight, before)


def test_a_list_of_targets_is_an_array_and_anything_else_is_refused():
    x, y = blobs(30)
    assert len(fit(net(), (x, y.tolist()), 1)) == 1
    for wrong in ("labels", [[1], [2, 3]], ["a", "b"], 3, None):
        with pytest.raises(TypeError, match="expected targets as an array, a tensor or a list of numbers, got"):
            fit(net(), (x, wrong), 1)


def test_a_callback_that_watches_nothing_known_says_what_there_is():
    with pytest.raises(KeyError, match="'val_loss', which this training does not measure; it has: epoch, loss"):
        fit(net(), blobs(), callbacks=[EarlyStopping()])
    with pytest.raises(TypeError, match="no event 'on_batch'"):
        LambdaCallback(on_batch=print)


def test_model_checkpoint_saves_each_epoch_or_only_the_best(tmp_path):
    model = net()
    fit(model, blobs(), 2, callbacks=[ModelCheckpoint(tmp_path / "w-{epoch}.npz", "loss")])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w-1.npz", "w-2.npz"]
    other = net(seed=9)
    training.load_weights(other, tmp_path / "w-2.npz")
    assert np.array_equal(other[0].weight.detach().numpy(), model[0].weight.detach().numpy())


def test_csv_logger_writes_the_history(tmp_path):
    history = fit(net(), blobs(), 2, callbacks=[CSVLogger(tmp_path / "log.csv")])
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].split(",") == history.columns() and len(lines) == 3


# --- history --------------------------------------------------------------------------------------------


def test_history_is_json_and_finds_the_best(tmp_path):
    history = History()
    for epoch, (loss, acc) in enumerate([(2.0, 0.5), (1.0, 0.9), (1.5, 0.9)], 1):
        history.append(epoch=epoch, val_loss=loss, val_accuracy=acc)
    assert history.best("val_loss")["epoch"] == history.best("val_accuracy")["epoch"] == 2
    assert history.best("val_loss", "max")["epoch"] == 1
    history.save(tmp_path / "history.json")
    assert json.loads((tmp_path / "history.json").read_text()) == history.records
    assert History.load(tmp_path / "history.json").history == history.history
    with pytest.raises(KeyError, match="no epoch has 'lr'; there are: epoch, val_loss, val_accuracy"):
        history["lr"]


def test_a_damaged_history_is_one_clear_error(tmp_path):
    (tmp_path / "h.json").write_text('[{"epoch": 1')
    with pytest.raises(CheckpointError, match="damaged or no history"):
        History.load(tmp_path / "h.json")
    (tmp_path / "h.json").write_text('{"epoch": 1}')
    with pytest.raises(CheckpointError, match="expected a list of records"):
        History.load(tmp_path / "h.json")


# --- metrics --------------------------------------------------------------------------------------------


def test_metrics_by_hand():
    scores = np.array([[3.0, 1, 2], [0, 5, 4], [9, 8, 7], [1, 1, 0]])
    targets = np.array([0, 2, 2, 1])
    assert accuracy(scores, targets) == 0.25
    assert top_k_accuracy(scores, targets, 2) == 0.75
    assert top_k_accuracy(scores, targets, 1) == 0.25  # the tie of the last row goes to the first, as in argmax
    m = confusion_matrix(targets, scores.argmax(1), 3)
    assert m.tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 0]]
    report = class_report(m)
    assert report[0] == {"precision": 1 / 3, "recall": 1.0, "f1": 0.5, "support": 1}
    assert report[2] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2}


def test_metrics_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match=r"scores \(N, C\) and targets \(N,\), got \(3,\) and \(3,\)"):
        accuracy(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="k from 1 to the 2 classes, got 3"):
        top_k_accuracy(np.zeros((1, 2)), np.zeros(1, int), 3)
    with pytest.raises(ValueError, match="labels from 0 to 1, got 0 to 2"):
        confusion_matrix([0, 2], [0, 0], 2)


# --- the state of a run ---------------------------------------------------------------------------------


def trainer_for(folder=None, seed=0, momentum=0.9):
    """A run with everything that must be remembered: momentum, a schedule, dropout, a shuffled order."""
    model = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    tg.manual_seed(seed)
    for p in model.parameters():
        nn.init.uniform_(p, -0.5, 0.5)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=momentum)
    rate = optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=61, cycle_momentum=False)
    loader = DataLoader(
        TensorDataset(*map(tg.tensor, blobs())), 8, shuffle=True, generator=tg.Generator().manual_seed(seed)
    )
    return Trainer(model, optimizer, scheduler=rate, schedule_per="batch"), loader


def weights_of(trainer):
    return {k: v.detach().numpy().copy() for k, v in trainer.model.state_dict().items()}


@pytest.mark.parametrize("cut", [1, 7, 14, 15, 16, 31, 59])
def test_a_run_continued_after_any_batch_ends_bit_for_bit_the_same(cut, tmp_path):
    whole, loader = trainer_for()
    whole.fit(loader, 4, validation=blobs(seed=1))

    first, loader = trainer_for()

    class Cut(Callback):
        def on_batch_end(self, trainer):
            trainer.interrupted = trainer.step == cut

    first.callbacks.append(Cut())
    first.fit(loader, 4, validation=blobs(seed=1))
    assert first.step == cut
    tg.save(first.state_dict(), tmp_path / "run.npz")

    tg.manual_seed(99)  # nothing may depend on where the generators happen to stand
    again, loader = trainer_for(seed=7)
    again.load_state_dict(tg.load(tmp_path / "run.npz"))
    again.fit(loader, 4, validation=blobs(seed=1))
    expected = weights_of(whole)
    found = weights_of(again)
    assert all(np.array_equal(found[k], expected[k]) for k in expected)
    keep = lambda r: {k: v for k, v in r.items() if k not in ("seconds", "samples_per_second")}
    assert [keep(r) for r in again.history] == [keep(r) for r in whole.history]


def test_a_loader_that_draws_from_the_global_generator_is_continued_as_well(tmp_path):
    def run(cut=None, state=None):
        trainer, _ = trainer_for()
        loader = DataLoader(TensorDataset(*map(tg.tensor, blobs())), 8, shuffle=True)
        if state is not None:
            trainer.load_state_dict(state)
        if cut:
            trainer.callbacks.append(
                LambdaCallback(on_batch_end=lambda t: setattr(t, "interrupted", t.step == cut))
            )
        trainer.fit(loader, 3)
        return trainer

    whole = run()
    tg.save(run(cut=22).state_dict(), tmp_path / "run.npz")
    again = run(state=tg.load(tmp_path / "run.npz"))
    expected = weights_of(whole)
    assert all(np.array_equal(v, expected[k]) for k, v in weights_of(again).items())


def test_fit_may_be_called_again_for_more_epochs():
    at_once, loader = trainer_for()
    at_once.fit(loader, 4)
    in_two, loader = trainer_for()
    in_two.fit(loader, 1)
    in_two.fit(loader, 4)
    expected = weights_of(at_once)
    assert all(np.array_equal(v, expected[k]) for k, v in weights_of(in_two).items())


def test_a_checkpoint_of_another_model_is_refused():
    trainer, loader = trainer_for()
    trainer.fit(loader, 1)
    other = Trainer(*(lambda m: (m, optim.SGD(m.parameters(), lr=0.1)))(nn.Linear(2, 3)))
    with pytest.raises(CheckpointError, match="does not fit this model or optimiser"):
        other.load_state_dict(trainer.state_dict())


def _put(state, path, value):
    """A copy of the nested `state` with another value at `path`."""
    if not path:
        return value
    copy = state.copy()
    copy[path[0]] = _put(copy[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (["optimizer", "state", 0, "momentum_buffer"], "text"),
        (["optimizer", "state", 0], 3),
        (["optimizer", "param_groups", 0, "lr"], tg.ones(7)),
        (["scheduler", "last_epoch"], "text"),
        (["scheduler"], None),
        (["history", 0], 1.0),
        (["place", "batch"], 10**30),
        (["place", "batch"], 16),
        (["place", "step"], -1),
        (["place", "sums"], [1.0]),
        (["generators", "now", 0, "state"], tg.ones(3)),
        (["generators", "now", 0], None),
        (["callbacks", 0, "best"], "text"),
        (["callbacks", 0, "waited"], None),
        (["callbacks", 0, "weights"], [1]),
        (["callbacks", 0], {"on_epoch_end": 3}),
        (["callbacks"], {}),
    ],
    ids=lambda p: "/".join(map(str, p)) if isinstance(p, list) else None,
)
def test_wrong_types_in_a_checkpoint_are_one_clear_error(path, wrong, tmp_path):
    trainer, loader = trainer_for()
    trainer.callbacks.append(EarlyStopping("loss", restore_best=True))
    trainer.fit(loader, 1)
    tg.save(_put(trainer.state_dict(), path, wrong), tmp_path / "run.npz")
    again, loader = trainer_for()
    again.callbacks.append(EarlyStopping("loss", restore_best=True))
    with pytest.raises(CheckpointError, match="the checkpoint"):
        again.load_state_dict(tg.load(tmp_path / "run.npz"))
        again.fit(loader, 2)


def test_a_history_that_is_no_json_is_no_run(tmp_path):
    trainer, loader = trainer_for()
    trainer.fit(loader, 1)
    tg.save(_put(trainer.state_dict(), ["history", 0, "loss"], tg.ones(3)), tmp_path / "last.npz")
    with pytest.raises(CheckpointError, match="its history holds something that is no plain value"):
        training.load_run(tmp_path)


def test_weights_from_what_does_not_fit_or_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        training.load_weights(net(), tmp_path)
    tg.save(dict(nn.Linear(2, 3).state_dict()), tmp_path / "linear.npz")
    with pytest.raises(CheckpointError, match="linear.npz does not fit the model"):
        training.load_weights(net(), tmp_path / "linear.npz")
    tg.save({"a": 1}, tmp_path / "last.npz")
    with pytest.raises(CheckpointError, match="is no checkpoint of a training run"):
        training.load_run(tmp_path)
