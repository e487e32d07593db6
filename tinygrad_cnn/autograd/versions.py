"""Which arrays were changed in place, and when.

The backward pass must notice that a value a rule saved is no longer the value it was computed with.
Counting versions on every tensor would tax every op; here only the rare event pays: a change in place
stamps the array's owner with the next number of the clock that numbers the nodes. A saved array is
stale exactly when its owner's stamp is later than the number of the node that saved it.
"""

from __future__ import annotations

import itertools
import weakref

import numpy as np

from tinygrad_cnn.autograd.annotations import Tensor

#: The engine's clock: nodes and in-place changes draw their numbers from it (atomic under the GIL).
tick = itertools.count(1).__next__

_stamps: dict[int, tuple[int, int, weakref.ref[np.ndarray]]] = {}
_latest = 0


def owner(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory `array` looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def bump(array: np.ndarray) -> None:
    """Note that the memory of `array` was just changed in place."""
    global _latest
    memory = owner(array)
    key = id(memory)
    entry = _stamps.get(key)
    _latest = now = tick()
    if entry is None:
        _stamps[key] = (1, now, weakref.ref(memory, lambda _dead: _stamps.pop(key, None)))
    else:  # of this very memory: an entry goes when its memory does
        _stamps[key] = (entry[0] + 1, now, entry[2])


def version(array: np.ndarray) -> int:
    """How many in-place changes this memory has seen."""
    entry = _stamps.get(id(owner(array)))
    return entry[0] if entry is not None else 0


def any_change_since(seq: int) -> bool:
    """Whether anything at all was changed in place after the clock showed `seq` (one comparison)."""
    return _latest > seq


def changed_since(value: Tensor, seq: int) -> bool:
    """Whether the memory of `value` was changed in place after the clock showed `seq`."""
    if not isinstance(value, np.ndarray):
        return False
    entry = _stamps.get(id(owner(value)))
    return entry is not None and entry[1] > seq
