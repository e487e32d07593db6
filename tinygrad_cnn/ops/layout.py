"""Memory formats under PyTorch's names: row-major, and channels-last for pictures and volumes.

Touches arrays only. New tensors are laid out here (`creation`), and copies of tensors (`shape`).
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd.annotations import Params

ndarray = np.ndarray

strided = "strided"
contiguous_format, preserve_format = "contiguous_format", "preserve_format"
channels_last, channels_last_3d = "channels_last", "channels_last_3d"

_DIMENSIONS = {channels_last: 4, channels_last_3d: 5}


def check_format(memory_format: object, ndim: int) -> None:
    """Raise TypeError for what is no memory format, ValueError for one that asks for other dimensions."""
    if memory_format not in (None, contiguous_format, preserve_format, *_DIMENSIONS):
        names = ", ".join((contiguous_format, preserve_format, *_DIMENSIONS))
        raise TypeError(f"memory_format expected one of {names}, got {memory_format!r}")
    wanted = _DIMENSIONS.get(str(memory_format), ndim)
    if wanted != ndim:
        raise ValueError(f"memory_format={memory_format} expected {wanted} dimensions, got {ndim}")


def has_format(array: ndarray, memory_format: object) -> bool:
    """Whether the memory is in this format; "preserve_format" is none, as in PyTorch."""
    if memory_format in _DIMENSIONS:
        return array.ndim == _DIMENSIONS[str(memory_format)] and np.moveaxis(array, 1, -1).flags.c_contiguous
    check_format(memory_format, array.ndim)
    return bool(array.flags.c_contiguous) and memory_format != preserve_format


def in_format(array: ndarray, memory_format: object) -> ndarray:
    """A copy of an array in this format; without one as the array is laid out itself."""
    check_format(memory_format, array.ndim)
    if memory_format in _DIMENSIONS:
        return np.moveaxis(np.array(np.moveaxis(array, 1, -1), order="C"), -1, 1)
    return np.array(array, order="C" if memory_format == contiguous_format else "K")


def check_options(function: str, options: Params, known: tuple[str, ...] = ()) -> None:
    """Check the keywords of a function that makes tensors: those of its own, and PyTorch's that say nothing here.

    `layout` may be "strided" only. Raises TypeError for an unknown keyword, RuntimeError for another layout.
    """
    unknown = set(options) - {"layout", "pin_memory", *known}
    if unknown:
        raise TypeError(f"{function}() got unexpected keyword argument(s) {', '.join(sorted(unknown))}")
    if options.get("layout") not in (None, strided):
        raise RuntimeError(f"{function} expected layout=strided, the only one there is, got {options['layout']!r}")
