"""PyTorch's own files (.pt, .pth): tensors and the containers around them, in both directions.

Two forms are read: a ZIP of a pickle and one member per storage (PyTorch 1.6 and later), and the older one, pickles
one after the other with the storages' bytes behind them. The pickles are read by `weights_pickle`, which runs nothing.
Tensors that shared memory do so again, with their strides. Written is the ZIP, such that PyTorch opens it with
``weights_only=True``.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.io.weights_pickle import KNOWN, Function, Named, Refused, read
from tinygrad_cnn.io.weights_writer import Place, Writer
from tinygrad_cnn.support.dtypes import BY_NAME
from tinygrad_cnn.support.dtypes import dtype as Dtype
from tinygrad_cnn.support.errors import CheckpointError, brief
from tinygrad_cnn.support.limits import DIMENSIONS, most

__all__ = ["ENDINGS", "Storing", "Unpickle", "is_pt", "pt_from_bytes", "pt_to_bytes"]

#: Reads one pickle from bytes or a stream: its content, what names mean, what answers a persistent id.
Unpickle = Callable[[Any, Mapping[str, Any], Callable[[Any], Any]], Any]

#: Names of files that PyTorch's users give to this form.
ENDINGS = (".pt", ".pth")

#: Storage types by their name in files, as NumPy's codes without byte order.
_STORAGES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "bf16", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "b1",
}  # fmt: skip
_UNTYPED = "u1"
_STORAGE_OF = {code: name for name, code in _STORAGES.items()}

#: What the older form begins with: a pickled number, and then the version of the form.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001


class Storage(NamedTuple):
    """The memory that tensors of one key lie in: its bytes, and the code of their dtype."""

    raw: np.ndarray
    code: str


def is_pt(data: bytes) -> bool:
    """Whether the content of a file looks like one of PyTorch's two forms, whatever the file is called."""
    if data[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return any(name.endswith("data.pkl") for name in archive.namelist())
        except Exception:
            return b"data.pkl" in data[:256]
    # A .safetensors file begins with eight bytes of a length, and then an object in JSON.
    return data[:1] == b"\x80" and data[1:2] <= b"\x05" and data[8:9] != b"{"


def pt_from_bytes(
    data: bytes, name: str, more: Mapping[str, Any] | None = None, unpickle: Unpickle = read
) -> Any:
    """The object in `data`, the content of the file called `name`.

    Args:
        data: the whole file.
        name: the file's, for messages.
        more: further names that the file may ask for, as `weights_pickle.read` takes them.
        unpickle: reads one pickle, in the place of `weights_pickle.read`, which runs nothing.

    Returns:
        Dicts, lists and other containers of tensors and plain values. Raises CheckpointError for a file that is
        truncated, damaged or none of PyTorch's, and for one that asks for anything but weights.
    """
    try:
        if data[:4] == b"PK\x03\x04":
            return _from_zip(data, more or {}, unpickle)
        return _from_legacy(data, more or {}, unpickle)
    except Refused as error:
        raise CheckpointError(
            f"{name} holds more than weights: {brief(error)}. Nothing of it was run; in PyTorch, save the weights "
            "alone: torch.save(model.state_dict(), path)"
        ) from error
    except Exception as error:
        raise CheckpointError(
            f"{name} cannot be read: it is truncated, damaged or no file of PyTorch's ({type(error).__name__}: "
            f"{brief(error, 150)}); use another copy or checkpoint"
        ) from error


def pt_to_bytes(obj: Any, *, arrays: bool = True) -> bytes:
    """The file for `obj`: dicts, lists, tuples and sets of tensors, numbers, strings and None.

    NumPy's arrays are written as tensors with `arrays`. Raises TypeError for anything else, naming it.
    """
    storing = Storing()

    def tensor(value: Any, writer: Writer) -> None:
        if not arrays and not isinstance(value, Handle):
            raise TypeError(f"a .pt file of weights holds tensors, got {type(value).__module__}.ndarray")
        writer.tensor(value, unwrap(value).shape, storing.place(unwrap(value)))

    return storing.archive(Writer(tensor).pickle(obj))


# --- reading ------------------------------------------------------------------------------------------


class Storages:
    """The storages of one file by key, each made when the pickle first asks for it, and the tensors upon them."""

    def __init__(
        self, load: Callable[[str, str, int], np.ndarray], limit: int, more: Mapping[str, Any]
    ) -> None:
        self.load, self.limit = load, limit
        self.by_key: dict[str, Storage] = {}
        self.known: dict[str, Any] = {
            **KNOWN,
            **{f"torch.{name}": Named(code) for name, code in _STORAGES.items()},
            **{f"torch.{name}": kind for name, kind in BY_NAME.items()},
            "torch.storage.UntypedStorage": Named(_UNTYPED), "torch.UntypedStorage": Named(_UNTYPED),
            "torch._utils._rebuild_tensor_v2": Function(self.tensor),
            "torch._utils._rebuild_tensor_v3": Function(self.tensor_v3),
            "torch._utils._rebuild_tensor": Function(self.tensor),
            "torch._utils._rebuild_parameter": Function(_with_grad),
            "torch._tensor._rebuild_from_type_v2": Function(_rebuilt),
            "torch.Tensor": Named("Tensor"), "torch._tensor.Tensor": Named("Tensor"),
            "torch.nn.parameter.Parameter": Function(_with_grad),
            **more,
        }  # fmt: skip

    def storage(self, persistent: Any) -> Storage:
        """What the persistent id ``("storage", type, key, location, entries, …)`` means."""
        if type(persistent) is not tuple or len(persistent) < 5 or persistent[0] != "storage":
            raise Refused(f"it refers to {persistent!r:.60}, which is no storage")
        _, kind, key, _location, entries = persistent[:5]
        if not isinstance(kind, Named) or type(entries) is not int or entries < 0 or not isinstance(key, str):
            raise ValueError(f"no storage: {persistent!r:.80}")
        if len(persistent) > 5 and persistent[5] is not None:
            raise ValueError("a view of a storage, as PyTorch wrote them before version 0.4")
        if key not in self.by_key:
            raw = self.load(key, str(kind), entries)
            if raw.nbytes != entries * _size_of(str(kind)):
                raise ValueError(
                    f"the storage {key!r} should have {entries} entries, and has {raw.nbytes} bytes"
                )
            self.by_key[key] = Storage(raw, str(kind))
        return self.by_key[key]

    def tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *_hooks: Any
    ) -> Any:
        """The tensor of that size and stride in the storage, checked against the storage's end."""
        if not isinstance(storage, Storage):
            raise ValueError("a tensor without a storage")
        sizes, strides = tuple(size), tuple(stride)
        numbers = (offset, *sizes, *strides)
        if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers):
            raise ValueError("offset, size and stride of a tensor are whole numbers from 0")
        if len(sizes) != len(strides) or len(sizes) > DIMENSIONS:
            raise ValueError(f"a tensor of size {sizes} and stride {strides}")
        flat = _as_dtype(storage)
        last = offset + sum((n - 1) * step for n, step in zip(sizes, strides))
        count = math.prod(sizes)
        if count and last >= flat.size:
            raise ValueError(
                f"a tensor of size {sizes} and stride {strides} does not fit into {flat.size} entries"
            )
        if count * flat.itemsize > self.limit:
            raise ValueError(
                f"a tensor of {count:,} entries in a file that may unpack to {self.limit:,} bytes"
            )
        if not count:
            array = np.empty(sizes, flat.dtype)
        else:
            steps = tuple(step * flat.itemsize for step in strides)
            array = np.lib.stride_tricks.as_strided(flat[offset:], sizes, steps)
        return _with_grad(wrap(array), requires_grad)

    def tensor_v3(
        self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, _hooks: Any, dtype: Any,
        *_metadata: Any,
    ) -> Any:  # fmt: skip
        """As `tensor`, in a storage of bytes."""
        if not isinstance(storage, Storage) or not isinstance(dtype, Dtype) or dtype.name == "bfloat16":
            raise ValueError("a tensor without a storage or a dtype")
        typed = Storage(storage.raw, dtype.dtype.str[1:])
        return self.tensor(typed, offset, size, stride, requires_grad)


