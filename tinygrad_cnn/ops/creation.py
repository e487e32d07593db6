"""New tensors: from data, constant, ranges, and like another one.

Everything goes out through `finish`, which gives a dtype and, when asked, a leaf that collects gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Array, DType, Operand, Params, Sizes, Tensor
from tinygrad_cnn.autograd.handle import Handle, make_leaf, unwrap, wrap
from tinygrad_cnn.ops.common import sizes
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.device import Device, check_device
from tinygrad_cnn.ops.layout import check_options, in_format
from tinygrad_cnn.ops.shape import meshgrid, reshape, stack
from tinygrad_cnn.ops.views import keep_layout

ndarray = np.ndarray


def finish(array: ndarray, device: Device, requires_grad: bool) -> Tensor:
    check_device(device)
    t = wrap(native(array))
    if requires_grad:
        if array.dtype.kind != "f":
            raise RuntimeError(f"only floating tensors can require gradients, got {array.dtype}")
        t.node = make_leaf(t)
    return t


def native(array: ndarray) -> ndarray:
    """The array in this machine's byte order: files and sockets may hold the other one, kernels read only this."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _bare(data: object) -> object:
    """Nested lists without tensors in them."""
    if isinstance(data, (list, tuple)):
        return [_bare(x) for x in data]
    return unwrap(data)


def _has_arrays(data: object) -> bool:
    if isinstance(data, (list, tuple)):
        return bool(data) and _has_arrays(data[0])
    return isinstance(data, (ndarray, np.generic, Handle))


def array_of(data: Any, dtype: DType, copy: bool | None) -> ndarray:
    if isinstance(data, Handle):
        data = data.array
    typed = isinstance(data, (ndarray, np.generic)) or hasattr(data, "__array__") or _has_arrays(data)
    if isinstance(data, (list, tuple)):
        data = _bare(data)
        if any(isinstance(x, Handle) for x in data):
            data = [np.asarray(x) for x in data]
    try:
        array = np.array(data, dtype=dtype, copy=copy)
    except ValueError as error:
        raise ValueError(f"tensor() expected numbers in a regular (not ragged) nesting: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"tensor() expected numbers or booleans, got {type(data).__name__} of dtype {array.dtype}"
        )
    if dtype is None and not typed and (array.dtype == np.float64 or not array.size):
        array = array.astype(modes.get_default_dtype())
    return native(array)


def sizes_or_data(given: tuple[Any, ...]) -> ndarray:
    """What ``Tensor(…)`` holds: zeros of the given sizes, or the data copied, as numbers of the default dtype."""
    if given and all(type(n) is int for n in given):
        # Sizes, as in torch.Tensor(3, 4); zeros, never garbage.
        return np.zeros(given, modes.get_default_dtype())
    if len(given) > 1:
        raise TypeError(f"Tensor(…) expected data, or sizes as integers, got {len(given)} arguments")
    data = given[0] if given else ()
    return array_of(data, None if isinstance(data, (Handle, ndarray)) else modes.get_default_dtype(), True)


