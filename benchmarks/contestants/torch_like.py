"""The work in PyTorch's terms, for PyTorch and for this package alike: only the imported library differs."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contestants import Task
from benchmarks.workloads import Layer, Workload


def build(nn: Any, layers: tuple[Layer, ...]) -> Any:
    """The layers as a Module."""

    class Residual(nn.Module):
        def __init__(self, main: Any, shortcut: Any) -> None:
            super().__init__()
            self.main, self.shortcut = main, shortcut

        def forward(self, x: Any) -> Any:
            return self.main(x) + self.shortcut(x)

    def one(layer: Layer) -> Any:
        kind, *a = layer
        match kind:
            case "conv":
                return nn.Conv2d(a[0], a[1], a[2], a[3], a[4], groups=a[5], bias=a[6])
            case "conv1d":
                return nn.Conv1d(a[0], a[1], a[2], a[3], a[4], groups=a[5], bias=a[6])
            case "linear":
                return nn.Linear(a[0], a[1])
            case "batchnorm":
                return nn.BatchNorm2d(a[0])
            case "relu":
                return nn.ReLU()
            case "maxpool":
                return nn.MaxPool2d(a[0], a[1])
            case "globalavg":
                return nn.AdaptiveAvgPool2d(1)
            case "flatten":
                return nn.Flatten()
            case "residual":
                return Residual(build(nn, a[0]), build(nn, a[1]))
        raise ValueError(kind)

    return nn.Sequential(*[one(layer) for layer in layers])


def prepare(tg: Any, work: Workload, threads: int, layout: dict[str, Any], fused: dict[str, bool]) -> Task:
    """The task on library `tg` (torch, or this package).

    `layout` goes to `.to` and `.contiguous` (a memory format), `fused` to the optimisers.
    """
    tg.set_num_threads(threads)
    functional = tg.nn.functional
    if work.kind == "chain":
        x = tg.tensor(np.linspace(0.5, 1.5, 4, dtype=np.float32), requires_grad=True)
        w = tg.tensor(np.full(4, 1.0001, np.float32), requires_grad=True)

        def chain() -> None:
            x.grad = w.grad = None
            y = x
            for _ in range(1000):
                y = y * w
            y.sum().backward()

        return Task(chain, lambda: [float(x.grad.sum()), float(w.grad.sum())])
    model = build(tg.nn, work.layers)
    weights = work.weights()
    for p, value in zip(model.parameters(), weights, strict=True):
        p.data = tg.from_numpy(value.copy())
    images, labels = work.data()
    x, target = tg.from_numpy(images), tg.from_numpy(labels)
    if layout:
        model, x = model.to(**layout), x.contiguous(**layout)
    if work.kind == "conv":
        x.requires_grad_()
        upstream = tg.from_numpy(
            np.random.default_rng(2).standard_normal(tuple(model(x).shape)).astype(np.float32)
        )

        def one_conv() -> None:
            x.grad = None
            model.zero_grad()
            model(x).backward(upstream)

        return Task(one_conv, lambda: [float(np.abs(t.grad.numpy()).sum()) for t in (x, *model.parameters())])
    if work.kind == "infer":
        model.eval()
        outputs: list[Any] = []

        def infer() -> None:
            with tg.inference_mode():
                outputs[:] = [model(x)]

        return Task(infer, lambda: [float(v) for v in np.abs(outputs[0].numpy()).sum(0)])
    parameters = list(model.parameters())
    if work.optimizer == "adam":
        optimizer: Any = tg.optim.Adam(parameters, **work.settings, **fused)
    else:
        optimizer = tg.optim.SGD(parameters, **work.settings, **fused)
    if work.kind == "epoch":
        from benchmarks.data import mnist

        data, classes = mnist()
        loader = tg.utils.data.DataLoader(
            tg.utils.data.TensorDataset(tg.from_numpy(data), tg.from_numpy(classes)),
            batch_size=64,
            shuffle=True,
        )

        def epoch() -> None:
            for xs, ys in loader:
                if layout:
                    xs = xs.contiguous(**layout)
                optimizer.zero_grad()
                functional.cross_entropy(model(xs), ys).backward()
                optimizer.step()

        return Task(epoch, list)
    loss: list[Any] = []

    def train() -> None:
        optimizer.zero_grad()
        value = functional.cross_entropy(model(x), target)
        value.backward()
        optimizer.step()
        loss[:] = [value]

    return Task(train, lambda: [loss[0].item(), *[float(np.abs(p.grad.numpy()).sum()) for p in parameters]])
