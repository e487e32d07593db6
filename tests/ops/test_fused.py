"""Fusion: consecutive ops in one pass are the same nodes, the same numbers and, to whoever looks, the same values."""

import copy
import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import kernels, nn
from tinygrad_cnn.autograd.backward import backward_steps
from tinygrad_cnn.autograd.fast import deferred
from tinygrad_cnn.autograd.graph import reachable
from tinygrad_cnn.autograd.inspect import saved_of, values_of
from tinygrad_cnn.autograd.observe import keep_values
from tinygrad_cnn.debug import BackwardSession
from tinygrad_cnn.ops.pooled import UnderPool


class Net(nn.Module):
    """Every fused sequence, and some that begin like one."""

    def __init__(self, inplace=False, ceil=False):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 8, 5, padding=2), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2, self.relu = nn.BatchNorm2d(8), nn.ReLU(inplace)
        self.conv3, self.norm3 = nn.Conv2d(8, 12, 4), nn.BatchNorm2d(12)
        self.pool, self.wide = nn.MaxPool2d(2, ceil_mode=ceil), nn.MaxPool2d(3, 2)
        self.conv4, self.fc = nn.Conv2d(12, 4, 3, padding=1), nn.Linear(4 * 3 * 3, 5)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        x = self.wide(self.relu(self.norm3(self.conv3(x))))
        return self.fc(F.max_pool2d(torch_relu(self.conv4(x)), (2, 2), ceil_mode=True).flatten(1)[:, :36])


def torch_relu(x):
    return x.relu()


@pytest.fixture(autouse=True)
def _fusion_as_found():
    yield
    tg.set_fusion(True)


def batch(requires_grad=False):
    x = tg.randn(8, 2, 29, 31, generator=tg.Generator().manual_seed(1))
    return x.requires_grad_(requires_grad)


def trained(fuse, *, change=lambda net: None, x=None, **options):
    """(ops of the graph, loss, gradients) of one step, as bytes."""
    tg.set_fusion(fuse)
    tg.manual_seed(0)
    net = Net(**options)
    change(net)
    x = batch(True) if x is None else x
    loss = F.cross_entropy(net(x), tg.arange(8) % 5)
    ops = [(node.op.name, node.module, node.where.lineno) for node in reachable([loss.node])]
    loss.backward()
    grads = {name: p.grad.numpy().tobytes() for name, p in [*net.named_parameters(), ("x", x)] if p.grad is not None}
    return ops, loss.item(), grads


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_nodes_loss_and_gradients_are_those_without_fusion_bit_for_bit(inplace, ceil, training):
    def change(net):
        net.train(training)

    fused, plain = (trained(fuse, change=change, inplace=inplace, ceil=ceil) for fuse in (True, False))
    assert fused == plain
    assert len(fused[2]) == len(list(Net().parameters())) + 1


@pytest.mark.parametrize("frozen", ["weight", "bias", "conv1", "norm"])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_frozen_parameters_and_inputs_without_gradient(frozen, requires_grad):
    def change(net):
        for name, p in net.named_parameters():
            p.requires_grad = frozen not in name

    fused, plain = (trained(fuse, change=change, x=batch(requires_grad)) for fuse in (True, False))
    assert fused == plain


@pytest.mark.parametrize("d", [1, 3])
def test_other_dimensions_are_fused_as_far_as_they_go(d):
    conv, norm, pool = {
        1: (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d), 3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d),
    }[d]  # fmt: skip
    found = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        tg.manual_seed(0)
        net = nn.Sequential(
            conv(2, 8, 3, padding=1), nn.ReLU(True), pool(2), conv(8, 8, 3, bias=False), norm(8), nn.ReLU()
        )
        size = (8, 2, 200) if d == 1 else (4, 2, 14, 12, 10)
        y = net(tg.randn(*size, generator=tg.Generator().manual_seed(1)))
        y.square().mean().backward()
        found.append([y.detach().numpy().tobytes(), *[p.grad.numpy().tobytes() for p in net.parameters()]])
    assert found[0] == found[1]


def test_inference_gives_the_same_bits_and_no_graph():
    net = Net().eval()
    out = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        with tg.no_grad():
            out.append(net(batch()))
    assert out[0].node is None
    assert out[0].numpy().tobytes() == out[1].numpy().tobytes()


@pytest.mark.parametrize("inplace", [False, True])
def test_the_passes_are_fewer(monkeypatch, inplace):
    calls = []
    kernels.backend()
    for name in ("bias_add", "relu", "bias_relu", "max_pool", "bias_relu_max_pool2x2", "batch_norm_forward",
                 "batch_norm_relu", "relu_input", "scatter_windows"):  # fmt: skip
        chosen = getattr(kernels._chosen, name)

        def counted(*args, name=name, chosen=chosen, **params):
            calls.append(name if name != "relu_input" else (name, args[0].shape))
            return chosen(*args, **params)

        monkeypatch.setattr(kernels._chosen, name, counted)
    net = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2),
                        nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace))  # fmt: skip
    loss = net(batch()).sum()
    assert calls == ["bias_relu_max_pool2x2", "batch_norm_relu"]
    calls.clear()
    loss.backward()
    assert calls == [("relu_input", (8, 8, 12, 13)), ("relu_input", (8, 8, 14, 15)), "scatter_windows"]


