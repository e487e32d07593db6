"""Utilities under PyTorch's paths: `utils.data` feeds a training, `utils.checkpoint` saves memory,
`utils.tensorboard` writes for TensorBoard."""

from importlib import import_module as _import_module
from typing import Any as _Any


def __getattr__(name: str) -> _Any:
    if name in ("data", "checkpoint", "tensorboard"):
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"tinygrad_cnn.utils has no {name!r}; there are: data, checkpoint, tensorboard")
