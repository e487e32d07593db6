"""One declaration beside an op's function says in which forms users find it.

    @public(method=True, in_place=True, out=True, numpy=[np.clip], aliases=["clip"])
    def clamp(input, min=None, max=None): ...

makes it ``tg.clamp`` and ``tg.clip``, ``t.clamp(…)``, ``t.clamp_(…)``, ``tg.clamp(…, out=t)``, and what
``np.clip`` does on tensors. The package's root and `tensors.declared` read the table that this fills, and
`tools/make_stub.py` writes ``tinygrad_cnn/__init__.pyi`` and ``tensors/declared.pyi`` from it, so that editors
complete the names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from tinygrad_cnn.autograd.dispatch import implements

F = TypeVar("F", bound=Callable[..., Any])


class Public(NamedTuple):
    """In which forms a function is public.

    Attributes:
        function: the function itself
        top_level: it is ``tg.name``
        method: it is ``t.name(…)``, with the tensor as its first argument
        in_place: it is ``t.name_(…)``, which changes the tensor; "view" for one that rebinds the tensor to another
            view of its memory
        out: ``tg.name`` takes a further keyword `out`, a tensor that is given the result
    """

    function: Callable[..., Any]
    top_level: bool
    method: bool
    in_place: bool | str
    out: bool


#: Every public function on tensors, by its name.
PUBLIC: dict[str, Public] = {}


def public(
    function: F | None = None, *, name: str | None = None, top_level: bool = True, method: bool = False,
    in_place: bool | str = False, out: bool = False, numpy: Sequence[Any] = (), aliases: Sequence[str] = (),
) -> Any:  # fmt: skip
    """Declare a function public; as a decorator with or without arguments.

    `name` is the public name where the function's own is another, and `aliases` are further ones with the same
    forms. `numpy` are the NumPy functions of the same arguments that it answers for on tensors.
    """

    def declare(function: F) -> F:
        implements(*numpy)(function)
        for public_name in (name or function.__name__, *aliases):
            PUBLIC[public_name] = Public(function, top_level, method, in_place, out)
        return function

    return declare if function is None else declare(function)
