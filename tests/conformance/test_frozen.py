"""PyTorch's own samples of the ops both libraries have, with the answers it gave when they were frozen."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.conformance.frozen import read, upstream

CALLS, VALUE = read()


def flat(result: Any) -> list[Any]:
    return [t for part in result for t in flat(part)] if isinstance(result, (list, tuple)) else [result]


def same(what: str, found: Any, expected: Any) -> None:
    if not isinstance(expected, np.ndarray):
        assert found == expected, what
        return
    array = found.detach().numpy()
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype), what
    np.testing.assert_allclose(array, expected, rtol=1e-7, atol=1e-7, err_msg=what)


@pytest.mark.parametrize("call", CALLS, ids=[f"{number}-{call['op']}" for number, call in enumerate(CALLS)])
@pytest.mark.filterwarnings("ignore")
def test_pytorchs_samples_have_pytorchs_answers(call: dict[str, Any]) -> None:
    leaves: list[tg.Tensor] = []

    def leaf(array: np.ndarray, stored: dict[str, Any]) -> tg.Tensor:
        tensor = tg.tensor(array, requires_grad=stored["grad"])
        if stored["grad"]:
            leaves.append(tensor)
        return tensor

    def plain(value: Any) -> Any:
        return getattr(tg, value["dtype"]) if isinstance(value, dict) else value

    args, kwargs = VALUE(call["args"], leaf), {name: VALUE(v, leaf) for name, v in call["kwargs"].items()}
    function: Any = reduce(getattr, call["op"].split("."), tg)
    results = flat(function(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()}))
    expected = VALUE(call["results"])
    assert len(results) == len(expected)
    for i, (found, right) in enumerate(zip(results, expected)):
        same(f"result {i}", found, right)
    if not call["grads"]:
        return
    outputs = [r for r, stored in zip(results, call["results"]) if isinstance(stored, dict) and stored.get("grad")]
    weights = [tg.tensor(w) for w in upstream([tuple(r.shape) for r in outputs])]
    # A result that depends on no input keeps no graph here: its gradients are zeros there.
    live = [(r, w) for r, w in zip(outputs, weights) if r.requires_grad]
    grads = (
        tg.autograd.grad([r for r, _ in live], leaves, [w for _, w in live], allow_unused=True)
        if live else (None,) * len(leaves)
    )  # fmt: skip
    assert len(grads) == len(call["grads"])
    for i, (found, right) in enumerate(zip(grads, call["grads"])):
        expected_grad = VALUE(right)
        if found is None or expected_grad is None:
            nothing = found if found is not None else expected_grad
            assert nothing is None or not np.any(np.asarray(nothing)), f"gradient {i}"
        else:
            same(f"gradient {i}", found, expected_grad)
