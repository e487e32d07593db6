"""Any strided view of a tensor's memory: `as_strided`, checked against the memory that there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.op import Multilinear
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import scatter_op, setitem_op
from tinygrad_cnn.ops.shape import view
from tinygrad_cnn.ops.views import PUT_BACK, base_of, row_major, strided_places, view_of

Ints = tuple[int, ...]


def _strided(memory: np.ndarray, size: Ints, stride: Ints, offset: int) -> np.ndarray:
    steps = [s * memory.itemsize for s in stride]
    memory = np.ascontiguousarray(memory)
    return np.lib.stride_tricks.as_strided(memory[offset:], size, steps, writeable=memory.flags.writeable)


def _back(g: Array, memory: Array, size: Ints, stride: Ints, offset: int) -> Array:
    return scatter_op(g, index=(strided_places(size, stride, offset),), shape=tuple(memory.shape), unique=False)


as_strided_op = Multilinear(
    "as_strided", _strided, _back, joint=True, selection=True, view=True,
    formula="x's memory with other strides", local=("1 for each time an entry is seen",),
)  # fmt: skip


def _put_back(x: Array, new: Array, **places: Any) -> Array | None:
    index = strided_places(**places)
    return setitem_op(x, new, index=(index,)) if np.unique(index).size == index.size else None


PUT_BACK[as_strided_op] = _put_back


@public(method=True)
def as_strided(
    input: ArrayT, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> ArrayT:
    """A view of `size` whose entry (i, j, …) is entry offset + i·stride[0] + j·stride[1] + … of the memory of `input`
    (of the tensor whose view it is). Gradients of entries that are seen several times add up.

    Raises ValueError for negative numbers and where the memory ends before the view.
    """
    if isinstance(input, Handle) and not row_major(input):
        raise ShapeError("as_strided expected row-major memory; use contiguous() first")
    base = base_of(input) if isinstance(input, Handle) else input
    size, stride = tuple([int(n) for n in size]), tuple([int(n) for n in stride])
    flat = view(base, -1)
    memory = unwrap(flat)
    if storage_offset is None:
        start = unwrap(input).__array_interface__["data"][0] - memory.__array_interface__["data"][0]
        storage_offset = start // memory.itemsize
    last = storage_offset + sum([(n - 1) * s for n, s in zip(size, stride)])
    if len(size) != len(stride) or min((*size, *stride, storage_offset), default=0) < 0:
        raise ShapeError(f"as_strided expected as many sizes as strides, none negative, got {size} and {stride}")
    if 0 not in size and last >= memory.size:
        raise ShapeError(f"as_strided would read entry {last} of a memory of {memory.size} entries")
    return view_of(as_strided_op, flat, {"size": size, "stride": stride, "offset": storage_offset})
