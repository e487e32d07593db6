"""Cross-correlation and its transposes in float32, one and two spatial dimensions: which method, by the shapes.

- 3x3 (and 5x5 at the precision "high") at stride 1 with many channels: Winograd (`winograd`).
- one channel per group: a direct loop (`depthwise`).
- much padding, or short rows, and many images: direct correlation with the register tile over images (`batch`).
- everything else: direct correlation by sweeping the register tile over the padded input (`plans`, `sweep`); nothing
  is lowered.

One dimension runs as two; three dimensions, float64 and integers keep their reference. The choice, and what it needs
beyond addresses, is made once for each combination of shapes, strides and settings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from .. import threads
from ..geometry import Ints, Pairs, correlate_shape
from ..layout import Array, empty_channels_last
from ..precision import get_float32_conv_precision
from ..reference import conv as reference
from . import batch, depthwise, strided, winograd
from .plans import Phase, Sweep, WeightSweep
from .relayout import channels_last

_F32 = np.dtype(np.float32)
Runner = Callable[[Array, Array], Array]


def correlate(x: Array, w: Array, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """See `reference`."""
    if x.dtype == _F32 and w.dtype == _F32:
        x = channels_last(x)
        precision = get_float32_conv_precision()
        run = _forward(x.shape, x.strides, w.shape, w.strides, stride, padding, dilation, groups, precision)
        if run is not None:
            return run(x, w)
    geo: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _other(correlate, reference.correlate, x, w, geo)


def correlate_input(
    g: Array, w: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """See `reference`."""
    if g.dtype == _F32 and w.dtype == _F32:
        g = channels_last(g)
        run = _to_input(
            tuple(shape),
            g.shape,
            g.strides,
            w.shape,
            w.strides,
            stride,
            padding,
            dilation,
            groups,
            get_float32_conv_precision(),
        )
        if run is not None:
            return run(g, w)
    geo: dict[str, Any] = dict(
        shape=tuple(shape), stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return _other(correlate_input, reference.correlate_input, g, w, geo)


def correlate_weight(
    g: Array, x: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """See `reference`."""
    if g.dtype == _F32 and x.dtype == _F32:
        g, x = channels_last(g), channels_last(x)
        run = _to_weight(
            tuple(shape),
            g.shape,
            x.shape,
            x.strides,
            stride,
            padding,
            dilation,
            groups,
            threads.get_num_threads(),
            get_float32_conv_precision(),
        )
        if run is not None:
            return run(g, x)
    geo: dict[str, Any] = dict(
        shape=tuple(shape), stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return _other(correlate_weight, reference.correlate_weight, g, x, geo)


unfold, fold = reference.unfold, reference.fold


# The choice, kept: a function of the two arrays, or None for what the reference does ----------------------------


@lru_cache(2048)
def _forward(
    x: Ints,
    x_steps: Ints,
    w: Ints,
    w_steps: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    precision: str,
) -> Runner | None:
    geo: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    shape = correlate_shape(x, w, **geo)
    if not _ours(x, w, shape):
        return None
    geo = _in_two_dimensions(geo, len(x))
    stride, padding, dilation = geo["stride"], geo["padding"], geo["dilation"]
    deep_x, deep_w, deep_y = _deep(x), _deep(w), _deep(shape)
    if _is_depthwise(deep_w, groups):
        return _whole(
            shape,
            lambda x, w, y: depthwise.correlate(x, w, y, stride=stride, padding=padding, dilation=dilation),
        )
    size = winograd.scheme(deep_x, deep_w, **geo, precision=precision)
    if size is not None:
        return _whole(shape, lambda x, w, y: winograd.correlate(size, x, w, y, padding))
    if batch.suits(deep_x, deep_w, deep_y[2:], **geo):
        return _whole(shape, lambda x, w, y: batch.correlate(x, w, y, padding))
    indices = list(product(range(deep_w[2]), range(deep_w[3])))
    taps = [(u * dilation[0], v * dilation[1]) for u, v in indices]
    phase = Phase(taps, indices, (padding[0][0], padding[1][0]), stride, (0, 0), (1, 1), deep_y[2:])
    return _swept((deep_x, _deep(x_steps, 0)), (deep_w, _deep(w_steps, 0)), shape, [phase], groups, False)


@lru_cache(2048)
def _to_input(
    x: Ints,
    g: Ints,
    g_steps: Ints,
    w: Ints,
    w_steps: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    precision: str,
) -> Runner | None:
    """Per residue of the stride this is a correlation of g with some of the taps."""
    geo: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    _check("correlate_input", g, x, w, geo)
    if not _ours(g, w, x):
        return None
    geo = _in_two_dimensions(geo, len(x))
    stride, padding, dilation = geo["stride"], geo["padding"], geo["dilation"]
    shape, deep_w = _deep(x), _deep(w)
    if _is_depthwise(deep_w, groups):
        return _whole(
            x,
            lambda g, w, dx: depthwise.correlate_input(
                g, w, dx, stride=stride, padding=padding, dilation=dilation
            ),
        )
    size = winograd.scheme(shape, deep_w, **geo, precision=precision)
    pads = tuple((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(deep_w[2:], padding, strict=True))
    if size is not None:
        return _whole(x, lambda g, w, dx: winograd.correlate(size, g, reference.mirror(w, 1), dx, pads))
    if batch.suits(_deep(g), (deep_w[1], deep_w[0], *deep_w[2:]), shape[2:], **{**geo, "padding": pads}):
        return _whole(x, lambda g, w, dx: batch.correlate(g, reference.mirror(w, 1), dx, pads))
    if strided.suits(shape, deep_w, **geo):
        steps = _deep(g_steps, 0)
        return _whole(x, strided.correlate_input(shape, (_deep(g), steps), deep_w, stride=stride, padding=padding))
    phases, empty = [], []
    for start in product(range(min(stride[0], shape[2])), range(min(stride[1], shape[3]))):
        sides = [_residue(start[i], deep_w[2 + i], stride[i], padding[i][0], dilation[i]) for i in (0, 1)]
        taps = [(a, b) for (a, _), (b, _) in product(*sides)]
        if not taps:
            empty.append(start)
            continue
        weights = [(u, v) for (_, u), (_, v) in product(*sides)]
        count = tuple(-(-(shape[2 + i] - start[i]) // stride[i]) for i in (0, 1))
        low = (min(a for a, _ in taps), min(b for _, b in taps))
        taps = [(a - low[0], b - low[1]) for a, b in taps]
        phases.append(Phase(taps, weights, (-low[0], -low[1]), (1, 1), start, stride, count))
    zero = None
    if empty:

        def zero(dx: Array) -> None:
            dx = dx if dx.ndim == 4 else dx[:, :, None]
            for a, b in empty:
                dx[:, :, a :: stride[0], b :: stride[1]] = 0

    return _swept((_deep(g), _deep(g_steps, 0)), (deep_w, _deep(w_steps, 0)), x, phases, groups, True, zero)


@lru_cache(2048)
def _to_weight(
    w: Ints,
    g: Ints,
    x: Ints,
    x_steps: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    _threads: int,
    precision: str,
) -> Runner | None:
    geo: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    _check("correlate_weight", g, x, w, geo)
    if not _ours(g, x, w):
        return None
    geo = _in_two_dimensions(geo, len(x))
    stride, padding, dilation = geo["stride"], geo["padding"], geo["dilation"]
    deep_w, deep_x = _deep(w), _deep(x)
    if _is_depthwise(deep_w, groups):
        return _whole(
            w,
            lambda g, x, dw: depthwise.correlate_weight(
                g, x, dw, stride=stride, padding=padding, dilation=dilation
            ),
            np.empty,
        )
    size = winograd.scheme_of_weight(deep_x, deep_w, **geo, precision=precision)
    if size is not None:
        return _whole(w, lambda g, x, dw: winograd.correlate_weight(size, g, x, dw, padding), np.empty)
    steps = np.empty(deep_w, np.float32).strides
    plan = WeightSweep(
        (deep_x, _deep(x_steps, 0)), deep_w, steps, _deep(g)[2:], stride, padding, dilation, groups
    )

    def run(g: Array, x: Array) -> Array:
        dw = np.empty(w, np.float32)
        plan.run(g, x, dw)
        return dw

    return run


def _whole(
    shape: Ints, work: Callable[[Array, Array, Array], None], empty: Any = empty_channels_last
) -> Runner:
    """`work` on four dimensions, which writes all of a result of `shape`."""
    if len(shape) == 4:

        def run(a: Array, b: Array) -> Array:
            y: Array = empty(shape, np.float32)
            work(a, b, y)
            return y
    else:

        def run(a: Array, b: Array) -> Array:
            y: Array = empty(shape, np.float32)
            work(a[:, :, None], b[:, :, None], y[:, :, None])
            return y

    return run


def _swept(
    src: tuple[Ints, Ints], w: tuple[Ints, Ints], shape: Ints, phases: list[Phase], groups: int, transpose: bool,
    first: Callable[[Array], None] | None = None,
) -> Runner:  # fmt: skip
    y = empty_channels_last(shape, np.float32)
    plan = Sweep(src, w, (_deep(shape), _deep(y.strides, 0)), phases, groups, transpose) if phases else None

    def run(a: Array, b: Array) -> Array:
        y = empty_channels_last(shape, np.float32)
        if first is not None:
            first(y)
        if plan is not None:
            plan.run(a, b, y)
        return y

    return run


def _deep(sizes: Ints, new: int = 1) -> Ints:
    """A shape (or strides, with 0 for `new`) in two spatial dimensions."""
    return sizes if len(sizes) == 4 else (*sizes[:2], new, sizes[2])


def _in_two_dimensions(geo: dict[str, Any], ndim: int) -> dict[str, Any]:
    if ndim == 4:
        return geo
    deep = {name: value if name == "groups" else (1, *value) for name, value in geo.items()}
    deep["padding"] = ((0, 0), *geo["padding"])
    return deep


def _is_depthwise(w: Ints, groups: int) -> bool:
    return w[1] == 1 and groups > 1 and w[0] == groups


def _residue(start: int, kernel: int, stride: int, low: int, dilation: int) -> list[tuple[int, int]]:
    """(position in g relative to the phase's window, kernel index) of the taps that reach input positions
    start + i*S."""
    taps = [
        ((start + low - u * dilation) // stride, u)
        for u in range(kernel)
        if (start + low - u * dilation) % stride == 0
    ]
    return sorted(taps)


def _check(name: str, g: Ints, x: Ints, w: Ints, geo: dict[str, Any]) -> None:
    """Raises ValueError where g is not the shape of the output."""
    reference.check_upstream(name, g, x, w, **geo)


def _ours(*shapes: Ints) -> bool:
    """One or two spatial dimensions, and not empty."""
    return len(shapes[0]) in (3, 4) and not any(0 in shape for shape in shapes)


def _other(ours: Any, theirs: Any, a: Array, b: Array, geo: dict[str, Any]) -> Array:
    """Float16 by way of float32; what is left goes to the reference."""
    if a.dtype == b.dtype == np.float16:
        half: Array = ours(a.astype(np.float32), b.astype(np.float32), **geo).astype(np.float16)
        return half
    result: Array = theirs(a, b, **geo)
    return result
