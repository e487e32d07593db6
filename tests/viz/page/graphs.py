"""Small graphs of the engine, and large made-up descriptions, for the page's tests."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import nn


def product() -> Any:
    """z = x · y with x = 2, y = 3."""
    x, y = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    return x * y


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        return self.linear(x).tanh()


class Net(nn.Module):
    """Two blocks with a connection around the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Block(), Block()

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        return x + self.second(x)


def network() -> tuple[Any, Net]:
    """A loss of `Net`, and the net."""
    tg.manual_seed(0)
    net = Net()
    x = tg.tensor(np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32), requires_grad=True)
    return (net(x) ** 2).sum(), net


def chain(n: int, modules: int = 0) -> dict[str, Any]:
    """A made-up description of `n` nodes in a row with some connections further back."""

    def summary(norm: float) -> dict[str, Any]:
        return {"n": 4, "shape": [4], "min": 0.0, "max": norm, "mean": norm / 2, "std": norm / 4, "norm": norm}

    nodes, edges, steps = [], [], []
    for i in range(n):
        nodes.append({
            "id": str(i), "op": "mul" if i % 3 else "add", "kind": "elementwise", "label": f"node {i}",
            "module": f"layer{i * modules // n}" if modules else None, "shape": [4], "dtype": "float32",
            "value": summary(1.0), "gradient": summary(1e-5 * (i + 1)),
        })  # fmt: skip
        inputs = [i - d for d in ((1, 7) if i % 5 == 0 else (1,)) if i >= d]
        for k, source in enumerate(inputs):
            edges.append({
                "id": f"{i}:{k}", "from": str(source), "to": str(i), "index": k,
                "local": {"text": "1", "structure": "identity"}, "contribution": summary(1e-5 * (i + 1)),
            })  # fmt: skip
        steps.append({"node": str(i), "downstream": [{"edge": f"{i}:{k}"} for k in range(len(inputs))]})
    records = [
        {"path": f"layer{m}", "name": f"layer{m}", "cls": "Block", "size": n // modules} for m in range(modules)
    ]  # fmt: skip
    return {
        "schema": "tinygrad_cnn.graph", "version": 1, "title": f"a chain of {n}", "direction": "TB", "gradients": "run",
        "nodes": nodes, "edges": edges, "modules": records, "steps": steps[::-1],
    }  # fmt: skip
