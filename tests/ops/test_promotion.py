"""Which dtype a result has: PyTorch's rules, which are not NumPy's."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg

#: (left, right, dtype of their sum): a dtype with ``[]`` is a 0-d tensor's, a number stands for itself.
SUMS: list[tuple[Any, Any, str]] = [
    ("float16", "float32[]", "float16"),
    ("float32[]", "float16", "float16"),
    ("float16[]", "float32[]", "float32"),
    ("float16", "float32", "float32"),
    ("float32", "float64[]", "float32"),
    ("int32", "int64[]", "int32"),
    ("int64[]", "uint8", "uint8"),
    ("uint8", "int8", "int16"),
    ("int32", "float16", "float16"),
    ("int16", "float16", "float16"),
    ("int64", "float16[]", "float16"),
    ("int64", "float64[]", "float64"),
    ("int64[]", "float16[]", "float16"),
    ("bool", "uint8[]", "uint8"),
    ("bool", "bool[]", "bool"),
    ("int32", 2, "int32"),
    ("uint8", 2.5, "float32"),
    ("bool", 2, "int64"),
    ("float16", 2.5, "float16"),
    ("int64[]", 2.5, "float32"),
]


def made(what: Any) -> Any:
    if not isinstance(what, str):
        return what
    dtype = what.removesuffix("[]")
    return tg.tensor(np.ones((2, 3) if dtype == what else (), dtype))


@pytest.mark.parametrize(("a", "b", "dtype"), SUMS)
@pytest.mark.parametrize(
    "op", [operator.add, operator.mul, tg.maximum, lambda a, b: tg.where(tg.ones(2, 3) > 0, a, b)]
)
def test_arrays_decide_before_0d_tensors_and_numbers(
    a: Any, b: Any, dtype: str, op: Callable[..., Any]
) -> None:
    if op is tg.maximum and not isinstance(b, str):
        b = tg.tensor(b)
        dtype = "float32" if dtype == "float16" and a == "float16[]" else dtype
    assert op(made(a), made(b)).dtype == dtype


@pytest.mark.parametrize(("a", "b", "dtype"), [s for s in SUMS if isinstance(s[1], str)])
def test_a_quotient_floats(a: str, b: str, dtype: str) -> None:
    wanted = dtype if dtype.startswith("float") else "float32"
    assert (made(a) / made(b)).dtype == wanted
    assert tg.atan2(made(a), made(b)).dtype == wanted
    assert tg.xlogy(made(a), made(b)).dtype == wanted


@pytest.mark.parametrize(
    "op", [operator.floordiv, operator.and_, operator.or_, operator.lshift, operator.mod]
)
def test_integers_keep_the_width_of_the_array(op: Callable[..., Any]) -> None:
    assert op(made("int32"), made("int64[]")).dtype == "int32"
    assert op(made("int64[]"), made("int16")).dtype == "int16"


def test_a_rounded_quotient_keeps_the_width_of_the_array() -> None:
    assert (made("float32") // made("float64[]")).dtype == "float32"
    assert tg.div(made("float32"), made("float64[]"), rounding_mode="trunc").dtype == "float32"


def test_gradients_have_the_dtype_of_their_input() -> None:
    half = tg.ones(2, 3, dtype=tg.float16).requires_grad_()
    scale = tg.tensor(2.0, requires_grad=True)
    y = scale * half
    assert y.dtype == "float16"
    y.sum().backward()
    assert half.grad.dtype == "float16"
    assert scale.grad.dtype == "float32"
    assert scale.grad.item() == 6


def test_in_place_integers_take_integers_of_any_width() -> None:
    x = tg.tensor([1, 2], dtype=tg.uint8)
    y = x
    x += tg.tensor([1, 300])
    assert x is y
    assert x.dtype == "uint8"
    assert x.tolist() == [2, 46]
    with pytest.raises(TypeError, match="does not fit into the tensor's uint8"):
        x += 0.5
    with pytest.raises(TypeError, match="does not fit into the tensor's bool"):
        tg.tensor([True]).add_(1)


def test_shifts_of_numbers_by_tensors() -> None:
    assert (1 << tg.tensor([1, 2])).tolist() == [2, 4]
    assert (8 >> tg.tensor([1, 2])).tolist() == [4, 2]
    x = tg.tensor([1, 2])
    x <<= 2
    assert x.tolist() == [4, 8]


def test_booleans_have_a_sign_a_difference_and_a_judgement() -> None:
    t = tg.tensor([True, False, False])
    assert t.sign().dtype == "bool"
    assert t.diff().tolist() == [True, False]
    assert t.square().dtype == "int64"
    assert tg.tensor([1, 2], dtype=tg.uint8).all().dtype == "uint8"
    assert tg.tensor([[1.0, 0.0]]).any(dim=()).tolist() == [[True, False]]


def test_running_totals_of_a_0d_integer_are_int64() -> None:
    assert tg.tensor(3, dtype=tg.uint8).cumsum(0).dtype == "int64"
    assert tg.tensor(True).cumprod(0).dtype == "int64"


def test_the_median_of_integers_nothing_and_nan() -> None:
    assert tg.tensor([3, 1, 2]).median().dtype == "int64"
    assert np.isnan(tg.zeros(0).median().item())
    assert np.isnan(tg.tensor([1.0, np.nan]).median().item())
    with pytest.raises(ValueError, match="median expected at least one entry"):
        tg.zeros(0, dtype=tg.int64).median()


@pytest.mark.parametrize("name", ["argmax", "argmin", "sort", "argsort", "unique"])
def test_a_dimension_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(IndexError, match="dim 5 is out of range: expected -2 to 1"):
        getattr(tg, name)(tg.ones(2, 3), dim=5)
    with pytest.raises(IndexError, match="argmax expected at least one entry, got shape"):
        tg.argmax(tg.zeros(0, 3))


def test_xlogy_and_digamma_at_the_odd_places() -> None:
    assert np.isnan(tg.xlogy(tg.tensor(0.0), tg.tensor(np.nan)).item())
    assert tg.xlogy(tg.tensor(0.0), tg.tensor(0.0)).item() == 0
    assert np.isnan(tg.digamma(tg.tensor(-2.0)).item())


def test_joined_tensors_promote_as_sums_do() -> None:
    assert tg.cat([tg.tensor([1]), tg.tensor([2.5])]).dtype == "float32"
    assert tg.stack([tg.ones(2, dtype=tg.float16), tg.tensor([1, 2])]).dtype == "float16"
    x = tg.ones(2, requires_grad=True)
    tg.cat([x, tg.ones(1, dtype=tg.float64)]).sum().backward()
    assert x.grad.dtype == "float32"
