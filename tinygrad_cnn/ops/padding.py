"""Padding at the ends of dimensions: with a constant, by mirroring, by repeating the edge, or round the circle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.autograd.annotations import Array, ArrayT
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.op import Multilinear
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import getitem, take_op

ndarray = np.ndarray


def _constant(x: ndarray, pads: tuple[tuple[int, int], ...], value: float) -> ndarray:
    shape = tuple([n + low + high for n, (low, high) in zip(x.shape, pads)])
    y = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
    y[_inside(x.shape, pads)] = x
    return y


def _inside(shape: Sequence[int], pads: Sequence[tuple[int, int]]) -> tuple[slice, ...]:
    return tuple([slice(low, low + n) for n, (low, _high) in zip(shape, pads)])


#: `value` is a parameter, so the op is linear in x only for value 0: `pad` adds other constants behind it.
pad_op = Multilinear(
    "pad", _constant, lambda g, x, pads, value: g[_inside(x.shape, pads)], joint=True,
    formula="x with zeros around it", local=("1 inside",),
)  # fmt: skip


@public(top_level=False, method=True)
def pad(input: ArrayT, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> ArrayT:
    """Padded at the ends of the last dimensions; `pad` counts (low, high) pairs from the last dimension back.

    `mode`: constant (negative numbers crop), reflect, replicate or circular. Raises ValueError for a list of
    odd length or for more padding than the mode can fill.
    """
    widths = [int(n.item() if isinstance(n, (Handle, ndarray)) else n) for n in pad]
    shape = np.shape(unwrap(input))
    if len(widths) % 2 or len(widths) // 2 > len(shape):
        raise ShapeError(
            f"pad expected (low, high) pairs, at most one for each of {len(shape)} dimensions, got {tuple(widths)}"
        )
    pairs = [(0, 0)] * (len(shape) - len(widths) // 2)
    pairs += [(widths[k], widths[k + 1]) for k in range(len(widths) - 2, -1, -2)]
    if mode == "constant":
        return _pad_constant(input, shape, pairs, 0 if value is None else value)
    if mode not in _SOURCES:
        raise ShapeError(f"pad expected mode 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}")
    if value:
        raise ShapeError(f"pad with mode {mode!r} takes no value, got {value}")
    _check_crop(shape, pairs)
    for axis, (low, high) in enumerate(pairs):
        if (low, high) != (0, 0):
            places = _SOURCES[mode](shape[axis], low, high)
            input = take_op(input, index=(slice(None),) * axis + (places,), unique=False)
    return input


def _check_crop(shape: Sequence[int], pairs: list[tuple[int, int]]) -> None:
    if any(n + low + high < 0 for n, (low, high) in zip(shape, pairs)):
        raise ShapeError(f"pad cannot crop more than there is: shape {tuple(shape)}, padding {pairs}")


def _pad_constant(input: ArrayT, shape: Sequence[int], pairs: list[tuple[int, int]], value: float) -> ArrayT:
    _check_crop(shape, pairs)
    if any(low < 0 or high < 0 for low, high in pairs):
        cut = tuple([slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(shape, pairs)])
        input = getitem(input, cut)
        pairs = [(max(low, 0), max(high, 0)) for low, high in pairs]
    if all(p == (0, 0) for p in pairs):
        return input
    if not value:
        return pad_op(input, pads=tuple(pairs), value=0)
    x = unwrap(input)
    frame = np.full([n + low + high for n, (low, high) in zip(x.shape, pairs)], value, x.dtype)
    frame[_inside(x.shape, pairs)] = 0
    return pad_op(input, pads=tuple(pairs), value=0) + frame


def _reflected(n: int, low: int, high: int) -> ndarray:
    if max(low, high) >= n:
        raise ShapeError(
            f"pad with mode 'reflect' expected less padding than the size {n}, got ({low}, {high})"
        )
    places = np.abs(np.arange(-low, n + high))
    return np.where(places >= n, 2 * (n - 1) - places, places)


def _replicated(n: int, low: int, high: int) -> ndarray:
    if n == 0:
        raise ShapeError("pad with mode 'replicate' cannot repeat the edge of an empty dimension")
    return np.clip(np.arange(-low, n + high), 0, n - 1)


def _circled(n: int, low: int, high: int) -> ndarray:
    # A negative number crops first; the circle is what is left, as in PyTorch.
    first, last = max(-low, 0), n - max(-high, 0)
    low, high = max(low, 0), max(high, 0)
    if max(low, high) > max(last - first, 0):
        raise ShapeError(
            f"pad with mode 'circular' expected at most the size {max(last - first, 0)} (of {n}, less what negative "
            f"numbers crop) as padding, got ({low}, {high})"
        )
    return first + np.arange(-low, last - first + high) % max(last - first, 1)


_SOURCES = {"reflect": _reflected, "replicate": _replicated, "circular": _circled}


@implements(np.pad)
def _np_pad(array: Array, pad_width: npt.ArrayLike, mode: str = "constant", constant_values: float = 0) -> Array:
    pairs = np.broadcast_to(np.asarray(pad_width), (np.ndim(unwrap(array)), 2))
    flat = [int(n) for low_high in reversed(pairs.tolist()) for n in low_high]
    names = {"edge": "replicate", "wrap": "circular"}
    return pad(array, flat, names.get(mode, mode), constant_values or None)
