"""What `debug.watch` costs a training at its default interval: `python -m benchmarks.watching`.

Three kinds of step are timed, each in a row of its own: without the watch, watched and not measured, and measured
(two steps: the noise scale needs the gradient after it as well). The fastest of each count, since other programs
only add. One line per network.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn, optim
from tinygrad_cnn.nn import functional as F

#: Name -> (network, shape of a sample).
NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "mnist-cnn": (lambda: models.create("mnist-cnn"), (1, 28, 28)),
    "mnist1d-mlp": (lambda: models.create("mnist1d-mlp"), (40,)),
    "deep-mlp": (
        lambda: nn.Sequential(
            *(m for _ in range(10) for m in (nn.Linear(64, 64), nn.ReLU())), nn.Linear(64, 10)
        ),
        (64,),
    ),
}


def cost(name: str, *, batch: int = 64, rounds: int = 100, every: int = 50) -> tuple[float, float]:
    """Milliseconds per step without the watch, and the share that it adds."""
    build, shape = NETWORKS[name]
    tg.manual_seed(0)
    model = build()
    optimizer = optim.Adam(model.parameters(), lr=1e-4)
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((batch, *shape)).astype(np.float32))
    y = tg.tensor(rng.integers(0, 10, batch))

    def fastest(steps: int = 1, before: Callable[[], None] = lambda: None) -> float:
        times = []
        for _ in range(rounds):
            before()
            start = time.perf_counter()
            for _ in range(steps):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
            times.append(time.perf_counter() - start)
        return min(times)

    fastest()
    plain = fastest()
    with tg.debug.watch(model, optimizer, every=10**9, warn=False) as watch:
        watch.step = 5
        idle = fastest()
        measured = fastest(2, lambda: setattr(watch, "step", 0))
    added = max(idle - plain, 0.0) + (measured - 2 * plain) / every
    return 1e3 * plain, added / plain


def main() -> None:
    """Measure the networks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    parser.add_argument("names", nargs="*", choices=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    for name in given.names or NETWORKS:
        step, share = cost(name, rounds=given.rounds)
        print(f"{name}: {step:.2f} ms a step, debug.watch adds {100 * share:.1f} %")


if __name__ == "__main__":
    main()
