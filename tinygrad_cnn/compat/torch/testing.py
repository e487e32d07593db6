"""`torch.testing`: comparing results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import tinygrad_cnn as tg

__all__ = ["assert_allclose", "assert_close"]

#: rtol and atol by dtype, PyTorch's.
_TOLERANCE = {
    "float16": (1e-3, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "bfloat16": (1.6e-2, 1e-5),
}


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """Raise AssertionError unless two tensors, numbers, or containers of them are close.

    Close means |actual - expected| <= atol + rtol |expected|, with PyTorch's tolerances for the dtype by default.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close takes rtol and atol together, got rtol={rtol} and atol={atol}")
    problem = _difference(actual, expected, rtol, atol, equal_nan, check_dtype, check_stride, "")
    if problem:
        raise AssertionError(msg(problem) if callable(msg) else msg or problem)


def assert_allclose(
    actual: Any, expected: Any, rtol: Any = None, atol: Any = None, equal_nan: bool = True, msg: str = ""
) -> None:
    """`assert_close` under its older name, which looks at no dtype."""
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None
    )


def _difference(
    actual: Any, expected: Any, rtol: Any, atol: Any, equal_nan: bool, dtypes: bool, strides: bool, where: str
) -> str:
    options = rtol, atol, equal_nan, dtypes, strides
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if set(actual) != set(expected):
            return f"The keys of the mappings do not match{where}: {sorted(map(str, set(actual) ^ set(expected)))}"
        found = (_difference(actual[k], expected[k], *options, f"{where}[{k!r}]") for k in actual)
        return next((one for one in found if one), "")
    if _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch{where}: {len(actual)} != {len(expected)}"
        found = (
            _difference(a, e, *options, f"{where}[{k}]") for k, (a, e) in enumerate(zip(actual, expected))
        )
        return next((one for one in found if one), "")
    if isinstance(actual, tg.Tensor) != isinstance(expected, tg.Tensor):
        return f"A tensor is compared with a {type(expected).__name__}{where}"
    a, e = (np.asarray(v.detach().array if isinstance(v, tg.Tensor) else v) for v in (actual, expected))
    if a.shape != e.shape:
        return f"The values for attribute 'shape' do not match{where}: {a.shape} != {e.shape}."
    if strides and isinstance(actual, tg.Tensor) and isinstance(expected, tg.Tensor) and a.strides != e.strides:
        return f"The values for attribute 'stride()' do not match{where}: {actual.stride()} != {expected.stride()}"
    if dtypes and isinstance(actual, tg.Tensor) and a.dtype != e.dtype:
        return f"The values for attribute 'dtype' do not match{where}: {actual.dtype} != {expected.dtype}."
    if rtol is None:
        both = [_TOLERANCE.get(v.dtype.name, (0.0, 0.0)) for v in (a, e)]
        rtol, atol = (max(pair) for pair in zip(*both))
    close = np.isclose(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if close.all():
        return ""
    worst = np.abs(a.astype(np.float64) - e.astype(np.float64))
    place = tuple(int(k) for k in np.unravel_index(int(np.nanargmax(np.where(close, -1, worst))), a.shape))
    return (
        f"{'Tensor-likes' if a.ndim else 'Scalars'} are not close{where}!\n\n"
        f"Mismatched elements: {int((~close).sum())} / {a.size}\n"
        f"Greatest absolute difference: {worst[place]} at index {place} "
        f"(up to {atol} allowed, and {rtol} of the expected value)"
    )


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
