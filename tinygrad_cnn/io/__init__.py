"""Saving and loading: arrays and plain Python values, as .npz or .safetensors; nothing is ever unpickled.

    save({"model": model.state_dict(), "epoch": 3}, "run.npz")
    load("run.npz")["epoch"]

A file appears under its name only when it is complete (written beside, synced, renamed), and carries a
checksum: what is truncated or changed on the way gives one CheckpointError.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from tinygrad_cnn.io.atomic import read_bytes, write_atomically
from tinygrad_cnn.io.npz import from_bytes, load_npz, save_npz, to_bytes
from tinygrad_cnn.io.safetensors import load_safetensors, save_safetensors
from tinygrad_cnn.support.errors import UsageError

__all__ = [
    "load",
    "load_npz",
    "load_safetensors",
    "save",
    "save_npz",
    "save_safetensors",
    "write_atomically",
]

PathLike = str | os.PathLike[str]


def save(obj: Any, path: PathLike | BinaryIO) -> None:
    """Write `obj` to `path`: dicts, lists, tuples of arrays, tensors, numbers, strings and None.

    A name that ends in `.safetensors` takes a flat dict of tensors only (a `state_dict`); every other name, and an
    open binary file or `io.BytesIO`, is written as `.npz` (which `numpy.load` opens as well). TypeError names a
    value that cannot be saved; OutputError says why a place cannot be written to.
    """
    if not isinstance(path, (str, os.PathLike)):
        path.write(to_bytes(obj))
    elif Path(path).suffix == ".safetensors":
        save_safetensors(obj, path)
    else:
        save_npz(obj, path)


def load(path: PathLike | BinaryIO, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What `save` wrote, with arrays as tensors; also any `.npz` of plain arrays and any `.safetensors`.

    Which of the two it is, is read from the file; `path` may be an open binary file (then `.npz`). PyTorch's
    `map_location` and `weights_only` may be given and change nothing: all tensors are on the CPU, and nothing but
    plain values is ever read.

    Raises CheckpointError for a file that is missing, truncated, damaged, or neither, and UsageError for a pickle
    (PyTorch's `.pt`), which could run any code.
    """
    stream = not isinstance(path, (str, os.PathLike))
    data = path.read() if not isinstance(path, (str, os.PathLike)) else read_bytes(path)
    if data[:4] == b"PK\x03\x04" and b"data.pkl" not in data[:256]:
        return from_bytes(data, "the stream" if stream else str(path))
    if data[:2] == b"\x80\x02" or data[:2] == b"\x80\x04" or data[:4] == b"PK\x03\x04":
        raise UsageError(
            f"{'the stream' if stream else path} is a pickle (PyTorch's own format), which may run code when read. "
            "In PyTorch, save the weights with safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
        )
    if isinstance(path, (str, os.PathLike)) and Path(path).suffix != ".npz":
        return load_safetensors(path)
    return from_bytes(data, "the stream" if stream else str(path))
