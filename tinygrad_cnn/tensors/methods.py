"""A tensor's methods that are not its nature: dtype and device, new tensors, and changes in place.

What they compute lives in `ops`. `declared` adds the ops that are methods as they stand; `tensor` mixes both in.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import AnyFunction, DType, Operand, Sizes
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.ops import creation
from tinygrad_cnn.ops import elementwise as _ele
from tinygrad_cnn.ops import scatter as _sca
from tinygrad_cnn.ops import shape as _shp
from tinygrad_cnn.ops.device import Device, check_device
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.inplace import replace_by
from tinygrad_cnn.support.dtypes import dtype as Dtype
from tinygrad_cnn.tensors.declared import DeclaredMethods
from tinygrad_cnn.tensors.typed import dtype_of, typename


class TensorMethods(DeclaredMethods):
    """The methods that are written out in Python, because they do more than call an op of their name."""

    __slots__ = ()

    # --- dtype and device ------------------------------------------------------------------------

    def to(
        self, *args: Any, dtype: DType = None, device: Device = None, other: Any = None, non_blocking: bool = False,
        copy: bool = False, memory_format: str | None = None,
    ) -> Self:  # fmt: skip
        """Another dtype, or the dtype of another tensor: ``t.to(tg.float64)``, ``t.to(other)``, ``t.to("cpu")``.

        The forms are PyTorch's: a dtype, a device, a device and a dtype, or a tensor, then `non_blocking` (it changes
        nothing: there is no other device) and `copy`. Comes back as itself when nothing changes and no `copy` is asked
        for. Raises RuntimeError for a device other than the CPU, TypeError for other arguments.
        """
        rest = list(args)
        if rest and isinstance(rest[0], Handle):
            other = rest.pop(0)
        else:
            if rest and not isinstance(rest[0], (Dtype, np.dtype, type, bool)):
                device = rest.pop(0)
            if rest and isinstance(rest[0], (Dtype, np.dtype, type)):
                dtype = rest.pop(0)
        if len(rest) > 2 or not all(isinstance(arg, bool) for arg in rest):
            raise TypeError(f"to() expected (device, dtype, non_blocking, copy), each at most once, got {args}")
        copy = copy or len(rest) == 2 and rest[1]
        check_device(device)
        if other is not None:
            dtype = other.array.dtype
        changed = self if dtype is None or self.array.dtype == dtype else _ele.cast_op(self, dtype=np.dtype(dtype))
        if memory_format is not None:
            changed = _shp.contiguous(changed, memory_format=memory_format)
        return _shp.clone(self) if copy and changed is self else changed

    def type(self, dtype: DType = None) -> Any:
        """In another dtype (``tg.LongTensor`` and ``"torch.LongTensor"`` name one too); alone, the type's name."""
        return typename(self) if dtype is None else self.to(dtype_of(dtype))

    def type_as(self, other: Operand) -> Self:
        """In the dtype of another tensor."""
        return self.to(other)

    def float(self) -> Self:
        """As float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """As float64."""
        return self.to(np.float64)

    def half(self) -> Self:
        """As float16."""
        return self.to(np.float16)

    def long(self) -> Self:
        """As int64."""
        return self.to(np.int64)

    def int(self) -> Self:
        """As int32."""
        return self.to(np.int32)

    def short(self) -> Self:
        """As int16."""
        return self.to(np.int16)

    def byte(self) -> Self:
        """As uint8."""
        return self.to(np.uint8)

    def char(self) -> Self:
        """As int8."""
        return self.to(np.int8)

    def bool(self) -> Self:
        """Whether each entry is non-zero."""
        return self.to(np.bool_)

    def get_device(self) -> Any:
        """-1: the CPU."""
        return -1

    def cpu(self) -> Self:
        """Itself: everything is on the CPU."""
        return self

    def cuda(self, *_args: object, **_kwargs: object) -> Self:
        """Raises RuntimeError: there is no GPU here."""
        check_device("cuda")
        return self

    def pin_memory(self) -> Self:
        """Itself: there is no GPU to copy to."""
        return self

    # --- new tensors of the same dtype -----------------------------------------------------------

    def new_zeros(self, *size: Sizes, dtype: DType = None, **options: Any) -> Self:
        """Zeros of this dtype."""
        return creation.zeros(*size, dtype=dtype or self.array.dtype, **options)

    def new_ones(self, *size: Sizes, dtype: DType = None, **options: Any) -> Self:
        """Ones of this dtype."""
        return creation.ones(*size, dtype=dtype or self.array.dtype, **options)

    def new_empty(self, *size: Sizes, dtype: DType = None, **options: Any) -> Self:
        """Uninitialised memory of this dtype."""
        return creation.empty(*size, dtype=dtype or self.array.dtype, **options)

    def new_full(self, size: Sizes, fill_value: Operand, *, dtype: DType = None, **options: Any) -> Self:
        """`fill_value` in this dtype."""
        return creation.full(size, fill_value, dtype=dtype or self.array.dtype, **options)

    def new_tensor(self, data: Any, *, dtype: DType = None, **options: Any) -> Self:
        """`data` in this dtype."""
        return creation.tensor(data, dtype=dtype or self.array.dtype, **options)

    def new(self, *data: Any) -> Self:
        """As `Tensor(…)`, in this dtype: sizes, or data."""
        return wrap(creation.sizes_or_data(data).astype(self.array.dtype, copy=False))

    # --- in place --------------------------------------------------------------------------------

    def copy_(self, src: Operand, non_blocking: Any = False) -> Self:
        """Given the values of `src`, broadcast to this shape and cast to this dtype."""
        if isinstance(src, Handle):
            new = src.to(self.array.dtype) if src.array.dtype != self.array.dtype else src  # type: ignore[attr-defined]
            if new.array.shape != self.array.shape:
                new = _shp.expand(new, self.array.shape)
            return replace_by(self, _shp.clone(new) if new.node is not None else new, "copy_")
        return replace_by(
            self, np.broadcast_to(np.asarray(src, dtype=self.array.dtype), self.array.shape), "copy_"
        )

    def fill_(self, value: Operand) -> Self:
        """Filled with one number."""
        if isinstance(value, Handle):
            if value.array.ndim:
                raise ShapeError(f"fill_ expected a number or a 0-d tensor, got shape {value.array.shape}; use copy_")
            return self.copy_(value)
        return replace_by(self, np.full(self.array.shape, value, self.array.dtype), "fill_")

    def zero_(self) -> Self:
        """Filled with zeros."""
        return self.fill_(0)

    def fill_diagonal_(self, fill_value: Operand, wrap: Any = False) -> Self:
        """The main diagonal filled with one number."""
        diagonal = np.zeros(self.array.shape, bool)
        np.fill_diagonal(diagonal, True, wrap)
        return self.masked_fill_(diagonal, fill_value)

    def resize_(self, *sizes: Sizes) -> Self:
        """Another size, in place: the entries in order, zeros behind them. Not while gradients are recorded."""
        if self.node is not None and modes.is_grad_enabled():
            raise RuntimeError("resize_ expected a tensor without gradients; reshape records them")
        shape = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        flat = np.zeros(int(np.prod(shape)), self.array.dtype)
        kept = min(flat.size, self.array.size)
        flat[:kept] = self.array.reshape(-1)[:kept]
        return self.set_(flat.reshape(tuple(shape)))

    def set_(self, source: Any) -> Self:
        """Put on the memory of `source`."""
        t: Any = self
        t.data = source
        return t

    def masked_fill_(self, mask: Operand, value: Operand) -> Self:
        """`masked_fill` in place."""
        return replace_by(self, _sca.masked_fill(self, mask, value), "masked_fill_")

    # --- the rest of the names -------------------------------------------------------------------

    def where(self, condition: Operand, other: Operand) -> Self:
        """Itself where `condition` holds, else `other`."""
        return _ele.where(condition, self, other)

    def apply_(self, fn: AnyFunction) -> Self:
        """Each entry replaced by fn(entry); slow."""
        values = [fn(v) for v in self.array.ravel().tolist()]
        return replace_by(self, np.array(values, self.array.dtype).reshape(self.array.shape), "apply_")
