"""`torch.library`, for packages that register operations of their own when they are imported.

Their Python functions run as they are; a registered kernel for another device or for tracing is never called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Library", "custom_op", "impl", "register_fake", "register_kernel"]


class Library:
    """Takes definitions, which nothing looks up."""

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema: str, *_args: Any, **_kwargs: Any) -> str:
        """The name that the schema defines."""
        return schema.partition("(")[0]

    def impl(self, name: str, fn: Callable[..., Any], *_args: Any, **_kwargs: Any) -> None:
        """Nothing: there is no dispatcher that would call `fn`."""


def _mark(*args: Any, **_kwargs: Any) -> Any:
    """A mark, as a decorator or called with the function last."""
    return args[-1] if args and callable(args[-1]) else (lambda fn: fn)


def custom_op(name: str, fn: Any = None, /, **_kwargs: Any) -> Any:
    """The function itself, which can be told further marks (`register_fake`, …)."""

    def mark(function: Any) -> Any:
        for further in ("register_fake", "register_kernel", "register_autograd", "register_vmap"):
            setattr(function, further, _mark)
        return function

    return mark(fn) if fn is not None else mark


impl = impl_abstract = register_fake = register_kernel = register_autograd = _mark
