"""What whoever comes from Keras writes works, or the error names the word to use."""

import csv
import warnings

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim, training
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.training import Callback, DivergedError, Trainer, evaluate, fit, predict
from tinygrad_cnn.utils.data import DataLoader, TensorDataset


def clouds(n=90, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.standard_normal((n, 2)) + 6 * np.stack([np.cos(y * 2.1), np.sin(y * 2.1)], 1)
    return x.astype(np.float32), y


def net(seed=0, outputs=3, last=()):
    tg.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, outputs), *last)


def weights(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


def quiet(model, *args, **options):
    return fit(model, *args, verbose=0, **options)


# --- the Keras words ------------------------------------------------------------------------------------


def test_the_lab_of_the_notes_runs_in_kerass_words():
    x, y = clouds()
    one_hot = np.eye(3)[y]  # float64, as Keras's to_categorical
    trainer = Trainer(net()).compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"], lr=0.02)
    history = trainer.fit(x, one_hot, batch_size=16, epochs=5, verbose=0, shuffle=True, validation_data=(x, one_hot))
    assert set(history.history) >= {"loss", "accuracy", "val_loss", "val_accuracy"}
    loss, accuracy = trainer.evaluate(x, one_hot)
    assert (loss, accuracy) == (history.history["val_loss"][-1], history.history["val_accuracy"][-1])
    assert accuracy > 0.97


def test_one_hot_targets_train_and_count_as_classes_do():
    x, y = clouds()
    by_class, by_row, by_int_row, by_column = net(), net(), net(), net()
    options = dict(epochs=2, shuffle=False, lr=0.01)
    a = quiet(by_class, x, y, **options)
    b = quiet(by_row, x, np.eye(3, dtype=np.float32)[y], **options)
    quiet(by_int_row, x, np.eye(3, dtype=int)[y], loss="categorical_crossentropy", **options)
    quiet(by_column, x, y[:, None], loss="sparse_categorical_crossentropy", **options)
    assert a["accuracy"] == b["accuracy"]
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-5)
    for other in (by_row, by_int_row, by_column):
        np.testing.assert_allclose(weights(other), weights(by_class), rtol=1e-3, atol=1e-6)


def test_numbers_of_the_outputs_shape_are_no_classes():
    x, _ = clouds()
    history = quiet(net(outputs=2), x, x, loss="mse")
    assert "accuracy" not in history and evaluate(net(outputs=2), x, x, loss="mse").accuracy is None


def test_a_softmax_before_the_cross_entropy_is_warned_of_once():
    x, y = clouds()
    with pytest.warns(UserWarning, match="the model ends in a softmax, and the cross-entropy applies one") as seen:
        quiet(net(last=[nn.Softmax(1)]), x, y, epochs=2)
    assert len(seen) == 1
    with pytest.warns(UserWarning, match="ends in a sigmoid"):
        quiet(net(outputs=1, last=[nn.Sigmoid()]), x, y > 1, loss="binary_crossentropy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet(net(), x, y)
        quiet(net(last=[nn.LogSoftmax(1)]), x, y, loss="nll_loss")
        quiet(net(last=[nn.Softmax(1)]), x, y, loss=lambda p, t: F.nll_loss(p.log(), t))


def test_probabilities_of_scores_and_of_what_is_a_probability_already():
    x, _ = clouds(10)
    scores = predict(net(), x)
    assert tg.allclose(predict(net(), x, probabilities=True), scores.softmax(1))
    ends_in_softmax = net(last=[nn.Softmax(1)])
    assert tg.equal(predict(ends_in_softmax, x, probabilities=True), predict(ends_in_softmax, x))
    assert tg.allclose(predict(net(outputs=1), x, probabilities=True), predict(net(outputs=1), x).sigmoid())


def test_two_classes_by_one_score():
    x, y = clouds()
    y = (y == 0).astype(int)
    history = quiet(net(outputs=1), x, y, epochs=6, lr=0.05, loss="binary_crossentropy", metrics=["accuracy", "auc"])
    assert history["accuracy"][-1] > 0.95 and history["auc"][-1] > 0.99


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("learning_rate", "write lr="),
        ("sample_weight", "write class_weight="),
        ("workers", "num_workers"),
        ("epoch", ""),
    ],
)
def test_other_words_of_keras_name_ours(word, hint):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{word}'.*{hint}"):
        fit(net(), *clouds(), **{word: 1})
    with pytest.raises(TypeError, match="compile.. got an unexpected keyword argument 'run_eagerly': write nothing"):
        Trainer(net()).compile(run_eagerly=True)


