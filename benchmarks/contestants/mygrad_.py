"""MyGrad: NumPy-based like this package. Optimisers are written out here, since it has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contestants import Task
from benchmarks.workloads import Workload, parameter_shapes


def missing() -> str | None:
    from importlib.util import find_spec

    return None if find_spec("mygrad") else "MyGrad is not installed: make bench"


def describe() -> dict[str, Any]:
    import mygrad

    return {"version": mygrad.__version__}


def prepare(work: Workload) -> Task | None:
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.layers import conv_nd, max_pool
    from mygrad.nnet.losses import softmax_crossentropy

    if work.kind == "chain":
        x = mg.tensor(np.linspace(0.5, 1.5, 4, dtype=np.float32))
        w = mg.tensor(np.full(4, 1.0001, np.float32))

        def chain() -> None:
            y = x
            for _ in range(1000):
                y = y * w
            y.sum().backward()

        return Task(chain, lambda: [float(x.grad.sum()), float(w.grad.sum())])
    kinds = {layer[0] for layer in work.layers}
    if (
        work.kind not in ("train", "infer")
        or kinds & {"batchnorm", "residual", "globalavg"}
        or work.input[-1] > 100
    ):
        return None
    parameters = [mg.tensor(w) for w in work.weights()]
    images, labels = work.data()

    def forward() -> Any:
        x: Any = images
        weights = iter(parameters)
        for layer in work.layers:
            kind, *a = layer
            own = [next(weights) for _ in parameter_shapes(layer)]
            if kind in ("conv", "conv1d"):
                x = conv_nd(x, own[0], stride=a[3], padding=a[4]) + own[1].reshape(
                    1, -1, *(1,) * (x.ndim - 2)
                )
            elif kind == "linear":
                x = x @ own[0].T + own[1]
            elif kind == "relu":
                x = relu(x)
            elif kind == "maxpool":
                x = max_pool(x, (a[0], a[0]), a[1])
            elif kind == "flatten":
                x = x.reshape(x.shape[0], -1)
        return x

    if work.kind == "infer":
        outputs: list[Any] = []

        def infer() -> None:
            with mg.no_autodiff:
                outputs[:] = [forward()]

        return Task(infer, lambda: [float(v) for v in np.abs(np.asarray(outputs[0])).sum(0)])
    m = [np.zeros_like(p.data) for p in parameters]
    v = [np.zeros_like(p.data) for p in parameters]
    count = [0]
    loss: list[float] = []
    lr = work.settings["lr"]

    def train() -> None:
        value = softmax_crossentropy(forward(), labels)
        value.backward()
        count[0] += 1
        for p, a, b in zip(parameters, m, v):
            if work.optimizer == "adam":
                a *= 0.9
                a += 0.1 * p.grad
                b *= 0.999
                b += 0.001 * p.grad**2
                p.data -= lr / (1 - 0.9 ** count[0]) * a / (np.sqrt(b / (1 - 0.999 ** count[0])) + 1e-8)
            else:
                p.data -= lr * p.grad
        loss[:] = [float(value)]

    return Task(train, lambda: [loss[0], *[float(np.abs(p.grad).sum()) for p in parameters]])
