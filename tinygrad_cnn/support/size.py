"""`Size`: the tuple that a tensor's `shape` is."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.support import imported_as


class Size(tuple[int, ...]):
    """A tuple of sizes; parts and sums of it are Sizes."""

    __slots__ = ()

    def numel(self) -> int:
        """How many entries a tensor of this shape has."""
        return math.prod(self)

    def __repr__(self) -> str:
        plain = tuple.__repr__(self)
        # In a script written for PyTorch it prints as there.
        return plain if imported_as.name == "tinygrad_cnn" else f"{imported_as.name}.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if type(found) is tuple else found

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, times: Any) -> Any:
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__
