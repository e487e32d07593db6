"""Names that model files and training scripts use beside layers: they do what they say, or say why not."""

from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.errors import UsageError


def test_typed_tensors_make_and_recognise_their_dtype() -> None:
    assert tg.FloatTensor([0.5, 1]).tolist() == [0.5, 1] and tg.LongTensor(2, 3).shape == (2, 3)
    assert tg.LongTensor([1, 2]).dtype == tg.int64 and tg.ByteTensor([1]).dtype == tg.uint8
    assert isinstance(tg.ones(1), tg.FloatTensor) and not isinstance(tg.ones(1), tg.LongTensor)
    x = tg.ones(2)
    assert x.type() == tg.typename(x) == "torch.FloatTensor"
    assert x.type("torch.LongTensor").dtype == x.type(tg.LongTensor).dtype == tg.int64
    with pytest.raises(TypeError, match="a type on a GPU"):
        x.type("torch.cuda.FloatTensor")
    assert x.new(2, 3).shape == (2, 3) and x.long().new([1.0]).dtype == tg.int64


def test_marks_for_the_compiler_give_back_what_they_mark() -> None:
    def f(x: float) -> float:
        return x + 1

    for mark in (tg.jit.script, tg.jit.unused, tg.jit.export, tg.jit.ignore, tg.jit.script_method, tg.compile):
        assert mark(f) is f
    assert tg.jit.ignore(drop=True)(f) is f and tg.compile(mode="default")(f) is f
    assert not tg.jit.is_scripting() and tg.jit.annotate(list, [1]) == [1]
    assert isinstance(tg.jit.ScriptModule(), nn.Module)
    for refused in (lambda: tg.jit.load("m.pt"), lambda: tg.jit.save(nn.Linear(1, 1), "m.pt")):
        with pytest.raises(UsageError, match="weights"):
            refused()


def test_pretrained_weights_from_the_web_are_refused_with_the_way_out() -> None:
    from tinygrad_cnn.hub import load_state_dict_from_url
    from tinygrad_cnn.utils.model_zoo import load_url

    for refused in (load_state_dict_from_url, load_url):
        with pytest.raises(UsageError, match=r"https://x/y.pth is not downloaded.*safetensors"):
            refused("https://x/y.pth", progress=True)


def test_switches_of_libraries_may_be_set() -> None:
    from tinygrad_cnn.backends import cudnn

    cudnn.benchmark = True
    tg.backends.cudnn.deterministic = False
    tg.use_deterministic_algorithms(True)
    tg.set_float32_matmul_precision("high")
    with pytest.raises(ValueError, match="'highest', 'high' or 'medium'"):
        tg.set_float32_matmul_precision("low")
    assert not cudnn.is_available() and not tg.cuda.is_available() and not tg.distributed.is_available()
    with pytest.raises(RuntimeError, match="CPU only"):
        tg.cuda.set_device(0)


def test_a_loop_for_mixed_precision_trains_in_full_precision() -> None:
    net = nn.Linear(2, 1)
    optimizer, scaler = tg.optim.SGD(net.parameters(), lr=0.1), tg.amp.GradScaler()
    with tg.autocast("cuda", enabled=True):
        loss = net(tg.ones(1, 2)).sum()
    before = net.weight.detach().clone()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose((before - net.weight.detach()).numpy(), 0.1, rtol=1e-5)


def test_functions_write_into_out() -> None:
    x, y, out = tg.ones(2), tg.tensor([1.0, 2.0]), tg.zeros(2)
    assert tg.add(x, y, out=out) is out and out.tolist() == [2, 3]
    memory = out.array
    tg.mul(out, out, out=out)
    assert out.tolist() == [4, 9] and out.array is memory
    assert tg.cat([x, y], out=out).shape == (4,)
    with pytest.raises(RuntimeError, match="does not record gradients"):
        tg.add(x.requires_grad_(), y, out=out)
    with pytest.raises(TypeError, match="does not fit into out's int64"):
        tg.div(y, y, out=tg.zeros(2, dtype=tg.int64))


