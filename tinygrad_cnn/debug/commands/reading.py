"""What the commands have in common: reading counts, numbers of breakpoints, inputs and indices."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.debug.commands.interpreter import Interpreter
from tinygrad_cnn.debug.commands.registry import Reply
from tinygrad_cnn.support.errors import UsageError


def count(text: str, what: str) -> int:
    if not text:
        return 1
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"{what} expects how many nodes (a number from 1), got {text!r}")
    return int(text)


def ids(text: str, one: bool = False) -> list[int]:
    words = text.replace(",", " ").split()
    if any(not w.isdigit() for w in words) or (one and len(words) != 1):
        raise UsageError(
            f"expected {'the number' if one else 'numbers'} of a breakpoint, got {text!r}; `b` lists them"
        )
    return [int(w) for w in words]


def list_breaks(self: Interpreter) -> Reply:
    lines = [bp.describe() for bp in self.session.breakpoints]
    return Reply(["Num  where"] + lines if lines else ["no breakpoints; b SELECTOR sets one"])


def input_number(node: Any, text: str) -> int:
    """An input by number or name; the first live one for nothing."""
    live = [i for i, p in enumerate(node.parents) if p is not None]
    if not live:
        raise UsageError("a leaf has no inputs" if not node.parents else "no input wants a gradient here")
    if not text:
        return live[0]
    names = [node.op.input_name(i, len(node.parents)) for i in range(len(node.parents))]
    number = int(text) if text.isdigit() else names.index(text) if text in names else -1
    if number not in live:
        said = ", ".join(f"{i} ({names[i]})" for i in live)
        raise UsageError(f"{node.op.name} has no gradient for an input {text!r}; there are: {said}")
    return number


def index_of_text(text: str) -> Any:
    """``0,2`` or ``(0, 2)`` or ``:3`` as an index; None for nothing."""
    text = text.strip()
    if not text:
        return None
    try:
        value = eval(f"_[{text.strip('()[]')}]", {"__builtins__": {}, "_": _Index()})
    except Exception:
        raise UsageError(f"cannot read {text!r} as an index; write e.g. 0,2") from None
    return value


class _Index:
    def __getitem__(self, item: Any) -> Any:
        return item
