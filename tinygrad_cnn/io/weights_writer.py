"""The pickle of a .pt file, written: only the instructions and names that PyTorch reads with ``weights_only=True``."""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.support.dtypes import dtype
from tinygrad_cnn.support.size import Size

__all__ = ["Place", "Writer"]


class Place(NamedTuple):
    """Where a tensor lies: from entry `offset` on, in steps of `stride`, in the storage `key` of `kind`."""

    kind: str
    key: str
    entries: int
    offset: int
    stride: tuple[int, ...]


class Writer:
    """Turns one object into a pickle of protocol 2; `tensor(value, writer)` is called for each tensor or array."""

    def __init__(self, tensor: Callable[[Any, Writer], None]) -> None:
        self._tensor = tensor
        self._out = bytearray(b"\x80\x02")
        self._memo: dict[int, tuple[int, Any]] = {}

    def pickle(self, obj: Any) -> bytes:
        """The pickle of `obj`. Raises TypeError for what is neither a tensor nor a plain value or container."""
        self._write(obj)
        return bytes(self._out + b".")

    def tensor(self, value: Any, size: tuple[int, ...], place: Place) -> None:
        """Write the call that makes a tensor of `size` at `place`; `value` says whether it requires grad."""
        parameter = isinstance(value, Handle) and value.is_parameter
        grad = bool(getattr(value, "requires_grad", False))
        if parameter:
            self._global("torch._utils", "_rebuild_parameter")
            self._out += b"("
        self._global("torch._utils", "_rebuild_tensor_v2")
        self._out += b"(("
        self._write("storage")
        self._global("torch", place.kind)
        self._write(place.key)
        self._write("cpu")
        self._write(place.entries)
        self._out += b"tQ"  # a persistent id
        parts: tuple[Any, ...] = (place.offset, tuple(size), place.stride, grad and not parameter, OrderedDict())
        for part in parts:
            self._write(part)
        self._out += b"tR"
        if parameter:
            self._write(grad)
            self._write(OrderedDict())
            self._out += b"tR"

    def _write(self, value: Any) -> None:
        kind = type(value)
        if value is None or kind is bool:
            self._out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif kind in (int, float, str):
            self._out += pickle.dumps(value, 2)[2:-1] if kind is not str else _text(value)
        elif kind is bytes:
            self._call("_codecs", "encode", value.decode("latin1"), "latin1")
        elif id(value) in self._memo:
            self._out += b"j" + struct.pack("<I", self._memo[id(value)][0])
        elif isinstance(value, (Handle, np.ndarray)):
            self._tensor(value, self)
            self._remember(value)
        elif kind in (dict, list, tuple, set, frozenset, Counter, Size):
            self._container(kind, value)
        elif isinstance(value, dict):  # a state dict is one with `_metadata`
            self._container(OrderedDict, value)
        elif isinstance(value, np.generic):
            self._write(value.item())
        elif isinstance(value, (dtype, np.dtype)):
            self._global("torch", value.name)
        else:
            raise TypeError(
                f"a .pt file of weights holds tensors, numbers, strings and containers of them, got "
                f"{kind.__module__}.{kind.__qualname__}"
            )

    def _container(self, kind: type, value: Any) -> None:
        if kind in (dict, OrderedDict):
            self._out += b"}" if kind is dict else b""
            if kind is OrderedDict:
                self._call("collections", "OrderedDict")
            self._remember(value)  # before its entries, which may contain it
            self._out += b"("
            for key, entry in value.items():
                self._write(key)
                self._write(entry)
            self._out += b"u"
            if kind is OrderedDict and (metadata := getattr(value, "_metadata", None)):
                self._write({"_metadata": metadata})
                self._out += b"b"
        elif kind is list:
            self._out += b"]"
            self._remember(value)
            self._out += b"("
            for entry in value:
                self._write(entry)
            self._out += b"e"
        elif kind is tuple:
            self._out += b"("
            for entry in value:
                self._write(entry)
            self._out += b"t"
            self._remember(value)
        else:
            names: dict[Any, tuple[str, str]] = {set: ("__builtin__", "set"), frozenset: ("__builtin__", "frozenset"),
                     Counter: ("collections", "Counter"), Size: ("torch", "Size")}  # fmt: skip
            plain = dict(value) if kind is Counter else tuple(value) if kind is Size else list(value)
            self._call(*names[kind], plain)
            self._remember(value)

    def _remember(self, value: Any) -> None:
        self._out += b"r" + struct.pack("<I", len(self._memo))
        self._memo[id(value)] = len(self._memo), value  # kept alive, so that its id stays its own

    def _call(self, module: str, name: str, *args: Any) -> None:
        self._global(module, name)
        self._out += b"("
        for arg in args:
            self._write(arg)
        self._out += b"tR"

    def _global(self, module: str, name: str) -> None:
        self._out += f"c{module}\n{name}\n".encode()


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw
