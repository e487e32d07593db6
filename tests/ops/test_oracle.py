"""Values and gradients are PyTorch's: its answers are frozen in tests/oracle/answers.npz by `make oracle`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops import driver
from tests.ops.table import Case
from tests.oracle.answers import Answers, fingerprint

CASES = [c for c in driver.all_cases() if c.torch is not None]
pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers.read()


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_values_and_gradients_are_pytorchs(case: Case, answers: Answers) -> None:
    arrays, _ = case.inputs()
    assert case.name in answers, "no frozen answer for this case: run `make oracle`"
    frozen = answers[case.name]
    assert frozen.fingerprint == fingerprint(arrays), (
        "the case's inputs changed since its answer: run `make oracle`"
    )
    found = driver.pull(case, arrays)
    ours = [*found.values, *found.grads]
    assert [a.shape for a in ours] == [a.shape for a in frozen.arrays]
    for a, b in zip(ours, frozen.arrays, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9 * max(1.0, float(np.max(np.abs(b), initial=0))))


def test_no_answer_is_left_over_from_a_case_that_is_gone(answers: Answers) -> None:
    assert set(answers.names) == {c.name for c in CASES}