@pytest.mark.parametrize("word", ["fit", "evaluate", "predict", "save", "summary", "layers", "get_weights"])
def test_a_keras_models_methods_name_what_to_write(word):
    with pytest.raises(AttributeError, match=f"has no attribute '{word}': write .*(training|analysis|layer|children)"):
        getattr(net(), word)
    with pytest.raises(TypeError, match=r"write training.Trainer\(model\).compile\(optimizer="):
        net().compile(optimizer="adam", loss="categorical_crossentropy")


def test_unknown_names_are_named():
    with pytest.raises(UsageError, match=r"unknown loss 'categorical_crossentopy' \(did you mean 'categorical_cross"):
        fit(net(), *clouds(), loss="categorical_crossentopy")
    with pytest.raises(UsageError, match="validation and validation_data say the same twice"):
        fit(net(), *clouds(), validation=clouds(), validation_data=clouds())
    with pytest.raises(UsageError, match="the number of epochs twice, 3 and epochs=4"):
        fit(net(), clouds(), 3, epochs=4)


# --- the data -------------------------------------------------------------------------------------------


def test_arrays_data_sets_loaders_lists_and_generators_of_batches_train_alike():
    x, y = clouds(40)
    batches = [(x[k : k + 10], y[k : k + 10]) for k in range(0, 40, 10)]

    def endless():
        while True:
            yield from batches

    forms = {
        "arrays": dict(x=x, y=y, batch_size=10, shuffle=False),
        "pair": dict(x=(x, y), batch_size=10, shuffle=False),
        "loader": dict(x=DataLoader(TensorDataset(tg.tensor(x), tg.tensor(y)), 10)),
        "list": dict(x=batches),
        "generator": dict(x=endless(), steps_per_epoch=4),
    }
    found = {}
    for form, options in forms.items():
        model = net()
        assert len(quiet(model, epochs=3, **options)) == 3
        found[form] = weights(model)
    for form, w in found.items():
        assert np.array_equal(w, found["arrays"]), form


def test_steps_per_epoch_ends_an_epoch_early_and_a_generator_goes_on():
    x, y = clouds(40)
    seen = []

    class See(Callback):
        def on_epoch_end(self, trainer):
            seen.append(trainer.step)

    quiet(net(), x, y, epochs=2, batch_size=10, steps_per_epoch=3, callbacks=[See()])
    assert seen == [3, 6]
    few = iter([(x[:10], y[:10])] * 5)
    with pytest.raises(UsageError, match="the generator has ended after 5 batches: give steps_per_epoch"):
        quiet(net(), few, epochs=3, steps_per_epoch=5)
    with pytest.raises(UsageError, match="steps_per_epoch=9 asks for more batches than the 4 that there are"):
        quiet(net(), x, y, batch_size=10, steps_per_epoch=9)
    with pytest.raises(UsageError, match="a generator has them once"):
        quiet(net(), x, y, validation_data=iter([(x, y)]))
    with pytest.raises(UsageError, match="these data are batches already"):
        quiet(net(), [(x, y)], batch_size=5)


def test_validation_split_takes_the_last_samples():
    x, y = clouds(40)
    model = net()
    history = quiet(model, x, y, validation_split=0.25, batch_size=15)
    assert history["val_loss"] == [evaluate(model, x[30:], y[30:]).loss]
    assert quiet(net(), x, y, validation_split=0.25, batch_size=15, shuffle=False)["loss"] == (
        quiet(net(), x[:30], y[:30], batch_size=15, shuffle=False)["loss"]
    )
    with pytest.raises(UsageError, match="leaves nothing on one side"):
        quiet(net(), x, y, validation_split=0.001)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(2, 3), nn.Linear(2, 3)

    def forward(self, a, b):
        return self.left(a) + self.right(b)


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.classes, self.size = nn.Linear(2, 3), nn.Linear(2, 1)

    def forward(self, x):
        return self.classes(x), self.size(x)


def test_several_inputs_and_several_targets():
    x, y = clouds()
    model = TwoInputs()
    assert quiet(model, [x, x[::-1].copy()], y, epochs=15, lr=0.05)["accuracy"][-1] > 0.9
    assert evaluate(model, ((x, x[::-1].copy()), y)).accuracy > 0.9
    quiet(TwoInputs(), {"a": x, "b": x}, y)
    size = (x**2).sum(1)
    history = quiet(TwoOutputs(), x, [y, size], loss=["categorical_crossentropy", "mse"], epochs=3, lr=0.05)
    assert history["loss"][-1] < history["loss"][0]
    both = lambda outputs, targets: F.cross_entropy(outputs[0], targets[0]) + F.mse_loss(outputs[1][:, 0], targets[1])
    again = quiet(TwoOutputs(), x, [y, size], loss=both)
    assert np.isfinite(again["loss"][0])
    with pytest.raises(UsageError, match="as many samples in each input and target"):
        quiet(TwoInputs(), [x, x[:5]], y)


