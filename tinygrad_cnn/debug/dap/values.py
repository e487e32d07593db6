"""What a value looks like in an editor's variables view, and what is found when it is opened.

`Item` is one line of that view; `open_up` gives the `Contents` behind it. Nothing is written out in whole:
an array of a million entries is its summary until somebody asks for a page of it. Knows values, not stops:
`scopes` says which values there are, `variables` hands them to the client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.debug.dap.messages import RequestError
from tinygrad_cnn.debug.snapshot import show
from tinygrad_cnn.viz.summary import summarise

#: The most children that one answer carries, whatever was asked for.
MAX_CHILDREN = 1000
#: Longest text of one value.
MAX_TEXT = 400


class Group:
    """A line that is no value but a heading: its text, and the items under it (made when it is opened)."""

    def __init__(self, text: str, items: Callable[[], list[Item]]) -> None:
        self.text = text
        self.items = items


@dataclass
class Item:
    """One line: a name, a value, and how to say it in an expression.

    `assign` replaces the value, `assign_at(index, value)` an entry of it; None where that cannot be done.
    `written` is the parameter whose gradient it shows, for data breakpoints. `text` stands in for the value's.
    """

    name: str
    value: Any
    expression: str | None = None
    assign: Callable[[Any], None] | None = None
    assign_at: Callable[[Any, Any], None] | None = None
    written: str | None = None
    text: str | None = None


class Contents:
    """What is behind a line that can be opened: `named` items, then `indexed` ones."""

    named: int = 0
    indexed: int = 0

    def get_named(self) -> list[Item]:
        """All named items (they are few)."""
        return []

    def get_indexed(self, start: int, count: int) -> list[Item]:
        """The indexed items from `start` on."""
        return []

    def page(self, which: str | None, start: int, count: int) -> list[Item]:
        """A page, as the `variables` request asks for it; `count` 0 means all, up to `MAX_CHILDREN`."""
        named = [] if which == "indexed" else self.get_named()
        if which == "named":
            end = start + count if count else None
            return named[start:end]
        total = len(named) + self.indexed
        start = min(start, total)
        wanted = min(count or total, MAX_CHILDREN, total - start)
        out = named[start : start + wanted]
        left = wanted - len(out)
        if left:
            out += self.get_indexed(max(start - len(named), 0), left)
        missing = total - start - wanted
        if missing and (not count or count > wanted):
            out.append(Item("…", None, text=f"{missing:,} more; ask for them with start and count"))
        return out

    def find(self, name: str) -> Item:
        """The item of a name. Raises RequestError when there is none."""
        for item in self.get_named():
            if item.name == name:
                return item
        number = name.strip("[]")
        if number.isdigit() and int(number) < self.indexed:
            return self.get_indexed(int(number), 1)[0]
        raise RequestError(f"there is no {name!r} here")


class Listed(Contents):
    """A fixed list of named items."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = list(items)
        self.named = len(self._items)

    def get_named(self) -> list[Item]:
        return self._items


class _Array(Contents):
    """The first axis of an array, and what is said of the whole."""

    def __init__(self, item: Item) -> None:
        value = item.value
        self._tensor = value if isinstance(value, Handle) else None
        self._array: np.ndarray = value.array if isinstance(value, Handle) else value
        self._item = item
        self.indexed = len(self._array) if self._array.ndim else 0
        self.named = len(self.get_named())

    def get_named(self) -> list[Item]:
        a = self._array
        out = [Item("shape", tuple(a.shape)), Item("dtype", str(a.dtype), text=str(a.dtype))]
        if a.dtype.kind in "fc" and a.size > 1:
            s = summarise(a)
            for name in ("norm", "mean", "std", "min", "max"):
                value = getattr(s, name)
                if value is not None:
                    out.append(Item(name, value))
            out += [Item(name, getattr(s, name)) for name in ("nan", "inf") if getattr(s, name)]
        if self._tensor is not None:
            out.append(Item("requires_grad", self._tensor.node is not None))
            if self._tensor.grad is not None:
                out.append(Item("grad", self._tensor.grad, _joined(self._item.expression, ".grad")))
        return out

    def get_indexed(self, start: int, count: int) -> list[Item]:
        return [self._entry(k) for k in range(start, min(start + count, self.indexed))]

    def _entry(self, k: int) -> Item:
        item, put = self._item, self._item.assign_at
        value = self._array[k]
        base = item.expression
        if self._tensor is not None:
            base = _joined(base, ".data")
        return Item(
            f"[{k}]", value if isinstance(value, np.ndarray) else value.item(), _indexed(base, k),
            None if put is None else lambda new: put((k,), new),
            None if put is None else lambda index, new: put((k, *index), new),
        )  # fmt: skip


