"""What single layers promise: statistics, randomness, initialisation, shapes, and errors that teach."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn import init


def refuses(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value), str(caught.value)


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.Conv2d(3, 16, 3)(tg.ones(8, 1, 28, 28)),
            RuntimeError,
            "Conv2d expected 3 input channels, got 1: input (8, 1, 28, 28), weight (16, 3, 3, 3)",
        ),
        (
            lambda: F.conv2d(tg.ones(8, 1, 28, 28), tg.ones(16, 3, 3, 3)),
            ValueError,
            "conv2d expected 3 input channels, got 1",
        ),
        (
            lambda: nn.Conv2d(1, 1, 5)(tg.ones(1, 1, 3, 4)),
            ValueError,
            "expected a kernel no larger than the padded input, got kernel (5, 5) on (3, 4)",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4), tg.ones(1, 1, 3, 3), padding=-1),
            ValueError,
            "expected padding of zero or more, got -1",
        ),
        (lambda: nn.Conv2d(1, 1, 3, padding=-1), ValueError, "expected padding of zero or more"),
        (
            lambda: F.conv2d(tg.ones(4, 4), tg.ones(1, 1, 3, 3)),
            ValueError,
            "expected an input (N, C, H, W) or without N, got (4, 4)",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4), tg.ones(1, 3, 3)),
            ValueError,
            "expected a weight (O, C/groups, *kernel) of 4 dimensions",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4), tg.ones(1, 1, 3, 3), tg.ones(2)),
            ValueError,
            "expected a bias of shape (1,), got (2,)",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4), tg.ones(1, 1, 3, 3), stride=0),
            ValueError,
            "expected a stride of at least 1",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4), tg.ones(1, 1, 3, 3), stride=2, padding="same"),
            ValueError,
            "stride 1 with padding='same'",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4), tg.ones(1, 1, 3, 3), padding="sane"),
            ValueError,
            "'valid', 'same', 'full', got 'sane'",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4), tg.ones(1, 1, 3, 3), padding=(1, 2, 3)),
            ValueError,
            "padding as one number or 2",
        ),
        (
            lambda: F.conv2d(tg.ones(1, 1, 4, 4, dtype=tg.int64), tg.ones(1, 1, 3, 3)),
            TypeError,
            "expected floating-point input, got tinygrad_cnn.int64",
        ),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels divisible by groups"),
        (
            lambda: nn.Conv2d(2, 4, 3, padding_mode="mirror"),
            ValueError,
            "expected padding_mode zeros, reflect",
        ),
        (
            lambda: F.conv_transpose2d(tg.ones(1, 2, 3, 3), tg.ones(2, 1, 3, 3), output_padding=1),
            ValueError,
            "output_padding smaller than stride",
        ),
        (
            lambda: F.conv_transpose2d(tg.ones(1, 1, 3, 3), tg.ones(2, 1, 3, 3)),
            ValueError,
            "expected 2 input channels",
        ),
        (
            lambda: nn.Linear(4, 2)(tg.ones(3, 5)),
            RuntimeError,
            "Linear expected 4 input features, got 5: input (3, 5), weight (2, 4)",
        ),
        (lambda: nn.Linear(8, 2)(tg.ones(3, 2, 4)), ValueError, "flatten it first"),
        (
            lambda: nn.MaxPool2d(3)(tg.ones(1, 1, 2, 2)),
            ValueError,
            "MaxPool2d expected an input no smaller than the window",
        ),
        (
            lambda: F.max_pool2d(tg.ones(1, 1, 4, 4), 2, padding=2),
            ValueError,
            "padding of at most half the kernel",
        ),
        (lambda: F.max_pool2d(tg.ones(4, 4), 2), ValueError, "max_pool2d expected an input (N, C, H, W)"),
        (
            lambda: nn.BatchNorm2d(3)(tg.ones(2, 4, 2, 2)),
            ValueError,
            "BatchNorm2d expected 3 channels, got 4",
        ),
        (
            lambda: nn.BatchNorm2d(3)(tg.ones(2, 3)),
            ValueError,
            "BatchNorm2d expected 4-d input, got 2-d (2, 3)",
        ),
        (
            lambda: nn.BatchNorm1d(3)(tg.ones(1, 3)),
            ValueError,
            "expected more than 1 value per channel when training",
        ),
        (lambda: nn.GroupNorm(3, 4), ValueError, "num_channels divisible by num_groups"),
        (lambda: nn.LayerNorm(4)(tg.ones(2, 3)), ValueError, "expected an input ending in (4,), got (2, 3)"),
        (lambda: nn.Dropout(1.5), ValueError, "a probability to drop from 0 to 1, got 1.5"),
        (
            lambda: F.cross_entropy(tg.ones(3, 4), tg.tensor([0, 1, 4])),
            IndexError,
            "expected classes from 0 to 3 (input (3, 4)), got 4 at 2",
        ),
        (lambda: F.cross_entropy(tg.ones(3, 4), tg.tensor([0, -1, 2])), IndexError, "got -1 at 1"),
        (
            lambda: F.cross_entropy(tg.ones(3, 4), tg.tensor([0.0, 1.0, 2.0])),
            ValueError,
            "expected class indices as integers",
        ),
        (
            lambda: F.cross_entropy(tg.ones(3, 4), tg.tensor([[0], [1], [2]])),
            ValueError,
            "drop the last dimension with target.squeeze(1)",
        ),
        (
            lambda: F.cross_entropy(tg.ones(3, 4), tg.ones(3, 5)),
            ValueError,
            "expected targets of shape (3,) for input (3, 4), got (3, 5)",
        ),
        (
            lambda: F.cross_entropy(tg.ones(3, 4), tg.ones(3, 4, dtype=tg.int64)),
            ValueError,
            "one-hot targets must be floating point",
        ),
        (
            lambda: F.cross_entropy(
                tg.ones(3, 4),
                tg.tensor([0, 1]),
            ),
            ValueError,
            "expected targets of shape (3,)",
        ),
        (
            lambda: F.cross_entropy(tg.ones(3, 4), tg.tensor([0, 1, 2]), weight=tg.ones(3)),
            ValueError,
            "a weight per class, shape (4,)",
        ),
        (
            lambda: F.nll_loss(tg.ones(3, 4), tg.tensor([0, 1, 9])),
            IndexError,
            "nll_loss expected classes from 0 to 3",
        ),
        (
            lambda: F.mse_loss(tg.ones(3), tg.ones(3), reduction="avg"),
            ValueError,
            "'mean', 'sum' or 'none', got 'avg'",
        ),
        (
            lambda: F.mse_loss(tg.ones(3), tg.ones(4)),
            ValueError,
            "mse_loss expected targets of the input's shape (3,), got (4,)",
        ),
        (
            lambda: F.binary_cross_entropy(tg.tensor([1.5]), tg.ones(1)),
            ValueError,
            "probabilities from 0 to 1",
        ),
        (
            lambda: F.binary_cross_entropy_with_logits(tg.ones(2), tg.ones(2, 1)),
            ValueError,
            "targets of the input's shape (2,), got (2, 1)",
        ),
        (
            lambda: F.embedding(tg.tensor([5]), tg.ones(3, 2)),
            IndexError,
            "expected integers from 0 to 2, got 5",
        ),
        (
            lambda: F.interpolate(tg.ones(1, 1, 4), scale_factor=2, mode="bilinear"),
            ValueError,
            "a mode for 3-d input",
        ),
        (lambda: F.interpolate(tg.ones(1, 1, 4)), ValueError, "either size or scale_factor, got neither"),
        (lambda: F.pixel_shuffle(tg.ones(1, 3, 2, 2), 2), ValueError, "channels divisible by 2² = 4"),
        (
            lambda: F.max_unpool2d(tg.ones(1, 1, 2, 2), tg.full((1, 1, 2, 2), 99), 2),
            ValueError,
            "indices below 16",
        ),
    ],
)
def test_wrong_use_is_explained(call: Any, error: type[Exception], message: str) -> None:
    refuses(call, error, message)


def test_a_broadcast_target_is_warned_about() -> None:
    with pytest.warns(UserWarning, match=r"target's shape \(3,\) is not the input's \(3, 1\)"):
        F.mse_loss(tg.ones(3, 1), tg.ones(3))


# --- normalisation -----------------------------------------------------------------------------------


def test_running_averages_move_by_momentum_with_the_unbiased_variance() -> None:
    tg.manual_seed(1)
    bn = nn.BatchNorm2d(3, momentum=0.3)
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(3):
        x = tg.randn(4, 3, 2, 5) * 2 + 1
        y = bn(x)
        values = x.numpy().astype(np.float64)
        mean = 0.7 * mean + 0.3 * values.mean((0, 2, 3))
        var = 0.7 * var + 0.3 * values.var((0, 2, 3), ddof=1)
        np.testing.assert_allclose(y.detach().numpy().mean((0, 2, 3)), 0, atol=1e-6)
        np.testing.assert_allclose(y.detach().numpy().var((0, 2, 3)), 1, rtol=1e-4)
    np.testing.assert_allclose(bn.running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(bn.running_var.numpy(), var, rtol=1e-5)
    assert bn.num_batches_tracked.item() == 3
    bn.eval()
    wanted = (values - mean.reshape(3, 1, 1)) / np.sqrt(var.reshape(3, 1, 1) + 1e-5)
    np.testing.assert_allclose(bn(x).detach().numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert bn.num_batches_tracked.item() == 3
    bn.reset_running_stats()
    assert bn.running_var.tolist() == [1, 1, 1]


def test_without_momentum_the_average_is_cumulative_and_without_tracking_the_batch_counts() -> None:
    bn = nn.BatchNorm1d(2, momentum=None, affine=False)
    batches = [tg.tensor([[float(k), 1.0], [k + 2.0, 3.0]]) for k in range(4)]
    for x in batches:
        bn(x)
    np.testing.assert_allclose(bn.running_mean.numpy(), [2.5, 2.0])
    assert bn.weight is None
    free = nn.BatchNorm1d(2, track_running_stats=False).eval()
    assert list(free.state_dict()) == ["weight", "bias"]
    np.testing.assert_allclose(free(batches[0]).detach().numpy(), [[-1, -1], [1, 1]], rtol=1e-4)


def test_running_statistics_keep_no_graph() -> None:
    bn = nn.BatchNorm1d(2)
    bn(tg.randn(4, 2, requires_grad=True)).sum().backward()
    assert not bn.running_mean.requires_grad


# --- dropout -----------------------------------------------------------------------------------------


def test_dropout_drops_with_probability_p_and_keeps_the_mean() -> None:
    tg.manual_seed(0)
    x = tg.ones(200, 200, requires_grad=True)
    y = F.dropout(x, 0.25)
    kept = y.detach().numpy() != 0
    assert kept.mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(y.detach().numpy()[kept], 1 / 0.75, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy() != 0, kept)
    assert F.dropout(x, 0.25, training=False) is x
    assert not F.dropout(x, 1.0).detach().numpy().any()
    layer = nn.Dropout(0.25).eval()
    assert layer(x) is x


def test_dropout_is_repeated_by_the_seed() -> None:
    x = tg.ones(50)
    tg.manual_seed(3)
    first = F.dropout(x)
    tg.manual_seed(3)
    np.testing.assert_array_equal(first.numpy(), F.dropout(x).numpy())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Dropout1d, (9, 8, 3)), (nn.Dropout2d, (9, 8, 3, 2)), (nn.Dropout3d, (9, 8, 2, 2, 2))],
)
def test_channel_dropout_drops_whole_channels(layer: Any, shape: tuple[int, ...]) -> None:
    tg.manual_seed(0)
    y = layer(0.5)(tg.ones(*shape)).numpy().reshape(*shape[:2], -1)
    assert (y == y[:, :, :1]).all()
    assert set(np.unique(y)) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    tg.manual_seed(0)
    y = nn.AlphaDropout(0.3)(tg.randn(400, 400)).numpy()
    assert y.mean() == pytest.approx(0, abs=0.02)
    assert y.std() == pytest.approx(1, abs=0.02)


# --- initialisation ----------------------------------------------------------------------------------


def test_layers_start_as_in_pytorch() -> None:
    tg.manual_seed(0)
    for layer, fan_in in (
        (nn.Conv2d(16, 64, 3), 144),
        (nn.Linear(300, 200), 300),
        (nn.ConvTranspose2d(8, 32, 3), 288),
    ):
        bound = 1 / math.sqrt(fan_in)
        w = layer.weight.detach().numpy()
        assert np.abs(w).max() <= bound
        assert w.std() == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert np.abs(layer.bias.detach().numpy()).max() <= bound
    assert nn.Embedding(500, 50).weight.detach().numpy().std() == pytest.approx(1, rel=0.03)
    bn = nn.BatchNorm2d(4)
    assert bn.weight.tolist() == [1] * 4
    assert bn.bias.tolist() == [0] * 4


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (init.kaiming_normal_, math.sqrt(2 / 450)),
        (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 900)),
        (init.kaiming_uniform_, math.sqrt(2 / 450)),
        (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), math.sqrt(1 / 3 / 450)),
        (init.xavier_normal_, math.sqrt(2 / 1350)),
        (lambda t: init.xavier_uniform_(t, gain=2), 2 * math.sqrt(2 / 1350)),
        (lambda t: init.normal_(t, 0, 0.02), 0.02),
        (lambda t: init.uniform_(t, -0.3, 0.3), 0.3 / math.sqrt(3)),
        (lambda t: init.trunc_normal_(t, std=0.02, a=-0.04, b=0.04), 0.0176),
    ],
)
def test_random_starts_have_their_spread(fill: Any, std: float) -> None:
    tg.manual_seed(0)
    t = fill(tg.empty(100, 50, 3, 3))
    assert t.numpy().std() == pytest.approx(std, rel=0.02)
    assert abs(t.numpy().mean()) < 0.02 * std * 3


def test_fixed_starts() -> None:
    q = init.orthogonal_(tg.empty(4, 2, 3)).numpy().reshape(4, 6)
    np.testing.assert_allclose(q @ q.T, np.eye(4), atol=1e-6)
    q = init.orthogonal_(tg.empty(6, 4), gain=2).numpy()
    np.testing.assert_allclose(q.T @ q, 4 * np.eye(4), atol=1e-5)
    x = tg.randn(1, 4, 5, 5)
    np.testing.assert_allclose(F.conv2d(x, init.dirac_(tg.empty(4, 4, 3, 3)), padding=1).numpy(), x.numpy())
    np.testing.assert_allclose(
        F.conv2d(x, init.dirac_(tg.empty(4, 2, 3, 3), 2), padding=1, groups=2).numpy(), x.numpy()
    )
    assert init.eye_(tg.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.constant_(tg.empty(2), 0.5).tolist() == [0.5, 0.5]
    assert (init.sparse_(tg.empty(10, 7), 0.3).numpy() == 0).sum(0).tolist() == [3] * 7
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))
    assert init.calculate_gain("tanh") == pytest.approx(5 / 3)
    with pytest.warns(
        FutureWarning, match="kaiming_normal is now deprecated in favor of nn.init.kaiming_normal_"
    ):
        init.kaiming_normal(tg.empty(3, 3))
    refuses(lambda: init.xavier_uniform_(tg.empty(3)), ValueError, "fewer than 2 dimensions")
    refuses(lambda: init.kaiming_normal_(tg.empty(3, 3), mode="fan"), ValueError, "Mode fan not supported")


def test_filling_a_parameter_needs_no_no_grad() -> None:
    layer = nn.Linear(2, 2)
    init.zeros_(layer.weight)
    layer.weight.data.fill_(3)
    layer.bias.data = tg.ones(2)
    assert layer(tg.ones(1, 2)).tolist() == [[7, 7]]
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf


# --- containers and odds and ends ---------------------------------------------------------------------


def test_sequentials_index_slice_grow_and_shrink() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(net[:2]) == 2
    assert net[-1].out_features == 1
    net.append(nn.Sigmoid())
    net.insert(1, nn.Tanh())
    assert [type(m).__name__ for m in net] == ["Linear", "Tanh", "ReLU", "Linear", "Sigmoid"]
    del net[1]
    net[1] = nn.GELU()
    assert list(dict(net.named_children())) == ["0", "1", "2", "3"]
    assert net.pop(-1).__class__ is nn.Sigmoid
    assert len(net + nn.Sequential(nn.ReLU())) == 4
    named = nn.Sequential(OrderedDict(a=nn.Linear(1, 1), b=nn.ReLU()))
    assert named.a is named[0]
    refuses(lambda: net[9], IndexError, "index 9 is out of range")


def test_lists_and_dictionaries_of_modules_and_parameters() -> None:
    modules = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    modules += [nn.ReLU()]
    modules.insert(0, nn.Tanh())
    assert len(modules[1:3]) == 2
    assert modules[-1] in modules
    assert len(list(modules.parameters())) == 6
    table = nn.ModuleDict([("a", nn.ReLU())])
    table["b"] = nn.Linear(1, 1)
    assert list(table) == ["a", "b"]
    assert table.pop("a").__class__ is nn.ReLU
    assert "a" not in table
    params = nn.ParameterList([tg.ones(2), nn.Parameter(tg.zeros(1))])
    params.append(tg.ones(3))
    assert [p.numel() for p in params] == [2, 1, 3]
    assert list(params.state_dict()) == ["0", "1", "2"]
    named = nn.ParameterDict({"w": tg.ones(2)})
    named["v"] = tg.zeros(2)
    assert sorted(named.state_dict()) == ["v", "w"]
    assert isinstance(named["w"], nn.Parameter)


def test_lazy_layers_learn_their_sizes_from_the_first_input() -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3, groups=1), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5))
    assert "UninitializedParameter" in repr(net[0].weight)
    assert net(tg.randn(2, 3, 6, 6)).shape == (2, 5)
    assert [type(m) for m in net] == [nn.Conv2d, nn.BatchNorm2d, nn.Flatten, nn.Linear]
    assert net[0].weight.shape == (4, 3, 3, 3)
    assert net[3].in_features == 64
    net(tg.randn(2, 3, 6, 6)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_modes_pad_as_numpy_does(mode: str) -> None:
    conv = nn.Conv2d(1, 1, 3, padding=(1, 2), padding_mode=mode, bias=False)
    x = tg.randn(1, 1, 5, 6)
    how = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (2, 2)), how)
    np.testing.assert_allclose(
        conv(x).detach().numpy(),
        F.conv2d(tg.tensor(padded), conv.weight).detach().numpy(),
        rtol=1e-5,
        atol=1e-6,
    )


def test_transposed_convolution_hits_a_wanted_output_size() -> None:
    up = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = tg.randn(1, 2, 5, 5)
    assert up(x).shape == (1, 3, 9, 9)
    assert up(x, output_size=(10, 10)).shape == (1, 3, 10, 10)
    refuses(
        lambda: up(x, output_size=(12, 12)),
        ValueError,
        "expected an output_size from (9, 9) to (10, 10), got (12, 12)",
    )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_pooling_window_that_sees_only_padding_gives_minus_infinity_and_no_gradient(d, channels_last) -> None:
    array = np.random.default_rng(0).standard_normal((2, 16, *(2,) * d)).astype(np.float32)
    if channels_last:
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    x = tg.from_numpy(array).requires_grad_()
    pool = getattr(F, f"max_pool{d}d")
    geometry: dict[str, Any] = dict(kernel_size=2, stride=2, padding=1, dilation=(3, *(1,) * (d - 1)))
    y, indices = pool(x, **geometry, return_indices=True)
    assert np.isneginf(y.detach().numpy()).all() and not indices.numpy().any()
    y.sum().backward()
    assert not x.grad.numpy().any()
    assert getattr(F, f"max_unpool{d}d")(tg.ones_like(y), indices, 2).shape[:2] == x.shape[:2]


def test_a_target_changed_through_numpy_is_an_error_of_the_kernel() -> None:
    x, target = tg.randn(3, 10, requires_grad=True), np.array([0, 1, 2])
    loss = F.cross_entropy(x, tg.from_numpy(target))
    target[:] = 10**12  # which nothing can notice but the kernel
    refuses(loss.backward, IndexError, "expected classes 0 to 9, got 1000000000000 in row 0")


def test_adaptive_pools_take_none_and_unbatched_inputs() -> None:
    x = tg.randn(3, 5, 7)
    assert nn.AdaptiveAvgPool2d((None, 2))(x).shape == (3, 5, 2)
    assert nn.AdaptiveMaxPool2d(2)(x).shape == (3, 2, 2)
    np.testing.assert_allclose(nn.AdaptiveAvgPool2d(1)(x).numpy()[:, 0, 0], x.numpy().mean((1, 2)), rtol=1e-5)


def test_the_first_maximum_wins_and_its_place_is_the_gradient() -> None:
    x = tg.ones(1, 1, 2, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0]]]]


def test_upsampling_layers_agree_with_interpolate() -> None:
    x = tg.randn(1, 2, 3, 4)
    np.testing.assert_array_equal(nn.Upsample(scale_factor=2)(x).numpy(), x.numpy().repeat(2, 2).repeat(2, 3))
    assert nn.UpsamplingBilinear2d(size=(5, 5))(x).shape == (1, 2, 5, 5)
    np.testing.assert_array_equal(
        nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(tg.randn(1, 8, 2, 2) * 0 + 1)).numpy(), 1
    )


def test_huge_logits_stay_finite() -> None:
    x = tg.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    loss = F.cross_entropy(x, tg.tensor([2]))
    loss.backward()
    assert loss.item() == 2e4
    assert x.grad.tolist() == [[1, 0, -1]]
    z = tg.tensor([1000.0, -1000.0], requires_grad=True)
    F.binary_cross_entropy_with_logits(z, tg.tensor([0.0, 1.0]), reduction="sum").backward()
    assert z.grad.tolist() == [1, -1]
    p = tg.tensor([0.0, 1.0], requires_grad=True)
    F.binary_cross_entropy(p, tg.tensor([0.0, 1.0])).backward()
    assert np.isfinite(p.grad.numpy()).all()


def test_a_mean_over_nothing_but_ignored_targets_is_nan_as_in_pytorch() -> None:
    with np.errstate(invalid="ignore"):
        assert np.isnan(F.cross_entropy(tg.ones(2, 3), tg.tensor([-100, -100])).item())
    assert F.cross_entropy(tg.ones(2, 3), tg.tensor([-100, -100]), reduction="sum").item() == 0


# --- nn.utils ------------------------------------------------------------------------------------------


def test_gradients_are_clipped_by_norm_and_by_value() -> None:
    params = [nn.Parameter(tg.zeros(2)), nn.Parameter(tg.zeros(1)), nn.Parameter(tg.zeros(1))]
    params[0].grad, params[1].grad = tg.tensor([3.0, 0.0]), tg.tensor([4.0])
    assert nn.utils.clip_grad_norm_(params, 1.0).item() == pytest.approx(5)
    np.testing.assert_allclose(params[0].grad.numpy(), [0.6, 0], rtol=1e-5)
    assert nn.utils.clip_grad_norm_(params, 10.0, norm_type=float("inf")).item() == pytest.approx(
        0.8, rel=1e-5
    )
    nn.utils.clip_grad_value_(params, 0.5)
    np.testing.assert_allclose(params[1].grad.numpy(), [0.5])
    params[0].grad = tg.tensor([float("nan"), 0.0])
    refuses(
        lambda: nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True),
        RuntimeError,
        "cannot be clipped",
    )


def test_parameters_become_a_vector_and_come_back() -> None:
    net = nn.Linear(2, 2)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (6,)
    nn.utils.vector_to_parameters(vector * 0 + 1, net.parameters())
    assert net(tg.ones(1, 2)).tolist() == [[3, 3]]
    refuses(
        lambda: nn.utils.vector_to_parameters(tg.ones(7), net.parameters()),
        ValueError,
        "a vector of 6 entries",
    )


def test_convolution_and_normalisation_fuse() -> None:
    conv, bn = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)
    x = tg.randn(4, 2, 6, 6)
    bn(conv(x))
    conv.eval(), bn.eval()
    fused = nn.utils.fuse_conv_bn_eval(conv, bn)
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(conv(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