def _rebuilt(build: Any, _type: Any, args: Any, _state: Any) -> Any:
    """A tensor that carried attributes of its own, without them."""
    if not isinstance(build, Function) or type(args) is not tuple:
        raise ValueError("a tensor that nothing makes")
    return build.call(*args)


def _from_zip(data: bytes, more: Mapping[str, Any], unpickle: Unpickle) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        if len(infos) != len(archive.infolist()):
            raise ValueError("it holds two members of one name")
        if (claimed := sum(info.file_size for info in infos.values())) > most(len(data)):
            raise ValueError(f"its {len(data):,} bytes claim to unpack to {claimed:,}")
        pickles = [name for name in infos if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"it should hold one data.pkl, and holds {len(pickles)}")
        base = pickles[0][: -len("data.pkl")]
        if f"{base}constants.pkl" in infos:
            raise Refused("it is a TorchScript program")
        order = archive.read(f"{base}byteorder").strip() if f"{base}byteorder" in infos else b"little"
        if order not in (b"little", b"big"):
            raise ValueError(f"its byte order is {order[:20]!r}")

        def load(key: str, kind: str, _entries: int) -> np.ndarray:
            return _native(archive.read(f"{base}data/{key}"), kind, order == b"big")

        storages = Storages(load, most(len(data)), more)
        return unpickle(archive.read(pickles[0]), storages.known, storages.storage)