class _Sequence(Contents):
    def __init__(self, item: Item) -> None:
        self._item = item
        self.indexed = len(item.value)

    def get_indexed(self, start: int, count: int) -> list[Item]:
        values = self._item.value
        return [
            Item(f"[{k}]", values[k], _indexed(self._item.expression, k))
            for k in range(start, min(start + count, len(values)))
        ]


class _Mapping(Contents):
    def __init__(self, item: Item, entries: Mapping[Any, Any], attributes: bool) -> None:
        self._item, self._entries, self._attributes = item, entries, attributes
        self.named = min(len(entries), MAX_CHILDREN)

    def get_named(self) -> list[Item]:
        base = self._item.expression
        return [
            Item(
                str(key), value,
                _joined(base, f".{key}" if self._attributes else f"[{key!r}]"),
            )
            for key, value in islice(self._entries.items(), MAX_CHILDREN)
        ]  # fmt: skip


class _Grouped(Contents):
    def __init__(self, group: Group) -> None:
        self._items = group.items()
        self.named = len(self._items)

    def get_named(self) -> list[Item]:
        return self._items


def open_up(item: Item) -> Contents | None:
    """What is behind an item, or None for one that cannot be opened."""
    value = item.value
    if isinstance(value, Group):
        return _Grouped(value)
    if isinstance(value, Handle):
        return _Array(item)
    if isinstance(value, np.ndarray):
        return _Array(item) if value.ndim else None
    if isinstance(value, (list, tuple)):
        return _Sequence(item) if value else None
    if isinstance(value, dict):
        return _Mapping(item, value, attributes=False) if value else None
    if value is None or isinstance(value, _CLOSED):
        return None
    try:
        attributes = vars(value)
    except TypeError:
        return None
    return _Mapping(item, attributes, attributes=True) if attributes else None


#: Values that are their text and nothing more.
_CLOSED = (
    bool, int, float, complex, str, bytes, np.generic, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType,
)  # fmt: skip


def counts(item: Item) -> tuple[int, int]:
    """How many named and indexed children an item will have, without making them where that costs."""
    if isinstance(item.value, Group):
        return 0, 0  # unknown until opened
    contents = open_up(item)
    return (contents.named, contents.indexed) if contents is not None else (0, 0)


def text_of(item: Item) -> str:
    """The value as one line of text."""
    if item.text is not None:
        return item.text
    value = item.value
    if isinstance(value, Group):
        return " ".join(value.text.split())
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if isinstance(value, (list, tuple)) and len(value) > 20:
        return f"{type(value).__name__} of {len(value):,}"
    if isinstance(value, dict) and len(value) > 20:
        return f"{type(value).__name__} of {len(value):,}"
    try:
        text = " ".join(show(value).split())
    except Exception as error:  # somebody's __repr__ fails: that is theirs, and worth seeing
        text = f"<{type(value).__name__}: its repr raised {type(error).__name__}: {error}>"
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def type_of(value: Any) -> str | None:
    """The type's name, with shape and dtype for arrays; None for headings."""
    if isinstance(value, Group):
        return None
    array = value.array if isinstance(value, Handle) else value
    if isinstance(array, np.ndarray):
        return f"{type(value).__name__} {tuple(array.shape)} {array.dtype}"
    return type(value).__name__


def _indexed(base: str | None, k: int) -> str | None:
    """``g[2]`` and ``3`` make ``g[2][3]``, which is Python for the same entry."""
    return None if base is None else f"{base}[{k}]"


def _joined(base: str | None, more: str) -> str | None:
    return None if base is None else base + more
