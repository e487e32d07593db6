"""Types of arguments, under the names that model files import."""

from typing import Any

from tinygrad_cnn.ops.device import device

Number = int | float | bool
Device = device | str | int | None
Storage = _dtype = _layout = _size = Any
