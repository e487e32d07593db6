"""Saving and loading: arrays and plain Python values, as .npz, .safetensors or PyTorch's .pt; no file runs code.

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
from tinygrad_cnn.io.pt import ENDINGS, is_pt, pt_from_bytes, pt_to_bytes
from tinygrad_cnn.io.safetensors import load_safetensors, save_safetensors
from tinygrad_cnn.ops.device import check_device

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

    A name that ends in `.safetensors` takes a flat dict of tensors only (a `state_dict`), one in `.pt` or `.pth` is
    written as PyTorch's own, which `torch.load` opens; every other name, and an open binary file or `io.BytesIO`, is
    written as `.npz` (which `numpy.load` opens as well). TypeError names a value that cannot be saved; OutputError says
    why a place cannot be written to.
    """
    if not isinstance(path, (str, os.PathLike)):
        path.write(to_bytes(obj))
    elif Path(path).suffix == ".safetensors":
        save_safetensors(obj, path)
    elif Path(path).suffix in ENDINGS:
        write_atomically(path, pt_to_bytes(obj))
    else:
        save_npz(obj, path)


def load(path: PathLike | BinaryIO, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What `save` wrote, with arrays as tensors; also any `.npz` of plain arrays, any `.safetensors`, and the weights
    that PyTorch wrote (`.pt`, `.pth`).

    Which of them it is, is read from the file; `path` may be an open binary file (then no `.safetensors`). PyTorch's
    `map_location` and `weights_only` may be given and change nothing: all tensors are on the CPU, and nothing but
    tensors, plain values and containers is ever read. RuntimeError for a `map_location` that is another device.

    Raises CheckpointError for a file that is missing, truncated, damaged, or none of these, and for a pickle that asks
    for more than weights, which it names.
    """
    for place in map_location.values() if isinstance(map_location, dict) else (map_location,):
        if not callable(place):
            check_device(place)
    named = isinstance(path, (str, os.PathLike))
    data = read_bytes(path) if isinstance(path, (str, os.PathLike)) else path.read()
    name = str(path) if named else "the stream"
    if is_pt(data):
        return pt_from_bytes(data, name)
    if data[:4] != b"PK\x03\x04" and isinstance(path, (str, os.PathLike)) and Path(path).suffix != ".npz":
        return load_safetensors(path)
    return from_bytes(data, name)
