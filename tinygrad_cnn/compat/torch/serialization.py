"""`torch.serialization`: files in PyTorch's own form.

Weights are written and read by `tinygrad_cnn.io.pt`, which runs no code of a file. Where a script saves more than
weights (a whole module, its arguments), or itself says ``weights_only=False``, Python's pickle serves it as in PyTorch,
and a line on standard error says so.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import tinygrad_cnn as tg
from tinygrad_cnn.compat.torch._utils import _rebuild_parameter, _rebuild_tensor_v2, storage_types
from tinygrad_cnn.io import load as load_known
from tinygrad_cnn.io.atomic import read_bytes, write_atomically
from tinygrad_cnn.io.pt import Storing, is_pt, pt_from_bytes, pt_to_bytes
from tinygrad_cnn.io.weights_pickle import Function, Trusted
from tinygrad_cnn.nn import Parameter
from tinygrad_cnn.ops.device import check_device
from tinygrad_cnn.support.errors import CheckpointError

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]

_safe: list[type] = []


def save(
    obj: Any, f: str | os.PathLike[str] | BinaryIO, pickle_module: Any = None, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True, _disable_byteorder_record: bool = False,
) -> None:  # fmt: skip
    """Write `obj` in PyTorch's form, so that PyTorch reads it; weights without any code."""
    try:
        content = pt_to_bytes(obj, arrays=False)
    except TypeError as error:
        kind = str(error).rpartition("got ")[2]
        _tell(f"torch.save: {kind} is more than weights, so {_name(f)} is written by Python's pickle")
        content = _pickled(obj)
    if isinstance(f, (str, os.PathLike)):
        write_atomically(f, content)
    else:
        f.write(content)


def load(
    f: str | os.PathLike[str] | BinaryIO, map_location: Any = None, pickle_module: Any = None, *,
    weights_only: bool | None = None, mmap: Any = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """The object in a file of PyTorch's or of this package.

    Only with ``weights_only=False`` may a file bring more than weights; it then may run any code.
    """
    for place in map_location.values() if isinstance(map_location, dict) else (map_location,):
        if not callable(place):
            check_device(place)
    if weights_only is not False:
        data = read_bytes(f) if isinstance(f, (str, os.PathLike)) else f.read()
        if not is_pt(data):
            return load_known(f if isinstance(f, (str, os.PathLike)) else io.BytesIO(data))
        try:
            return pt_from_bytes(data, _name(f), _more())
        except CheckpointError as error:
            if "more than weights" not in str(error):
                raise
            raise CheckpointError(
                f"{error}. If you trust the file and what it runs: torch.load(…, weights_only=False)"
            ) from error
    _tell(f"torch.load: weights_only=False, so {_name(f)} is read by Python's pickle, which may run any code")
    data = read_bytes(f) if isinstance(f, (str, os.PathLike)) else f.read()
    if is_pt(data):
        return pt_from_bytes(data, _name(f), _more(), _unpickled)
    return load_known(f if isinstance(f, (str, os.PathLike)) else io.BytesIO(data))


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Allow files to make instances of these classes of the script's."""
    _safe.extend(one[0] if isinstance(one, tuple) else one for one in safe_globals)


def get_safe_globals() -> list[Any]:
    """The classes that files may make instances of."""
    return list(_safe)


def clear_safe_globals() -> None:
    """Forget them."""
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """`add_safe_globals` for the body of a ``with``."""
    before = list(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe[:] = before


def _tell(text: str) -> None:
    print(f"tinygrad-cnn: {text}", file=sys.stderr)


def _name(f: Any) -> str:
    return Path(f).name if isinstance(f, (str, os.PathLike)) else "the stream"


def _more() -> dict[str, Any]:
    """Names in files that are more here than in `io`, which knows neither parameters nor devices."""
    return {
        "torch.device": Function(
            lambda name, *_index: tg.device(str(name).partition(":")[0].replace("cuda", "cpu"))
        ),
        "torch._utils._rebuild_parameter": Function(_rebuild_parameter),
        "torch.nn.parameter.Parameter": Function(_rebuild_parameter),
        **{f"{one.__module__}.{one.__qualname__}": Trusted(one) for one in _safe},
    }


# --- Python's pickle ----------------------------------------------------------------------------------


class _Storage(NamedTuple):
    """Stands in a pickle for the storage of a tensor."""

    kind: str
    key: str
    entries: int


class _Pickler(pickle.Pickler):
    """Python's own, with tensors as PyTorch writes them."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, 2)
        self.storing = Storing()

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is not _Storage:
            return None
        return ("storage", storage_types[obj.kind], obj.key, "cpu", obj.entries)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, OrderedDict) and hasattr(obj, "_metadata"):  # a state dict, of whatever class
            return OrderedDict, (), {"_metadata": obj._metadata}, None, iter(obj.items())
        if not isinstance(obj, tg.Tensor):
            return NotImplemented
        if isinstance(obj, Parameter):
            return _rebuild_parameter, (obj.detach(), obj.requires_grad, OrderedDict())
        array = obj.array
        kind, key, entries, offset, stride = self.storing.place(array)
        args: tuple[Any, ...] = (
            _Storage(kind, key, entries),
            offset,
            tuple(array.shape),
            stride,
            obj.requires_grad,
            OrderedDict(),
        )
        return _rebuild_tensor_v2, args


class _Unpickler(pickle.Unpickler):
    """Python's own, which calls whatever the file says, with tensors from the file's storages."""

    def __init__(self, file: Any, known: Mapping[str, Any], persistent: Any) -> None:
        super().__init__(file, encoding="latin1")
        self._known, self._persistent = known, persistent

    def persistent_load(self, pid: Any) -> Any:
        # The older form names a class with its source text.
        return pid[1] if isinstance(pid, tuple) and pid[:1] == ("module",) else self._persistent(pid)

    def find_class(self, module: str, name: str) -> Any:
        known = self._known.get(f"{module}.{name}") if module.startswith("torch") else None
        if known is None:
            return super().find_class(module, name)
        return known.call if isinstance(known, Function) else known


def _pickled(obj: Any) -> bytes:
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    pickler.dump(obj)
    return pickler.storing.archive(buffer.getvalue())


def _unpickled(content: Any, known: Mapping[str, Any], persistent: Any) -> Any:
    return _Unpickler(
        io.BytesIO(content) if isinstance(content, bytes) else content, known, persistent
    ).load()
