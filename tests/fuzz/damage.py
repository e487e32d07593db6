"""Damaged copies of a file: bytes flipped, cut, put in and moved; and, of JSON inside, fields with hostile values."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

#: Numbers that sizes, counts and offsets are seldom ready for.
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
#: Values for a field of a JSON file.
HOSTILE: list[Any] = [
    None, True, -1, 0, 2**31, 2**62, 10**18, 1.5, -0.0, 1e308, "", "x", "nan", "inf", "\0", "../..", "<b>", "9" * 400,
    [], [[]], [1, 2, 3], [2**62, 2**62], ["a"] * 3, {}, {"a": 1}, {"__array__": "nowhere"}, {"__tensor__": 3},
    {"__tuple__": 3}, {"__pairs__": [[1]]}, {"__float__": "x"}, {"__bytes__": "zz"},
]  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy with one to four kinds of damage."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_KINDS)(data, rng)
    return data


def structured(text: str, rng: random.Random) -> str:
    """JSON text with one to three of its fields changed, removed, doubled or nested."""
    value = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(value))
        if not places:
            break
        holder, key = rng.choice(places)
        how = rng.random()
        if how < 0.1:
            del holder[key]
        elif how < 0.2:
            nested: Any = holder[key]
            for _ in range(rng.choice([2, 70, 400])):
                nested = [nested]
            holder[key] = nested
        elif how < 0.3 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(rng.choice(HOSTILE))
    out = json.dumps(value)
    return out.replace(": 1,", f": {'9' * 5000},", 1) if rng.random() < 0.02 else out


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    stack = [value]
    while stack:
        holder = stack.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            if isinstance(holder[key], (dict, list)):
                stack.append(holder[key])


def _flip(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _put_in(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randint(1, 64)) + data[at:]


def _take_out(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randint(1, 64) :]


def _move(data: bytes, rng: random.Random) -> bytes:
    """A stretch of the file put over another one."""
    a, b, n = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1), rng.randint(1, 64)
    return data[:a] + data[b : b + n] + data[a + n :]


def _double(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[max(0, at - rng.randint(1, 256)) : at] + data[at:]


def _number(data: bytes, rng: random.Random) -> bytes:
    """A number at the edge of what integers hold, where a size may stand."""
    width = rng.choice([1, 2, 4, 8])
    number = (rng.choice(EDGES) % 256**width).to_bytes(width, rng.choice(["little", "big"]))
    at = rng.randrange(min(len(data), 64) + 1) if rng.random() < 0.5 else rng.randrange(len(data) + 1)
    return data[:at] + number + data[at + width :]


_KINDS: list[Callable[[bytes, random.Random], bytes]] = [_flip, _cut, _put_in, _take_out, _move, _double, _number]
