"""The last training steps can be gone back to, and go again exactly as they went."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn, optim
from tinygrad_cnn.debug import Recorder
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F


class Run:
    """A training with momentum, batch normalisation and dropout; batch 6 is poisoned."""

    def __init__(self, **options):
        tg.manual_seed(0)
        self.model = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
        )
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.recorder = Recorder(self.model, self.optimizer, **options)
        rng = np.random.default_rng(0)
        self.batches = [
            (tg.tensor(rng.standard_normal((16, 4)).astype(np.float32)), tg.tensor(rng.integers(0, 2, 16)))
            for _ in range(10)
        ]
        self.losses = []

    def loss(self, x, t):
        return F.cross_entropy(self.model(x), t)

    def train(self, start=0, stop=10, poison=6):
        for k in range(start, stop):
            x, t = self.batches[k]
            x = x * 1e20 if k == poison else x
            self.recorder.before(x, t)
            self.optimizer.zero_grad()
            loss = self.loss(x, t)
            if k == poison:
                loss = loss * 1e30 * 1e30
            loss.backward()
            self.optimizer.step()
            self.recorder.after(loss)
            self.losses.append(loss.item())

    def weights(self):
        return np.concatenate([p.detach().numpy().ravel() for p in self.model.parameters()])


def test_the_last_k_steps_are_kept():
    run = Run(keep=3)
    run.train(stop=5, poison=None)
    assert [s.step for s in run.recorder.steps] == [2, 3, 4]
    assert [s.loss for s in run.recorder.steps] == run.losses[2:]
    with pytest.raises(UsageError, match="kept are 2 to 4"):
        run.recorder.find(0)


def test_going_back_repeats_the_training_bit_for_bit():
    run = Run(keep=4)
    run.train(stop=8, poison=None)
    weights = run.weights()
    kept = run.recorder.go_back(-3)
    assert kept.step == 5
    run.train(start=5, stop=8, poison=None)
    assert run.weights().tobytes() == weights.tobytes()
    assert run.losses[5:8] == run.losses[8:11]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_step_before_the_loss_blew_up_opens_in_a_session():
    run = Run(keep=6)
    run.train(poison=6)
    assert not np.isfinite(run.losses[6]) and np.isfinite(run.losses[5])
    assert run.recorder.blow_up().step == 5
    s = run.recorder.session(run.loss, restore=True)
    assert "training step 5" in s.stop.text and s.total > 5
    s.finish()
    assert np.isfinite(run.weights()).all()
    assert np.isfinite(run.model[0].weight.grad.numpy()).all()
    assert run.recorder.go_back(run.recorder.find(6)).batch[0].array.max() > 1e19


def test_memory_is_stated_and_bounded():
    run = Run(keep=100, every=1)
    run.train(stop=2, poison=None)
    one = run.recorder.steps[-1].nbytes
    parameters = sum(p.array.nbytes for p in run.model.parameters())
    # weights, momentum, gradients; batch, buffers and random states
    assert parameters * 3 <= one <= parameters * 4 + 4000
    run = Run(keep=100, every=1, max_bytes=3 * one + 10)
    run.train(poison=None)
    assert run.recorder.nbytes <= 3 * one + 10 and len(run.recorder.steps) == 3


def test_without_a_blow_up_a_step_must_be_named():
    run = Run(keep=2)
    run.train(stop=3, poison=None)
    assert run.recorder.blow_up() is None
    for way in (run.recorder.go_back, lambda: run.recorder.session(run.loss)):
        with pytest.raises(UsageError, match="nothing blew up in 3 training"):
            way()
    assert run.recorder.go_back(-1).step == 2


def test_what_it_keeps_is_its_own():
    run = Run(keep=2)
    x, t = run.batches[0]
    run.recorder.before(x, t)
    x.mul_(0)
    assert run.recorder.steps[0].batch[0].array.any()
    with pytest.raises(UsageError, match="at least 1"):
        Recorder(run.model, keep=0)


def test_steps_between_two_kept_states_are_trained_again_bit_for_bit():
    run = Run(keep=10, every=4)
    run.train(stop=7, poison=None)
    at_7 = run.weights()
    run.train(start=7, stop=10, poison=None)
    assert [s.step for s in run.recorder.steps if s.moment is not None] == [0, 4, 8]
    with pytest.raises(UsageError, match="state before step 7 is not kept, that before step 4 is"):
        run.recorder.go_back(7)
    assert run.recorder.go_back(7, loss_fn=run.loss).step == 7
    assert run.weights().tobytes() == at_7.tobytes()


def test_training_again_that_goes_another_way_is_told():
    run = Run(keep=10, every=10)
    run.train(stop=6, poison=None)
    with pytest.raises(UsageError, match="training step 0 gave a loss of .* pass train_step="):
        run.recorder.go_back(5, loss_fn=lambda x, t: run.loss(x, t) * 2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_session_leaves_the_training_alone():
    run = Run(keep=6)
    run.train(poison=6)
    weights, state = run.weights(), tg.get_rng_state()
    gradients = [p.grad for p in run.model.parameters()]
    s = run.recorder.session(run.loss)
    assert "training step 5, loss" in s.stop.text and "loss of step 6 is" in s.stop.text
    s.goto("param:0.weight")
    s.finish()
    assert run.weights().tobytes() == weights.tobytes()
    assert str(tg.get_rng_state()) == str(state)
    for p, g in zip(run.model.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), g.numpy())


def test_200_steps_of_mnist_cnn_take_less_than_200_mb():
    model = models.create("mnist-cnn")
    optimizer = optim.Adam(model.parameters())
    for p in model.parameters():  # as after a first step: gradients, and both moments
        p.grad = tg.zeros(*p.shape)
    optimizer.step()
    recorder = Recorder(model, optimizer, keep=200)
    x, t = tg.zeros(128, 1, 28, 28), tg.zeros(128)
    for _ in range(230):
        recorder.before(x, t)
        recorder.after(1.0)
    assert len(recorder.steps) >= 200
    assert recorder.nbytes < 200e6


def losses(kind, seed):
    """A loss curve of 200 steps as they occur."""
    rng = np.random.default_rng(seed)
    k = np.arange(200)
    fall = 2.3 * np.exp(-k / 40) + 0.02
    curves = {
        "falling": fall,
        "noisy": fall * np.exp(0.3 * rng.standard_normal(200)),
        "heavy tails at the end": fall * np.exp(1.2 * rng.standard_normal(200)),
        "single outliers": np.where(k % 50 == 49, 30 * fall, fall),
        "a plateau": np.full(200, 2.3) + 0.05 * rng.standard_normal(200),
        "a warm restart": np.where(k < 120, fall, fall + 0.3 * np.exp(-(k - 120) / 20)),
        "a spike that recovers": np.where((k > 90) & (k < 100), 50.0, fall),
        "nearly no loss": 1e-6 * np.exp(rng.standard_normal(200)),
        "slowly rising": 1 + k / 100,
        "negative": -fall[::-1],
        # blown up
        "nan": np.where(k >= 150, np.nan, fall),
        "inf": np.where(k >= 150, np.inf, fall),
        "growing": np.where(k >= 150, fall * 1.6 ** np.minimum(k - 150, 60), fall),
        "a step up": np.where(k >= 150, 60.0, fall),
        "the last one": np.where(k == 199, 1e4, fall),
    }
    return curves[kind]


HEALTHY = [
    "falling", "noisy", "heavy tails at the end", "single outliers", "a plateau", "a warm restart",
    "a spike that recovers", "nearly no loss", "slowly rising", "negative",
]  # fmt: skip


def blown_at(curve):
    recorder = Recorder(nn.Linear(1, 1), keep=1)
    recorder.losses = [float(loss) for loss in curve]
    return recorder.blown_at()


@pytest.mark.parametrize("kind", HEALTHY)
def test_a_healthy_run_did_not_blow_up(kind):
    for seed in range(20):
        assert blown_at(losses(kind, seed)) is None
        assert blown_at(losses(kind, seed)[:30]) is None


@pytest.mark.parametrize(
    ("kind", "first"),
    [("nan", 150), ("inf", 150), ("growing", 155), ("a step up", 150), ("the last one", 199)],
)
def test_a_blown_run_is_named_by_its_first_bad_loss(kind, first):
    found = blown_at(losses(kind, 0))
    assert found is not None and abs(found - first) <= 5
