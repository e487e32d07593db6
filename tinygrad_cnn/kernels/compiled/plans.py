"""Plans of sweeps: everything about a convolution that its shapes and strides decide, worked out once.

A network repeats its shapes at every step, and on small arrays this arithmetic would take longer than the convolution.
A plan holds tables with addresses left out; `run` fills them in and does the work. Made and kept by `conv`; the loops
are in `sweep`.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from .. import threads
from ..geometry import Ints, Pairs
from ..layout import Array, channels_to_last
from . import sweep
from .block import Block
from .native import address
from .sweep import PACKED, PHASE
from .tiles import FLOAT
from .vector import PANEL

# Multiplications that are worth a second thread: some microseconds of its time.
WORTH_A_THREAD = 1_000_000


class Phase(NamedTuple):
    """A correlation with some taps onto some output positions: the whole of `correlate`, a residue of its
    transpose."""

    taps: list[tuple[int, int]]  # input offsets
    weights: list[tuple[int, int]]  # kernel indices
    low: tuple[int, int]  # padding needed
    stride: Ints
    start: Ints
    step: Ints
    counts: Ints

    def reach(self, i: int) -> int:
        """One past the last padded input position this phase reads along dimension i, from its own first."""
        return (self.counts[i] - 1) * self.stride[i] + max(t[i] for t in self.taps) + 1


class Sweep:
    """A correlation, or its input transpose, of arrays with these shapes and strides (four dimensions)."""

    def __init__(
        self, src: tuple[Ints, Ints], w: tuple[Ints, Ints], dst: tuple[Ints, Ints], phases: list[Phase], groups: int,
        transpose: bool,
    ) -> None:  # fmt: skip
        (n, c_all, height, width), (w_shape, w_steps), (dst_shape, dst_steps) = src[0], w, dst
        c, o = c_all // groups, dst_shape[1] // groups
        low = [max(0, *(p.low[i] for p in phases)) for i in (0, 1)]
        size = [
            max((height, width)[i] + low[i], *(low[i] - p.low[i] + p.reach(i) for p in phases)) for i in (0, 1)
        ]
        block = Block(*src, low, size)
        panels = -(-o // PANEL)
        lane, channel = (w_steps[1], w_steps[0]) if transpose else (w_steps[0], w_steps[1])
        group_step = (w_shape[0] // groups) * w_steps[0]
        s_n, _, s_h, s_w = dst_steps
        self.keep: list[Array] = []  # tables that others hold by address
        self.table = np.zeros((len(phases), PHASE), np.int64)
        self.packs: list[tuple[int, tuple[int, ...], int]] = []  # weights, their steps, packed
        total = 0
        for line, p in zip(self.table, phases, strict=True):
            at = np.array([u * w_steps[2] + v * w_steps[3] for u, v in p.weights], np.int64)
            offsets, count = merged(p.taps, c, c_all, block.row)
            self.keep += [at, offsets]
            panel_bytes = len(p.taps) * c * PANEL * FLOAT
            rows, columns = p.counts
            source_row, target_row = block.row * p.stride[0], s_h * p.step[0]
            # Pixels without a gap between rows are one long row.
            gapless = (
                source_row == columns * block.pixel * p.stride[1] and target_row == columns * s_w * p.step[1]
            )
            if rows > 1 and gapless:
                rows, columns = 1, rows * columns
            line[:-1] = (
                (low[0] - p.low[0]) * block.row + (low[1] - p.low[1]) * block.pixel, rows, columns, source_row,
                block.pixel * p.stride[1], address(offsets), len(offsets), count, total, panel_bytes,
                p.start[0] * s_h + p.start[1] * s_w, target_row, s_w * p.step[1],
            )  # fmt: skip
            for i in range(groups):
                self.packs.append((i * group_step, (lane, channel, address(at), len(at), c, o), total))
                total += panels * panel_bytes
        self.packed_size, self.panels = total // FLOAT, panels
        work = n * o * c * sum(len(p.taps) * p.counts[0] * p.counts[1] for p in phases) * groups
        self.images, self.grain = n, grain(n, work)
        self.pack_grain = max(1, 200_000 // max(1, int(np.prod(w_shape)) // panels))
        self.block, self.rest = block.entries(), (len(phases), groups, c, o)
        self.step = s_n

    def run(self, src: Array, w: Array, dst: Array) -> None:
        """Writes all positions of the phases in dst."""
        packed = np.empty(self.packed_size, np.float32)
        base, weights = address(packed), address(w)
        for shift, steps, at in self.packs:
            sweep.pack.run((weights + shift, *steps, base + at), self.panels, self.pack_grain)
        table = self.table.copy()
        table[:, PACKED] += base
        entries = (*self.block, address(src), address(table), *self.rest, address(dst), self.step)
        sweep.correlate.run(entries, self.images, self.grain)


class WeightSweep:
    """A weight gradient for x of this shape and strides, and weights of this shape (four dimensions)."""

    def __init__(
        self, x: tuple[Ints, Ints], w: Ints, w_steps: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints,
        groups: int,
    ) -> None:  # fmt: skip
        n, c_all, height, width = x[0]
        o, c, k_h, k_w = w[0] // groups, w[1], w[2], w[3]
        low = [padding[0][0], padding[1][0]]
        size = [
            max((height, width)[i] + low[i], (out[i] - 1) * stride[i] + (w[2 + i] - 1) * dilation[i] + 1)
            for i in (0, 1)
        ]
        block = Block(*x, low, size)
        panels = -(-o // PANEL)
        taps = [(u * dilation[0], v * dilation[1]) for u, v in product(range(k_h), range(k_w))]
        offsets, count = merged(taps, c, c_all, block.row)
        self.tap_at = np.array(
            [u * w_steps[2] + v * w_steps[3] for u, v in product(range(k_h), range(k_w))], np.int64
        )
        # Whole panels per thread need no sum over threads; with few panels each thread takes some images.
        count_threads = threads.get_num_threads()
        units = panels * groups
        by_panel = units >= 2 * count_threads or (units >= count_threads and units % count_threads == 0)
        work = n * o * groups * out[0] * out[1] * len(taps) * c
        parts = 1 if by_panel else max(1, min(count_threads, n // grain(n, work)))
        part_bytes = units * len(taps) * c * PANEL * FLOAT
        self.block, self.offsets, self.packed_size = block.entries(), offsets, parts * part_bytes // FLOAT
        self.before = (*out, block.row * stride[0], block.pixel * stride[1], groups, c, o, address(offsets),
                       len(offsets), count)  # fmt: skip
        self.after = (n, units, 0 if by_panel else parts, part_bytes)
        # A unit's share of the work decides how many threads are worth it.
        self.units, self.grain = (units, max(1, WORTH_A_THREAD * units // max(1, work))) if by_panel else (parts, 1)
        self.unpack = (w_steps[0], w_steps[1], address(self.tap_at), len(taps), c, o)
        self.unpack_grain = max(1, 200_000 // max(1, int(np.prod(w)) // panels))
        self.parts, self.part_bytes, self.groups, self.panels = parts, part_bytes, groups, panels
        self.group_packed, self.group_target = part_bytes // groups, o * w_steps[0]

    def run(self, g: Array, x: Array, dw: Array) -> None:
        """Writes dw."""
        rows = channels_to_last(g)
        if not rows.flags.c_contiguous:
            rows = np.ascontiguousarray(rows)
        packed = np.empty(self.packed_size, np.float32)
        base, target = address(packed), address(dw)
        entries = (*self.block, address(x), address(rows), *self.before, base, *self.after)
        sweep.correlate_weight.run(entries, self.units, self.grain)
        for i in range(self.groups):
            entries = (
                base + i * self.group_packed, self.parts, self.part_bytes, target + i * self.group_target, *self.unpack
            )  # fmt: skip
            sweep.unpack.run(entries, self.panels, self.unpack_grain)


def merged(taps: list[tuple[int, int]], c: int, c_all: int, row: int) -> tuple[Array, int]:
    """Byte offsets of the taps and the floats to read at each; neighbours in memory are read as one run."""
    at = [u * row + v * c_all * FLOAT for u, v in taps]
    per_row = len({v for _, v in taps})
    together = c == c_all and all(
        at[i + 1] - at[i] == c * FLOAT for i in range(len(at) - 1) if (i + 1) % per_row
    )
    if together and per_row > 1 and len(at) % per_row == 0:
        return np.array(at[::per_row], np.int64), per_row * c
    return np.array(at, np.int64), c


def grain(n: int, multiplications: int) -> int:
    """Images per shard, so that a shard is worth a thread."""
    return max(1, min(n, n * WORTH_A_THREAD // max(1, multiplications)))
