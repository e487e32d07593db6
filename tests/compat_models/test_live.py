"""The same networks beside an installed PyTorch, every gradient entry compared: `make compare`."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.compat_models import zoo

pytestmark = pytest.mark.live


@pytest.mark.parametrize("name", zoo.MODELS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("dtype", "tol"), [("float32", 1e-4), ("float64", 1e-7)])
def test_outputs_and_gradients_are_pytorchs(name: str, training: bool, dtype: str, tol: float) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    seed = zoo.facts(name)["seed"]
    theirs = zoo.run(name, torch, dtype, training, seed)
    ours = zoo.run(name, tg, dtype, training, seed)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=tol, atol=tol * np.abs(theirs[1]).max())
    assert list(ours[2]) == list(theirs[2])
    largest = max(np.linalg.norm(g) for g in theirs[2].values())
    for key, g in theirs[2].items():
        assert np.linalg.norm(ours[2][key] - g) <= tol * max(np.linalg.norm(g), 1e-3 * largest), key
