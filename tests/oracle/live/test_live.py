"""The same comparison with an installed PyTorch, in float64 and float32: `make compare`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops import driver
from tests.ops.table import Case

pytestmark = pytest.mark.live


def compare(case: Case, dtype: str, tol: float) -> None:
    arrays, _ = case.inputs()
    theirs = driver.torch_answers(case, dtype)
    ours = driver.pull(case, [a.astype(dtype) for a in arrays])
    for a, b in zip([*ours.values, *ours.grads], [*theirs.values, *theirs.grads], strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * max(1.0, float(np.max(np.abs(b), initial=0))))


@driver.each_case(lambda case: case.torch is not None)
def test_values_and_gradients_are_pytorchs(case: Case) -> None:
    compare(case, "float64", 1e-6)


@driver.each_case(lambda case: case.torch is not None and case.float32 is not None)
def test_values_and_gradients_in_float32_are_pytorchs(case: Case) -> None:
    compare(case, "float32", case.float32)
