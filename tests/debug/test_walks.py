"""Any walk of steps forwards and backwards, with edits, leads back to the same states and the same end."""

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_cnn as tg
from tests.debug.conftest import assert_same, problem
from tinygrad_cnn import nn
from tinygrad_cnn.debug import BackwardSession
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.checkpoint import checkpoint


def fingerprint(s, p):
    """Everything that a step may change."""
    work = s._pass.work
    grads = {
        seq: crc32(np.ascontiguousarray(g.dense() if hasattr(g, "dense") else g))
        for seq, g in work.grads.items()
    }
    # A part of each is enough to tell them apart, at a tenth of the cost; the end is compared in full.
    leaves = {
        n: None if q.grad is None else q.grad.numpy().ravel()[:512].tobytes()
        for n, q in p.model.named_parameters()
    }
    return s.position, grads, leaves


@pytest.fixture(scope="module")
def shared():
    return problem("resnet18-cifar", (3, 8, 8), batch=1)


@settings(max_examples=12)
@given(walk=st.lists(st.integers(-12, 16), max_size=20))
def test_random_walks_return_to_the_same_state(shared, walk):
    p = shared
    p.clear()
    p.loss().backward()
    wanted = p.grads()
    p.clear()
    s = BackwardSession(p.loss())
    seen = {s.position: fingerprint(s, p)}
    for move in walk:
        if move < 0:
            s.back(-move)
        else:
            s.step(move)
        now = fingerprint(s, p)
        assert seen.setdefault(s.position, now) == now
    s.finish()
    assert_same(p.grads(), wanted)


@settings(max_examples=10)
@given(moves=st.lists(st.sampled_from(["step", "back", "edit", "edge", "value"]), max_size=25))
def test_edits_are_undone_on_the_way_back(shared, moves):
    p = shared
    p.clear()
    p.loss().backward()
    wanted = p.grads()
    p.clear()
    s = BackwardSession(p.loss())
    for move in moves:
        if s.at_end:
            break
        if move == "edit":
            s.edit(s.upstream + 1)
        elif move == "edge":
            live = [i for i, parent in enumerate(s.node.parents) if parent is not None]
            if live:
                s.edit(0.0, input=live[0])
        elif move == "value":
            leaf = next(n for n in s.nodes[s.position :] if n.is_leaf and len(n.shape) == 4)
            s.edit(node=leaf, value=0.5)
        elif move == "step":
            s.step(3)
        else:
            s.back(2)
    s.back(s.total + 1)  # to the start, and the edits there too
    s.finish()
    assert_same(p.grads(), wanted)


def test_a_checkpointed_region_is_walked_like_any_other():
    def build():
        tg.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3)
        )  # fmt: skip
        h = checkpoint(nn.Sequential(*net[:4]), tg.randn(4, 1, 6, 6))
        return net, F.cross_entropy(net[5](net[4](h)), tg.tensor([0, 1, 2, 0]))

    plain, loss = build()
    loss.backward()
    walked, loss = build()
    s = BackwardSession(loss)
    rng = np.random.default_rng(0)
    for _ in range(30):
        s.step(int(rng.integers(1, 4))) if rng.random() < 0.6 else s.back(int(rng.integers(1, 4)))
        if s.node is not None:
            s.state()
            assert not s.node.parents or (s.check() and not s.check().guessed)
    s.finish()
    for (name, p), q in zip(plain.named_parameters(), walked.parameters(), strict=True):
        assert p.grad.numpy().tobytes() == q.grad.numpy().tobytes(), name
