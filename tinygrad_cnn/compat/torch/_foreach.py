"""`torch._foreach_add_` and its like: an operation on each tensor of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tinygrad_cnn as tg

_NAMES = (
    "abs", "add", "addcdiv", "addcmul", "ceil", "clamp_max", "clamp_min", "cos", "copy", "div", "exp", "floor", "lerp",
    "log", "maximum", "minimum", "mul", "neg", "pow", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sqrt",
    "sub", "tan", "tanh", "trunc", "zero",
)  # fmt: skip


def _each(name: str) -> Callable[..., Any]:
    def foreach(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A list (or a tensor of numbers, one for each) goes along with the tensors; anything else is for all of them.
        rows = [arg if isinstance(arg, (list, tuple)) else [arg] * len(self) for arg in args]
        results = [getattr(t, name)(*(row[i] for row in rows), **kwargs) for i, t in enumerate(self)]
        return None if name.endswith("_") else tuple(results)

    foreach.__name__ = f"_foreach_{name}"
    foreach.__doc__ = f"`Tensor.{name}` of each tensor of a list, with numbers or further lists as arguments."
    return foreach


def functions() -> dict[str, Callable[..., Any]]:
    """The functions by their names; those that write in place end in ``_``."""
    names = [form for name in _NAMES for form in (name, f"{name}_") if hasattr(tg.Tensor, form)]
    found = {f"_foreach_{name}": _each(name) for name in names}
    norm = tg.linalg.vector_norm
    found["_foreach_norm"] = lambda self, ord=2, dtype=None: tuple(norm(t, ord, dtype=dtype) for t in self)
    return found
