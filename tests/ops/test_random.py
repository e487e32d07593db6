"""Random numbers: seeds, states, generators, distributions, threads."""

import pickle
import threading

import numpy as np
import pytest

import tinygrad_cnn as tg


def test_equal_seeds_give_equal_numbers() -> None:
    draws = []
    for _ in range(2):
        tg.manual_seed(7)
        draws.append(
            [
                tg.randn(3).tolist(),
                tg.rand(2).tolist(),
                tg.randint(0, 9, (4,)).tolist(),
                tg.randperm(5).tolist(),
            ]
        )
    assert draws[0] == draws[1]
    assert tg.initial_seed() == 7


def test_a_generator_of_ones_own_leaves_the_default_alone() -> None:
    tg.manual_seed(1)
    before = tg.get_rng_state()
    own = tg.Generator().manual_seed(3)
    first = tg.randn(4, generator=own)
    assert tg.equal(tg.get_rng_state(), before)
    assert tg.equal(first, tg.randn(4, generator=tg.Generator().manual_seed(3)))


def test_a_state_can_be_kept_and_put_back() -> None:
    tg.manual_seed(5)
    tg.randn(3)
    state = tg.get_rng_state()
    assert state.dtype == tg.uint8
    a = tg.rand(5)
    tg.set_rng_state(state)
    assert tg.equal(tg.rand(5), a)
    with tg.fork_rng():
        tg.rand(100)
    twin = pickle.loads(pickle.dumps(tg.default_generator))
    assert tg.equal(tg.rand(3), tg.rand(3, generator=twin))
    with pytest.raises(ValueError, match="what get_state gave"):
        tg.set_rng_state(tg.zeros(3, dtype=tg.uint8))


def test_distributions_have_their_moments() -> None:
    g = tg.Generator().manual_seed(0)
    n = 20_000
    z = tg.normal(2.0, 3.0, (n,), generator=g)
    assert abs(z.mean().item() - 2) < 0.1 and abs(z.std().item() - 3) < 0.1
    u = tg.empty(n).uniform_(-1, 3, generator=g)
    assert -1 <= u.min().item() and u.max().item() < 3 and abs(u.mean().item() - 1) < 0.05
    b = tg.bernoulli(tg.full((n,), 0.3), generator=g)
    assert set(b.tolist()) == {0.0, 1.0} and abs(b.mean().item() - 0.3) < 0.02
    assert abs(tg.empty(n).exponential_(2.0, generator=g).mean().item() - 0.5) < 0.02
    r = tg.randint(3, 6, (n,), generator=g)
    assert set(r.tolist()) == {3, 4, 5} and r.dtype == tg.int64


def test_multinomial_draws_by_weight_and_never_what_has_none() -> None:
    g = tg.Generator().manual_seed(0)
    w = tg.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, 0.0]])
    drawn = tg.multinomial(w, 4000, replacement=True, generator=g).numpy()
    assert 0 not in drawn[0] and 2 not in drawn[1]
    assert abs((drawn[0] == 2).mean() - 0.75) < 0.03
    without = np.stack([tg.multinomial(w, 2, generator=g).numpy() for _ in range(200)])
    assert (np.sort(without[:, 0]) == [1, 2]).all()
    with pytest.raises(ValueError, match="fewer non-zero weights"):
        tg.multinomial(w, 3)
    with pytest.raises(ValueError, match="non-negative weights"):
        tg.multinomial(tg.tensor([-1.0, 2.0]), 1)


def test_threads_may_share_a_generator() -> None:
    g = tg.Generator().manual_seed(0)
    parts: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: parts.append(tg.rand(1000, generator=g).numpy())) for _ in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    alone = tg.rand(8000, generator=tg.Generator().manual_seed(0)).numpy()
    assert sorted(np.concatenate(parts).tolist()) == sorted(alone.tolist())


def test_dtypes_and_requires_grad_are_given_through() -> None:
    assert tg.randn(2, dtype=tg.float64).dtype == tg.float64
    assert tg.rand(2, 3, requires_grad=True).requires_grad
    assert tg.randn_like(tg.ones(2, dtype=tg.float64)).dtype == tg.float64
    with pytest.raises(ValueError, match="low < high"):
        tg.randint(5, 5, (1,))


def test_divergences_of_two_of_a_kind() -> None:
    from tinygrad_cnn.distributions import Bernoulli, Beta, Categorical, Normal, kl_divergence

    # PyTorch's numbers.
    assert kl_divergence(Normal(0.5, 2.0), Normal(0.0, 1.0)).item() == pytest.approx(0.9318528175354004)
    assert kl_divergence(Bernoulli(0.3), Bernoulli(0.6)).item() == pytest.approx(0.1837869)
    p, q = Categorical(tg.tensor([0.2, 0.8])), Categorical(tg.tensor([0.5, 0.5]))
    assert kl_divergence(p, q).item() == pytest.approx(0.1927448)
    with pytest.raises(NotImplementedError, match="got Beta and Normal"):
        kl_divergence(Beta(1.0, 1.0), Normal(0.0, 1.0))
