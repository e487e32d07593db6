"""func.vmap: a function of one sample over a batch, with gradients of every sample."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import func, nn


def test_the_gradients_of_every_sample() -> None:
    tg.manual_seed(0)
    net = nn.Linear(3, 2)
    params = {k: v.detach() for k, v in net.named_parameters()}
    x, t = tg.randn(4, 3), tg.tensor([0, 1, 1, 0])

    def loss(params: dict, x: tg.Tensor, t: tg.Tensor) -> tg.Tensor:
        logits = func.functional_call(net, params, (x.unsqueeze(0),))
        return nn.functional.cross_entropy(logits, t.unsqueeze(0))

    found = func.vmap(func.grad(loss), in_dims=(None, 0, 0))(params, x, t)
    assert found["weight"].shape == (4, 2, 3)
    for k in range(4):
        alone = func.grad(loss)(params, x[k], t[k])
        np.testing.assert_allclose(found["bias"][k].numpy(), alone["bias"].numpy(), rtol=1e-6)


def test_dimensions_nesting_and_keywords() -> None:
    a, b = tg.arange(6.0).reshape(2, 3), tg.arange(3.0)
    assert tg.vmap(lambda x, y: x + y, in_dims=(1, 0))(a, b).tolist() == [[0, 3], [2, 5], [4, 7]]
    total, double = tg.vmap(lambda x: (x.sum(), 2 * x), out_dims=(0, 1))(a)
    assert total.tolist() == [3, 12]
    assert double.shape == (3, 2)
    assert tg.vmap(tg.vmap(lambda x: x * x))(a).tolist() == (a * a).tolist()
    assert tg.vmap(lambda x, *, y: x * y)(b, y=b).tolist() == [0, 1, 4]


def test_what_cannot_be_mapped_is_explained() -> None:
    with pytest.raises(ValueError, match=r"vmap expected mapped dimensions of one size, got \[2, 3\]"):
        tg.vmap(lambda x, y: x)(tg.ones(2), tg.ones(3))
    with pytest.raises(ValueError, match="none is mapped: every in_dims is None"):
        tg.vmap(lambda x: x, in_dims=None)(tg.ones(2))
    with pytest.raises(ValueError, match="an in_dims for each of 2 arguments"):
        tg.vmap(lambda x, y: x, in_dims=(0,))(tg.ones(2), tg.ones(2))


OWN = tg.Generator()
DRAWS = {
    "rand": lambda x: x + tg.rand(2),
    "randn": lambda x: tg.randn(2),
    "rand_like": lambda x: tg.rand_like(x),
    "randint": lambda x: tg.randint(10**6, (2,)),
    "randperm": lambda x: tg.randperm(50),
    "bernoulli": lambda x: tg.bernoulli(tg.full((50,), 0.5)),
    "multinomial": lambda x: tg.multinomial(tg.ones(50), 20),
    "normal_": lambda x: x.clone().normal_(),
    "dropout": lambda x: nn.functional.dropout(x + tg.ones(50, 2), 0.5),
    "twice": lambda x: tg.rand(2) - tg.rand(2),
    "a generator of its own": lambda x: tg.rand(2, generator=OWN),
    "Beta": lambda x: tg.distributions.Beta(2.0, 2.0).sample((2,)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_randomness_says_what_samples_draw(name: str) -> None:
    x = tg.zeros(3, 2)
    with pytest.raises(RuntimeError, match="draws random numbers; say with randomness='different' or 'same'"):
        tg.vmap(DRAWS[name])(x)
    first, second, third = tg.vmap(DRAWS[name], randomness="same")(x).tolist()
    assert first == second == third
    first, second, third = tg.vmap(DRAWS[name], randomness="different")(x).tolist()
    assert first != second != third
    again = tg.vmap(DRAWS[name], randomness="same")(x).tolist()
    assert again[0] not in (first, second, third)


def test_the_same_numbers_are_those_that_one_call_draws() -> None:
    tg.manual_seed(3)
    alone, after = tg.rand(2).tolist(), tg.rand(2).tolist()
    tg.manual_seed(3)
    assert tg.vmap(lambda x: tg.rand(2), randomness="same")(tg.zeros(3)).tolist() == [alone] * 3
    assert tg.rand(2).tolist() == after
    inner = tg.vmap(tg.vmap(lambda x: tg.rand(2), randomness="different"), randomness="same")(tg.zeros(2, 2)).tolist()
    assert inner[0] == inner[1] and inner[0][0] != inner[0][1]


def test_what_draws_nothing_needs_no_randomness() -> None:
    assert tg.vmap(lambda x: nn.functional.dropout(x, 0.5, training=False))(tg.ones(2, 2)).tolist() == [[1, 1], [1, 1]]
    with pytest.raises(ValueError, match="'error', 'different' or 'same', got 'equal'"):
        tg.vmap(lambda x: x, randomness="equal")
