"""The safetensors form: named tensors and nothing else, as most public weights are published today.

8 bytes: length of the header; the header in JSON: {name: {dtype, shape, data_offsets}}; then the bytes. Ours
also carry a SHA-256 of the entries and the data in the header's `__metadata__` (version 0.1: of the data alone).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.io.atomic import read_bytes, write_atomically
from tinygrad_cnn.support.errors import CheckpointError, brief
from tinygrad_cnn.support.limits import DIMENSIONS

__all__ = ["load_safetensors", "read_metadata", "save_safetensors"]

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
    header["__metadata__"] = {**(metadata or {}), _SIGNATURE: _signature(header, pieces)}
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
    _check_layout(header, len(body), name)
    signed = _SIGNATURE in metadata and metadata[_SIGNATURE] != _signature(header, [body])
    if signed or "sha256" in metadata and metadata["sha256"] != hashlib.sha256(body).hexdigest():
        raise CheckpointError(f"{name} is damaged: its content does not match its checksum")
    return {key: wrap(_tensor(body, entry)) for key, entry in header.items()}


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that `save_safetensors` was given as `metadata`. Raises CheckpointError."""
    header, _ = _header(read_bytes(path), os.fspath(path))
    return {name: text for name, text in header.get("__metadata__", {}).items() if name != _SIGNATURE}


#: The entry of `__metadata__` that holds the checksum of all the rest.
_SIGNATURE = "sha256_of_entries_and_data"
_WIDTHS = {"BF16": 2, **{name: np.dtype(code).itemsize for name, code in _DTYPES.items()}}
_MOST = 100 << 20  # the format's own bound on a header


def _signature(entries: dict[str, Any], pieces: Iterable[Any]) -> str:
    """SHA-256 of the entries of the tensors, in a fixed form, and of their bytes."""
    found = hashlib.sha256(json.dumps(entries, sort_keys=True).encode())
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    size = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else -1
    if not 0 < size <= min(len(data) - 8, _MOST):
        raise CheckpointError(
            f"{name} is truncated, damaged or no .safetensors file: its header is not complete"
        )
    try:
        header = json.loads(data[8 : 8 + size], object_pairs_hook=_without_duplicates)
        if not isinstance(header, dict):
            raise ValueError("it is no JSON object")
        for key, entry in header.items():
            if key == "__metadata__":
                if not isinstance(entry, dict) or not all(isinstance(text, str) for text in entry.values()):
                    raise ValueError("its __metadata__ holds something other than texts")
            else:
                _check_entry(key, entry)
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{name} is damaged or no .safetensors file: its header is unreadable ({brief(error)})"
        ) from error
    return header, 8 + size


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _check_entry(key: str, entry: Any) -> None:
    """Raise ValueError unless the entry is one of a tensor whose shape and dtype fill its bytes."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{key[:80]!r} expected an entry of dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _WIDTHS:
        raise ValueError(f"{key[:80]!r} has the dtype {str(dtype)[:40]!r}, which NumPy does not have")
    if not _are_counts(shape) or len(shape) > DIMENSIONS:
        raise ValueError(f"{key[:80]!r} expected a shape of at most {DIMENSIONS} sizes from 0 on")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{key[:80]!r} expected two data_offsets")
    if offsets[1] - offsets[0] != math.prod(shape) * _WIDTHS[dtype]:
        raise ValueError(f"{key[:80]!r} has {offsets[1] - offsets[0]:,} bytes, which its shape and dtype do not fill")


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**63 for n in values)


def _check_layout(header: dict[str, Any], size: int, name: str) -> None:
    """Raise CheckpointError unless the tensors fill the data without holes, overlaps or surplus."""
    end = 0
    for first, last in sorted(entry["data_offsets"] for entry in header.values()):
        if first != end:
            what = "leaves a hole between" if first > end else "overlaps"
            raise CheckpointError(f"{name} is damaged: its header {what} tensors, at byte {min(first, end):,}")
        end = last
    if size != end:
        raise CheckpointError(
            f"{name} is damaged: its header promises {end:,} bytes of data, the file holds {size:,}"
        )


def _tensor(body: memoryview, entry: dict[str, Any]) -> np.ndarray[Any, Any]:
    first, last = entry["data_offsets"]
    if entry["dtype"] == "BF16":
        # The upper half of a float32.
        raw = np.frombuffer(body[first:last], "<u2").astype(np.uint32) << 16
        array: np.ndarray[Any, Any] = raw.view(np.float32)
    else:
        array = np.frombuffer(body[first:last], _DTYPES[entry["dtype"]]).copy()
    return array.reshape(entry["shape"])
