"""The safetensors form: named tensors and nothing else, as most public weights are published today.

8 bytes: length of the header; the header in JSON: {name: {dtype, shape, data_offsets}}; then the bytes. Ours
also carry a SHA-256 of the data in the header's `__metadata__`.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.io.atomic import read_bytes, write_atomically
from tinygrad_cnn.support.errors import CheckpointError

__all__ = ["load_safetensors", "save_safetensors"]

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}


def save_safetensors(
    tensors: dict[str, Any], path: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> None:
    """Write a flat dict of tensors or arrays; `metadata` may add strings. TypeError for anything else."""
    header: dict[str, Any] = {}
    pieces: list[bytes] = []
    position = 0
    if not isinstance(tensors, dict):
        raise TypeError(f"safetensors holds a dict of tensors, got {type(tensors).__name__}; use a .npz name")
    for name, value in tensors.items():
        array = unwrap(value)
        if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("<") not in _NAMES:
            kind = array.dtype if isinstance(array, np.ndarray) else type(value).__name__
            raise TypeError(
                f"safetensors holds tensors only, got {name!r}: {kind}; use a .npz name for the rest"
            )
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [position, position + len(raw)],
        }
        pieces.append(raw)
        position += len(raw)
    digest = hashlib.sha256()
    for raw in pieces:
        digest.update(raw)
    header["__metadata__"] = {**(metadata or {}), "sha256": digest.hexdigest()}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data start on a multiple of 8 bytes
    write_atomically(path, [struct.pack("<Q", len(text)), text, *pieces])


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tensors of the file, by name; bfloat16 arrives as float32. Raises CheckpointError."""
    data = read_bytes(path)
    name = os.fspath(path)
    header, start = _header(data, name)
    metadata = header.pop("__metadata__", {})
    body = memoryview(data)[start:]
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if len(body) != end:
        raise CheckpointError(
            f"{name} is damaged: its header promises {end:,} bytes of data, the file holds {len(body):,}"
        )
    signature = metadata.get("sha256") if isinstance(metadata, dict) else None
    if signature is not None and hashlib.sha256(body).hexdigest() != signature:
        raise CheckpointError(f"{name} is damaged: its content does not match its checksum")
    return {key: wrap(_tensor(body, entry, key, name)) for key, entry in header.items()}


def _header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    size = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else -1
    if not 0 < size <= len(data) - 8:
        raise CheckpointError(
            f"{name} is truncated, damaged or no .safetensors file: its header is not complete"
        )
    try:
        header = json.loads(data[8 : 8 + size])
        for key, entry in header.items():
            if key != "__metadata__":
                first, last = entry["data_offsets"]
                if not (isinstance(first, int) and isinstance(last, int) and 0 <= first <= last):
                    raise ValueError(f"offsets {first} to {last}")
                if not all(isinstance(n, int) and n >= 0 for n in entry["shape"]):
                    raise ValueError(f"shape {entry['shape']}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{name} is damaged or no .safetensors file: its header is unreadable ({error})"
        ) from error
    return header, 8 + size


def _tensor(body: memoryview, entry: dict[str, Any], key: str, name: str) -> np.ndarray[Any, Any]:
    first, last = entry["data_offsets"]
    shape, kind = tuple(entry["shape"]), entry.get("dtype")
    if kind == "BF16":
        # The upper half of a float32.
        raw = np.frombuffer(body[first:last], "<u2").astype(np.uint32) << 16
        array: np.ndarray[Any, Any] = raw.view(np.float32)
    elif kind in _DTYPES:
        width = np.dtype(_DTYPES[kind]).itemsize
        array = np.frombuffer(body[first : last - (last - first) % width], _DTYPES[kind]).copy()
    else:
        raise CheckpointError(f"{name}: the tensor {key!r} has the dtype {kind!r}, which NumPy does not have")
    if array.size != int(np.prod(shape, dtype=object)):
        raise CheckpointError(
            f"{name} is damaged: {key!r} of shape {shape} does not fill its {last - first:,} bytes"
        )
    return array.reshape(shape)
