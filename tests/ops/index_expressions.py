"""Random index expressions, and what a library makes of them: read, written and differentiated.

`test_index` compares ours with PyTorch's answers, which `make oracle` freezes as one row of checksums per expression.
All numbers are small integers, so that both libraries give the same bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent.parent / "oracle" / "index_answers.npy"
COUNT = 2500
SHAPES = [(4,), (2, 3), (3, 2, 4), (2, 3, 1, 4), (0, 3), (3, 1, 2)]


def expressions() -> Iterator[tuple[tuple[int, ...], list[Any]]]:
    """(shape, parts) of `COUNT` expressions. A part is None, ..., an int, a bool, a slice, or (kind, nested list)."""
    rng = np.random.default_rng(20)
    for _ in range(COUNT):
        shape = SHAPES[rng.integers(len(SHAPES))]
        yield shape, _parts(rng, shape)


def _parts(rng: np.random.Generator, shape: tuple[int, ...]) -> list[Any]:
    parts: list[Any] = []
    common = [(2,), (3,), (2, 1), (1, 3), (2, 3), (1,)][rng.integers(6)]
    at = 0
    while (at < len(shape) or rng.random() < 0.3) and (not parts or rng.random() < 0.88):
        kind, rest = rng.random(), len(shape) - at
        if kind < 0.08:
            parts.append(None)
        elif kind < 0.15:
            flag = bool(rng.integers(2))
            parts.append(flag if kind < 0.12 else ("bool", flag))
        elif kind < 0.24 and ... not in [p for p in parts if p is ...]:
            parts.append(...)
            at += int(rng.integers(0, rest + 1)) if rest > 0 else 0
        elif rest > 0:
            n = shape[at]
            high = max(n, 1)
            if kind < 0.42:
                parts.append(int(rng.integers(-n, high)))
            elif kind < 0.46:
                parts.append(("int64", int(rng.integers(-n, high))))
            elif kind < 0.62:
                ends = [None, *range(-n - 1, n + 2)]
                start, stop, step = (rng.integers(len(ends)), rng.integers(len(ends)), rng.integers(4))
                parts.append(slice(ends[start], ends[stop], [None, 1, 2, 3][step]))
            elif kind < 0.82:
                size = common[int(rng.integers(len(common))) :] if rng.random() < 0.4 else common
                places = rng.integers(-n, high, size).tolist()
                parts.append((["int64", "list", "array"][rng.integers(3)], places))
            elif kind < 0.92 or rest < 2:
                mask = rng.random(n) < 0.6
                parts.append((["bool", "uint8", "list"][rng.integers(3)], mask.tolist()))
            else:
                mask = rng.random((n, shape[at + 1])) < 0.5
                parts.append((["bool", "uint8"][rng.integers(2)], mask.tolist()))
                at += 1
            at += 1
    return parts


def _index(lib: Any, parts: list[Any]) -> Any:
    """The parts in a library's own objects."""
    made = []
    for part in parts:
        if not isinstance(part, tuple):
            made.append(part)
        elif part[0] == "list":
            made.append(part[1])
        elif part[0] == "array":
            made.append(np.array(part[1]))
        else:
            made.append(lib.tensor(np.array(part[1]).astype(part[0]).tolist(), dtype=getattr(lib, part[0])))
    return made[0] if len(made) == 1 else tuple(made)


def _checksum(t: Any) -> int:
    array = np.ascontiguousarray(t.detach().numpy())
    return zlib.crc32(repr(array.shape).encode() + (array + 0.0).tobytes())  # + 0.0: there is one zero only


def answer(lib: Any, shape: tuple[int, ...], parts: list[Any]) -> list[int]:
    """Checksums of x[i], of its gradient, of x after x[i] = v, and of the gradients of both; zeros where it raises.

    Where index arrays may name a place twice, v is one number: which of several is written last is not defined.
    """
    x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    index = _index(lib, parts)
    leaf = lib.tensor(x, requires_grad=True)
    try:
        y = leaf[index]
    except (IndexError, TypeError, ValueError):
        return [0] * 5
    upstream = lib.tensor(np.arange(2.0, 2 + np.prod(y.shape)).reshape(tuple(y.shape)))
    found = [_checksum(y), *map(_checksum, lib.autograd.grad(y, leaf, upstream))]
    if any(isinstance(p, tuple) and p[0] == "uint8" for p in parts):
        return [*found, 0, 0, 0]  # PyTorch reads by such masks and no longer writes all values through them
    repeats = any(isinstance(p, tuple) and p[0] in ("int64", "array", "list") and p[1] for p in parts)
    value = lib.tensor(np.array(-3.0) if repeats else -upstream.detach().numpy(), requires_grad=True)
    changed = leaf * 2
    changed[index] = value
    weight = lib.tensor(x + 1)
    grads = lib.autograd.grad((changed * weight).sum(), [leaf, value], allow_unused=True)
    return [
        *found,
        _checksum(changed),
        *[0 if g is None or not g.numel() or not bool((g != 0).any()) else _checksum(g) for g in grads],
    ]


def answers(lib: Any) -> np.ndarray:
    """One row of five checksums per expression."""
    return np.array([answer(lib, *expression) for expression in expressions()], np.uint32)