def test_an_augmentation_is_given_to_fit():
    x, y = clouds(20)
    seen = []
    quiet(net(), x, y, augment=lambda batch: seen.append(len(batch)) or batch, batch_size=10)
    assert seen == [10, 10]


# --- how it trains --------------------------------------------------------------------------------------


def test_class_weights_weigh_samples_as_keras_does():
    x, y = clouds(30)
    model = net()
    scores, factor = model(tg.tensor(x)), np.array([2.0, 1.0, 0.5], np.float32)[y]
    each = F.cross_entropy(scores, tg.tensor(y), reduction="none").detach().numpy()
    options = dict(class_weight={0: 2.0, 2: 0.5}, batch_size=30, optimizer=optim.SGD(model.parameters(), lr=0.0))
    assert quiet(model, x, y, **options)["loss"][0] == pytest.approx((each * factor).mean(), rel=1e-6)
    assert quiet(model, x, np.eye(3)[y], **options)["loss"][0] == pytest.approx((each * factor).mean(), rel=1e-6)
    with pytest.raises(UsageError, match=r"this training has another loss.*nn.CrossEntropyLoss\(weight="):
        quiet(net(), x, y, loss=nn.CrossEntropyLoss(), class_weight={0: 2.0})


def test_accumulated_batches_make_the_step_of_one_large_batch():
    x, y = clouds(50)
    whole, parts = net(), net()
    quiet(whole, x, y, batch_size=20, shuffle=False, optimizer="sgd", lr=0.1)
    quiet(parts, x, y, batch_size=10, accumulate=2, shuffle=False, optimizer="sgd", lr=0.1)  # the last alone
    np.testing.assert_allclose(weights(parts), weights(whole), rtol=1e-4, atol=1e-6)


def test_a_run_cut_between_accumulated_batches_goes_on_bit_for_bit(tmp_path):
    def trainer(seed=0):
        order = tg.Generator().manual_seed(seed)
        loader = DataLoader(TensorDataset(*map(tg.tensor, clouds(50))), 10, shuffle=True, generator=order)
        return Trainer(net(seed), "sgd", lr=0.1, accumulate=2, metrics=["auc"]), loader

    class Cut(Callback):
        def on_batch_end(self, trainer):
            trainer.interrupted = trainer.step == 6

    whole, loader = trainer()
    whole.fit(loader, 3, verbose=0)
    first, loader = trainer()
    first.fit(loader, 3, verbose=0, callbacks=[Cut()])
    tg.save(first.state_dict(), tmp_path / "run.npz")
    again, loader = trainer(5)
    again.load_state_dict(tg.load(tmp_path / "run.npz"))
    again.fit(loader, 3, verbose=0)
    assert np.array_equal(weights(again.model), weights(whole.model))
    assert again.history["auc"] == whole.history["auc"]


def test_gradients_are_clipped_before_the_step():
    x, y = clouds(30)
    start = weights(net())
    for options, size in ((dict(clip_norm=0.01), np.linalg.norm), (dict(clip_value=0.01), lambda d: abs(d).max())):
        model = net()
        quiet(model, x, y, batch_size=30, optimizer="sgd", lr=1.0, **options)
        assert size(weights(model) - start) == pytest.approx(0.01, rel=1e-3)


def test_epochs_count_in_all_and_a_call_that_would_do_nothing_says_so():
    trainer = Trainer(net())
    trainer.fit(*clouds(), epochs=2, verbose=0)
    with pytest.warns(UserWarning, match="nothing to do: 2 epochs are completed"):
        trainer.fit(*clouds(), epochs=2, verbose=0)
    trainer.fit(*clouds(), verbose=0)
    assert trainer.epoch == 3
    assert trainer.fit(*clouds(), epochs=6, initial_epoch=4, verbose=0)["epoch"] == [1, 2, 3, 5, 6]


