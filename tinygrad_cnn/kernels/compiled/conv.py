"""Cross-correlation and its transposes in float32, two spatial dimensions: which method, and the work for
each shard.

- 3x3 and 5x5 at stride 1 with many channels: Winograd (`winograd`).
- one channel per group: a direct loop (`depthwise`).
- everything else: direct correlation by sweeping the register tile over the padded input; nothing is lowered.

One dimension runs as two; three dimensions, float64 and integers keep their reference.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from .. import threads
from ..geometry import Ints, Pairs, correlate_shape
from ..layout import Array, empty_channels_last
from ..reference import conv as reference
from . import depthwise, sweep, winograd
from .block import Block
from .native import address
from .sweep import FLOAT, PANEL, PHASE

# Multiplications that are worth a second thread: some microseconds of its time.
WORTH_A_THREAD = 1_000_000


def correlate(x: Array, w: Array, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """See `kernels.correlate`."""
    geo: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    shape = correlate_shape(x.shape, w.shape, **geo)
    if not _ours(x, w, shape):
        return _other(correlate, reference.correlate, x, w, geo)
    y = empty_channels_last(shape, np.float32)
    if w.shape[1] == 1 and groups > 1 and w.shape[0] == groups:
        depthwise.correlate(x, w, y, stride=stride, padding=padding, dilation=dilation)
    elif winograd.suits(x.shape, w.shape, **geo):
        winograd.correlate(x, w, y, padding)
    else:
        lo_h, lo_w = padding[0][0], padding[1][0]
        taps = [(u * dilation[0], v * dilation[1]) for u, v in product(range(w.shape[2]), range(w.shape[3]))]
        weights = [(u, v) for u, v in product(range(w.shape[2]), range(w.shape[3]))]
        _sweep_all(
            x, w, y, [_Phase(taps, weights, (lo_h, lo_w), stride, (0, 0), (1, 1), shape[2:])], groups, False
        )
    return y


def correlate_input(
    g: Array, w: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """See `kernels.correlate_input`. Per residue of the stride this is a correlation of g with some of the
    taps."""
    geo: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    reference._check_upstream("correlate_input", g, shape, w.shape, stride, padding, dilation, groups)
    if not _ours(g, w, shape):
        return _other(correlate_input, reference.correlate_input, g, w, dict(shape=tuple(shape), **geo))
    dx = empty_channels_last(tuple(shape), np.float32)
    if w.shape[1] == 1 and groups > 1 and w.shape[0] == groups:
        depthwise.correlate_input(g, w, dx, stride=stride, padding=padding, dilation=dilation)
    elif winograd.suits(tuple(shape), w.shape, **geo):
        pads = tuple((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(w.shape[2:], padding, strict=True))
        winograd.correlate(g, reference.mirror(w, 1), dx, pads)
    else:
        phases = []
        for start in product(range(min(stride[0], shape[2])), range(min(stride[1], shape[3]))):
            sides = [
                _residue(start[i], w.shape[2 + i], stride[i], padding[i][0], dilation[i]) for i in (0, 1)
            ]
            taps = [(a, b) for (a, _), (b, _) in product(*sides)]
            weights = [(u, v) for (_, u), (_, v) in product(*sides)]
            count = tuple(-(-(shape[2 + i] - start[i]) // stride[i]) for i in (0, 1))
            if not taps:
                dx[:, :, start[0] :: stride[0], start[1] :: stride[1]] = 0
                continue
            low = (min(a for a, _ in taps), min(b for _, b in taps))
            taps = [(a - low[0], b - low[1]) for a, b in taps]
            phases.append(_Phase(taps, weights, (-low[0], -low[1]), (1, 1), start, stride, count))
        _sweep_all(g, w, dx, phases, groups, True)
    return dx


def correlate_weight(
    g: Array, x: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """See `kernels.correlate_weight`."""
    geo: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    reference._check_upstream("correlate_weight", g, x.shape, shape, stride, padding, dilation, groups)
    if not _ours(g, x, shape):
        return _other(correlate_weight, reference.correlate_weight, g, x, dict(shape=tuple(shape), **geo))
    dw = np.empty(tuple(shape), np.float32)
    if shape[1] == 1 and groups > 1 and shape[0] == groups:
        depthwise.correlate_weight(g, x, dw, stride=stride, padding=padding, dilation=dilation)
    elif winograd.suits_weight(x.shape, tuple(shape), **geo):
        winograd.correlate_weight(g, x, dw, padding)
    else:
        _weight_all(g, x, dw, stride, padding, dilation, groups)
    return dw


unfold, fold = reference.unfold, reference.fold


class _Phase:
    """A correlation with some taps onto some output positions: the whole of `correlate`, a residue of its
    transpose."""

    def __init__(
        self,
        taps: list[tuple[int, int]],
        weights: list[tuple[int, int]],
        low: tuple[int, int],
        stride: Ints,
        start: Ints,
        step: Ints,
        count: Ints,
    ) -> None:
        self.taps, self.weights, self.low = (
            taps,
            weights,
            low,
        )  # input offsets; kernel indices; padding needed
        self.stride, self.start, self.step, self.count = stride, start, step, count

    def reach(self, i: int) -> int:
        """One past the last padded input position this phase reads along dimension i, from its own first."""
        return (self.count[i] - 1) * self.stride[i] + max(t[i] for t in self.taps) + 1


def _sweep_all(src: Array, w: Array, dst: Array, phases: list[_Phase], groups: int, transpose: bool) -> None:
    n, c_all, height, width = src.shape
    c, o = c_all // groups, dst.shape[1] // groups
    low = [max(0, *(p.low[i] for p in phases)) for i in (0, 1)]
    size = [
        max((height, width)[i] + low[i], *(low[i] - p.low[i] + p.reach(i) for p in phases)) for i in (0, 1)
    ]
    block = Block(src, low, size)
    panels = -(-o // PANEL)
    plans = []
    for p in phases:
        lane, channel = (w.strides[1], w.strides[0]) if transpose else (w.strides[0], w.strides[1])
        at = np.array([u * w.strides[2] + v * w.strides[3] for u, v in p.weights], np.int64)
        offsets, count = _merge(p.taps, c, c_all, block.row)
        packed = np.empty((groups, panels, len(p.taps) * c, PANEL), np.float32)
        group = (w.shape[0] // groups) * w.strides[0]
        plans.append((p, offsets, count, packed, at, lane, channel, group))

    worth = max(1, 200_000 // max(1, w.size // panels))
    for _, _, _, packed, at, lane, channel, group in plans:
        for i in range(groups):
            entries = (address(w) + i * group, lane, channel, address(at), len(at), c, o, address(packed[i]))
            sweep.pack.run(entries, panels, worth)
    s_n, _, s_h, s_w = dst.strides
    table = np.zeros((len(plans), PHASE), np.int64)
    for line, (p, offsets, count, packed, _, _, _, _) in zip(table, plans):
        rows, columns = p.count
        source_row, target_row = block.row * p.stride[0], s_h * p.step[0]
        # Pixels without a gap between rows are one long row.
        gapless = (
            source_row == columns * block.pixel * p.stride[1] and target_row == columns * s_w * p.step[1]
        )
        if rows > 1 and gapless:
            rows, columns = 1, rows * columns
        line[:-1] = (
            (low[0] - p.low[0]) * block.row + (low[1] - p.low[1]) * block.pixel, rows, columns, source_row,
            block.pixel * p.stride[1], address(offsets), len(offsets), count, address(packed),
            packed[0, 0].nbytes, p.start[0] * s_h + p.start[1] * s_w, target_row, s_w * p.step[1],
        )  # fmt: skip

    work = dst.size // groups * sum(len(p.taps) for p in phases) * c // len(phases)
    entries = (*block.entries(), address(src), address(table), len(table), groups, c, o, address(dst), s_n)
    sweep.correlate.run(entries, n, _grain(n, work))


def _weight_all(
    g: Array, x: Array, dw: Array, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> None:
    n, c_all, height, width = x.shape
    o, c, k_h, k_w = dw.shape[0] // groups, dw.shape[1], dw.shape[2], dw.shape[3]
    out = g.shape[2:]
    low = [padding[0][0], padding[1][0]]
    size = [
        max((height, width)[i] + low[i], (out[i] - 1) * stride[i] + (dw.shape[2 + i] - 1) * dilation[i] + 1)
        for i in (0, 1)
    ]
    block = Block(x, low, size)
    rows = np.moveaxis(g, 1, -1)
    if not rows.flags.c_contiguous:
        rows = np.ascontiguousarray(rows)
    panels = -(-o // PANEL)
    taps = [(u * dilation[0], v * dilation[1]) for u, v in product(range(k_h), range(k_w))]
    offsets, count = _merge(taps, c, c_all, block.row)
    # Whole panels per thread need no sum over threads; with few panels each thread takes some images.
    by_panel = panels * groups >= 2 * threads.get_num_threads() or (
        panels * groups >= threads.get_num_threads() and panels * groups % threads.get_num_threads() == 0
    )
    parts = 1 if by_panel else min(threads.get_num_threads(), n // _grain(n, g.size * len(taps) * c))
    packed = np.empty((parts, groups * panels, len(taps) * c, PANEL), np.float32)
    tap_at = np.array(
        [u * dw.strides[2] + v * dw.strides[3] for u, v in product(range(k_h), range(k_w))], np.int64
    )

    entries = (
        *block.entries(), address(x), address(rows), *out, block.row * stride[0], block.pixel * stride[1], groups, c, o,
        address(offsets), len(offsets), count, address(packed), n, groups * panels, 0 if by_panel else parts,
        packed[0].nbytes,
    )  # fmt: skip
    sweep.correlate_weight.run(entries, groups * panels if by_panel else parts)
    worth = max(1, 200_000 // max(1, dw.size // panels))
    for i in range(groups):
        entries = (
            address(packed[0, i * panels]), parts, packed[0].nbytes, address(dw[i * o]), dw.strides[0], dw.strides[1],
            address(tap_at), len(taps), c, o,
        )  # fmt: skip
        sweep.unpack.run(entries, panels, worth)


def _residue(start: int, kernel: int, stride: int, low: int, dilation: int) -> list[tuple[int, int]]:
    """(position in g relative to the phase's window, kernel index) of the taps that reach input positions
    start + i*S."""
    taps = [
        ((start + low - u * dilation) // stride, u)
        for u in range(kernel)
        if (start + low - u * dilation) % stride == 0
    ]
    return sorted(taps)


def _merge(taps: list[tuple[int, int]], c: int, c_all: int, row: int) -> tuple[Array, int]:
    """Byte offsets of the taps and the floats to read at each; neighbours in memory are read as one run."""
    at = [u * row + v * c_all * FLOAT for u, v in taps]
    per_row = len({v for _, v in taps})
    together = c == c_all and all(
        at[i + 1] - at[i] == c * FLOAT for i in range(len(at) - 1) if (i + 1) % per_row
    )
    if together and per_row > 1 and len(at) % per_row == 0:
        return np.array(at[::per_row], np.int64), per_row * c
    return np.array(at, np.int64), c


def _grain(n: int, multiplications: int) -> int:
    """Images per shard, so that a shard is worth a thread."""
    return max(1, min(n, n * WORTH_A_THREAD // max(1, multiplications)))


def _ours(a: Array, b: Array, shape: Ints) -> bool:
    """Float32 in two dimensions, and not empty."""
    return (
        a.dtype == b.dtype == np.float32
        and a.ndim == b.ndim == 4
        and 0 not in shape
        and a.size > 0
        and b.size > 0
    )


def _other(ours: Any, theirs: Any, a: Array, b: Array, geo: dict[str, Any]) -> Array:
    """Float16 by way of float32, one dimension as two; what is left goes to the reference."""
    if a.dtype == b.dtype == np.float16:
        half: Array = ours(a.astype(np.float32), b.astype(np.float32), **geo).astype(np.float16)
        return half
    empty = a.size == 0 or b.size == 0 or 0 in geo.get("shape", ())
    if a.dtype == b.dtype == np.float32 and a.ndim == 3 and not empty:
        deep = {name: value if name == "groups" else (1, *value) for name, value in geo.items()}
        deep["padding"] = ((0, 0), *geo["padding"])
        if "shape" in geo:
            deep["shape"] = (*geo["shape"][:2], 1, geo["shape"][2])
        flat: Array = ours(a[:, :, None], b[:, :, None], **deep)[:, :, 0]
        return flat
    result: Array = theirs(a, b, **geo)
    return result
