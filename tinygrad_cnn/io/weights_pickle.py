"""The pickles in PyTorch's files, read without running them: a stack machine that knows containers and tensors.

A pickle is a program: it may name any function of any module and call it. This machine looks names up in a list of
what weights are made of (`KNOWN`, and the tensors that `pt` adds) and refuses every other name before anything is
called, so nothing of the file is ever run. Opcodes are taken apart by the standard library's `pickletools`.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NoReturn

import numpy as np

from tinygrad_cnn.support.size import Size

__all__ = ["KNOWN", "Function", "Named", "Refused", "Trusted", "read"]

#: Positions of the memo; PyTorch numbers them from 0.
_MEMO = 1 << 24


class Refused(ValueError):
    """The file asks for something that is no part of weights; the message names it."""


class Function:
    """A name that a pickle may call, with what answers in its place."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


class Trusted(Function):
    """A class that the reading program itself named as safe: the pickle may make instances and set their state."""


class Named(str):
    """A type that a pickle may mention (a storage type), which is never called."""

    __slots__ = ()


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes are in latin1, got {encoding!r}")
    return text.encode("latin1")


def _size(values: Any = ()) -> Size:
    return Size(_whole(values))


def _whole(values: Any) -> tuple[int, ...]:
    if type(values) not in (tuple, list, Size) or not all(type(value) is int for value in values):
        raise ValueError("sizes are whole numbers")
    return tuple(values)


def _plain(kind: type) -> Function:
    """A container of what it is given."""

    def make(*args: Any) -> Any:
        if len(args) > 1 or args and not isinstance(args[0], (list, tuple, dict, set, str, bytes)):
            raise ValueError(f"{kind.__name__} is made of one list")
        return kind(*args)

    return Function(make)


def _dtype(code: Any, *_flags: Any) -> np.dtype:
    """NumPy's dtype of plain numbers; what its state says is its byte order, which `_array_state` reads."""
    if not isinstance(code, str) or len(code) > 3 or (found := np.dtype(code)).kind not in "biuf":
        raise Refused(f"it asks for an array of {code!r:.20}, which weights do not need")
    return np.dtype(found.str)


def _scalar(dtype: Any, raw: Any) -> np.generic:
    if not isinstance(dtype, np.dtype) or type(raw) is not bytes or len(raw) != dtype.itemsize:
        raise ValueError("a number of NumPy's that is none")
    return np.frombuffer(raw, dtype)[0]


def _array_state(array: Any, state: Any) -> None:
    """What a pickle tells of an array: version, shape, dtype, whether in Fortran's order, bytes."""
    _version, shape, dtype, fortran, raw = state
    if not isinstance(dtype, np.dtype) or dtype.hasobject or type(raw) is not bytes or type(fortran) is not bool:
        raise ValueError("an array of no numbers")
    if len(raw) != dtype.itemsize * math.prod(_whole(shape)) or min(shape, default=0) < 0:
        raise ValueError("an array whose bytes are not those of its shape")
    array.__setstate__((1, shape, dtype, fortran, raw))


_NUMPY = {
    "_reconstruct": Function(lambda *_args: np.empty(0, np.int8)), "scalar": Function(_scalar),
}  # fmt: skip
#: Names of weights' files beside tensors: containers, sizes, devices, NumPy's arrays and numbers.
KNOWN: dict[str, Any] = {
    "collections.OrderedDict": _plain(OrderedDict), "collections.Counter": _plain(Counter),
    "__builtin__.set": _plain(set), "builtins.set": _plain(set),
    "__builtin__.frozenset": _plain(frozenset), "builtins.frozenset": _plain(frozenset),
    "builtins.bytearray": _plain(bytearray), "_codecs.encode": Function(_encoded),
    **{f"numpy.{core}.multiarray.{name}": call for core in ("core", "_core") for name, call in _NUMPY.items()},
    "numpy.dtype": Function(_dtype), "numpy.ndarray": Named("ndarray"),
    "torch.Size": Function(_size), "torch.device": Function(lambda name, *_index: str(name)),
}  # fmt: skip

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_MARK = object()


def read(stream: bytes | BinaryIO, known: Mapping[str, Any], persistent: Callable[[Any], Any]) -> Any:
    """The value of the pickle at the stream's position, which is left behind the pickle's end.

    Args:
        stream: the pickle, or an open file.
        known: what dotted names mean: a `Function`, a `Named` or a value; any other name is refused.
        persistent: what answers a persistent id (PyTorch: a storage).

    Returns:
        The value. Raises Refused for a name that is not known, ValueError and others for what is no pickle.
    """
    machine = _Machine(known, persistent)
    for opcode, arg, _position in pickletools.genops(
        io.BytesIO(stream) if isinstance(stream, bytes) else stream
    ):
        if opcode.name == "STOP":
            return machine.pop()
        machine.do(opcode.name, arg)
    raise ValueError("the pickle has no end")


