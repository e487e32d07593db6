"""The dtype that PyTorch gives a result where NumPy's differs, and the error where shapes do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes


class ShapeError(ValueError, RuntimeError):
    """Shapes or settings that do not fit together: a ValueError, and to whoever comes from PyTorch a RuntimeError."""


def explained(name: str, operands: Sequence[Any], error: ValueError) -> ValueError:
    """NumPy's error as one that names the op and the dimension, where shapes do not broadcast; else as it is."""
    shapes = [np.shape(x) for x in operands]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        longest = max(map(len, shapes))
        for k in range(1, longest + 1):
            sizes = [s[-k] for s in shapes if len(s) >= k and s[-k] != 1]
            if len(set(sizes)) > 1:
                break
        listed = " and ".join(str(s) for s in shapes if s)
        return ShapeError(
            f"{name} expected shapes that broadcast, got {listed}: sizes {' and '.join(map(str, sizes))} in "
            f"dimension {-k} are neither equal nor 1"
        )
    return error


#: Booleans, then integers, then floats: the kinds of dtypes, each of which beats those before it.
_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


def promoted(operands: Sequence[Any]) -> np.dtype:
    """The dtype PyTorch gives a result of arrays and Python numbers.

    Within a kind, arrays with dimensions decide; 0-d arrays count only where they are of a higher kind, and
    numbers where they are of a higher one still (then as the default float, or int64).
    """
    dims: list[np.dtype] = []
    scalars: list[np.dtype] = []
    number = -1
    for x in operands:
        if isinstance(x, np.ndarray):
            (dims if x.ndim else scalars).append(x.dtype)
        elif isinstance(x, (bool, np.bool_)):
            number = max(number, 0)
        elif isinstance(x, (int, np.integer)):
            number = max(number, 1)
        elif isinstance(x, (float, np.floating)):
            number = max(number, 2)
    found = _widest(dims)
    other = _widest(scalars)
    if found is None or other is not None and _RANK[other.kind] > _RANK[found.kind]:
        found = other
    if found is None or number > _RANK[found.kind]:
        return np.dtype(modes.get_default_dtype() if number == 2 else np.int64 if number == 1 else np.bool_)
    return found


def _widest(dtypes: list[np.dtype]) -> np.dtype | None:
    if len(dtypes) < 2:
        return dtypes[0] if dtypes else None
    top = max(_RANK[d.kind] > 1 for d in dtypes)
    # Integers say nothing about the width of floats, as they do in NumPy.
    return np.result_type(*[d for d in dtypes if not top or _RANK[d.kind] > 1])


def float_dtype(arrays: Sequence[Any]) -> np.dtype:
    """The floating dtype PyTorch gives a result: `promoted`, or the default where nothing floats."""
    found = promoted(arrays)
    return found if found.kind == "f" else np.dtype(modes.get_default_dtype())


def settle(out: np.ndarray, operands: Sequence[Any]) -> np.ndarray:
    """A result of NumPy's in the dtype PyTorch gives it: NumPy widens more, and counts a 0-d array in full."""
    kind = out.dtype.kind
    if kind == "f":
        wanted = float_dtype(operands)
    elif kind in "iu":
        wanted = promoted(operands)
        if wanted.kind not in "iu":
            wanted = np.dtype(np.int64)
    else:
        return out
    return out if out.dtype == wanted else out.astype(wanted)
