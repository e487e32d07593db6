"""Nested Python values as JSON text beside a flat dict of arrays, and back.

JSON knows neither tuples, nor keys that are numbers, nor arrays, nor every float: those become marked
objects. The array of `{"model": {"0.weight": t}}` is called `model/0.weight`.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, wrap

__all__ = ["flatten", "unflatten"]

Array = np.ndarray[Any, Any]

_MARKS = ("__array__", "__tensor__", "__tuple__", "__pairs__", "__float__", "__bytes__")


def flatten(value: Any) -> tuple[str, dict[str, Array]]:
    """`value` as (JSON text, arrays by name). TypeError names the place of what cannot be saved."""
    arrays: dict[str, Array] = {}
    return json.dumps(_encode(value, "", arrays), allow_nan=False), arrays


def unflatten(text: str, arrays: dict[str, Array]) -> Any:
    """The value that `flatten` took apart. KeyError or ValueError when the two do not belong together."""
    return _decode(json.loads(text), arrays)


def _encode(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic) and not isinstance(value, (float, int)):
        value = value.item()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"__float__": repr(float(value))}
    if isinstance(value, bytes):
        return {"__bytes__": value.hex()}
    if isinstance(value, (Handle, np.ndarray)):
        array = value.array if isinstance(value, Handle) else value
        if array.dtype.hasobject:
            raise TypeError(f"cannot save {place or 'this value'}: an array of Python objects")
        name = _free_name(place or "value", arrays)
        arrays[name] = array
        return {"__tensor__" if isinstance(value, Handle) else "__array__": name}
    if isinstance(value, dict):
        join = lambda key: f"{place}/{key}" if place else str(key)
        if all(isinstance(key, str) for key in value) and not any(key in _MARKS for key in value):
            return {key: _encode(v, join(key), arrays) for key, v in value.items()}
        return {
            "__pairs__": [[_encode(k, place, arrays), _encode(v, join(k), arrays)] for k, v in value.items()]
        }
    if isinstance(value, (list, tuple)):
        items = [_encode(v, f"{place}/{i}" if place else str(i), arrays) for i, v in enumerate(value)]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"cannot save {place or 'this value'}: {type(value).__name__}; expected dicts, lists, tuples, arrays, "
        "tensors, numbers, strings, bytes or None"
    )


def _decode(value: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(value, list):
        return [_decode(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((mark, inner),) = value.items()
        if mark == "__array__":
            return arrays[inner]
        if mark == "__tensor__":
            return wrap(arrays[inner])
        if mark == "__tuple__":
            return tuple(_decode(v, arrays) for v in inner)
        if mark == "__pairs__":
            return {_decode(k, arrays): _decode(v, arrays) for k, v in inner}
        if mark == "__float__":
            return float(inner)
        if mark == "__bytes__":
            return bytes.fromhex(inner)
    return {k: _decode(v, arrays) for k, v in value.items()}


def _free_name(place: str, arrays: dict[str, Array]) -> str:
    name, n = place, 2
    while name in arrays:
        name, n = f"{place}~{n}", n + 1
    return name
