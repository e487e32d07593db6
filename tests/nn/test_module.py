"""What a module owns and how it is found, changed, saved, shown and called."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.autograd.graph import reachable
from tinygrad_cnn.nn import functional as F


class Block(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Any) -> Any:
        return F.relu(self.bn(self.conv(x)) + x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Linear(4, 2)})
        self.scale = nn.Parameter(tg.ones(1))
        self.register_buffer("shift", tg.zeros(1))
        self.register_buffer("scratch", tg.zeros(2), persistent=False)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x.mean((2, 3))) * self.scale + self.shift


def test_parameters_buffers_and_modules_have_dotted_names() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "scale", "stem.weight", "stem.bias", "blocks.0.conv.weight", "blocks.0.bn.weight", "blocks.0.bn.bias",
        "blocks.1.conv.weight", "blocks.1.bn.weight", "blocks.1.bn.bias", "heads.a.weight", "heads.a.bias",
        "heads.b.weight", "heads.b.bias",
    ]  # fmt: skip
    assert [n for n, _ in net.named_buffers()][:3] == ["shift", "scratch", "blocks.0.bn.running_mean"]
    assert [n for n, _ in net.named_modules()][:4] == ["", "stem", "blocks", "blocks.0"]
    assert [n for n, _ in net.named_children()] == ["stem", "blocks", "heads"]
    assert [n for n, _ in net.named_parameters(prefix="p", recurse=False)] == ["p.scale"]
    assert net.get_parameter("blocks.1.bn.weight") is net.blocks[1].bn.weight
    assert net.get_submodule("blocks.1.conv") is net.blocks[1].conv
    assert net.get_buffer("shift") is net.shift
    assert net.get_submodule("") is net
    with pytest.raises(AttributeError, match="has no attribute `nothing`"):
        net.get_submodule("blocks.nothing")


def test_shared_parameters_and_modules_count_once() -> None:
    layer = nn.Linear(3, 3)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    net.tied = nn.Linear(3, 3)
    net.tied.weight = layer.weight
    assert len(list(net.parameters())) == 3
    assert sorted(net.state_dict()) == [
        "0.bias",
        "0.weight",
        "2.bias",
        "2.weight",
        "tied.bias",
        "tied.weight",
    ]
    net(tg.ones(1, 3)).sum().backward()
    assert layer.weight.grad is not None


def test_attributes_register_move_and_refuse() -> None:
    net = nn.Module()
    net.x = nn.Parameter(tg.ones(2))
    assert net.x.name == "x"
    with pytest.raises(TypeError, match="cannot assign a Tensor as parameter 'x'"):
        net.x = tg.ones(2)
    net.x = None
    assert net.x is None
    assert list(net.parameters()) == []
    net.x = nn.Linear(1, 1)
    assert "x" in dict(net.named_children())
    assert "x" not in net._parameters
    with pytest.raises(TypeError, match="child module"):
        net.x = 3
    del net.x
    assert not hasattr(net, "x")
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'weight'"):
        net.weight
    net.register_buffer("b", tg.zeros(1))
    net.b = tg.ones(1)
    assert net.state_dict()["b"].item() == 1
    for register in (net.register_parameter, net.register_buffer, net.add_module):
        with pytest.raises(KeyError, match='cannot contain "."'):
            register("a.b", None)
    with pytest.raises(KeyError, match="already exists"):
        net.add_module("forward", nn.ReLU())
    assert {"b", "forward"} <= set(dir(net))


def test_a_forgotten_super_init_is_named() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Forgot()
    with pytest.raises(TypeError, match="takes no arguments beyond its own"):
        nn.Sigmoid(inplace=True)
    with pytest.raises(NotImplementedError, match='missing the required "forward" function'):
        nn.Module()(1)


def test_train_eval_apply_and_freezing_reach_every_module() -> None:
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train("yes")  # type: ignore[arg-type]
    seen: list[Any] = []
    net.apply(seen.append)
    assert seen[-1] is net
    assert len(seen) == len(list(net.modules()))
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    net(tg.randn(2, 1, 6, 6)).sum().backward()
    assert net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.item() == 0
    net.zero_grad()
    assert net.scale.grad is None


def test_dtypes_change_in_place_of_the_parameters_and_not_of_counts() -> None:
    net = Net()
    weight = net.stem.weight
    net.double()
    assert net.stem.weight is weight
    assert {p.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert net.blocks[0].bn.num_batches_tracked.dtype == np.int64
    y = net(tg.randn(2, 1, 6, 6, dtype=tg.float64))
    y.sum().backward()
    assert y.dtype == np.float64
    assert weight.grad.dtype == np.float64
    assert net.to(tg.float32).stem.weight.dtype == np.float32
    assert net.to("cpu").half().shift.dtype == np.float16
    assert net.float().cpu() is net
    with pytest.raises(RuntimeError, match="CPU only"):
        net.cuda()


def test_state_dict_saves_and_loads_everything_that_lasts() -> None:
    first, second = Net(), Net()
    x = tg.randn(2, 1, 6, 6)
    first(x)
    state = first.state_dict()
    assert isinstance(state, OrderedDict)
    assert "scratch" not in state
    assert state["blocks.0.bn.num_batches_tracked"].item() == 1
    assert not state["stem.weight"].requires_grad
    assert np.shares_memory(state["stem.weight"].numpy(), first.stem.weight.detach().numpy())
    weight = second.stem.weight
    assert str(second.load_state_dict(state)) == "<All keys matched successfully>"
    assert second.stem.weight is weight
    first.eval()
    second.eval()
    np.testing.assert_array_equal(first(x).detach().numpy(), second(x).detach().numpy())
    second.load_state_dict({k: v.numpy().tolist() for k, v in state.items()})
    assert list(first.state_dict(prefix="net."))[0] == "net.scale"
    assert first.state_dict(keep_vars=True)["scale"] is first.scale


def test_state_that_does_not_fit_is_listed() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = net.state_dict()
    state["extra.weight"] = state.pop("1.bias")
    state["0.weight"] = tg.zeros(3, 4)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    assert text.startswith("Error(s) in loading state_dict for Sequential:")
    assert 'Missing key(s) in state_dict: "1.bias"' in text
    assert 'Unexpected key(s) in state_dict: "extra.weight"' in text
    assert (
        "size mismatch for 0.weight: copying a param with shape (3, 4) from checkpoint, "
        "the shape in current model is (3, 2)" in text
    )
    state["0.weight"] = tg.zeros(3, 2)
    keys = net.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["1.bias"]
    assert keys.unexpected_keys == ["extra.weight"]
    with pytest.raises(TypeError, match="expected a mapping"):
        net.load_state_dict([1])  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="While copying the parameter named"):
        net.load_state_dict({**net.state_dict(), "0.bias": "words"})


def test_loading_is_noticed_by_a_graph_that_needs_the_old_values() -> None:
    net = nn.Linear(2, 2)
    x = tg.ones(1, 2, requires_grad=True)
    loss = net(x).sum()
    net.load_state_dict({k: v.numpy() * 2 for k, v in net.state_dict().items()})
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_old_batch_norm_files_without_a_count_still_load() -> None:
    bn = nn.BatchNorm2d(2)
    state = bn.state_dict()
    del state["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        bn.load_state_dict(state)
    state._metadata[""]["version"] = 1
    bn.load_state_dict(state)


def test_state_hooks_see_and_change_the_state() -> None:
    net = nn.Linear(1, 1)
    net._register_state_dict_hook(
        lambda module, state, prefix, meta: state.update({prefix + "version": tg.ones(1)})
    )
    assert "version" in net.state_dict()
    net._register_load_state_dict_pre_hook(lambda state, prefix, *rest: state.pop(prefix + "version"))
    net.load_state_dict(net.state_dict())


def test_copies_and_pickles_are_networks_of_their_own() -> None:
    net = Net()
    x = tg.randn(2, 1, 6, 6)
    net(x).sum().backward()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert list(twin.state_dict()) == list(net.state_dict())
        assert not np.shares_memory(twin.scale.array, net.scale.array)
        assert twin.scale.requires_grad
        assert type(twin.scale) is nn.Parameter
        twin.eval()
        net.eval()
        np.testing.assert_array_equal(twin(x).detach().numpy(), net(x).detach().numpy())
        (twin(x).sum()).backward()


def test_it_prints_as_in_pytorch() -> None:
    net = nn.Sequential(
        OrderedDict(
            [("conv", nn.Conv2d(1, 2, 3, stride=2, groups=1, bias=False)), ("act", nn.ReLU(inplace=True))]
        )
    )
    net.add_module("rest", nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Sequential()))
    assert repr(net) == (
        "Sequential(\n"
        "  (conv): Conv2d(1, 2, kernel_size=(3, 3), stride=(2, 2), bias=False)\n"
        "  (act): ReLU(inplace=True)\n"
        "  (rest): Sequential(\n"
        "    (0): Flatten(start_dim=1, end_dim=-1)\n"
        "    (1): Linear(in_features=4, out_features=2, bias=True)\n"
        "    (2): Sequential()\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Parameter(tg.ones(1))).startswith("Parameter containing:\ntensor(")


# --- the module path in the graph ------------------------------------------------------------------


def modules_of(y: Any) -> set[str]:
    return {node.module for node in reachable([y.node]) if node.parents}


def test_nodes_know_the_module_they_were_made_in() -> None:
    net = Net()
    y = net(tg.randn(2, 1, 6, 6))
    found = modules_of(y)
    assert {"", "stem", "blocks.0", "blocks.0.conv", "blocks.0.bn", "blocks.1.conv", "heads.a"} <= found
    assert found <= {name for name, _ in net.named_modules()}


def test_paths_hold_for_indexed_sequentials_and_follow_renaming() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))

        def forward(self, x: Any) -> Any:
            return self.features[1](self.features[0](x))

    net = Half()
    assert {"features.0", "features.1.0"} <= modules_of(net(tg.ones(1, 2)))
    outer = nn.Sequential(net)
    assert "0.features.1.0" in modules_of(outer(tg.ones(1, 2)))
    net.body = net.features
    del net.features
    net.features = net.body  # found under both names: the first one counts
    assert modules_of(net(tg.ones(1, 2))) <= {"", "body.0", "body.1.0", "features.0", "features.1.0"}


def test_the_scope_is_left_when_forward_raises() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError):
        net(tg.ones(1, 3))
    assert tg.autograd.modes.state.scope is None


def test_errors_name_the_module_they_came_out_of() -> None:
    net = nn.Sequential(
        OrderedDict([("features", nn.Sequential(nn.Conv2d(3, 16, 3))), ("fc", nn.Linear(4, 2))])
    )
    with pytest.raises(ValueError) as caught:
        net(tg.randn(8, 1, 28, 28))
    assert str(caught.value) == (
        "Conv2d expected 3 input channels, got 1: input (8, 1, 28, 28), weight (16, 3, 3, 3) [module features.0]"
    )

    class Adds(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + tg.ones(7)

    with pytest.raises(Exception) as caught:
        nn.Sequential(Adds())(tg.ones(2, 3))
    assert caught.value.__notes__ == ["(in module 0, a Adds)"]


def test_modules_are_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        net = Net()
        net(tg.randn(2, 1, 6, 6)).sum().backward()
        gone = weakref.ref(net)
        del net
        assert gone() is None
    finally:
        gc.enable()


def test_a_missing_name_says_that_it_is_missing() -> None:
    with pytest.raises(AttributeError, match="tinygrad_cnn.nn has no 'AdaptiveLogSoftmaxWithLoss'"):
        nn.AdaptiveLogSoftmaxWithLoss
    with pytest.raises(AttributeError, match="tinygrad_cnn.nn.functional has no 'fractional_max_pool2d'"):
        F.fractional_max_pool2d
    assert not hasattr(nn.utils, "prune_everything")


# --- hooks ------------------------------------------------------------------------------------------


def test_forward_hooks_see_and_replace_what_passes() -> None:
    layer = nn.Linear(2, 2)
    log: list[str] = []
    before = layer.register_forward_pre_hook(lambda m, args: (log.append("pre"), (args[0] * 0,))[1])
    after = layer.register_forward_hook(lambda m, args, out: (log.append("post"), out + 1)[1])
    y = layer(tg.ones(1, 2))
    np.testing.assert_allclose(y.detach().numpy()[0], layer.bias.detach().numpy() + 1, rtol=1e-6)
    assert log == ["pre", "post"]
    before.remove()
    after.remove()
    layer(tg.ones(1, 2))
    assert log == ["pre", "post"]

    class Scaled(nn.Module):
        def forward(self, x: Any, factor: float = 1.0) -> Any:
            return x * factor

    scaled = Scaled()
    scaled.register_forward_pre_hook(lambda m, args, kwargs: (args, {"factor": 3.0}), with_kwargs=True)
    scaled.register_forward_hook(lambda m, args, kwargs, out: log.append(str(kwargs)), with_kwargs=True)
    assert scaled(tg.ones(1), factor=2.0).item() == 3
    assert log[-1] == "{'factor': 3.0}"


def test_full_backward_hooks_see_and_replace_gradients() -> None:
    layer = nn.Linear(2, 3)
    seen: dict[str, Any] = {}

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        seen["in"], seen["out"] = grad_input, grad_output
        return (grad_input[0] * 10,)

    x = tg.ones(4, 2, requires_grad=True)
    handle = layer.register_full_backward_hook(hook)
    layer.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 2,))
    layer(x).sum().backward()
    np.testing.assert_allclose(seen["out"][0].numpy(), np.full((4, 3), 2.0))
    np.testing.assert_allclose(
        seen["in"][0].numpy(), 2 * np.tile(layer.weight.detach().numpy().sum(0), (4, 1)), rtol=1e-6
    )
    np.testing.assert_allclose(x.grad.numpy(), 10 * seen["in"][0].numpy(), rtol=1e-6)
    np.testing.assert_allclose(layer.bias.grad.numpy(), 8.0)
    handle.remove()


def test_full_backward_hooks_with_several_inputs_and_outputs() -> None:
    class Two(nn.Module):
        def forward(self, a: Any, n: int, b: Any) -> Any:
            return a * b * n, a + b

    two, calls = Two(), []
    two.register_full_backward_hook(lambda m, gi, go: calls.append((gi, go)))
    a, b = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([[3.0], [4.0]], requires_grad=True)
    p, s = two(a, 2, b)
    (p.sum() + 3 * s.sum()).backward()
    (grad_input, grad_output) = calls[0]
    assert len(calls) == 1
    assert grad_input[1] is None
    np.testing.assert_allclose(grad_input[0].numpy(), a.grad.numpy())
    np.testing.assert_allclose(grad_input[2].numpy(), b.grad.numpy())
    np.testing.assert_allclose(grad_output[1].numpy(), np.full((2, 2), 3.0))
    np.testing.assert_allclose(a.grad.numpy(), [20, 20])


def test_backward_hooks_without_live_inputs_still_run() -> None:
    layer, calls = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, gi, go: calls.append((gi, go[0].item())))
    layer(tg.ones(1, 2)).sum().backward()
    assert calls == [((None,), 1.0)]


def test_a_convolution_may_derive_from_the_base_that_model_files_import() -> None:
    from tinygrad_cnn.nn.common_types import _size_2_t
    from tinygrad_cnn.nn.modules.conv import _ConvNd
    from tinygrad_cnn.nn.modules.utils import _pair

    class Standardised(_ConvNd):
        def __init__(self, fan_in: int, fan_out: int, size: _size_2_t, padding: int = 0) -> None:
            one, none = _pair(1), _pair(0)
            super().__init__(fan_in, fan_out, _pair(size), one, _pair(padding), one, False, none, 1, True, "zeros")

        def forward(self, x: tg.Tensor) -> tg.Tensor:
            w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            x = F.pad(x, self._reversed_padding_repeated_twice)
            return F.conv2d(x, w, self.bias, self.stride, 0, self.dilation, self.groups)

    layer = Standardised(2, 3, 3, padding=1)
    assert layer(tg.ones(1, 2, 4, 4)).shape == (1, 3, 4, 4) and list(layer.state_dict()) == ["weight", "bias"]
    inside = layer(tg.ones(1, 2, 5, 5))[..., 1:-1, 1:-1] - layer.bias[:, None, None]
    np.testing.assert_allclose(inside.detach().numpy(), 0, atol=1e-6)
