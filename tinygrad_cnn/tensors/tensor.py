"""The Tensor: a NumPy array, the node of the graph behind it, and everything one can do with the two.

Here are the handle and the protocols of Python and NumPy; the other methods are in `methods` and `declared`, and what
they compute in `ops`. `data`, `grad`, `requires_grad` and the rest mean what they mean in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import dispatch, versions
from tinygrad_cnn.autograd.annotations import AnyFunction, DType, Operand
from tinygrad_cnn.autograd.backward import backward as _backward
from tinygrad_cnn.autograd.fast import calls, deferred
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import make_leaf, register_tensor_type, unwrap, wrap
from tinygrad_cnn.autograd.hooks import Hooks, RemovableHandle, add_hook
from tinygrad_cnn.ops import arithmetic as _ari
from tinygrad_cnn.ops import compare as _cmp
from tinygrad_cnn.ops import elementwise as _ele
from tinygrad_cnn.ops import index as _idx
from tinygrad_cnn.ops import linalg as _lin
from tinygrad_cnn.ops import shape as _shp
from tinygrad_cnn.ops import views as _views
from tinygrad_cnn.ops.creation import sizes_or_data
from tinygrad_cnn.ops.device import CPU
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.inplace import in_place, operator_in_place, set_item
from tinygrad_cnn.ops.layout import has_format
from tinygrad_cnn.support.dtypes import OF
from tinygrad_cnn.support.size import Size
from tinygrad_cnn.tensors.declared import attach
from tinygrad_cnn.tensors.methods import TensorMethods
from tinygrad_cnn.tensors.printing import tensor_str

_new_size = tuple.__new__
_dtype_of = OF.get


_debugger: Callable[..., None]


def register_debugger(debugger: Callable[..., None]) -> None:
    """Say what ``backward(debug=True)`` opens (called once, by the package's root, with `debug.open_session`)."""
    global _debugger
    _debugger = debugger


class Tensor(TensorMethods):
    """An n-dimensional array through which gradients flow; make one with `tensor`, `zeros`, `randn`, …

    `Tensor(data)` copies data as float32, and `Tensor(3, 4)` gives zeros of that size. Attributes: `array` (the
    ndarray), `grad` (a Tensor or None), `name`, and `node`, the value's node in the graph (None while no gradient
    is wanted).
    """

    # A tensor may be given attributes of the user's own, as in PyTorch, hence __dict__.
    __slots__ = ("__dict__", "_family", "_steps")

    #: Who else looks at this memory, and how this tensor was taken from the base; not set on others.
    _family: _views.Family | None
    _steps: _views.Steps

    def __init__(self, *data: Any, requires_grad: bool = False) -> None:
        self.array = sizes_or_data(data)
        self.node = None
        self.grad = None
        self.name = None
        if requires_grad:
            self.requires_grad_()

    # --- the array -------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return _new_size(Size, self.array.shape)

    @property
    def dtype(self) -> Any:
        return _dtype_of(found := self.array.dtype, found)

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    @property
    def device(self) -> Any:
        return CPU

    @property
    def is_cuda(self) -> bool:
        return False

    @property
    def layout(self) -> str:
        return "strided"

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return _new_size(Size, self.array.shape) if dim is None else self.array.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of entries."""
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes per entry."""
        return self.array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Steps between neighbours, in entries."""
        steps = tuple([s // self.array.itemsize for s in self.array.strides])
        return steps if dim is None else steps[dim]

    def data_ptr(self) -> int:
        """The address of the first entry."""
        return self.array.ctypes.data

    def is_contiguous(self, memory_format: object | None = None) -> bool:
        """Whether the memory is in row-major order, or in a `memory_format`."""
        return has_format(self.array, memory_format)

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return self.array.dtype.kind == "f"

    def is_complex(self) -> bool:
        """False: there are no complex tensors."""
        return False

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array itself, sharing memory. Raises RuntimeError for a tensor that requires grad (unless `force`)."""
        if self.node is not None and not force:
            raise RuntimeError(
                "numpy() on a tensor that requires grad would lose its gradient; use t.detach().numpy()"
            )
        return self.array

    def item(self) -> Any:
        """The only entry as a Python number. Raises ValueError when there are more or none."""
        if self.array.size != 1:
            raise ShapeError(
                f"item() expected a tensor with one entry, got shape {self.array.shape}; use tolist()"
            )
        return self.array.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.array.tolist()

    # --- the graph -------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Have gradients collected in `.grad` (or not). Raises RuntimeError for integers, and for a result of
        recorded operations whose gradient cannot be switched off: use detach()."""
        if requires_grad:
            if self.node is None:
                if self.array.dtype.kind != "f":
                    raise RuntimeError(f"only floating tensors can require gradients, got {self.array.dtype}")
                self.node = make_leaf(self)
        elif self.node is not None:
            if not self.node.is_leaf:
                raise RuntimeError(
                    f"requires_grad cannot be switched off on the result of {self.node.op.name}; use t.detach()"
                )
            self.node = None
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.node is None or self.node.is_leaf

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made it; None for leaves."""
        return None if self.node is None or self.node.is_leaf else self.node

    @property
    def data(self) -> Tensor:
        """A detached tensor on the same memory."""
        return wrap(self.array)

    @data.setter
    def data(self, value: Operand) -> None:
        array = np.asarray(unwrap(value))
        if self.node is not None:
            if not self.node.is_leaf:
                self.node = None
            elif (array.shape, array.dtype) != (self.node.shape, self.node.dtype):
                hooks = self.node.hooks
                self.array = array
                self.node = make_leaf(self)
                self.node.hooks = hooks
        self.array = array

    @property
    def _version(self) -> int:
        return versions.version(self.array)

    @property
    def retains_grad(self) -> bool:
        """Whether it is no leaf and its gradient will be kept in `.grad`."""
        return self.node is not None and not self.node.is_leaf and self.node.target is not None

    def backward(
        self, gradient: Operand | None = None, retain_graph: bool | None = None, create_graph: bool = False,
        inputs: Operand | None = None, *, debug: bool = False,
    ) -> None:  # fmt: skip
        """Accumulate the gradient of this tensor into the `.grad` of the leaves it depends on.

        Args:
            gradient: ∂L/∂self, of this tensor's shape; may be left out for a single entry (it is 1 then)
            retain_graph: keep the saved values for a second pass
            create_graph: record the pass, so that the gradients can be differentiated
            inputs: accumulate into these tensors only, leaves or not
            debug: step through it in the terminal debugger

        Raises RuntimeError for a tensor without a graph, for a missing `gradient`, for a released graph, and for a
        saved value that was changed in place.
        """
        if debug:
            _debugger(self, gradient, retain_graph=retain_graph, create_graph=create_graph, inputs=inputs)
            return
        _backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory outside the graph."""
        return wrap(self.array)

    def detach_(self) -> Tensor:
        """Taken out of the graph itself."""
        self.node = None
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of a non-leaf in `.grad` as well. Raises RuntimeError when there will be none."""
        if self.node is None:
            raise RuntimeError(
                "retain_grad() on a tensor that does not require grad: there will be no gradient"
            )
        if not self.node.is_leaf and self.node.target is None:
            import weakref

            self.node.target = weakref.ref(self)

    def register_hook(self, hook: AnyFunction) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is complete; what it returns replaces it."""
        if self.node is None:
            raise RuntimeError("register_hook expected a tensor that requires grad")
        if self.node.hooks is None:
            self.node.hooks = Hooks()
        return add_hook(self.node.hooks.tensor, hook)

    def register_post_accumulate_grad_hook(self, hook: AnyFunction) -> RemovableHandle:
        """Call `hook(tensor)` each time a gradient was accumulated into this leaf's `.grad`."""
        if self.node is None or not self.node.is_leaf:
            raise RuntimeError("register_post_accumulate_grad_hook expected a leaf tensor that requires grad")
        if self.node.hooks is None:
            self.node.hooks = Hooks()
        return add_hook(self.node.hooks.after_accumulate, hook)

    # --- Python's protocols ----------------------------------------------------------------------

    def __repr__(self) -> str:
        return tensor_str(self)

    def __format__(self, spec: str) -> str:
        if self.array.ndim == 0 and (spec or self.node is None):
            return format(self.array.item(), spec)
        return object.__format__(self, spec)

    def __len__(self) -> int:
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(_idx.unbind(self, 0))

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ShapeError(
                f"the truth of a tensor of shape {self.array.shape} is ambiguous; use .any() or .all()"
            )
        return bool(self.array.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "iub":
            raise TypeError(f"only integer tensors with one entry can be an index, got {self.array.dtype}")
        return int(self.item())

    def __contains__(self, item: Any) -> bool:
        return bool((self.array == unwrap(item)).any())

    __hash__ = object.__hash__

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None and not self.node.is_leaf:
            raise RuntimeError(
                f"only leaf tensors can be deep-copied, got the result of {self.node.op.name}; use t.detach().clone()"
            )
        import copy

        twin: Tensor = object.__new__(type(self))
        memo[id(self)] = twin
        _views.copy_memory(self, twin, memo)
        twin.name = self.name
        twin.node = make_leaf(twin) if self.node is not None else None
        twin.grad = copy.deepcopy(self.grad, memo)
        if self.__dict__:
            twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __reduce_ex__(self, protocol: object) -> Any:
        if self.node is not None and not self.node.is_leaf:
            raise RuntimeError(
                f"only leaf tensors can be pickled, got the result of {self.node.op.name}; use t.detach()"
            )
        return _rebuilt, (
            type(self),
            self.array,
            self.node is not None,
            self.name,
            self.grad,
            dict(self.__dict__),
        )

    # --- NumPy's protocols -----------------------------------------------------------------------

    __array_priority__ = 1000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return dispatch.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: object, args: Any, kwargs: Any) -> Any:
        return dispatch.array_function(func, args, kwargs)

    def __array__(self, dtype: DType = None, copy: bool | None = None) -> np.ndarray:
        if self.node is not None:
            raise RuntimeError(
                "a tensor that requires grad cannot become an array without losing its gradient; use t.detach()"
            )
        return np.array(self.array, dtype=dtype, copy=copy)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.node is not None:
            raise BufferError("a tensor that requires grad cannot be exported; use t.detach()")
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    # --- operators -------------------------------------------------------------------------------

    # The op's own short path for two operands: these are what small tensors spend their time in.
    __add__, __radd__ = calls.method(_ari.add_op), calls.method(_ari.add_op, reflected=True)
    __sub__, __rsub__ = calls.method(_ari.sub_op), calls.method(_ari.sub_op, reflected=True)
    __mul__, __rmul__ = calls.method(_ari.mul_op), calls.method(_ari.mul_op, reflected=True)
    __truediv__, __rtruediv__ = calls.method(_ari.div_op), calls.method(_ari.div_op, reflected=True)
    __neg__ = calls.method(_ari.neg_op)

    def __pos__(self) -> Tensor:
        return _ari.positive_op(self)

    def __matmul__(self, other: Operand) -> Tensor:
        return _lin.matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return _lin.matmul(other, self)

    def __pow__(self, exponent: Operand) -> Tensor:
        return _ari.pow(self, exponent)

    def __rpow__(self, base: Operand) -> Tensor:
        return _ari.pow_op(base, self)

    def __mod__(self, other: Operand) -> Tensor:
        return _ari.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return _ari.remainder(other, self)

    def __floordiv__(self, other: Operand) -> Tensor:
        return _ari.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return _ari.floor_divide(other, self)

    __abs__ = _ele.abs

    def __eq__(self, other: Any) -> Any:  # what is no number equals no tensor: a plain False, as in PyTorch
        return False if other is None or isinstance(other, (str, bytes)) else _cmp.eq(self, other)

    def __ne__(self, other: Any) -> Any:
        return True if other is None or isinstance(other, (str, bytes)) else _cmp.ne(self, other)

    __lt__ = _cmp.lt
    __le__ = _cmp.le
    __gt__ = _cmp.gt
    __ge__ = _cmp.ge
    __and__ = __rand__ = _cmp.bitwise_and
    __or__ = __ror__ = _cmp.bitwise_or
    __xor__ = __rxor__ = _cmp.bitwise_xor
    __invert__ = _cmp.bitwise_not
    __lshift__ = _cmp.bitwise_left_shift
    __rshift__ = _cmp.bitwise_right_shift

    def __rlshift__(self, other: Any) -> Tensor:
        return _cmp.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Tensor:
        return _cmp.bitwise_right_shift(other, self)

    __ilshift__ = in_place(_cmp.bitwise_left_shift, "<<=")
    __irshift__ = in_place(_cmp.bitwise_right_shift, ">>=")
    __getitem__ = _idx.getitem
    __setitem__ = set_item

    __iadd__ = operator_in_place(np.add, _ari.add_op, "+=")
    __isub__ = operator_in_place(np.subtract, _ari.sub_op, "-=")
    __imul__ = operator_in_place(np.multiply, _ari.mul_op, "*=")
    __itruediv__ = operator_in_place(np.true_divide, _ari.div_op, "/=")
    __ipow__ = in_place(_ari.pow, "**=")
    __imod__ = in_place(_ari.remainder, "%=")
    __ifloordiv__ = in_place(_ari.floor_divide, "//=")
    __iand__ = in_place(_cmp.bitwise_and, "&=")
    __ior__ = in_place(_cmp.bitwise_or, "|=")
    __ixor__ = in_place(_cmp.bitwise_xor, "^=")

    T = property(lambda self: _shp.permute(self, tuple(reversed(range(self.array.ndim)))))
    mT = property(_shp.adjoint)
    mH = property(_shp.adjoint)
    H = property(_shp.t)


def _rebuilt(
    cls: Any, array: np.ndarray, requires_grad: bool, name: Any, grad: Operand | None, attributes: dict[str, Any]
) -> Any:
    t = object.__new__(cls)
    t.array, t.node, t.grad, t.name = array, None, grad, name
    if requires_grad:
        t.node = make_leaf(t)
    t.__dict__.update(attributes)
    return t


attach()
register_tensor_type(Tensor)
deferred.register(Tensor)
