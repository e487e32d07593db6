"""The IDX file format of MNIST: reading and writing arrays of any of its six element types, plain or gzipped.

The format: two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit
count, then the elements, big-endian, last dimension fastest. Knows NumPy and files only; `mnist` says what
the arrays mean.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.support.errors import DataError
from tinygrad_cnn.support.limits import DIMENSIONS, most

__all__ = ["parse_idx", "read_idx", "write_idx"]

_TYPES: dict[int, str] = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(form).newbyteorder("="): code for code, form in _TYPES.items()}
_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in an IDX file, in the machine's byte order. Gzip is recognised by content, not by name.

    Raises DataError, naming the file, when it is missing, no IDX file, shorter or longer than its header
    says, or when its compressed data are damaged.
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            stored = os.fstat(raw.fileno()).st_size
            if not zipped:
                return parse_idx(raw, str(path))
            with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
                return parse_idx(stream, str(path), stored)
    except EOFError as error:
        raise DataError(
            f"{path}: the compressed data end too early; the file is truncated, fetch it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the compressed data are damaged ({error}); fetch the file again") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_idx(stream: IO[bytes] | gzip.GzipFile, name: str, stored: int | None = None) -> npt.NDArray[Any]:
    """The array in an open IDX stream; `name` stands in the errors, `stored` the size of a compressed file.

    Reads one byte past the promised end, to see that it is the end.
    """
    head = stream.read(4)
    if len(head) < 4 or head[0] or head[1] or head[2] not in _TYPES:
        raise DataError(
            f"{name}: not an IDX file: expected it to begin with 00 00, a type code (08 09 0b 0c 0d 0e) and "
            f"the number of dimensions, got {head.hex(' ') or 'nothing'}"
        )
    dtype, ndim = np.dtype(_TYPES[head[2]]), head[3]
    if ndim > DIMENSIONS:
        raise DataError(f"{name}: its header promises {ndim} dimensions; an array has at most {DIMENSIONS}")
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DataError(
            f"{name}: truncated in its header: expected {4 * ndim} bytes of sizes, got {len(sizes)}"
        )
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    expected = math.prod(shape) * dtype.itemsize
    limit = expected if stored is None else min(expected, most(stored))
    payload = _read_up_to(stream, limit + 1)
    if len(payload) > limit and expected > limit:
        raise DataError(
            f"{name}: its {stored:,} compressed bytes unpack to more than {limit:,}; if you trust it, unpack it with "
            "gunzip"
        )
    if len(payload) != expected:
        promise = f"{name}: its header promises shape {shape}, {expected:,} bytes of data, but the file holds"
        if len(payload) > expected:
            raise DataError(f"{promise} more; it is not what it says, fetch it again")
        raise DataError(f"{promise} only {len(payload):,}; it is truncated, fetch it again")
    try:
        array = np.frombuffer(payload, dtype).reshape(shape)
    except ValueError as error:  # no entries, and sizes that overflow
        raise DataError(f"{name}: its header promises shape {shape}, which no array can have ({error})") from error
    return array.astype(dtype.newbyteorder("="))  # a copy: writable, and native whatever the file's order


def write_idx(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write `array` as IDX; gzipped when the name ends in `.gz`.

    uint8, int8, int16, int32, float32 and float64 can be written; DataError for others. The same array always
    gives the same bytes: the gzip header holds neither time nor name.
    """
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        known = ", ".join(str(dtype) for dtype in _CODES)
        raise DataError(f"{path}: IDX holds {known}, got {array.dtype}; convert the array with astype first")
    if array.ndim > 255 or any(n >= 2**32 for n in array.shape):
        raise DataError(
            f"{path}: IDX holds at most 255 dimensions of less than 2**32, got shape {array.shape}"
        )
    payload = bytes([0, 0, code, array.ndim])
    payload += np.array(array.shape, ">u4").tobytes() + array.astype(_TYPES[code]).tobytes()
    with open(path, "wb") as raw:
        if str(path).endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as stream:
                stream.write(payload)
        else:
            raw.write(payload)


def _read_up_to(stream: IO[bytes] | gzip.GzipFile, count: int) -> bytes:
    """At most `count` bytes, in chunks: a header that lies about its size must not make us allocate it."""
    parts: list[bytes] = []
    while count > 0:
        part = stream.read(min(count, _CHUNK))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
