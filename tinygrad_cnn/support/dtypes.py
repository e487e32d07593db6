"""`dtype`: what a tensor's `dtype` is.

A `dtype` stands for one of NumPy's: NumPy takes it wherever it takes its own, and the two compare equal. It prints as
in PyTorch, after the name by which the package was imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.support import imported_as
from tinygrad_cnn.support.extras import require

__all__ = ["BY_NAME", "OF", "dtype"]


class dtype:
    """A type of tensors' entries: ``tg.float32``. ``dtype(what)`` is that of anything NumPy takes for one."""

    __slots__ = ("dtype", "name")

    dtype: np.dtype  # NumPy's own, under the name by which NumPy asks for it
    name: str

    def __new__(cls, what: Any) -> Any:
        """The one object of its kind; NumPy's own where PyTorch has no such type."""
        return OF.get(found := np.dtype(what), found)

    @property
    def is_floating_point(self) -> bool:
        """Whether it is a type of real numbers."""
        return self.dtype.kind == "f" or self.name == "bfloat16"

    @property
    def is_complex(self) -> bool:
        """Whether it is a type of complex numbers."""
        return self.dtype.kind == "c"

    @property
    def is_signed(self) -> bool:
        """Whether it has negative numbers."""
        return self.dtype.kind not in "ub"

    @property
    def itemsize(self) -> int:
        """Bytes of an entry."""
        return self.dtype.itemsize

    def to_real(self) -> Any:
        """The type of the real part: itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "dtype":  # of bfloat16, which a package beside NumPy defines
            made = require("ml_dtypes", extra="bfloat16", purpose="the dtype bfloat16")
            self.dtype = np.dtype(made.bfloat16)
            OF[self.dtype] = self
            return self.dtype
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dtype, name)  # kind, type, char, newbyteorder, …

    def __eq__(self, other: object) -> bool:
        return self is other or (other is not None and type(other) is not dtype and self.dtype == other)

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"{imported_as.name}.{self.name}"

    def __reduce__(self) -> Any:
        return _named, (self.name,)


def _named(name: str) -> dtype:
    return BY_NAME[name]


def _make(name: str) -> dtype:
    made = object.__new__(dtype)
    made.name = name
    if name != "bfloat16":
        made.dtype = np.dtype(name)
    return made


#: The types by their names.
BY_NAME: dict[str, dtype] = {
    name: _make(name)
    for name in (
        "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "bool", "bfloat16",
    )
}  # fmt: skip
#: The types by NumPy's.
OF: dict[np.dtype, dtype] = {made.dtype: made for made in BY_NAME.values() if made.name != "bfloat16"}
