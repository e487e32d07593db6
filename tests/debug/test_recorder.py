"""The last training steps can be gone back to, and go again exactly as they went."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
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
    s = run.recorder.session(run.loss)
    assert "training step 5" in s.stop.text and s.total > 5
    s.finish()
    assert np.isfinite(run.weights()).all()
    assert np.isfinite(run.model[0].weight.grad.numpy()).all()
    assert run.recorder.go_back(run.recorder.find(6)).batch[0].array.max() > 1e19


def test_memory_is_stated_and_bounded():
    run = Run(keep=100)
    run.train(stop=2, poison=None)
    one = run.recorder.steps[-1].nbytes
    parameters = sum(p.array.nbytes for p in run.model.parameters())
    assert parameters * 3 <= one <= parameters * 4 + 2000  # weights, momentum, gradients; batch and buffers
    run = Run(keep=100, max_bytes=3 * one + 10)
    run.train(poison=None)
    assert run.recorder.nbytes <= 3 * one + 10 and len(run.recorder.steps) == 3


def test_no_blow_up_is_none_and_the_last_step_is_gone_back_to():
    run = Run(keep=2)
    run.train(stop=3, poison=None)
    assert run.recorder.blow_up() is None
    assert run.recorder.go_back().step == 2


def test_what_it_keeps_is_its_own():
    run = Run(keep=2)
    x, t = run.batches[0]
    run.recorder.before(x, t)
    x.mul_(0)
    assert run.recorder.steps[0].batch[0].array.any()
    with pytest.raises(UsageError, match="at least 1"):
        Recorder(run.model, keep=0)