@public
def tensor(
    data: object, *, dtype: DType = None, device: Device = None, requires_grad: bool = False, pin_memory: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """A tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    Python floats become the default dtype (float32), integers int64; arrays keep theirs. `name` labels it in
    pictures and in the debugger. Raises ValueError for ragged lists, TypeError for what is no number.
    """
    t = finish(array_of(data, dtype, True), device, requires_grad)
    if name is not None:
        t.name = name
        if t.node is not None:
            t.node.name = name
    return t


@public(aliases=["asarray"])
def as_tensor(data: object, dtype: DType = None, device: Device = None) -> Tensor:
    """`data` as a tensor, sharing memory where it can; a tensor of the right dtype comes back as it is."""
    check_device(device)
    if isinstance(data, Handle):
        return data if dtype is None or data.array.dtype == dtype else data.to(dtype)  # type: ignore[attr-defined]
    return wrap(array_of(data, dtype, None))


@public
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor on the memory of a NumPy array; on a copy where its numbers are not in this machine's byte order."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy expected a NumPy array, got {type(ndarray).__name__}")
    if ndarray.dtype.kind not in "biuf":
        raise TypeError(f"from_numpy expected an array of numbers or booleans, got dtype {ndarray.dtype}")
    t = wrap(native(ndarray))
    if not ndarray.flags.c_contiguous:
        keep_layout(t)
    return t


@public
def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor on the memory of any CPU array that speaks DLPack."""
    return wrap(np.from_dlpack(ext_tensor))


@public
def frombuffer(buffer: bytes | bytearray | memoryview, *, dtype: DType, count: int = -1, offset: int = 0) -> Tensor:
    """A 1-d tensor on the memory of a buffer; `offset` in bytes."""
    return wrap(native(np.frombuffer(buffer, dtype=dtype, count=count, offset=offset)))


@public
def scalar_tensor(
    s: float, *, dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object
) -> Tensor:
    """A 0-d tensor of the default dtype."""
    check_options("scalar_tensor", options)
    return finish(np.asarray(s, dtype=dtype or modes.get_default_dtype()), device, requires_grad)


# --- constants -------------------------------------------------------------------------------------


@public
def zeros(
    *size: Sizes, dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object
) -> Tensor:
    """Zeros, float32 by default."""
    shape = shape_from("zeros", size, options)
    return finish(np.zeros(shape, dtype or modes.get_default_dtype()), device, requires_grad)


@public
def ones(
    *size: Sizes, dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object
) -> Tensor:
    """Ones, float32 by default."""
    shape = shape_from("ones", size, options)
    return finish(np.ones(shape, dtype or modes.get_default_dtype()), device, requires_grad)


@public
def empty(
    *size: Sizes, dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object
) -> Tensor:
    """Uninitialised memory, float32 by default; in row-major order, or in a `memory_format`."""
    memory_format = options.pop("memory_format", None)
    array = np.empty(shape_from("empty", size, options), dtype or modes.get_default_dtype())
    return finish(array if memory_format is None else in_format(array, memory_format), device, requires_grad)


def shape_from(function: str, size: tuple[Sizes, ...], options: Params) -> tuple[int, ...]:
    """The shape that a function's sizes state, or its keyword `size`; its other keywords are checked."""
    check_options(function, options, () if size else ("size",))
    if not size and "size" in options:
        size = (options["size"],)
    shape = sizes(size) if size else ()
    if any(n < 0 for n in shape):
        raise ValueError(f"a shape has no negative sizes, got {shape}")
    return shape


def model_of(function: str, input: Array, options: Params) -> ndarray:
    """An array of the shape, dtype and memory format that the result of a function such as `zeros_like` has."""
    check_options(function, options, ("memory_format",))
    array, memory_format = unwrap(input), options.get("memory_format")
    return array if memory_format is None else in_format(np.broadcast_to(array, np.shape(array)), memory_format)


@public
def full(
    size: Sizes, fill_value: Operand, *, dtype: DType = None, device: Device = None, requires_grad: bool = False,
    **options: object,
) -> Tensor:  # fmt: skip
    """`fill_value` everywhere; its kind decides the dtype (float32, int64 or bool)."""
    check_options("full", options)
    fill_value = unwrap(fill_value)
    if dtype is None and not isinstance(fill_value, (ndarray, np.generic)):
        dtype = _dtype_of_number(fill_value)
    return finish(np.full(sizes((size,)), fill_value, dtype=dtype), device, requires_grad)


def _dtype_of_number(value: object) -> DType:
    if isinstance(value, bool):
        return np.bool_
    return np.int64 if isinstance(value, int) else modes.get_default_dtype()


@public
def eye(
    n: int, m: int | None = None, *, dtype: DType = None, device: Device = None, requires_grad: bool = False,
    **options: object,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal, zeros elsewhere."""
    check_options("eye", options)
    return finish(np.eye(n, m, dtype=dtype or modes.get_default_dtype()), device, requires_grad)


@public
def zeros_like(
    input: Array, *, dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object
) -> Tensor:
    """Zeros of the same shape and dtype."""
    return finish(np.zeros_like(model_of("zeros_like", input, options), dtype=dtype), device, requires_grad)


@public
def ones_like(
    input: Array, *, dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object
) -> Tensor:
    """Ones of the same shape and dtype."""
    return finish(np.ones_like(model_of("ones_like", input, options), dtype=dtype), device, requires_grad)


@public
def empty_like(
    input: Array, *, dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object
) -> Tensor:
    """Uninitialised memory of the same shape and dtype."""
    return finish(np.empty_like(model_of("empty_like", input, options), dtype=dtype), device, requires_grad)


@public
def full_like(
    input: Array,
    fill_value: Operand,
    *,
    dtype: DType = None,
    device: Device = None,
    requires_grad: bool = False,
    **options: object,
) -> Tensor:
    """`fill_value` in the same shape and dtype."""
    model = model_of("full_like", input, options)
    return finish(np.full_like(model, unwrap(fill_value), dtype=dtype), device, requires_grad)


# --- ranges ----------------------------------------------------------------------------------------


def _number(value: Operand | None) -> Any:
    """A bound given as a 0-d tensor, as a Python number: a small dtype of its own limits nothing that is computed."""
    value = unwrap(value)
    return value.item() if isinstance(value, (ndarray, np.generic)) else value


@public
def arange(
    start: Operand = 0, end: Operand | None = None, step: Operand = 1, *, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """start, start + step, … below `end`; ``arange(n)`` counts from 0. Integers give int64."""
    check_options("arange", options)
    first, last, by = _number(start), _number(end), _number(step)
    if last is None:
        first, last = 0, first
    if by == 0:
        raise ValueError("arange expected a step that is not 0")
    if (last - first) * by < 0:
        raise ValueError(f"arange expected a step towards its end, got {first} to {last} in steps of {by}")
    if dtype is None:
        numbers = [np.asarray(v) for v in (first, last, by)]
        dtype = modes.get_default_dtype() if any(v.dtype.kind == "f" for v in numbers) else np.int64
    # Computed wide and rounded once, so that float32 ranges do not drift.
    wide = (
        np.int64
        if np.dtype(dtype).kind in "iu" and all(isinstance(v, (int, np.integer)) for v in (first, last, by))
        else np.float64
    )
    return finish(np.arange(first, last, by, dtype=wide).astype(dtype, copy=False), device, requires_grad)


@public
def linspace(
    start: Operand, end: Operand, steps: int, *, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """`steps` numbers at equal distances from `start` to `end`, both included."""
    check_options("linspace", options)
    array = np.linspace(_number(start), _number(end), int(steps), dtype=np.float64)
    return finish(array.astype(dtype or modes.get_default_dtype(), copy=False), device, requires_grad)


@public
def logspace(
    start: Operand, end: Operand, steps: int, base: float = 10.0, *, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """`steps` powers of `base`, the exponents at equal distances from `start` to `end`."""
    check_options("logspace", options)
    array = np.power(float(_number(base)), np.linspace(_number(start), _number(end), int(steps), dtype=np.float64))
    return finish(array.astype(dtype or modes.get_default_dtype(), copy=False), device, requires_grad)


@public
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: DType = None, device: Device = None, **options: object
) -> Tensor:
    """(2, n) row and column numbers of the lower triangle."""
    check_options("tril_indices", options)
    return _places(np.tril_indices(row, offset, col), dtype, device)


@public
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: DType = None, device: Device = None, **options: object
) -> Tensor:
    """(2, n) row and column numbers of the upper triangle."""
    check_options("triu_indices", options)
    return _places(np.triu_indices(row, offset, col), dtype, device)


def _places(rows_and_columns: tuple[ndarray, ...], dtype: DType, device: Device) -> Tensor:
    wanted = np.dtype(dtype or np.int64)
    if wanted not in (np.int32, np.int64):
        raise TypeError(f"tril_indices and triu_indices expected dtype int32 or int64, got {wanted}")
    return finish(np.stack(rows_and_columns).astype(wanted), device, False)


@public
def is_tensor(obj: object) -> bool:
    """Whether it is a tensor."""
    return isinstance(obj, Handle)


@public
def cartesian_prod(*tensors: Array) -> Tensor:
    """All combinations of the entries of 1-d tensors, one per row."""
    grids = meshgrid(*tensors, indexing="ij")
    return reshape(grids[0], (-1,)) if len(grids) == 1 else stack([reshape(g, (-1,)) for g in grids], 1)
