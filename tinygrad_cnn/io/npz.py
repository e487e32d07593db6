"""The .npz form: a ZIP of .npy members that `numpy.load` opens, plus the tree they hang in, plus a checksum.

The SHA-256 of everything before it stands at the file's end, as the ZIP's comment. ZIP has checksums of its
own, but only over members' contents, and a damaged directory shows itself in a dozen different exceptions.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import zipfile
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.io.atomic import read_bytes, write_atomically
from tinygrad_cnn.io.tree import flatten, unflatten
from tinygrad_cnn.support.errors import CheckpointError, brief
from tinygrad_cnn.support.limits import most

__all__ = ["load_npz", "save_npz"]

_TREE = "__tree__.json"
_LABEL = b"sha256:"
_COMMENT = len(_LABEL) + 64  # 64 hexadecimal digits


def save_npz(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write nested dicts, lists and tuples of arrays, tensors and plain values (see `io.save`)."""
    write_atomically(path, to_bytes(obj))


def load_npz(path: str | os.PathLike[str]) -> Any:
    """What `save_npz` wrote; of a .npz without our tree, a dict of tensors. Raises CheckpointError."""
    return from_bytes(read_bytes(path), os.fspath(path))


def to_bytes(obj: Any) -> bytes:
    """The content of the file for `obj`; equal objects give equal bytes."""
    text, arrays = flatten(obj)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, _TREE, text.encode())
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(array, order="C"), allow_pickle=False)
            _add(archive, f"{name}.npy", member.getbuffer())
        archive.comment = _LABEL + b"0" * 64  # its length is part of what is summed
    content = buffer.getvalue()[: -_COMMENT + len(_LABEL)]
    return content + hashlib.sha256(content).hexdigest().encode()


def from_bytes(data: bytes, name: str) -> Any:
    """The object in `data`, the content of the file called `name`. Raises CheckpointError."""
    if not data:
        raise CheckpointError(f"{name} is empty: it was never completely written")
    signed = data[-_COMMENT:].startswith(_LABEL)
    if signed and hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
        raise CheckpointError(
            f"{name} is damaged: its content does not match its checksum; use another copy or checkpoint"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise ValueError("it holds two members of one name")
            if (claimed := sum(info.file_size for info in archive.infolist())) > most(len(data)):
                raise ValueError(
                    f"its {len(data):,} bytes claim to unpack to {claimed:,}; if you trust it, read it with numpy.load"
                )
            arrays = {n[:-4]: _read(archive, n) for n in names if n.endswith(".npy")}
            text = archive.read(_TREE).decode() if _TREE in names else None
        if text is not None and not signed:
            raise EOFError("the checksum at its end is missing")
        if text is None:
            return {key: wrap(array) for key, array in arrays.items()}
        return unflatten(text, arrays)
    except Exception as error:
        # Without a valid checksum at its end a file may break zipfile and numpy in many ways.
        raise CheckpointError(
            f"{name} cannot be read: it is truncated, damaged or no .npz file ({type(error).__name__}: "
            f"{brief(error)}); use another copy or checkpoint"
        ) from error


def _add(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    # A fixed date: the same state gives the same file.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), bytes(content))


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    content = archive.read(name)
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"the member {name!r} has version {version} of the .npy format")
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(f"the member {name!r} holds Python objects, which are never read")
    body = memoryview(content)[stream.tell() :]
    if dtype.itemsize * math.prod(shape) != len(body):  # before NumPy allocates what the header says
        raise ValueError(f"the member {name!r} of shape {shape} and {dtype} does not fill its {len(body):,} bytes")
    array = np.frombuffer(body, dtype) if len(body) else np.empty(math.prod(shape), dtype)
    array = array.reshape(shape, order="F" if fortran else "C")
    return array.astype(array.dtype.newbyteorder("="))  # writable, whatever byte order the file has