class _Machine:
    def __init__(self, known: Mapping[str, Any], persistent: Callable[[Any], Any]) -> None:
        self.known, self.persistent = known, persistent
        self.trusted = [value.call for value in known.values() if isinstance(value, Trusted)]
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def do(self, name: str, arg: Any) -> None:
        if name in _VALUES:
            self.stack.append(arg)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif (action := getattr(self, f"_{name.lower()}", None)) is not None:
            action(arg)
        elif name not in ("PROTO", "FRAME"):
            raise Refused(f"it uses the pickle instruction {name}, which weights do not need")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def _marked(self) -> list[Any]:
        items = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]

    def _mark(self, _arg: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _arg: Any) -> None:
        self.stack.pop()

    def _dup(self, _arg: Any) -> None:
        self.stack.append(self.stack[-1])

    # --- containers -------------------------------------------------------------------------------

    def _tuple(self, _arg: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _tuple1(self, _arg: Any) -> None:
        self.stack.append((self.pop(),))

    def _tuple2(self, _arg: Any) -> None:
        last = self.pop()
        self.stack.append((self.pop(), last))

    def _tuple3(self, _arg: Any) -> None:
        last, middle = self.pop(), self.pop()
        self.stack.append((self.pop(), middle, last))

    def _list(self, _arg: Any) -> None:
        self.stack.append(self._marked())

    def _dict(self, _arg: Any) -> None:
        items = self._marked()
        self.stack.append({})
        self._set(items)

    def _append(self, _arg: Any) -> None:
        value = self.pop()
        self._top(list).append(value)

    def _appends(self, _arg: Any) -> None:
        items = self._marked()
        self._top(list).extend(items)

    def _setitem(self, _arg: Any) -> None:
        value = self.pop()
        self._set([self.pop(), value])

    def _setitems(self, _arg: Any) -> None:
        self._set(self._marked())

    def _additems(self, _arg: Any) -> None:
        items = self._marked()
        self._top(set).update(items)

    def _set(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise ValueError("a key without a value")
        into = self._top(dict)
        for key, value in zip(items[::2], items[1::2]):
            into[key] = value

    def _top(self, kind: type) -> Any:
        top = self.stack[-1]
        if not isinstance(top, kind):
            raise ValueError(f"{type(top).__name__} where a {kind.__name__} should be")
        return top

    # --- names and calls ---------------------------------------------------------------------------

    def _global(self, arg: str) -> None:
        self._name(arg.replace(" ", ".", 1))

    def _stack_global(self, _arg: Any) -> None:
        name = self.pop()
        self._name(f"{self.pop()}.{name}")

    def _name(self, dotted: str) -> None:
        if dotted not in self.known:
            self._unknown(dotted)
        found = self.known[dotted]
        self.stack.append(found.call if isinstance(found, Trusted) else found)

    def _unknown(self, dotted: str) -> NoReturn:
        raise Refused(f"it asks for {dotted[:100]}, which is no part of weights")

    def _reduce(self, _arg: Any) -> None:
        args, function = self.pop(), self.pop()
        call = function.call if isinstance(function, Function) else function if self._is_trusted(function) else None
        if call is None or type(args) is not tuple:
            raise ValueError("a call of what is no function")
        self.stack.append(call(*args))

    def _newobj(self, _arg: Any) -> None:
        if self._is_trusted(kind := self.stack[-2]):
            self.stack[-2] = Function(lambda *args: kind.__new__(kind, *args))
        self._reduce(None)

    def _is_trusted(self, value: Any) -> bool:
        return any(value is one for one in self.trusted)

    def _build(self, _arg: Any) -> None:
        """The state of an object: an array, a state dict with its `_metadata`, one of a trusted class."""
        state, top = self.pop(), self.stack[-1]
        if self._is_trusted(type(top)):
            (getattr(top, "__setstate__", None) or vars(top).update)(state)
        elif isinstance(top, np.dtype) and type(state) is tuple:
            if state[1:2] == (">",):
                raise Refused("it holds an array of the other byte order")
        elif type(top) is np.ndarray and type(state) is tuple:
            _array_state(top, state)
        elif type(top) is OrderedDict and type(state) is dict and state.keys() <= {"_metadata"}:
            vars(top).update(state)
        else:
            raise Refused(f"it sets the state of a {type(top).__name__}, which weights do not need")

    def _binpersid(self, _arg: Any) -> None:
        self.stack.append(self.persistent(self.pop()))

    # --- the memo ----------------------------------------------------------------------------------

    def _put(self, index: int) -> None:
        if not 0 <= index < _MEMO:
            raise ValueError(f"the memo has no place {index}")
        if self.stack[-1] is _MARK:
            raise ValueError("a mark where a value should be")
        self.memo[index] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _arg: Any) -> None:
        self._put(len(self.memo))

    def _get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _binget = _long_binget = _get
