"""PyTorch's answers in a file: one vector of numbers, and an index that says which case has which part."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("answers.npz")


def fingerprint(arrays: Sequence[np.ndarray]) -> int:
    """A number that changes when the inputs do (rounded, so that another libm does not count as a change)."""
    crc = 0
    for a in arrays:
        crc = zlib.crc32(repr((a.shape, [f"{v:.6g}" for v in a.ravel().tolist()])).encode(), crc)
    return crc


@dataclass(frozen=True)
class Answer:
    """Values and then gradients of one case, and the fingerprint of the inputs they belong to."""

    arrays: list[np.ndarray]
    fingerprint: int


class Answers:
    """All answers; looked up by a case's name."""

    def __init__(self, index: dict[str, Any], numbers: np.ndarray) -> None:
        self.index, self.numbers = index, numbers

    @classmethod
    def read(cls, file: Path = FILE) -> Answers:
        with np.load(file) as stored:
            return cls(json.loads(stored["index"].tobytes()), stored["numbers"])

    @property
    def names(self) -> list[str]:
        return list(self.index["cases"])

    @property
    def torch_version(self) -> str:
        return self.index["torch"]

    def __contains__(self, name: str) -> bool:
        return name in self.index["cases"]

    def __getitem__(self, name: str) -> Answer:
        entry = self.index["cases"][name]
        arrays, start = [], entry["start"]
        for shape in entry["shapes"]:
            size = int(np.prod(shape, dtype=np.int64))
            arrays.append(self.numbers[start : start + size].reshape(shape))
            start += size
        return Answer(arrays, entry["inputs"])


def write(torch_version: str, answers: dict[str, tuple[int, list[np.ndarray]]], file: Path = FILE) -> int:
    """Write all answers; the same answers give the same bytes. Returns the file's size."""
    cases: dict[str, Any] = {}
    parts: list[np.ndarray] = []
    start = 0
    for name in sorted(answers):
        inputs, arrays = answers[name]
        cases[name] = {"inputs": inputs, "start": start, "shapes": [list(a.shape) for a in arrays]}
        parts += [np.asarray(a, np.float64).ravel() for a in arrays]
        start += sum(a.size for a in arrays)
    index = json.dumps({"torch": torch_version, "cases": cases}, sort_keys=True).encode()
    numbers = np.concatenate(parts) if parts else np.zeros(0)
    np.savez_compressed(file, index=np.frombuffer(index, np.uint8), numbers=numbers)
    return file.stat().st_size
