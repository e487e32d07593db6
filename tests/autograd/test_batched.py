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
