"""Running a case: on our engine, on PyTorch, and against differences. `test_cases` and the oracle use it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.ops.table import Case

#: Files of cases; each has a `CASES` table.
FILES = ("tests.ops.cases", "tests.ops.cases_nn")


def all_cases() -> list[Case]:
    """The cases of every file."""
    found: list[Case] = []
    for name in FILES:
        if find_spec(name) is not None:
            found += importlib.import_module(name).CASES
    names = [c.name for c in found]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    return found


def each_case(where: Callable[[Case], Any] = lambda case: True) -> pytest.MarkDecorator:
    """A test for each case of the table that `where` holds for: one that asserts nothing is not made."""
    cases = [case for case in all_cases() if where(case)]
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def functional() -> Any:
    """Our `nn.functional`."""
    return importlib.import_module("tinygrad_cnn.nn.functional")


def floating(result: Any) -> list[Any]:
    """The floating tensors among the results of a function."""
    results = result if isinstance(result, (tuple, list)) else [result]
    return [r for r in results if r.dtype.kind == "f"]


def call(case: Case, xs: Sequence[Any]) -> list[Any]:
    """Our results on tensors or arrays that are made into tensors."""
    tensors = [x if isinstance(x, tg.Tensor) else tg.from_numpy(np.asarray(x)) for x in xs]
    return floating(case.fn(tg, functional(), *tensors))


def values(case: Case, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The bare values of our results."""
    return [r.detach().numpy() for r in call(case, arrays)]


def leaves(arrays: Sequence[np.ndarray]) -> list[tg.Tensor]:
    """Tensors on the arrays themselves (no copy) that require grad."""
    return [tg.from_numpy(np.asarray(a)).requires_grad_() for a in arrays]


def upstream(rng: np.random.Generator, outputs: Sequence[Any]) -> list[np.ndarray]:
    """One random gradient per output."""
    return [np.asarray(rng.standard_normal(np.shape(o))) for o in outputs]


def pull(case: Case, arrays: Sequence[np.ndarray], vs: Sequence[np.ndarray] | None = None) -> SimpleNamespace:
    """Values and gradients: of ⟨v, f(x)⟩ with respect to each input, zeros where one is not used."""
    xs = leaves(arrays)
    outputs = call(case, xs)
    if vs is None:
        vs = upstream(case.inputs()[1], outputs)
    live = [(o, v) for o, v in zip(outputs, vs, strict=True) if o.requires_grad]
    grads = tg.autograd.grad(
        [o for o, _ in live],
        xs,
        [tg.from_numpy(np.asarray(v, o.dtype)) for o, v in live],
        materialize_grads=True,
    )
    return SimpleNamespace(
        values=[o.detach().numpy() for o in outputs], grads=[g.numpy() for g in grads], vs=vs
    )


def torch_answers(case: Case, dtype: str = "float64") -> SimpleNamespace:
    """PyTorch's values and gradients for the same inputs and upstream gradients."""
    import torch

    assert case.torch is not None
    arrays, rng = case.inputs()
    xs = [torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=True) for a in arrays]
    result = case.torch(torch, torch.nn.functional, *xs)
    results = result if isinstance(result, (tuple, list)) else [result]
    outputs = [r for r in results if r.is_floating_point()]
    vs = [np.asarray(rng.standard_normal(tuple(o.shape))) for o in outputs]
    live = [(o, torch.tensor(v, dtype=o.dtype)) for o, v in zip(outputs, vs) if o.requires_grad]
    grads = torch.autograd.grad([o for o, _ in live], xs, [v for _, v in live], allow_unused=True)
    return SimpleNamespace(
        values=[o.detach().numpy() for o in outputs],
        grads=[np.zeros(x.shape) if g is None else g.numpy() for g, x in zip(grads, xs)],
    )


def directional(
    f: Callable[..., list[np.ndarray]], arrays: Sequence[np.ndarray], ts: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The derivative of f along ts by differences of fourth order (error about 1e-10 in float64)."""
    h = 1e-4
    weights = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    total: list[np.ndarray] = []
    for k, w in weights.items():
        ys = f([np.asarray(a + k * h * t) for a, t in zip(arrays, ts, strict=True)])
        total = [w * y for y in ys] if not total else [s + w * y for s, y in zip(total, ys, strict=True)]
    return [s / h for s in total]


def directions(rng: np.random.Generator, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One random direction per input."""
    return [np.asarray(rng.standard_normal(a.shape)) for a in arrays]


def inner(xs: Sequence[np.ndarray], ys: Sequence[np.ndarray]) -> float:
    """⟨x, y⟩ over all entries of all arrays."""
    return float(sum(np.sum(x * y) for x, y in zip(xs, ys, strict=True)))


def strided(a: np.ndarray) -> np.ndarray:
    """The same values in memory with gaps, dimensions backwards."""
    wide = np.zeros([2 * n + 1 for n in reversed(a.shape)], a.dtype)
    view = wide[tuple([slice(1, None, 2)] * a.ndim)].transpose() if a.ndim else wide
    view[...] = a
    return view