def _from_legacy(data: bytes, more: Mapping[str, Any], unpickle: Unpickle) -> Any:
    stream = io.BytesIO(data)

    def nothing(_persistent: Any) -> Any:
        raise ValueError("a storage before the object")

    head = read(stream, {}, nothing)
    if head != _MAGIC:
        raise Refused(
            "it is a pickle, and none of PyTorch's" if type(head) is not int else "its first number is wrong"
        )
    if (version := read(stream, {}, nothing)) != _VERSION:
        raise ValueError(f"its version is {version!r:.30}, and {_VERSION} is known")
    system = read(stream, KNOWN, nothing)
    big = isinstance(system, dict) and system.get("little_endian") is False

    bodies: dict[str, bytes] = {}

    def load(key: str, kind: str, entries: int) -> np.ndarray:
        size = entries * _size_of(kind)
        if size > len(data):
            raise ValueError(f"a storage of {entries:,} entries in a file of {len(data):,} bytes")
        return _native(bodies[key], kind, big) if bodies else np.zeros(size, np.uint8)

    # The bytes stand behind the pickle, so it is read once to know how many, and again with them.
    start = stream.tell()
    storages = Storages(load, most(len(data)), more)
    unpickle(stream, storages.known, storages.storage)
    keys = read(stream, {}, nothing)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages.by_key):
        raise ValueError("the list of its storages is not that of its tensors")
    for key in keys:
        raw, kind = storages.by_key[key]
        (entries,) = struct.unpack("<q", stream.read(8))
        bodies[key] = stream.read(raw.nbytes)
        if entries * _size_of(kind) != raw.nbytes or len(bodies[key]) != raw.nbytes:
            raise ValueError(f"the storage {key!r} is cut off")
    stream.seek(start)
    storages = Storages(load, most(len(data)), more)
    return unpickle(stream, storages.known, storages.storage)


def _native(body: bytes, kind: str, big: bool) -> np.ndarray:
    """The bytes as a writable array, in this machine's byte order."""
    raw = np.frombuffer(body, np.uint8).copy()
    width = _size_of(kind)
    if big != (sys.byteorder == "big") and width > 1:
        raw = raw.reshape(-1, width)[:, ::-1].reshape(-1).copy()
    return raw


def _as_dtype(storage: Storage) -> np.ndarray:
    if storage.code == "bf16":
        # The upper half of a float32. Tensors of one storage then no longer share it.
        return (storage.raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return storage.raw.view(np.dtype(storage.code))


def _size_of(code: str) -> int:
    return 2 if code == "bf16" else np.dtype(code).itemsize


def _with_grad(tensor: Any, requires_grad: Any = True, *_hooks: Any) -> Any:
    if not isinstance(tensor, Handle):
        raise ValueError("a parameter that is no tensor")
    if requires_grad is True and tensor.array.dtype.kind == "f":
        setattr(tensor, "requires_grad", True)  # noqa: B010 - of Tensor; the engine's handle has none
    return tensor


# --- writing ------------------------------------------------------------------------------------------


class Storing:
    """The storages of a file that is being written: arrays that share memory get one."""

    def __init__(self) -> None:
        self._storages: dict[
            tuple[int, str], tuple[str, np.ndarray, Any]
        ] = {}  # the owner stays alive: its id is a key

    def place(self, array: np.ndarray) -> Place:
        """Where `array` lies, in a new storage if need be. Raises TypeError for a dtype that PyTorch has not."""
        kind = _storage_type(array)
        owner, memory, inside = _memory(array)
        key, memory, _ = self._storages.setdefault(
            (id(owner), kind), (str(len(self._storages)), memory, owner)
        )
        offset = (inside.ctypes.data - memory.ctypes.data) // array.itemsize if array.size else 0
        return Place(kind, key, memory.size, offset, tuple(step // array.itemsize for step in inside.strides))

    def archive(self, text: bytes) -> bytes:
        """The whole file, for the pickle `text`."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, "archive/data.pkl", text)
            _add(archive, "archive/byteorder", sys.byteorder.encode())
            for key, memory, _ in self._storages.values():
                _add(archive, f"archive/data/{key}", memory.tobytes())
            _add(archive, "archive/version", b"3\n")
        return buffer.getvalue()


def _memory(array: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """Who owns the memory of `array`, that memory as one row, and the array in it.

    Arrays of one owner share a storage in the file, as they share memory. One with steps backwards, or in an owner that
    is no whole number of its entries, is copied and owns itself.
    """
    owner: Any = array
    while hasattr(
        base := owner.base, "base"
    ):  # also of the helper between an array and its `as_strided` view
        owner = base
    forward = all(step >= 0 and step % array.itemsize == 0 for step in array.strides)
    if isinstance(owner, np.ndarray) and forward and array.dtype.isnative and array.size:
        whole = owner.flags.c_contiguous or owner.flags.f_contiguous
        if whole and owner.nbytes % array.itemsize == 0:
            memory = owner.ravel(order="K").view(np.uint8).view(array.dtype)
            if (array.ctypes.data - memory.ctypes.data) % array.itemsize == 0:
                return owner, memory, array
    copy = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    return array, copy.reshape(-1), copy


def _storage_type(array: np.ndarray) -> str:
    code = array.dtype.newbyteorder("=").str[1:]
    if code not in _STORAGE_OF:
        raise TypeError(f"a .pt file holds tensors of PyTorch's types, got {array.dtype}")
    return _STORAGE_OF[code]


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed date: the same state gives the same file.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
