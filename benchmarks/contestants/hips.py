"""HIPS/autograd: NumPy functions traced. It has no fast convolution, so it takes part in what it can."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contestants import Task
from benchmarks.workloads import Workload


def missing() -> str | None:
    from importlib.util import find_spec

    return None if find_spec("autograd") else "autograd is not installed: make bench"


def describe() -> dict[str, Any]:
    from importlib.metadata import version

    return {"version": version("autograd")}


def prepare(work: Workload) -> Task | None:
    import autograd.numpy as anp
    from autograd import grad, value_and_grad

    if work.kind == "chain":
        x = np.linspace(0.5, 1.5, 4, dtype=np.float32)
        w = np.full(4, 1.0001, np.float32)

        def total(x: Any, w: Any) -> Any:
            for _ in range(1000):
                x = x * w
            return anp.sum(x)

        gradient = grad(total, argnum=(0, 1))
        found: list[Any] = []

        def chain() -> None:
            found[:] = gradient(x, w)

        return Task(chain, lambda: [float(g.sum()) for g in found])
    if work.name != "mlp-train":
        return None
    images, labels = work.data()
    x = images.reshape(len(images), -1)
    parameters = work.weights()
    rows = np.arange(len(labels))

    def loss(ws: list[Any]) -> Any:
        h = anp.maximum(x @ ws[0].T + ws[1], 0)
        logits = h @ ws[2].T + ws[3]
        top = logits.max(1, keepdims=True)
        normaliser = anp.log(anp.sum(anp.exp(logits - top), axis=1)) + top[:, 0]
        return anp.mean(normaliser - logits[rows, labels])

    both = value_and_grad(loss)
    last: list[Any] = []

    def train() -> None:
        value, grads = both(parameters)
        for p, g in zip(parameters, grads):
            p -= np.float32(work.settings["lr"]) * g.astype(np.float32)
        last[:] = [value, *grads]

    return Task(train, lambda: [float(last[0]), *[float(np.abs(g).sum()) for g in last[1:]]])
