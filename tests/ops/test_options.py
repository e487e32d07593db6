"""No option is accepted and then not read: each does what it says in PyTorch, or is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import amp, distributions, nn

T = tg.ones(2, 3)
nan = float("nan")

#: Functions that make tensors: what they take besides the options, and the dtypes of results that may want gradients.
CREATION: dict[str, Callable[..., Any]] = {
    "tensor": lambda **o: tg.tensor([1.0], **o),
    "scalar_tensor": lambda **o: tg.scalar_tensor(1.0, **o),
    "zeros": lambda **o: tg.zeros(2, **o),
    "ones": lambda **o: tg.ones(2, **o),
    "empty": lambda **o: tg.empty(2, **o),
    "full": lambda **o: tg.full((2,), 1.0, **o),
    "eye": lambda **o: tg.eye(2, **o),
    "arange": lambda **o: tg.arange(2.0, **o),
    "linspace": lambda **o: tg.linspace(0, 1, 3, **o),
    "logspace": lambda **o: tg.logspace(0, 1, 3, **o),
    "rand": lambda **o: tg.rand(2, **o),
    "randn": lambda **o: tg.randn(2, **o),
    "randint": lambda **o: tg.randint(3, (2,), **{"dtype": tg.float32, **o}),
    "randperm": lambda **o: tg.randperm(3, **{"dtype": tg.float32, **o}),
    "normal": lambda **o: tg.normal(0.0, 1.0, (2,), **o),
    "zeros_like": lambda **o: tg.zeros_like(T, **o),
    "ones_like": lambda **o: tg.ones_like(T, **o),
    "empty_like": lambda **o: tg.empty_like(T, **o),
    "full_like": lambda **o: tg.full_like(T, 2.0, **o),
    "rand_like": lambda **o: tg.rand_like(T, **o),
    "randn_like": lambda **o: tg.randn_like(T, **o),
    "randint_like": lambda **o: tg.randint_like(T, 3, **o),
    "hann_window": lambda **o: tg.hann_window(4, **o),
    "hamming_window": lambda **o: tg.hamming_window(4, **o),
    "blackman_window": lambda **o: tg.blackman_window(4, **o),
    "new_zeros": lambda **o: T.new_zeros(2, **o),
    "new_ones": lambda **o: T.new_ones(2, **o),
    "new_empty": lambda **o: T.new_empty(2, **o),
    "new_full": lambda **o: T.new_full((2,), 1.0, **o),
    "new_tensor": lambda **o: T.new_tensor([1.0], **o),
}
INDICES: dict[str, Callable[..., Any]] = {
    "tril_indices": lambda **o: tg.tril_indices(2, 3, **o),
    "triu_indices": lambda **o: tg.triu_indices(2, 3, **o),
}
WITHOUT_LAYOUT = ("tensor", "new_tensor")  # as in PyTorch


@pytest.mark.parametrize("name", CREATION)
def test_what_makes_tensors_reads_dtype_device_and_requires_grad(name: str) -> None:
    made = CREATION[name](dtype=tg.float64, device="cpu", requires_grad=True)
    assert made.dtype == tg.float64 and made.requires_grad and made.is_leaf
    assert not CREATION[name]().requires_grad


@pytest.mark.parametrize("name", [*CREATION, *INDICES])
def test_what_makes_tensors_refuses_other_devices_and_unknown_keywords(name: str) -> None:
    make = {**CREATION, **INDICES}[name]
    with pytest.raises(RuntimeError, match="computes on the CPU only, got device 'cuda'"):
        make(device="cuda")
    with pytest.raises(TypeError, match="unexpected keyword"):
        make(devise="cpu")


@pytest.mark.parametrize("name", [name for name in (*CREATION, *INDICES) if name not in WITHOUT_LAYOUT])
def test_the_only_layout_is_strided(name: str) -> None:
    make = {**CREATION, **INDICES}[name]
    make(layout=tg.strided)
    with pytest.raises(RuntimeError, match="expected layout=strided"):
        make(layout="sparse_coo")


@pytest.mark.parametrize("name", INDICES)
def test_indices_of_triangles_have_the_dtype_asked_for(name: str) -> None:
    assert INDICES[name]().dtype == tg.int64 and INDICES[name](dtype=tg.int32).dtype == tg.int32
    with pytest.raises(TypeError, match="int32 or int64"):
        INDICES[name](dtype=tg.float32)


PICTURES, VOLUMES = tg.arange(24.0).view(1, 2, 3, 4), tg.arange(48.0).view(1, 2, 2, 3, 4)
LAID_OUT: dict[str, Callable[..., Any]] = {
    "contiguous": lambda x, f: x.contiguous(memory_format=f),
    "clone": lambda x, f: x.clone(memory_format=f),
    "to": lambda x, f: x.to(memory_format=f),
    "to, another dtype": lambda x, f: x.to(tg.float64, memory_format=f),
    "zeros_like": lambda x, f: tg.zeros_like(x, memory_format=f),
    "ones_like": lambda x, f: tg.ones_like(x, memory_format=f),
    "full_like": lambda x, f: tg.full_like(x, 2.0, memory_format=f),
    "empty_like": lambda x, f: tg.empty_like(x, memory_format=f),
    "rand_like": lambda x, f: tg.rand_like(x, memory_format=f),
    "randn_like": lambda x, f: tg.randn_like(x, memory_format=f),
    "randint_like": lambda x, f: tg.randint_like(x, 3, memory_format=f),
    "empty": lambda x, f: tg.empty(*x.shape, memory_format=f),
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_memory_is_laid_out_channels_last_where_that_is_asked_for(name: str) -> None:
    made = LAID_OUT[name](PICTURES, tg.channels_last)
    assert made.stride() == (24, 1, 8, 2) and made.shape == PICTURES.shape
    assert made.is_contiguous(memory_format=tg.channels_last) and not made.is_contiguous()
    back = LAID_OUT[name](made, tg.contiguous_format)
    assert back.is_contiguous() and not back.is_contiguous(memory_format=tg.channels_last)
    assert LAID_OUT[name](VOLUMES, tg.channels_last_3d).stride() == (48, 1, 24, 8, 2)
    with pytest.raises(ValueError, match="expected 4 dimensions, got 2"):
        LAID_OUT[name](T, tg.channels_last)
    with pytest.raises(TypeError, match="memory_format expected one of"):
        LAID_OUT[name](PICTURES, "channels_first")
    if name in ("contiguous", "clone", "to", "to, another dtype"):
        assert made.tolist() == PICTURES.tolist()


def test_a_layout_asked_for_stays_and_gradients_pass_it() -> None:
    x = tg.arange(24.0).view(1, 2, 3, 4).requires_grad_()
    y = x.contiguous(memory_format=tg.channels_last)
    with pytest.raises(RuntimeError, match="view"):
        y.view(24)
    y.mul_(2)
    (y * y).sum().backward()
    assert x.grad.tolist() == (8 * x.detach()).tolist()
    assert y.contiguous(memory_format=tg.preserve_format) is y
    assert tg.zeros_like(PICTURES.clone(memory_format=tg.channels_last)).stride() == (24, 1, 8, 2)
    assert nn.Conv2d(2, 3, 2).to(memory_format=tg.channels_last).weight.stride() == (8, 1, 4, 2)


def test_to_takes_pytorchs_forms_and_no_others() -> None:
    x = tg.ones(2)
    assert x.to("cpu", tg.float64, True).dtype == tg.float64
    assert x.to(x, False, True) is not x and x.to(x) is x
    assert x.to(tg.float32, non_blocking=True, copy=True) is not x
    assert x.to(other=tg.ones(1, dtype=tg.int32)).dtype == tg.int32
    for wrong in (("cpu", "cpu"), (tg.float32, tg.float64), (tg.float32, "cpu"), (True, True, True)):
        with pytest.raises(TypeError, match="each at most once"):
            x.to(*wrong)
    with pytest.raises(TypeError, match="unexpected keyword"):
        x.to(tg.float64, nonblocking=True)
    with pytest.raises(TypeError, match="expected a floating dtype, got int64"):
        nn.Linear(1, 1).to(tg.int64)


REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "repeat_interleave": (lambda: tg.repeat_interleave(T, 2, 1, output_size=7), ValueError, "output_size=6, got 7"),
    "hann_window of integers": (lambda: tg.hann_window(3, dtype=tg.int64), TypeError, "floating dtype"),
    "rand_like of integers": (lambda: tg.rand_like(tg.tensor([1])), TypeError, "floating dtype, got int64"),
    "FloatTensor": (lambda: tg.FloatTensor(2, devise="cpu"), TypeError, "unexpected keyword"),
    "FloatTensor elsewhere": (lambda: tg.FloatTensor(2, device="cuda"), RuntimeError, "on the CPU only"),
    "custom_fwd": (lambda: amp.custom_fwd(cast_input=tg.float16), TypeError, "unexpected keyword"),
    "custom_bwd": (lambda: amp.custom_bwd(device="cuda"), TypeError, "unexpected keyword"),
    "svd": (lambda: tg.linalg.svd(T, driver="gesvd"), ValueError, "expected no driver"),
    "svdvals": (lambda: tg.linalg.svdvals(T, driver="gesvd"), ValueError, "expected no driver"),
    "cdist": (lambda: tg.cdist(T, T, compute_mode="fast"), ValueError, "expected compute_mode use_mm"),
    "DistributedDataParallel": (
        lambda: nn.parallel.DistributedDataParallel(nn.Linear(1, 1), unused=True), TypeError, "unexpected keyword",
    ),
    "compile": (lambda: tg.compile(fast=True), TypeError, "unexpected keyword"),
    "GradScaler": (lambda: amp.GradScaler("cuda", scale=2), TypeError, "unexpected keyword"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_or_not_true_is_refused(name: str) -> None:
    call, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("place", ["cuda", tg.device("cuda"), {"cpu": "cuda:0"}])
def test_load_reads_where_to(tmp_path: Any, place: Any) -> None:
    tg.save({"w": T}, tmp_path / "w.npz")
    assert tg.load(tmp_path / "w.npz", map_location={"cuda:0": "cpu"})["w"].tolist() == T.tolist()
    with pytest.raises(RuntimeError, match="computes on the CPU only"):
        tg.load(tmp_path / "w.npz", map_location=place)


D = distributions
PARAMETERS: dict[str, Callable[..., Any]] = {
    "Normal, scale": lambda **o: D.Normal(0.0, -1.0, **o),
    "Normal, loc": lambda **o: D.Normal(nan, 1.0, **o),
    "Uniform": lambda **o: D.Uniform(1.0, 0.0, **o),
    "Beta": lambda **o: D.Beta(0.0, 1.0, **o),
    "Bernoulli": lambda **o: D.Bernoulli(1.5, **o),
    "Bernoulli, logits": lambda **o: D.Bernoulli(logits=nan, **o),
    "Categorical": lambda **o: D.Categorical(tg.tensor([-1.0, 2.0]), **o),
    "Categorical, zeros": lambda **o: D.Categorical(tg.zeros(2), **o),
    "Categorical, logits": lambda **o: D.Categorical(logits=tg.tensor([nan, 2.0]), **o),
}
#: The density at a value that the distribution cannot have.
VALUES: dict[str, Callable[..., Any]] = {
    "Normal.log_prob": lambda **o: D.Normal(0.0, 1.0, **o).log_prob(tg.tensor(nan)),
    "Uniform.log_prob": lambda **o: D.Uniform(0.0, 1.0, **o).log_prob(tg.tensor(2.0)),
    "Beta.log_prob": lambda **o: D.Beta(2.0, 2.0, **o).log_prob(tg.tensor(1.5)),
    "Bernoulli.log_prob": lambda **o: D.Bernoulli(0.5, **o).log_prob(tg.tensor(0.5)),
    "Categorical.log_prob": lambda **o: D.Categorical(tg.ones(2), **o).log_prob(tg.tensor(0.5)),
}


@pytest.mark.parametrize("name", [*PARAMETERS, *VALUES])
def test_distributions_check_their_arguments_unless_told_not_to(name: str) -> None:
    case = {**PARAMETERS, **VALUES}[name]
    options: tuple[dict[str, Any], ...] = ({}, {"validate_args": True})
    for given in options:
        with pytest.raises(ValueError, match="validate_args=False takes any numbers"):
            case(**given)
    with np.errstate(all="ignore"):
        case(validate_args=False)
