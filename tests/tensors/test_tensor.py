"""What a Tensor promises: construction, dtypes, the graph's edge, Python's protocols, printing."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_cnn as tg


def test_importing_the_package_brings_neither_numba_nor_matplotlib() -> None:
    program = "import sys, tinygrad_cnn; print([m for m in ('numba', 'matplotlib', 'rich', 'PIL') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"
    )


def test_python_floats_become_the_default_dtype_and_arrays_keep_theirs() -> None:
    assert tg.tensor([1.0, 2]).dtype == tg.float32
    assert tg.tensor([1, 2]).dtype == tg.int64
    assert tg.tensor([True]).dtype == tg.bool
    assert tg.tensor(np.ones(2)).dtype == tg.float64
    assert tg.tensor([]).dtype == tg.float32
    assert tg.tensor([tg.tensor(1), tg.tensor(2)]).tolist() == [1, 2]
    tg.set_default_dtype(tg.float64)
    try:
        assert tg.tensor(1.0).dtype == tg.zeros(1).dtype == tg.randn(1).dtype == tg.float64
    finally:
        tg.set_default_dtype(tg.float32)


def test_tensor_copies_and_from_numpy_and_as_tensor_share() -> None:
    array = np.zeros(2, np.float32)
    copied, shared, also = tg.tensor(array), tg.from_numpy(array), tg.as_tensor(array)
    array[0] = 1
    assert (copied[0].item(), shared[0].item(), also[0].item()) == (0, 1, 1)
    assert tg.as_tensor(shared) is shared


@pytest.mark.parametrize(
    ("data", "error"), [([[1], [1, 2]], ValueError), ("abc", TypeError), ([1j], TypeError)]
)
def test_what_is_no_regular_number_is_refused(data: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="tensor\\(\\) expected numbers"):
        tg.tensor(data)


def test_numbers_are_weak_and_dimensions_decide_before_0d() -> None:
    x = tg.ones(2)
    double = tg.tensor(2.0, dtype=tg.float64)
    for y in (x * 2.0, 2.0 * x, x * np.float64(2.0), x * double, double * x, x + np.float64(1)):
        assert y.dtype == tg.float32
    assert (tg.tensor([1, 2]) * 1.5).dtype == tg.float32
    assert (tg.tensor([1, 2]) / tg.tensor([2, 2])).dtype == tg.float32
    assert (x * tg.ones(2, dtype=tg.float64)).dtype == tg.float64
    assert tg.exp(tg.tensor([1], dtype=tg.uint8)).dtype == tg.float32
    assert tg.tensor([1, 2]).sum().dtype == tg.tensor([True]).sum().dtype == tg.int64
    assert tg.where(tg.tensor([True]), tg.ones(1), 0.5).dtype == tg.float32
    assert tg.where(tg.tensor([True]), tg.ones(1), double).dtype == tg.float32


def test_mean_and_variance_of_integers_are_refused() -> None:
    for fn in (tg.mean, tg.var, tg.std):
        with pytest.raises(TypeError, match="expected a floating dtype, got tinygrad_cnn.int64"):
            fn(tg.tensor([1, 2]))


def test_argmax_gives_int64_and_comparisons_booleans() -> None:
    x = tg.tensor([[1.0, 3.0], [4.0, 2.0]])
    assert x.argmax().item() == 2
    assert x.argmax(1).dtype == tg.int64
    assert (x > 2).dtype == tg.bool
    values, indices = x.max(dim=1)
    assert (values.tolist(), indices.tolist()) == ([3.0, 4.0], [1, 0])
    assert x.max(1).indices.tolist() == [1, 0]


def test_numpys_names_for_arguments_are_understood() -> None:
    x = tg.arange(6.0).reshape(2, 3)
    assert x.sum(axis=0, keepdims=True).shape == (1, 3)
    assert x.mean(axis=(0, 1)).item() == 2.5
    with pytest.raises(TypeError, match="two names of the same argument"):
        x.sum(0, axis=0)


def test_leaves_and_results_know_what_they_are() -> None:
    x = tg.tensor([1.0], requires_grad=True)
    y = x * 2
    assert x.is_leaf and x.grad_fn is None and x.requires_grad
    assert not y.is_leaf and y.grad_fn is y.node and y.requires_grad
    d = y.detach()
    assert d.is_leaf and not d.requires_grad and np.shares_memory(d.numpy(), y.array)
    assert not x.data.requires_grad and np.shares_memory(x.data.numpy(), x.array)
    with pytest.raises(RuntimeError, match="only floating tensors can require gradients, got int64"):
        tg.tensor([1]).requires_grad_()
    with pytest.raises(RuntimeError, match="use t.detach"):
        y.requires_grad_(False)
    x.requires_grad = False
    assert x.is_leaf and not x.requires_grad


def test_new_data_of_another_shape_makes_a_new_leaf() -> None:
    w = tg.zeros(2, requires_grad=True)
    w.data = tg.ones(3)
    (w * 2).sum().backward()
    assert w.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_tensor_that_requires_grad_does_not_lose_it_in_silence() -> None:
    x = tg.ones(2, requires_grad=True)
    for lose in (x.numpy, lambda: np.asarray(x), lambda: np.array([x, x])):
        with pytest.raises((RuntimeError, ValueError), match="detach|sequence"):
            lose()
    assert x.numpy(force=True).tolist() == [1, 1]
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(x)


def test_numpy_functions_are_recorded_or_refused() -> None:
    x = tg.tensor([1.0, 4.0], requires_grad=True)
    y = np.sqrt(x) + np.array([1.0, 1.0], np.float32)
    assert isinstance(y, tg.Tensor) and y.requires_grad
    (np.array([2.0, 3.0], np.float32) * y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [1.0, 0.75])
    with pytest.raises(TypeError, match="np.convolve has no derivative rule"):
        np.convolve(x, x)
    assert isinstance(np.convolve(x.detach(), x.detach()), tg.Tensor)
    with pytest.raises(TypeError, match="out=tensor"):
        np.add(x, x, out=x)
    assert np.concatenate([x, x], axis=0).shape == np.stack([x[0], x[1], x[0], x[1]]).shape == (4,)


def test_dlpack_shares_memory() -> None:
    x = tg.ones(3)
    array = np.from_dlpack(x)
    array_owner = tg.from_dlpack(np.zeros(2))
    assert np.shares_memory(array, x.numpy()) and array_owner.shape == (2,)


def test_python_protocols() -> None:
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(x) == 2 and [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert 3.0 in x and 7.0 not in x
    assert float(x[0, 0]) == 1.0 and int(x[1, 1]) == 4 and bool(x[0, 0])
    assert [10, 20, 30][tg.tensor(1)] == 20
    assert f"{tg.tensor(3.14159):.2f}" == "3.14"
    assert {x: 1}[x] == 1
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    with pytest.raises(ValueError, match="one entry"):
        x.item()
    with pytest.raises(TypeError, match="0-d"):
        len(tg.tensor(1.0))
    with pytest.raises(TypeError):
        x + "a"


def test_leaves_are_copied_and_pickled_with_their_gradient_and_attributes() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    x.note = "kept"
    (x * x).sum().backward()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.requires_grad and twin.is_leaf and twin.name == "x" and twin.note == "kept"
        assert twin.tolist() == [1, 2] and twin.grad.tolist() == [2, 4]
        assert not np.shares_memory(twin.array, x.array)
        (twin * 3).sum().backward()
        assert twin.grad.tolist() == [5, 7] and x.grad.tolist() == [2, 4]
    for fails in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match="only leaf tensors"):
            fails(x * 2)


def test_to_changes_dtype_and_refuses_a_gpu() -> None:
    x = tg.ones(2, requires_grad=True)
    assert x.to("cpu") is x and x.to(tg.float32) is x and x.to(tg.device("cpu")) is x
    y = x.double()
    assert y.dtype == tg.float64 and x.to(y).dtype == tg.float64
    y.sum().backward()
    assert x.grad.dtype == tg.float32
    assert not tg.cuda.is_available()
    for fails in (x.cuda, lambda: x.to("cuda:0"), lambda: tg.zeros(1, device="mps"), lambda: x.to(tg.device("cuda", 1)),
                  tg.device("xpu").__enter__):
        with pytest.raises(RuntimeError, match="computes on the CPU only"):
            fails()


def test_an_unknown_name_says_so() -> None:
    with pytest.raises(AttributeError, match="tinygrad_cnn has no 'stft'"):
        tg.stft  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tg.tensor([1.0, 2.0], requires_grad=True), "tensor([1., 2.], requires_grad=True)"),
        (lambda: tg.tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=<mul>)"),
        (lambda: tg.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
        (lambda: tg.tensor([[1e-5, 1.0]]), "tensor([[1.0000e-05, 1.0000e+00]])"),
        (lambda: tg.tensor([1e10, 1.0]), "tensor([1.0000e+10, 1.0000e+00])"),
        (lambda: tg.tensor([float("nan"), 1.0]), "tensor([nan, 1.])"),
        (lambda: tg.tensor([1, -20]), "tensor([  1, -20])"),
        (lambda: tg.tensor([True, False]), "tensor([ True, False])"),
        (lambda: tg.tensor(3.0), "tensor(3.)"),
        (lambda: tg.tensor(2), "tensor(2)"),
        (lambda: tg.zeros(0), "tensor([])"),
        (lambda: tg.zeros(2, 0), "tensor([], size=(2, 0))"),
        (lambda: tg.ones(1, dtype=tg.float64), "tensor([1.], dtype=float64)"),
        (lambda: tg.tensor([[1.0, 2.0], [3.0, 4.0]]), "tensor([[1., 2.],\n        [3., 4.]])"),
        (lambda: tg.tensor(1.5, name="loss"), "tensor(1.5000, name='loss')"),
    ],
)
def test_a_tensor_prints_as_pytorchs_does(make, text: str) -> None:
    assert repr(make()) == text


def test_long_tensors_are_shortened() -> None:
    text = repr(tg.arange(2000))
    assert "..." in text and text.count("\n") < 3
    assert "..." in repr(tg.zeros(100, 100))