def test_a_shape_is_a_size() -> None:
    x = tg.zeros(2, 3, 4)
    assert isinstance(x.shape, tg.Size) and x.shape == (2, 3, 4) and x.size() == tg.Size([2, 3, 4])
    assert x.shape.numel() == 24 and x.shape[1:].numel() == 12 and (x.shape[:1] + (5,)).numel() == 10
    assert str(tuple(x.shape)) == str(x.shape) == "(2, 3, 4)"


def test_quantiles_are_numpys() -> None:
    x = np.random.default_rng(0).standard_normal((3, 7))
    t = tg.tensor(x, requires_grad=True)
    for how in ("linear", "lower", "higher", "midpoint", "nearest"):
        for q in (0.0, 0.3, 1.0):
            found = tg.quantile(t, q, dim=1, keepdim=True, interpolation=how)
            np.testing.assert_allclose(found.detach().numpy(), np.quantile(x, q, axis=1, keepdims=True, method=how))
    several = tg.quantile(t, tg.tensor([0.25, 0.5]))
    np.testing.assert_allclose(several.detach().numpy(), np.quantile(x, [0.25, 0.5]))
    several.sum().backward()
    assert t.grad.sum().item() == pytest.approx(2)
    with pytest.raises(ValueError, match="q between 0 and 1"):
        tg.quantile(t, 2)


def test_distances() -> None:
    a, b = tg.tensor([[0.0, 0], [3, 4]]), tg.tensor([[0.0, 0], [0, 4], [3, 0]])
    assert tg.cdist(a, b).tolist() == [[0, 4, 3], [5, 3, 4]]
    assert tg.dist(a[1], b[0]).item() == 5


def test_resize_keeps_the_entries_in_order() -> None:
    x = tg.tensor([[1.0, 2], [3, 4]])
    assert x.resize_(3) is x and x.tolist() == [1, 2, 3] and x.resize_(2, 2).tolist() == [[1, 2], [3, 0]]


def test_distributions_draw_and_judge() -> None:
    from tinygrad_cnn.distributions import Bernoulli, Beta, Categorical, Normal, Uniform
    from tinygrad_cnn.distributions.bernoulli import Bernoulli as same

    assert same is Bernoulli
    tg.manual_seed(0)
    n = (4000,)
    for law, value, density in (
        (Bernoulli(tg.tensor(0.3)), 1.0, 0.3),
        (Bernoulli(logits=tg.tensor(0.0)), 0.0, 0.5),
        (Normal(1.0, 2.0), 1.0, 1 / (2 * (2 * np.pi) ** 0.5)),
        (Uniform(1.0, 3.0), 2.0, 0.5),
        (Beta(2.0, 2.0), 0.5, 1.5),
    ):
        drawn = law.sample(n)
        assert drawn.shape == n and drawn.node is None
        assert drawn.mean().item() == pytest.approx(float(law.mean), abs=0.1)
        assert drawn.std().item() == pytest.approx(float(law.stddev), abs=0.1)
        assert law.log_prob(tg.tensor(value)).exp().item() == pytest.approx(density, rel=1e-5)
    choice = Categorical(tg.tensor([1.0, 3.0]))
    assert choice.sample(n).float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert choice.log_prob(tg.tensor([0, 1])).exp().tolist() == pytest.approx([0.25, 0.75])
    mean = tg.tensor(0.5, requires_grad=True)
    Normal(mean, 1.0).rsample((10,)).sum().backward()
    assert mean.grad == 10
    with pytest.raises(ValueError, match="between 0 and 1"):
        Bernoulli(1.5)


def test_a_warm_up_derives_from_the_schedulers_old_name() -> None:
    class WarmUp(tg.optim.lr_scheduler._LRScheduler):  # type: ignore[misc]
        def get_lr(self) -> list[float]:
            return [rate * min(1, self.last_epoch / 4) for rate in self.base_lrs]

    optimizer = tg.optim.SGD([nn.Parameter(tg.ones(1))], lr=0.4)
    schedule = WarmUp(optimizer)
    rates = []
    for _ in range(5):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_load_takes_pytorchs_map_location(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    tg.save({"net": nn.Linear(2, 1).state_dict(), "acc": 93.5}, path)
    for where in ("cpu", tg.device("cpu"), lambda storage, _location: storage):
        found = tg.load(path, map_location=where, weights_only=True)
        assert found["acc"] == 93.5 and found["net"]["weight"].shape == (1, 2)
