"""Weights that are computed from others: weight norm, spectral norm, and parametrisations of one's own."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn.utils import parametrizations, parametrize


def test_weight_norm_keeps_the_weight_and_learns_length_and_direction() -> None:
    layer = nn.Conv2d(2, 3, 3)
    weight = layer.weight.detach().clone()
    assert nn.utils.weight_norm(layer) is layer
    assert list(layer.state_dict()) == ["bias", "weight_g", "weight_v"] and layer.weight_g.shape == (3, 1, 1, 1)
    layer(tg.ones(1, 2, 4, 4)).sum().backward()
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight.numpy(), rtol=1e-5)
    # The direction's gradient is at right angles to it.
    np.testing.assert_allclose((layer.weight_v.grad * layer.weight_v.detach()).sum((1, 2, 3)).numpy(), 0, atol=1e-5)
    with tg.no_grad():
        layer.weight_g *= 2
    layer(tg.ones(1, 2, 4, 4))
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * weight.numpy(), rtol=1e-5)
    with pytest.raises(RuntimeError, match="already"):
        nn.utils.weight_norm(layer)
    nn.utils.remove_weight_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight"] and isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize("make", [nn.utils.spectral_norm, parametrizations.spectral_norm])
def test_spectral_norm_brings_the_largest_singular_value_to_one(make: object) -> None:
    tg.manual_seed(1)
    layer = make(nn.Linear(6, 4))  # type: ignore[operator]
    for _ in range(60):
        layer(tg.ones(1, 6))
    values = np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)
    assert values[0] == pytest.approx(1, rel=1e-3)
    layer.eval()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    layer(tg.ones(1, 6))
    assert all(tg.equal(v, before[k]) for k, v in layer.state_dict().items())
    layer(tg.ones(1, 6)).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_spectral_norm_names_and_removal() -> None:
    layer = nn.utils.spectral_norm(nn.ConvTranspose2d(2, 3, 3)).eval()
    assert list(layer.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    assert layer.weight_u.shape == (3,) and layer.weight_v.shape == (18,)
    x = tg.randn(1, 2, 4, 4)
    y = layer(x)
    nn.utils.remove_spectral_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(layer(x).detach().numpy(), y.detach().numpy(), atol=1e-6)


class _Symmetric(nn.Module):
    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return x.triu() + x.triu(1).transpose(-1, -2)


class _Doubled(nn.Module):
    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return 2 * x

    def right_inverse(self, x: tg.Tensor) -> tg.Tensor:
        return x / 2


def test_parametrisations_follow_each_other_and_can_be_removed() -> None:
    layer = nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", _Symmetric())
    parametrize.register_parametrization(layer, "weight", _Doubled())
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    weight = layer.weight
    assert tg.equal(weight, weight.T)
    original = layer.parametrizations.weight.original
    np.testing.assert_allclose(weight.triu().detach().numpy(), 2 * original.triu().detach().numpy())
    layer(tg.ones(1, 3)).sum().backward()
    assert original.grad is not None and not original.grad.tril(-1).any()
    assert parametrize.is_parametrized(layer, "weight") and not parametrize.is_parametrized(layer, "bias")
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and tg.equal(layer.weight, weight.detach())
    assert list(layer.state_dict()) == ["bias", "weight"]


def test_assigning_goes_through_the_inverse() -> None:
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", _Doubled())
    before = layer.weight.detach().clone()
    np.testing.assert_allclose(layer.parametrizations.weight.original.detach().numpy(), before.numpy() / 2)
    layer.weight = tg.ones(2, 2)
    assert layer.weight.tolist() == [[1, 1], [1, 1]]
    wrong = parametrize.register_parametrization(nn.Linear(2, 2), "weight", _Symmetric())
    with pytest.raises(RuntimeError, match="_Symmetric has no right_inverse"):
        wrong.weight = tg.ones(2, 2)


def test_cached_computes_each_tensor_once() -> None:
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", _Doubled())
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


def test_weight_norm_as_parametrisation_starts_from_two_tensors() -> None:
    layer = parametrizations.weight_norm(nn.Linear(3, 2))
    assert list(layer.state_dict()) == [
        "bias", "parametrizations.weight.original0", "parametrizations.weight.original1",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="starts from several tensors"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def test_what_does_not_fit_is_refused() -> None:
    class Cut(nn.Module):
        def forward(self, x: tg.Tensor) -> tg.Tensor:
            return x[:1]

    with pytest.raises(ValueError, match=r"expected \(2, 2\) tinygrad_cnn.float32 from Cut, got \(1, 2\)"):
        parametrize.register_parametrization(nn.Linear(2, 2), "weight", Cut())
    with pytest.raises(ValueError, match="has no parameter or buffer 'wait'"):
        parametrize.register_parametrization(nn.Linear(2, 2), "wait", Cut())


def test_sync_batch_norm_is_batch_norm_for_one_process() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    x = tg.randn(2, 1, 5, 5)
    wanted = net.eval()(x)
    same = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert isinstance(same[1], nn.SyncBatchNorm) and not same[1].training
    assert tg.equal(same(x), wanted) and list(same.state_dict()) == list(net.state_dict())
