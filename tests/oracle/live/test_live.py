"""The same comparison with an installed PyTorch, in float64 and float32: `make compare`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops import driver
from tests.ops.table import Case

pytestmark = pytest.mark.live
CASES = [c for c in driver.all_cases() if c.torch is not None]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_values_and_gradients_are_pytorchs(case: Case, dtype: str) -> None:
    arrays, _ = case.inputs()
    theirs = driver.torch_answers(case, dtype)
    ours = driver.pull(case, [a.astype(dtype) for a in arrays])
    tol = 1e-6 if dtype == "float64" else case.float32
    if tol is None:
        return
    for a, b in zip([*ours.values, *ours.grads], [*theirs.values, *theirs.grads], strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * max(1.0, float(np.max(np.abs(b), initial=0))))
