"""PyTorch's answers to a sample of its own OpInfo calls, in one file: what `freeze` writes and `test_frozen` reads.

A call is {"op", "args", "kwargs", "results", "grads"}, in JSON; arrays stand end to end in one vector of numbers, from
which they are taken by {"array": [start, shape, dtype]}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("frozen.npz")
SEED = 20


def upstream(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """The upstream gradients of a call's floating results."""
    rng = np.random.default_rng(SEED)
    return [rng.standard_normal(shape) for shape in shapes]


class Store:
    """The vector of numbers while it is written."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self.size = 0

    def add(self, array: np.ndarray) -> dict[str, Any]:
        start = self.size
        self.parts.append(array.astype(np.float64).ravel())
        self.size += array.size
        return {"array": [start, list(array.shape), array.dtype.name]}

    def write(self, calls: list[dict[str, Any]], version: str) -> None:
        numbers = np.concatenate(self.parts)
        text = np.frombuffer(json.dumps({"pytorch": version, "calls": calls}).encode(), np.uint8)
        np.savez_compressed(FILE, numbers=numbers, calls=text)


def read() -> tuple[list[dict[str, Any]], Callable[[Any], Any]]:
    """The calls, and the function that turns a stored value into arrays, tuples and plain values."""
    with np.load(FILE) as file:
        numbers, calls = file["numbers"], json.loads(bytes(file["calls"]))["calls"]

    def value(stored: Any, leaf: Callable[[np.ndarray, dict[str, Any]], Any] = lambda array, _: array) -> Any:
        if isinstance(stored, list):
            return [value(part, leaf) for part in stored]
        if not isinstance(stored, dict):
            return stored
        if "array" in stored:
            start, shape, dtype = stored["array"]
            return leaf(numbers[start : start + math.prod(shape)].reshape(shape).astype(dtype), stored)
        if "tuple" in stored:
            return tuple(value(part, leaf) for part in stored["tuple"])
        return stored

    return calls, value
