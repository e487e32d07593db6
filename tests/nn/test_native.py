"""PyTorch's names of arguments, and their order where `torch.f` and `torch.nn.functional.f` differ."""

import io

import numpy as np
import pytest

import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F


def test_weight_and_bias_come_first_in_torchs_own_functions() -> None:
    x, w, b = tg.randn(4, 3, 5), tg.tensor([1.0, 2.0, 3.0]), tg.tensor([0.1, 0.2, 0.3])
    mean, var = tg.tensor([0.5, 0.0, 1.0]), tg.tensor([4.0, 5.0, 6.0])
    same = lambda a, c: np.testing.assert_allclose(a.numpy(), c.numpy(), atol=1e-6)
    wanted = F.batch_norm(x, mean, var, w, b, False, 0.1, 1e-5)
    same(tg.batch_norm(x, w, b, mean, var, False, 0.1, 1e-5, True), wanted)
    same(tg.instance_norm(x, w, b, None, None, True, 0.1, 1e-5, True), F.instance_norm(x, weight=w, bias=b))
    same(tg.group_norm(x, 1, w, b, 1e-5, True), F.group_norm(x, 1, w, b))
    same(tg.layer_norm(x, (5,), None, None, 1e-5, True), F.layer_norm(x, (5,)))
    same(tg.embedding(w[:, None], tg.tensor([2, 0])), F.embedding(tg.tensor([2, 0]), w[:, None]))
    same(tg.dropout(x, 0.5, False), x)


def test_arguments_have_pytorchs_names() -> None:
    x = tg.arange(6.0).reshape(2, 3)
    assert x.permute(dims=(1, 0)).shape == (3, 2)
    assert x.expand(size=(4, 2, 3)).shape == (4, 2, 3)
    assert x.flip(dims=(1,))[0].tolist() == [2, 1, 0]
    assert tg.max(input=x, other=-x).tolist() == x.tolist()
    assert tg.softmax(x, 1, tg.float64).dtype == "float64"
    assert x[:1].expand(tg.tensor([4]), 3).shape == (4, 3)
    with pytest.raises(TypeError, match="the sizes were given twice"):
        x.permute(1, 0, dims=(1, 0))
    y = x.requires_grad_().sum()
    (g,) = tg.autograd.grad(y, x, None, False, False, True)
    assert (g == 1).all()
    with pytest.raises(NotImplementedError, match="is_grads_batched"):
        tg.autograd.grad(y, x, is_grads_batched=True)


def test_state_goes_through_a_stream() -> None:
    stream = io.BytesIO()
    tg.save({"net": {"w": tg.ones(2)}, "epoch": 3}, stream)
    stream.seek(0)
    found = tg.load(stream, map_location="cpu")
    assert found["epoch"] == 3
    assert found["net"]["w"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="the stream cannot be read"):
        tg.load(io.BytesIO(b"PK\x03\x04nothing"))


def test_a_plain_dict_needs_no_count_of_batches() -> None:
    net = tg.nn.BatchNorm1d(2)
    state = {k: v for k, v in net.state_dict().items() if k != "num_batches_tracked"}
    assert net.load_state_dict(state).missing_keys == []


def test_long_tensors_and_wide_ranges_print_as_in_pytorch() -> None:
    assert repr(tg.arange(2000)) == "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"
    assert repr(tg.tensor([2000.0, 1.0])) == "tensor([2.0000e+03, 1.0000e+00])"
    assert repr(tg.tensor([1000.0, 1.0])) == "tensor([1000.,    1.])"
    assert tg.cuda.amp.GradScaler(enabled=False) is not None


def test_wrappers_for_many_processes_run_the_one_there_is() -> None:
    net = tg.nn.parallel.DistributedDataParallel(tg.nn.Linear(2, 1), device_ids=[0], find_unused_parameters=True)
    assert list(net.state_dict()) == ["module.weight", "module.bias"]
    with net.no_sync():
        assert net(tg.ones(1, 2)).shape == (1, 1)


def test_weighted_counts_have_the_weights_dtype() -> None:
    assert tg.bincount(tg.tensor([0, 1, 1]), weights=tg.tensor([0.5, 1, 2])).dtype == "float32"
