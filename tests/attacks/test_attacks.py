"""Attacks do what their papers say, equal to foolbox's, and leave the model as it was."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.attacks.freeze import ANSWERS, EPS, inputs
from tinygrad_cnn import attacks, nn
from tinygrad_cnn.datasets import Digits
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.training import evaluate, fit


@pytest.fixture
def net():
    weights, _x, _y = inputs()
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3))
    model.load_state_dict({name: tg.from_numpy(value) for name, value in weights.items()})
    return model


@pytest.fixture(scope="module")
def answers():
    with np.load(ANSWERS) as found:
        return dict(found)


@pytest.fixture(scope="module")
def learned():
    """A perceptron that tells a bright left half from a bright right half, and images of both."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    x = (rng.random((200, 1, 6, 6)) * 0.4 + 0.3).astype(np.float32)
    x[y == 0, :, :, :3] += 0.15
    x[y == 1, :, :, 3:] += 0.15
    tg.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
    fit(model, (x, y), 15, lr=0.02)
    assert evaluate(model, (x, y)).accuracy > 0.97
    return model, x, y


def test_fgsm_is_foolboxs(net, answers):
    _, x, y = inputs()
    np.testing.assert_allclose(attacks.fgsm(net, x, y, EPS["fgsm"]).numpy(), answers["fgsm"], atol=1e-6)


@pytest.mark.parametrize(("name", "norm", "step"), [("pgd", "inf", 1 / 30), ("pgd2", 2, 1 / 40)])
def test_pgd_is_foolboxs(net, answers, name, norm, step):
    _, x, y = inputs()
    step = EPS[name] * step
    found = attacks.pgd(net, x, y, EPS[name], norm=norm, step_size=step, random_start=False).numpy()
    np.testing.assert_allclose(found, answers[name], atol=2e-5)


@pytest.mark.parametrize("norm", ["inf", 2])
def test_pgd_stays_within_eps_and_the_pixels_range(net, norm):
    _, x, y = inputs()
    tg.manual_seed(0)
    change = attacks.pgd(net, x, y, 0.3, steps=5, norm=norm).numpy() - x
    size = np.abs(change).max((1, 2, 3)) if norm == "inf" else np.sqrt((change**2).sum((1, 2, 3)))
    assert (size <= 0.3 + 1e-6).all() and size.max() > 0.25
    assert (x + change).min() >= 0 and (x + change).max() <= 1 + 1e-6


def test_a_targeted_attack_raises_the_targets_score(net):
    _, x, y = inputs()
    target = (y + 1) % 3
    before = evaluate(net, (x, target)).loss
    for attack in (attacks.fgsm, attacks.pgd):
        assert evaluate(net, (attack(net, x, target, 0.1, targeted=True), target)).loss < before