# --- values somebody keeps ----------------------------------------------------------------------------


class Keeps(nn.Module):
    """Keeps what lies between the ops, and may change something in place on the way."""

    def __init__(self, change=None):
        super().__init__()
        self.conv, self.norm, self.change = nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), change
        self.bare = nn.Conv2d(2, 8, 3, padding=1, bias=False)

    def forward(self, x):
        self.kept = a, b, c, d = [self.conv(x), None, self.bare(x), None]
        b, d = F.relu(a), self.norm(c)
        e, f = F.max_pool2d(b, 2), F.relu(d)
        self.kept = [a, b, c, d, e, f]
        if self.change is not None:
            self.change(self, x, self.kept)
        return e.sum() + f.mean() + b.sum() + d.mean()


def _in_place_on_the_convolution(net, _x, kept):
    kept[2].add_(3.0)
    kept[0].mul_(2.0)


def _in_place_under_no_grad(_net, _x, kept):
    with tg.no_grad():
        kept[2].zero_()


def _an_optimiser_step(net, _x, _kept):
    with tg.no_grad():
        for p in net.parameters():
            p.add_(0.5)


def _through_numpy(_net, _x, kept):
    kept[2].detach().numpy()[...] = 7


CHANGES = [None, _in_place_on_the_convolution, _in_place_under_no_grad, _an_optimiser_step, _through_numpy]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: getattr(f, "__name__", "nothing").strip("_"))
def test_what_is_kept_has_the_value_it_had_whatever_changes_behind_it(change):
    values = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        tg.manual_seed(3)
        net = Keeps(change)
        net(batch())
        values.append([t.detach().numpy().copy() for t in net.kept])
        assert all(type(t) is tg.Tensor for t in net.kept)
    for got, expected in zip(*values, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_deferred_tensor_is_a_tensor_in_every_way():
    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 8, 3)

        def forward(self, x):
            a = self.conv(x)
            assert type(a) is deferred.kind
            assert isinstance(a, tg.Tensor)
            assert (a.shape, a.ndim, a.dim(), a.size(1), a.dtype) == ((8, 8, 27, 29), 4, 4, 8, tg.float32)
            assert a.requires_grad
            assert not a.is_leaf
            assert type(a) is deferred.kind, "asking for the shape computed the value"
            twins = [copy.deepcopy(self.conv(x).detach()), copy.copy(self.conv(x).detach()), self.conv(x) * 1]
            for look in (np.asarray, repr, len, list, tg.Tensor.numpy, tg.Tensor.sum):
                b = self.conv(x)
                look(b.detach() if look in (np.asarray, tg.Tensor.numpy) else b)
                assert type(b) is tg.Tensor
            for twin in twins:
                assert type(twin) is tg.Tensor
                np.testing.assert_array_equal(twin.detach().numpy(), a.detach().numpy())
            return self.conv(x)

    assert type(Looks()(batch())) is tg.Tensor, "a deferred tensor left the outermost module"


def test_only_inside_modules_and_only_while_nobody_watches():
    x, w, b = batch(), tg.randn(8, 2, 3, 3), tg.randn(8)
    assert type(F.conv2d(x, w, b)) is tg.Tensor
    seen = []
    net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
    for layer in net:
        layer.register_forward_hook(lambda _m, _i, out: seen.append(type(out) is deferred.kind))
    net(x)
    assert seen == [True, True, False]
    with keep_values():
        y = net(x)
    assert seen[3:] == [False, False, False]
    assert all(node.value is not None for node in reachable([y.node]) if node.parents)
    tg.set_fusion(False)
    assert not tg.is_fusion_enabled()
    net(x)
    assert seen[6:] == [False, False, False]


def test_two_threads_that_look_at_once_compute_once():
    class Splits(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 8, 3)

        def forward(self, x):
            for _ in range(20):
                a, found = self.conv(x), []
                gate = threading.Barrier(4)

                def look(a=a, found=found, gate=gate):
                    gate.wait()
                    found.append(a.array)

                threads = [threading.Thread(target=look) for _ in range(4)]
                [t.start() for t in threads]
                [t.join() for t in threads]
                assert len({id(array) for array in found}) == 1
            return a

    Splits()(batch())


# --- looking and stepping -----------------------------------------------------------------------------


def pooled_loss():
    tg.manual_seed(0)
    net = Net()
    loss = F.cross_entropy(net(batch()), tg.arange(8) % 5)
    return net, loss


def under_pool(loss):
    return [node for node in reachable([loss.node]) if type(node.saved) is UnderPool]


