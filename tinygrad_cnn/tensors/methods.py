"""A tensor's methods that are not its nature: dtype and device, new tensors, changes in place, and the ops by name.

What they compute lives in `ops`. `tensor` mixes the class in and calls `attach` once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.ops import random as _random
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.ops.device import check_device
from tinygrad_cnn.ops import activation as _act
from tinygrad_cnn.ops import arithmetic as _ari
from tinygrad_cnn.ops import compare as _cmp
from tinygrad_cnn.ops import distance as _dis
from tinygrad_cnn.ops import elementwise as _ele
from tinygrad_cnn.ops import extreme as _ext
from tinygrad_cnn.ops import index as _idx
from tinygrad_cnn.ops import linalg as _lin
from tinygrad_cnn.ops import matrix as _mat
from tinygrad_cnn.ops import order as _ord
from tinygrad_cnn.ops import padding as _pad
from tinygrad_cnn.ops import reduce as _red
from tinygrad_cnn.ops import scatter as _sca
from tinygrad_cnn.ops import shape as _shp
from tinygrad_cnn.ops import special as _spe
from tinygrad_cnn.ops import statistics as _sta
from tinygrad_cnn.ops import views as _views
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.inplace import in_place, replace_by

if TYPE_CHECKING:
    from tinygrad_cnn.tensors.tensor import Tensor


class TensorMethods(Handle):
    """The part of `Tensor` that is written out in Python; `attach` adds the ops that are methods as they stand."""

    __slots__ = ()

    # --- dtype and device ------------------------------------------------------------------------

    def to(
        self: Any, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **_ignored: Any
    ) -> Tensor:
        """Another dtype, or the dtype of another tensor: ``t.to(tg.float64)``, ``t.to(other)``, ``t.to("cpu")``.

        Comes back as itself when nothing changes. Raises RuntimeError for a device other than the CPU.
        """
        for arg in args:
            if isinstance(arg, Handle):
                dtype = arg.array.dtype
            elif isinstance(arg, (np.dtype, type)):
                dtype = arg
            elif isinstance(arg, bool):
                pass  # non_blocking
            elif arg is not None:
                device = arg
        if device is not None:
            check_device(device)
        if dtype is None or self.array.dtype == dtype:
            return _shp.clone(self) if copy else self
        return _ele.cast_op(self, dtype=np.dtype(dtype))

    def type(self, dtype: Any = None) -> Any:
        """In another dtype (``tg.LongTensor`` and ``"torch.LongTensor"`` name one too); alone, the type's name."""
        from tinygrad_cnn.tensors import typed as legacy

        return legacy.typename(self) if dtype is None else self.to(legacy.dtype_of(dtype))

    def type_as(self, other: Any) -> Tensor:
        """In the dtype of another tensor."""
        return self.to(other)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(np.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(np.float64)

    def half(self) -> Tensor:
        """As float16."""
        return self.to(np.float16)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(np.int64)

    def int(self) -> Tensor:
        """As int32."""
        return self.to(np.int32)

    def short(self) -> Tensor:
        """As int16."""
        return self.to(np.int16)

    def byte(self) -> Tensor:
        """As uint8."""
        return self.to(np.uint8)

    def char(self) -> Tensor:
        """As int8."""
        return self.to(np.int8)

    def bool(self) -> Tensor:
        """Whether each entry is non-zero."""
        return self.to(np.bool_)

    def get_device(self) -> Any:
        """-1: the CPU."""
        return -1

    def cpu(self: Any) -> Tensor:
        """Itself: everything is on the CPU."""
        return self

    def cuda(self: Any, *_args: Any, **_kwargs: Any) -> Tensor:
        """Raises RuntimeError: there is no GPU here."""
        check_device("cuda")
        return self

    def pin_memory(self: Any) -> Tensor:
        """Itself: there is no GPU to copy to."""
        return self

    # --- new tensors of the same dtype -----------------------------------------------------------

    def new_zeros(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Zeros of this dtype."""
        return _creation().zeros(*size, dtype=dtype or self.array.dtype, **options)

    def new_ones(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Ones of this dtype."""
        return _creation().ones(*size, dtype=dtype or self.array.dtype, **options)

    def new_empty(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        """Uninitialised memory of this dtype."""
        return _creation().empty(*size, dtype=dtype or self.array.dtype, **options)

    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
        """`fill_value` in this dtype."""
        return _creation().full(size, fill_value, dtype=dtype or self.array.dtype, **options)

    def new_tensor(self, data: Any, *, dtype: Any = None, **options: Any) -> Tensor:
        """`data` in this dtype."""
        return _creation().tensor(data, dtype=dtype or self.array.dtype, **options)

    def new(self, *data: Any) -> Tensor:
        """As `Tensor(…)`, in this dtype: sizes, or data."""
        from tinygrad_cnn.tensors.tensor import Tensor

        made = Tensor(*data)
        return wrap(made.array.astype(self.array.dtype, copy=False))

    # --- in place --------------------------------------------------------------------------------

    def copy_(self, src: Any, non_blocking: Any = False) -> Tensor:
        """Given the values of `src`, broadcast to this shape and cast to this dtype."""
        if isinstance(src, Handle):
            new = src.to(self.array.dtype) if src.array.dtype != self.array.dtype else src  # type: ignore[attr-defined]
            if new.array.shape != self.array.shape:
                new = _shp.expand(new, self.array.shape)
            return replace_by(self, _shp.clone(new) if new.node is not None else new, "copy_")
        return replace_by(
            self, np.broadcast_to(np.asarray(src, dtype=self.array.dtype), self.array.shape), "copy_"
        )

    def fill_(self, value: Any) -> Tensor:
        """Filled with one number."""
        if isinstance(value, Handle):
            if value.array.ndim:
                raise ShapeError(f"fill_ expected a number or a 0-d tensor, got shape {value.array.shape}; use copy_")
            return self.copy_(value)
        return replace_by(self, np.full(self.array.shape, value, self.array.dtype), "fill_")

    def zero_(self) -> Tensor:
        """Filled with zeros."""
        return self.fill_(0)

    def fill_diagonal_(self, fill_value: Any, wrap: Any = False) -> Tensor:
        """The main diagonal filled with one number."""
        diagonal = np.zeros(self.array.shape, bool)
        np.fill_diagonal(diagonal, True, wrap)
        return self.masked_fill_(diagonal, fill_value)

    def resize_(self, *sizes: Any) -> Tensor:
        """Another size, in place: the entries in order, zeros behind them. Not while gradients are recorded."""
        if self.node is not None and modes.is_grad_enabled():
            raise RuntimeError("resize_ expected a tensor without gradients; reshape records them")
        shape = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        flat = np.zeros(int(np.prod(shape)), self.array.dtype)
        kept = min(flat.size, self.array.size)
        flat[:kept] = self.array.reshape(-1)[:kept]
        return self.set_(flat.reshape(tuple(shape)))

    def set_(self, source: Any) -> Tensor:
        """Put on the memory of `source`."""
        t: Any = self
        t.data = source
        return t

    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        """`masked_fill` in place."""
        return replace_by(self, _sca.masked_fill(self, mask, value), "masked_fill_")

    # --- the rest of the names -------------------------------------------------------------------

    def where(self, condition: Any, other: Any) -> Tensor:
        """Itself where `condition` holds, else `other`."""
        return _ele.where(condition, self, other)

    def repeat(self, *repeats: Any) -> Tensor:
        """The whole tensor repeated, as np.tile."""
        return _shp.repeat(self, *repeats)

    def norm(self, p: Any = "fro", dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Tensor:
        """The p-norm."""
        return _red.norm(self, p, dim, keepdim, dtype)

    def expand(self, *sizes: Any, size: Any = None) -> Tensor:
        """Dimensions of size 1 repeated without a copy."""
        return _shp.expand(self, *sizes, size=size)

    def apply_(self, fn: Callable[[Any], Any]) -> Tensor:
        """Each entry replaced by fn(entry); slow."""
        values = [fn(v) for v in self.array.ravel().tolist()]
        return replace_by(self, np.array(values, self.array.dtype).reshape(self.array.shape), "apply_")


def _creation() -> Any:
    from tinygrad_cnn.ops import creation

    return creation


# Methods that are functions of the same name. A module may hold more than its public names, hence the lists.
_METHODS: dict[Any, str] = {
    _ari: "add sub rsub mul div floor_divide pow neg positive square remainder fmod maximum minimum fmax fmin "
    "hypot atan2 logaddexp lerp addcmul addcdiv subtract multiply divide true_divide negative arctan2",
    _ele: "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh "
    "asinh acosh atanh deg2rad rad2deg sinc abs absolute sign sgn floor ceil trunc fix round frac clamp "
    "clamp_min clamp_max clip nan_to_num copysign arcsin arccos arctan arcsinh arccosh arctanh",
    _spe: "erf erfc erfinv lgamma digamma logit xlogy",
    _act: "relu sigmoid softmax log_softmax prelu hardshrink",
    _cmp: "bitwise_left_shift bitwise_right_shift eq ne lt le gt ge not_equal less less_equal greater "
    "greater_equal logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor "
    "bitwise_not isnan isinf isfinite isposinf isneginf signbit isclose allclose equal",
    _red: "sum mean nansum nanmean prod var std logsumexp",
    _ext: "amax amin aminmax max min argmax argmin any all count_nonzero",
    _dis: "dist",
    _ord: "quantile unique_consecutive cumsum cumprod cummax cummin sort argsort msort topk kthvalue median diff "
    "unique bincount histc",
    _shp: "sum_to_size reshape view reshape_as view_as flatten unflatten ravel permute transpose swapaxes "
    "swapdims t adjoint movedim moveaxis squeeze unsqueeze expand_as broadcast_to tile repeat_interleave "
    "flip fliplr flipud roll rot90 tril triu clone contiguous",
    _idx: "unfold split_with_sizes gather take_along_dim index_select take masked_select select narrow split "
    "chunk tensor_split unbind diagonal diag diag_embed trace nonzero argwhere",
    _sca: "select_scatter slice_scatter scatter_reduce masked_fill masked_scatter scatter scatter_add index_add "
    "index_copy index_fill index_put",
    _lin: "inner kron cross matmul mm bmm mv dot outer ger addmm baddbmm addmv addr",
    _mat: "det inverse logdet matrix_power slogdet",
    _sta: "corrcoef cov diagflat float_power gcd heaviside lcm logaddexp2 logcumsumexp mode nanmedian renorm",
    _random: "uniform_ normal_ bernoulli_ exponential_ random_ bernoulli multinomial",
}
#: Functions that also exist with an underscore behind the name, changing the tensor itself.
_IN_PLACE: dict[Any, str] = {
    _ari: "add sub mul div floor_divide pow neg square remainder fmod hypot atan2 lerp addcmul addcdiv subtract "
    "multiply divide true_divide negative",
    _ele: "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh "
    "asinh acosh atanh deg2rad rad2deg sinc abs absolute sign sgn floor ceil trunc fix round frac clamp "
    "clamp_min clamp_max clip nan_to_num copysign",
    _spe: "erf erfc erfinv lgamma digamma logit xlogy",
    _act: "relu sigmoid",
    _cmp: "eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor "
    "bitwise_not",
    _ord: "cumsum cumprod",
    _shp: "tril triu",
    _sca: "scatter scatter_add index_add index_copy index_fill index_put masked_scatter",
    _lin: "addmm baddbmm addmv addr",
    _sta: "renorm",
}
#: Functions that rebind a tensor to another view of its memory.
_RESHAPED_IN_PLACE = "squeeze unsqueeze transpose t swapaxes swapdims"


def _reshaped_in_place(fn: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        new = fn(self, *args, **kwargs)
        _views.replace_by_view(self, new)
        return self

    method.__doc__ = f"`{fn.__name__}` in place."
    return method


def attach(tensor_type: Any) -> None:
    """Give the tensor's class the methods of the lists, except those it defines itself."""
    for module, names in _METHODS.items():
        for name in names.split():
            if not hasattr(tensor_type, name):
                setattr(tensor_type, name, getattr(module, name))
    for module, names in _IN_PLACE.items():
        for name in names.split():
            setattr(tensor_type, f"{name}_", in_place(getattr(module, name), f"{name}_"))
    for name in _RESHAPED_IN_PLACE.split():
        setattr(tensor_type, f"{name}_", _reshaped_in_place(getattr(_shp, name)))
    tensor_type.pad = _pad.pad