def test_an_attack_leaves_the_model_as_it_was(net):
    _, x, y = inputs()
    net = nn.Sequential(nn.BatchNorm2d(1), *net)
    net[-1].weight.requires_grad_(False)
    state = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    attacks.pgd(net, x, y, 0.1, steps=2)
    assert all(np.array_equal(value.numpy(), state[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters()) and net.training and net[0].training
    assert [p.requires_grad for p in net.parameters()] == [True] * 4 + [False, True]


def test_accuracy_falls_as_eps_grows(learned):
    model, x, y = learned
    curve = attacks.robustness(model, (x, y), attacks.fgsm, (0, 0.05, 0.1, 0.2))
    assert curve.eps == (0, 0.05, 0.1, 0.2)
    assert curve.accuracy[0] == evaluate(model, (x, y)).accuracy
    assert list(curve.accuracy) == sorted(curve.accuracy, reverse=True) and curve.accuracy[-1] < 0.2


def test_adversarial_training_brings_accuracy_under_attack_back():
    data = Digits(train=True).arrays()
    train, test = (tuple(a[part] for a in data) for part in (slice(800), slice(800, 1000)))
    attack = lambda m, a, b: attacks.pgd(m, a, b, 0.1, steps=3, step_size=0.05)
    accuracy = []
    for defended in (False, True):
        tg.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
        fit(model, train, 6, lr=3e-3, augment=attacks.AdversarialTraining(model, attack) if defended else None)
        accuracy.append(attacks.robustness(model, test, attacks.fgsm, (0.1,)).accuracy[0])
    assert accuracy[0] < 0.4 and accuracy[1] > accuracy[0] + 0.2


def test_one_noise_fools_a_network_on_most_images(learned):
    model, x, y = learned
    noise = attacks.universal_noise(model, (x, np.zeros_like(y)), 0.15)
    assert noise.shape == (1, 6, 6) and np.abs(noise.numpy()).max() <= 0.15 + 1e-6
    clean = evaluate(model, (x, y)).predictions
    moved = evaluate(model, (np.clip(x + noise.numpy(), 0, 1), y)).predictions
    assert (clean == 0).mean() > 0.4 and (moved == 1).mean() > 0.9


def test_a_sticker_decides_the_class(learned):
    model, x, y = learned
    tg.manual_seed(0)
    sticker = attacks.patch(model, (x, y), 4, target=1, step_size=0.2)
    assert sticker.shape == (1, 4, 4)
    stuck = attacks.apply_patch(x, sticker).numpy()
    assert ((stuck != x).sum((1, 2, 3)) <= 16).all()
    before, after = ((evaluate(model, (images, y)).predictions == 1).mean() for images in (x, stuck))
    assert after > before + 0.2


def test_an_image_of_maximal_activation_excites_its_unit(net):
    tg.manual_seed(0)
    _, x, _y = inputs()
    for unit in range(3):
        image = attacks.maximal_activation(net, (1, 8, 8), unit, steps=60)
        with tg.no_grad():
            assert net(tg.stack([image]))[0, unit] > net(tg.from_numpy(x))[:, unit].max()
    assert attacks.maximal_activation(net, (1, 8, 8), 1, "0", steps=3).shape == (1, 8, 8)
    with pytest.raises(ValueError, match="expected a unit from 0 to 2, got 3"):
        attacks.maximal_activation(net, (1, 8, 8), 3)
    with pytest.raises(UsageError, match="there is no layer 'x'"):
        attacks.maximal_activation(net, (1, 8, 8), 0, "x")


def test_input_noise_is_clipped_and_seeded():
    images = np.full((50, 1, 4, 4), 0.5, np.float32)
    tg.manual_seed(0)
    noisy = attacks.InputNoise(0.2)(images)
    assert isinstance(noisy, np.ndarray) and noisy.dtype == np.float32
    assert abs(noisy.std() - 0.2) < 0.02 and noisy.min() >= 0
    tg.manual_seed(0)
    np.testing.assert_array_equal(attacks.InputNoise(0.2)(tg.from_numpy(images)).numpy(), noisy)


def test_misuse_is_explained(net):
    _, x, y = inputs()
    for call, message in (
        (lambda: attacks.fgsm(net, x, y, -1), "expected eps from 0 up, got -1"),
        (lambda: attacks.fgsm(net, x, y[:2], 0.1), r"expected one label per image, got images \(6, 1, 8, 8\)"),
        (lambda: attacks.fgsm(net, np.uint8(x), y, 0.1), "expected a batch of images of floats, got uint8"),
        (lambda: attacks.pgd(net, x, y, 0.1, steps=0), "expected steps from 1 up, got 0"),
        (lambda: attacks.pgd(net, x, y, 0.1, norm=1), 'expected norm "inf" or 2, got 1'),
        (lambda: attacks.apply_patch(x, np.zeros((1, 9, 9))), "a patch of side 9 does not fit"),
        (lambda: attacks.AdversarialTraining(net, attacks.fgsm, 2), "expected a share from 0 to 1, got 2"),
        (lambda: attacks.InputNoise(-1), "expected a deviation from 0 up, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_the_pictures_are_drawn(net, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    _, x, y = inputs()
    curve = attacks.robustness(net, (x, y), attacks.fgsm, (0, 0.1))
    tg.viz.robustness({"plain": curve, "again": curve}, tmp_path / "curve.png", chance=1 / 3)
    tg.viz.adversarial(x, attacks.fgsm(net, x, y, 0.1), tmp_path / "images.png", before=y, after=y[::-1])
    assert {path.name for path in tmp_path.iterdir()} == {"curve.png", "images.png"}
    with pytest.raises(UsageError, match="at least one point"):
        tg.viz.robustness({})
    with pytest.raises(UsageError, match="two batches"):
        tg.viz.adversarial(x, x[:1])