def test_the_three_pairwise_losses_of_the_notes():
    rng = np.random.default_rng(0)
    s, y = rng.standard_normal((5, 4)), rng.integers(0, 4, 5)
    sigma = lambda v: 1 / (1 + np.exp(-v))
    gelu = lambda v: v * F.gelu(tg.tensor(v)).numpy() / v
    hinge = lambda d: np.maximum(0, d + 1)
    kinds = {"relu_margin": hinge, "sigmoid_margin": sigma, "gelu_margin": lambda d: gelu(d + 1)}
    for name, function in kinds.items():
        terms = [function(s[i, j] - s[i, y[i]]) for i in range(5) for j in range(4) if j != y[i]]
        for targets in (y, np.eye(4)[y]):
            found = training.LOSSES[name](tg.tensor(s), tg.tensor(targets)).item()
            assert found == pytest.approx(sum(terms) / 5, rel=1e-6), name
    assert training.relu_margin(tg.tensor(s), tg.tensor(y)).item() == pytest.approx(
        4 * F.multi_margin_loss(tg.tensor(s), tg.tensor(y)).item()
    )


# --- what it says ---------------------------------------------------------------------------------------


def test_a_line_per_epoch_unless_told_otherwise(capsys):
    fit(net(), *clouds(), epochs=2, validation=clouds(), metrics=["f1"])
    head, first, second = capsys.readouterr().out.splitlines()
    assert " ".join(head.split()) == "epoch loss accuracy f1 val loss val acc val f1 lr samples/s time"
    assert first.split()[0] == "1/2" and second.split()[0] == "2/2"
    fit(net(), *clouds(), epochs=2, verbose=0)
    assert capsys.readouterr().out == ""


def test_compilation_is_announced_once(monkeypatch):
    numba = pytest.importorskip("numba")
    from tinygrad_cnn import kernels

    if kernels.backend()[0] != "compiled":
        pytest.skip("the kernels are the reference ones")
    said = []
    with kernels.on_compile(lambda: said.append(1)):
        for k in range(2):
            numba.njit(lambda a, k=k: a + k)(1)
    numba.njit(lambda a: a - 1)(1)
    assert said == [1]


# --- callbacks ------------------------------------------------------------------------------------------


def test_a_schedule_by_epoch_sets_the_rate():
    options = dict(epochs=3, lr=0.1, optimizer="sgd")
    by_epoch = training.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch)
    assert quiet(net(), *clouds(), callbacks=[by_epoch], **options)["lr"] == [0.1, 0.05, 0.025]
    by_rate = training.LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr)
    assert quiet(net(), *clouds(), callbacks=[by_rate], **options)["lr"] == [0.1, 0.05, 0.025]
    with pytest.raises(TypeError, match="the schedule expected to give a number, gave None"):
        quiet(net(), *clouds(), callbacks=[training.LearningRateScheduler(lambda epoch: None)])


def test_the_rate_is_reduced_on_a_plateau():
    class Fake(Callback):
        values = iter([1.0, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95])

        def on_epoch_end(self, trainer):
            trainer.history.records[-1]["val_loss"] = next(self.values)

    reduce = training.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.3)
    history = quiet(net(), *clouds(), epochs=7, optimizer="sgd", lr=1.0, callbacks=[Fake(), reduce])
    assert history["lr"] == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.3]


def test_a_loss_that_is_no_number_can_end_the_training_without_an_error(capsys):
    x, y = clouds(30)
    x[25] = np.inf
    model = net()
    with np.errstate(invalid="ignore"):
        history = quiet(model, x, y, batch_size=10, shuffle=False, callbacks=[training.TerminateOnNaN()])
        assert len(history) == 0 and np.isfinite(weights(model)).all()
        assert "the loss is no number in epoch 1, batch 3" in capsys.readouterr().out
        with pytest.raises(DivergedError):
            quiet(net(), x, y, batch_size=10)


def test_gradient_statistics_are_means_of_norms():
    x, y = clouds(20)
    statistics = training.GradientStatistics()
    model = net()
    history = quiet(model, x, y, epochs=2, batch_size=20, callbacks=[statistics])
    assert {name: len(v) for name, v in statistics.history.items()} == {n: 2 for n, _ in model.named_parameters()}
    squares = [statistics.history[name][1] ** 2 for name in statistics.history]
    assert history["grad_norm"][1] == pytest.approx(np.sqrt(sum(squares)), rel=1e-5)


def test_a_log_of_metrics_is_a_csv(tmp_path):
    log = training.CSVLogger(tmp_path / "log.csv")
    quiet(net(), *clouds(), epochs=2, metrics=["precision"], callbacks=[log])
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert len(rows) == 2 and 0 < float(rows[1]["precision"]) <= 1


def test_the_history_draws_itself(tmp_path):
    pytest.importorskip("matplotlib")
    quiet(net(), *clouds(), epochs=2).plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
