"""Nested tuples, lists and dicts of tensors: taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn.autograd.annotations import Tensor


def flatten(value: Tensor) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of a nested structure, and a function that puts other leaves into the same structure."""
    if isinstance(value, dict):
        keys = list(value)
        leaves, rebuild = flatten([value[k] for k in keys])
        return leaves, lambda new: dict(zip(keys, rebuild(new), strict=True))
    if isinstance(value, (tuple, list)):
        parts = [flatten(v) for v in value]
        sizes = [len(leaves) for leaves, _ in parts]

        def rebuild_sequence(new: list[Any]) -> Any:
            items, start = [], 0
            for (_, rebuild), size in zip(parts, sizes, strict=True):
                items.append(rebuild(new[start : start + size]))
                start += size
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)

        return [leaf for leaves, _ in parts for leaf in leaves], rebuild_sequence
    return [value], lambda new: new[0]