def test_looking_computes_what_was_never_laid_out_and_keeps_nothing():
    _, loss = pooled_loss()
    hidden = under_pool(loss)
    assert [node.module for node in hidden] == ["relu"]
    values = values_of(reachable([loss.node]))
    tg.set_fusion(False)
    _, plain = pooled_loss()
    other = values_of(reachable([plain.node]))
    for node, twin in zip(reachable([loss.node]), reachable([plain.node]), strict=True):
        assert (node.seq in values) == (twin.seq in other)
        if node.seq in values:
            np.testing.assert_array_equal(values[node.seq], other[twin.seq])
    assert type(hidden[0].saved) is UnderPool


def test_every_local_gradient_is_the_unfused_one():
    graphs = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        graphs.append(reachable([pooled_loss()[1].node]))
    for node, twin in zip(*graphs, strict=True):
        for i, parent in enumerate(node.parents):
            if parent is not None and node.op.kind != "general":
                t = np.random.default_rng(0).standard_normal(node.shape).astype(np.float32)
                np.testing.assert_array_equal(
                    node.local_gradient(i).T(t), twin.local_gradient(i).T(t), err_msg=node.op.name
                )


def test_stepping_leaves_the_bits_of_backward_and_shows_every_value():
    net, loss = pooled_loss()
    loss.backward()
    expected = [p.grad.numpy().tobytes() for p in net.parameters()]
    net, loss = pooled_loss()
    session = BackwardSession(loss)
    (pooled,) = [node for node in session.nodes if node.op.name == "relu" and node.shape == (8, 8, 29, 31)]
    assert session.value_of(pooled) is not None
    while session.node is not None:
        session.step()
    session.back(6)
    session.finish()
    assert [p.grad.numpy().tobytes() for p in net.parameters()] == expected
    net, loss = pooled_loss()
    for step in backward_steps(loss):
        assert all(d is None or isinstance(d, np.ndarray) for d in step.downstream)
    assert [p.grad.numpy().tobytes() for p in net.parameters()] == expected


def test_a_second_backward_pass_and_a_second_derivative():
    found = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        tg.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 13 * 14, 1))
        y = (net(batch()) ** 2).sum()
        y.backward(retain_graph=True)
        y.backward(retain_graph=True)
        (g,) = tg.autograd.grad(y, [net[0].weight], create_graph=True)
        (h,) = tg.autograd.grad((g * g).sum(), [net[0].weight])
        found.append([net[0].bias.grad, g.detach(), h])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_hooks_and_retained_gradients_of_what_lies_between():
    found = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        tg.manual_seed(0)

        class Hooked(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.seen = nn.Conv2d(2, 8, 3), []

            def forward(self, x):
                a = self.conv(x)
                a.retain_grad()
                b = F.relu(a)
                b.register_hook(lambda g: g * 2)
                b.register_hook(lambda g: self.seen.append(g.numpy().copy()))
                self.a = a
                return F.max_pool2d(b, 2).sum()

        net = Hooked()
        net(batch()).backward()
        found.append([net.seen[0], net.a.grad.numpy(), net.conv.weight.grad.numpy()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_gradient_of_what_lies_between_can_be_asked_for():
    found = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        tg.manual_seed(3)
        net = Keeps()
        y = net(batch())
        found.append([g.numpy() for g in tg.autograd.grad(y, net.kept[:4], retain_graph=True)])
        found[-1] += [tg.autograd.grad(net.kept[4].sum(), [net.kept[k]], retain_graph=True)[0].numpy() for k in (0, 1)]
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_pooled_value_changed_in_place_does_not_change_the_gradient():
    found = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        tg.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
        y = net(batch())
        loss = y.sum()
        with tg.no_grad():
            y.zero_()
        loss.backward()
        found.append(net[0].weight.grad.numpy())
    np.testing.assert_array_equal(*found)
    assert found[0].any()


def test_what_can_no_longer_be_computed_again_is_said_to_be_so():
    net, loss = pooled_loss()
    node = under_pool(loss)[0]
    with tg.no_grad():
        net.conv1.weight.mul_(2)
    assert saved_of(node) is None
    session = BackwardSession(loss)
    with pytest.raises(RuntimeError, match=r"relu is computed again .* weight of shape .*set_fusion"):
        session.finish()


def test_nothing_keeps_a_graph_alive():
    gc.collect()
    gc.disable()
    try:
        net, loss = pooled_loss()
        nodes = [weakref.ref(node) for node in reachable([loss.node]) if node.parents]
        del loss
        assert all(ref() is None for ref in nodes)
        _, loss = pooled_loss()
        nodes = [weakref.ref(node) for node in reachable([loss.node]) if node.parents]
        loss.backward()
        del loss, net
        assert all(ref() is None for ref in nodes)
    finally:
        gc.enable()


def test_less_is_kept_for_the_backward_pass():
    kept = []
    for fuse in (True, False):
        tg.set_fusion(fuse)
        net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3))
        y = net(batch())
        arrays = {
            id(a): a.nbytes
            for node in reachable([y.node])
            for a in (*(node.saved if type(node.saved) is tuple else node.saved.held), *node.params.values())
            if isinstance(a, np.ndarray)
        }
        kept.append(sum(arrays.values()))
    assert kept[1] - kept[0] > 0.9 * 8 * 8 * 27 * 29 * 4  # ReLU's output
