"""The methods of a tensor that `ops.declare` lists: each calls the function of its name.

`attach` makes them from the table. For type checkers and editors `tools/make_stub.py` writes the same table, with
signatures, into ``declared.pyi``.
"""

from __future__ import annotations

from tinygrad_cnn.autograd.annotations import AnyFunction, Tensor
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.ops.declare import PUBLIC
from tinygrad_cnn.ops.inplace import in_place
from tinygrad_cnn.ops.views import replace_by_view


class DeclaredMethods(Handle):
    """The ops that are methods as they stand; classes below replace some of them."""

    __slots__ = ()


def _reshaped_in_place(fn: AnyFunction) -> AnyFunction:
    def method(self: Tensor, *args: object, **kwargs: object) -> Tensor:
        new = fn(self, *args, **kwargs)
        replace_by_view(self, new)
        return self

    method.__doc__ = f"`{fn.__name__}` in place."
    return method


def attach() -> None:
    """Make the methods of `DeclaredMethods`; called once, when the ops have declared themselves."""
    for name, entry in PUBLIC.items():
        if entry.method:
            setattr(DeclaredMethods, name, entry.function)
        if entry.in_place:
            view = entry.in_place == "view"
            form = _reshaped_in_place(entry.function) if view else in_place(entry.function, f"{name}_")
            setattr(DeclaredMethods, f"{name}_", form)
