"""What belongs to PyTorch: values, source files, the program. Nothing here imports it."""

from __future__ import annotations

import sys
from typing import Any

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.inspect import is_engine_file


def is_torch(value: Any) -> bool:
    """Whether `value` is a tensor of PyTorch, or a list of them; PyTorch is not imported to find out."""
    torch = sys.modules.get("torch")
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(is_torch, value))
    return isinstance(value, getattr(torch, "Tensor", ())) and not isinstance(value, Handle)


def torch_in_use() -> bool:
    """Whether this program has imported PyTorch itself (and not this package under its name)."""
    return hasattr(sys.modules.get("torch"), "_C")


def is_library_file(filename: str) -> bool:
    """Whether a source file is this package's own or PyTorch's, and not the program's."""
    if is_engine_file(filename):
        return True
    torch = sys.modules.get("torch")
    folder = getattr(torch, "__path__", None)
    return folder is not None and filename.startswith(tuple(folder))


def is_torch_module(value: Any) -> bool:
    """Whether `value` is a module of PyTorch."""
    torch = sys.modules.get("torch")
    return torch_in_use() and isinstance(value, torch.nn.Module)  # type: ignore[union-attr]
