"""Winograd's minimal filtering (Lavin & Gray 2016): tiles of the output from a few matrix products over channels.

    Y = A^T [ (G w G^T) * (B^T d B) ] A

The product * is over the positions of a tile, each a matrix product over channels. A scheme is a tile of the input:

| tile | kernel | outputs | products against the direct sum | error against the direct sum in float32 |
|------|--------|---------|---------------------------------|-----------------------------------------|
| 4x4  | 3x3    | 2x2     | 2.25 times fewer                | as large: only additions and halves     |
| 6x6  | 3x3    | 4x4     | 4 times fewer                   | about ten times                         |
| 6x6  | 5x5    | 2x2     | 2.8 times fewer                 | about ten times                         |

The weight gradient is the same scheme with the roles changed: upstream tiles act as the kernel. Called by `conv`;
stride and dilation are 1, one group, float32. The transforms are in `winograd_transforms`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from ..geometry import Ints, Pairs
from ..layout import Array
from .jit import njit
from .native import Task, address
from .sweep import GROUP
from .tiles import FLOAT, PANEL_BYTES, VECTOR_BYTES, rows_tile, strip
from .vector import LANES, PANEL, ROWS, integers, load, load_float, splat, store, store_float
from .winograd_transforms import DATA, KERNEL, RESULT, transform

# Rows left free between positions, whose number is odd: at distances that are multiples of a power of two all would
# share a few cache sets.
SPACE = 1
# Transformed tiles of one shard's block, inputs and products together: about a second-level cache.
BLOCK_BYTES = 3 << 18
# Transformed input that the shards of a weight gradient share, and the tiles that one product takes.
SHARED_BYTES, TILES = 3 << 20, 128
TERMS = 64  # channels that are summed at a time


def scheme(
    x: Ints, w: Ints, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int, precision: str
) -> int | None:
    """The tile with which this correlation pays at a precision: enough channels, and enough tiles to pay for
    transforming the weights. None: sum directly."""
    k = w[2:]
    if k not in ((3, 3), (5, 5)) or groups != 1 or any(s != 1 for s in (*stride, *dilation)):
        return None
    if w[1] % LANES or w[0] % LANES or min(w[0], w[1]) < 2 * LANES:
        return None
    for size in _sizes(k[0], precision):
        m = size + 1 - k[0]
        tiles = x[0]
        waste = 1.0
        for i in (0, 1):
            out = x[2 + i] + sum(padding[i]) - k[i] + 1
            tiles *= -(-out // m)
            waste *= -(-out // m) * m / out
        if tiles >= 2 * size * size and waste <= (2 if size == 6 else 1.5):
            return size
    return None


def scheme_of_weight(
    x: Ints, w: Ints, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int, precision: str
) -> int | None:
    """As `scheme`, for `correlate_weight`: the tiles of 5x5 kernels are small, and only many channels pay for them."""
    size = scheme(
        x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, precision=precision
    )  # fmt: skip
    return size if w[2] == 3 or w[1] >= 64 else None


def _sizes(kernel: int, precision: str) -> tuple[int, ...]:
    """The tiles to try, best first."""
    if precision == "highest":
        return (4,) if kernel == 3 else ()
    return (6, 4) if kernel == 3 else (6,)


def correlate(size: int, x: Array, w: Array, y: Array, padding: Pairs) -> None:
    """Writes the correlation of x with w (any strides) into channels-last y, in tiles of `size`; padding may be
    negative (cuts)."""
    n, c = x.shape[:2]
    o, r = w.shape[0], w.shape[2]
    tasks, positions, m = _tasks(size, r), size * size, size + 1 - r
    high, wide = -(-y.shape[2] // m), -(-y.shape[3] // m)
    panels = -(-o // PANEL)
    rows = _rows(x)
    weights = np.empty((positions, panels * c + SPACE, PANEL), np.float32)
    tasks.prepare.run(
        (address(w), *w.strides, c, o, address(weights), weights[0].nbytes), c, max(1, 4096 // o)
    )
    step = max(ROWS, BLOCK_BYTES // (positions * FLOAT * (c + panels * PANEL)) // ROWS * ROWS)
    entries = (
        step, high, wide, x.shape[2], x.shape[3], padding[0][0], padding[1][0], c, panels, o, address(rows),
        *rows.strides[:3], address(weights), address(y), y.shape[2], y.shape[3], y.strides[0], y.strides[2],
        y.strides[3],
    )  # fmt: skip
    tasks.correlate.run(entries, n * high * wide, ROWS)


def correlate_weight(size: int, g: Array, x: Array, dw: Array, padding: Pairs) -> None:
    """Writes the gradient of the weights (O, C, r, r) from upstream g and input x, in tiles of `size`.

    The threads transform the tiles of a block together, then share out its products by panel and position.
    """
    n, c = x.shape[:2]
    o, r = dw.shape[0], dw.shape[2]
    tasks, positions, m = _tasks(size, r), size * size, size + 1 - r
    high, wide = -(-g.shape[2] // m), -(-g.shape[3] // m)
    tiles, panels = n * high * wide, -(-o // PANEL)
    rows, upstream = _rows(x), _rows(g)
    step = min(tiles, max(TILES, SHARED_BYTES // (positions * FLOAT * (c + o))))
    step = -(-tiles // -(-tiles // step))
    odd = step | 1
    inputs = np.empty((positions, odd, c + LANES), np.float32)
    # Lanes beyond the last output are multiplied too, and dropped.
    packed = (np.empty if o % PANEL == 0 else np.zeros)((positions, panels, odd, PANEL), np.float32)
    sums = np.empty((positions, panels, c + SPACE, PANEL), np.float32)
    from_input = (address(inputs), inputs[0].nbytes, inputs.strides[1])
    from_upstream = (address(packed), packed[0].nbytes, packed[0, 0].nbytes)
    for start in range(0, tiles, step):
        many = min(step, tiles - start)
        entries = (
            start, high, wide, x.shape[2], x.shape[3], padding[0][0], padding[1][0], c, address(rows),
            *rows.strides[:3], *from_input, g.shape[2], g.shape[3], o, address(upstream), *upstream.strides[:3],
            *from_upstream,
        )  # fmt: skip
        tasks.gather.run(entries, many, ROWS)
        entries = (many, panels, c, *from_input, *from_upstream, address(sums), start > 0)
        tasks.multiply.run(entries, positions * panels)
    entries = (-(-c // GROUP), panels, c, o, address(sums), address(dw), *dw.strides)
    tasks.finish.run(entries, panels * -(-c // GROUP))


def _rows(x: Array) -> Array:
    rows = np.moveaxis(x, 1, -1)
    if rows.strides[-1] == FLOAT:
        return rows
    return np.ascontiguousarray(rows)


# Tiles ------------------------------------------------------------------------------------------------------
# The sizes that come first are literals: each scheme is compiled on its own, when it is first used.


@njit(nogil=True, cache=True)
def transform_tiles(
    kind, count, size, m, first, last, high, wide, height, width, low_h, low_w, channels, source, image, row,
    pixel, out, position, out_row, panel, scratch,
):  # fmt: skip
    """`kind` of the count x count inputs of tiles [first, last), m apart, zeros outside the image.

    Written to out (size * size, tiles, channels), or by panel where `panel`, the bytes of one, is not 0.
    """
    zero = splat(np.float32(0))
    step = size * VECTOR_BYTES
    for t in range(first, last):
        n, rest = t // (high * wide), t % (high * wide)
        top, left = rest // wide * m - low_h, rest % wide * m - low_w
        whole = top >= 0 and top + count <= height and left >= 0 and left + count <= width
        base = source + n * image + top * row + left * pixel
        for c in range(0, channels * FLOAT, VECTOR_BYTES):
            at = out + (t - first) * out_row + c
            if panel:
                at += c // PANEL_BYTES * (panel - PANEL_BYTES)
            if whole:
                transform(kind, count, size, base + c, row, pixel, at, size * position, position)
                continue
            for u in range(count):
                inside = 0 <= top + u < height
                for v in range(count):
                    here = scratch + u * step + v * VECTOR_BYTES
                    if inside and 0 <= left + v < width:
                        store(here, load(base + u * row + v * pixel + c))
                    else:
                        store(here, zero)
            transform(kind, count, size, scratch, step, VECTOR_BYTES, at, size * position, position)


@njit(nogil=True, cache=True)
def transform_weights(
    size, r, source, s_o, s_c, s_h, s_w, channels, outputs, first, last, out, position, taps
):
    """G w G^T for input channels [first, last): out (positions, panels, channels, PANEL)."""
    panels = (outputs + PANEL - 1) // PANEL
    kernel_bytes = r * r * PANEL_BYTES
    for panel in range(panels):
        lanes = min(PANEL, outputs - panel * PANEL)
        for low in range(first, last, GROUP):
            high = min(low + GROUP, last)
            # GROUP channels of one output at a time: see `sweep.pack_weights`.
            for j in range(PANEL):
                base = source + (panel * PANEL + j) * s_o
                for c in range(low, high):
                    here = taps + (c - low) * kernel_bytes + j * FLOAT
                    for u in range(r):
                        for v in range(r):
                            value = np.float32(0)
                            if j < lanes:
                                value = load_float(base + c * s_c + u * s_h + v * s_w)
                            store_float(here + (u * r + v) * PANEL_BYTES, value)
            for c in range(low, high):
                here = taps + (c - low) * kernel_bytes
                at = out + (panel * channels + c) * PANEL_BYTES
                for j in range(0, PANEL_BYTES, VECTOR_BYTES):
                    transform(
                        KERNEL,
                        r,
                        size,
                        here + j,
                        r * PANEL_BYTES,
                        PANEL_BYTES,
                        at + j,
                        size * position,
                        position,
                    )


@njit(nogil=True, cache=True)
def correlate_tiles(
    size, m, first, last, step, high, wide, height, width, low_h, low_w, channels, panels, outputs, source, image,
    row, pixel, weights, target, out_height, out_width, target_image, target_row, target_pixel, inputs,
    input_position, input_row, products, product_position, product_row, table, scratch,
):  # fmt: skip
    """Tiles [first, last) from input to output, `step` at a time."""
    panel_bytes = channels * PANEL_BYTES
    weight_position = (panels * channels + SPACE) * PANEL_BYTES
    for start in range(first, last, step):
        many = min(step, last - start)
        transform_tiles(
            DATA, size, size, m, start, start + many, high, wide, height, width, low_h, low_w, channels, source,
            image, row, pixel, inputs, input_position, input_row, 0, scratch,
        )  # fmt: skip
        for p in range(size * size):
            for panel in range(panels):
                # Sums of sums: rounding grows with the length of each.
                for low in range(0, channels, TERMS):
                    strip(
                        many, inputs + p * input_position + low * FLOAT, input_row, FLOAT, table, 1,
                        min(TERMS, channels - low),
                        weights + p * weight_position + panel * panel_bytes + low * PANEL_BYTES,
                        products + p * product_position + panel * PANEL_BYTES, product_row, PANEL, low > 0, scratch,
                    )  # fmt: skip
        for t in range(many):
            n, rest = (start + t) // (high * wide), (start + t) % (high * wide)
            top, left = rest // wide * m, rest % wide * m
            whole = top + m <= out_height and left + m <= out_width
            for c in range(0, outputs * FLOAT, VECTOR_BYTES):
                at = products + t * product_row + c
                base = target + n * target_image + top * target_row + left * target_pixel + c
                if whole:
                    transform(
                        RESULT,
                        size,
                        m,
                        at,
                        size * product_position,
                        product_position,
                        base,
                        target_row,
                        target_pixel,
                    )
                    continue
                transform(
                    RESULT, size, m, at, size * product_position, product_position, scratch, m * VECTOR_BYTES,
                    VECTOR_BYTES,
                )  # fmt: skip
                for u in range(min(m, out_height - top)):
                    for v in range(min(m, out_width - left)):
                        value = load(scratch + (u * m + v) * VECTOR_BYTES)
                        store(base + u * target_row + v * target_pixel, value)


@njit(nogil=True, cache=True)
def weight_products(inputs, input_row, upstream, tiles, channels, sums, table, add):
    """(channels, tiles) times (tiles, PANEL), into sums (channels, PANEL): TILES at a time, which stay in the
    first-level cache while all channels go over them."""
    parts = (channels + ROWS - 1) // ROWS
    for start in range(0, tiles, TILES):
        many = min(TILES, tiles - start)
        for i in range(parts):
            first, last = channels * i // parts, channels * (i + 1) // parts
            rows_tile(
                last - first, inputs + start * input_row + first * FLOAT, FLOAT, input_row, table, 1, many,
                upstream + start * PANEL_BYTES, sums + first * PANEL_BYTES, PANEL_BYTES, add or start > 0,
            )  # fmt: skip


@njit(nogil=True, cache=True)
def weight_results(size, r, low, high, lanes, sums, position, target, s_o, s_c, s_h, s_w, results):
    """A^T sums A for channels [low, high) of one panel, written to dw (O, C, r, r) one output at a time."""
    kernel_bytes = r * r * PANEL_BYTES
    for c in range(low, high):
        here = results + (c - low) * kernel_bytes
        for j in range(0, PANEL_BYTES, VECTOR_BYTES):
            transform(
                RESULT, size, r, sums + c * PANEL_BYTES + j, size * position, position, here + j, r * PANEL_BYTES,
                PANEL_BYTES,
            )  # fmt: skip
    for j in range(lanes):
        for c in range(low, high):
            here = results + (c - low) * kernel_bytes + j * FLOAT
            for u in range(r):
                for v in range(r):
                    value = load_float(here + (u * r + v) * PANEL_BYTES)
                    store_float(target + j * s_o + c * s_c + u * s_h + v * s_w, value)


# Tasks ------------------------------------------------------------------------------------------------------


@cache
def _tasks(size: int, r: int) -> SimpleNamespace:
    """The tasks of one scheme. The arrays each makes for itself are known to the loops by address only, and
    written once more at the end so that they live that long."""
    m, positions = size + 1 - r, size * size

    @Task
    def prepare(table, first, last):
        """Input channels of `transform_weights`: (source, its four steps, channels, outputs, out, position)."""
        t = integers(table)
        taps = np.empty(GROUP * r * r * PANEL, np.float32)
        transform_weights(
            size, r, t[0], t[1], t[2], t[3], t[4], t[5], t[6], first, last, t[7], t[8], taps.ctypes.data
        )  # fmt: skip
        taps[0] = 0

    @Task
    def correlate(table, first, last):
        """Tiles of `correlate_tiles`: (step, high, wide, H, W, low padding, channels, panels, outputs, source and
        its image, row and pixel steps, weights, target, out H, out W, and the target's steps)."""
        t = integers(table)
        many = min(t[0], last - first)
        odd = many | 1
        channels, panels = t[7], t[8]
        inputs = np.empty(positions * odd * (channels + LANES), np.float32)
        products = np.empty(positions * odd * (panels * PANEL + LANES), np.float32)
        scratch = np.empty(positions * LANES, np.float32)
        start = np.zeros(1, np.int64)
        input_row, product_row = (channels + LANES) * FLOAT, panels * PANEL_BYTES + VECTOR_BYTES
        correlate_tiles(
            size, m, first, last, many, t[1], t[2], t[3], t[4], t[5], t[6], channels, panels, t[9], t[10], t[11],
            t[12], t[13], t[14], t[15], t[16], t[17], t[18], t[19], t[20], inputs.ctypes.data, odd * input_row,
            input_row, products.ctypes.data, odd * product_row, product_row, start.ctypes.data,
            scratch.ctypes.data,
        )  # fmt: skip
        inputs[0] = products[0] = scratch[0] = 0
        start[0] = 0

    @Task
    def gather(table, first, last):
        """Tiles of a weight gradient, counted from a start: (start, high, wide, H, W, low padding, channels, x
        and its steps, out, position, row; then out H, out W, outputs, g and its steps, out, position, panel)."""
        t = integers(table)
        scratch = np.empty(positions * LANES, np.float32)
        transform_tiles(
            DATA, size, size, m, t[0] + first, t[0] + last, t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9],
            t[10], t[11], t[12] + first * t[14], t[13], t[14], 0, scratch.ctypes.data,
        )  # fmt: skip
        transform_tiles(
            KERNEL, m, size, m, t[0] + first, t[0] + last, t[1], t[2], t[15], t[16], 0, 0, t[17], t[18], t[19], t[20],
            t[21], t[22] + first * PANEL_BYTES, t[23], PANEL_BYTES, t[24], scratch.ctypes.data,
        )  # fmt: skip
        scratch[0] = 0

    @Task
    def multiply(table, first, last):
        """Positions and panels of a weight gradient: (tiles, panels, channels, inputs, position, row, upstream,
        position, panel, sums, add?)."""
        t = integers(table)
        start = np.zeros(1, np.int64)
        for unit in range(first, last):
            p, panel = unit // t[1], unit % t[1]
            weight_products(
                t[3] + p * t[4], t[5], t[6] + p * t[7] + panel * t[8], t[0], t[2],
                t[9] + unit * (t[2] + SPACE) * PANEL_BYTES, start.ctypes.data, t[10] != 0,
            )  # fmt: skip
        start[0] = 0

    @Task
    def finish(table, first, last):
        """GROUPs of channels of each panel of `weight_results`: (GROUPs, panels, channels, outputs, sums, dw and
        its four steps)."""
        t = integers(table)
        results = np.empty(GROUP * r * r * PANEL, np.float32)
        panel_bytes = (t[2] + SPACE) * PANEL_BYTES
        for unit in range(first, last):
            panel, low = unit // t[0], unit % t[0] * GROUP
            weight_results(
                size, r, low, min(low + GROUP, t[2]), min(PANEL, t[3] - panel * PANEL), t[4] + panel * panel_bytes,
                t[1] * panel_bytes, t[5] + panel * PANEL * t[6], t[6], t[7], t[8], t[9], results.ctypes.data,
            )  # fmt: skip
        results[0] = 0

    return SimpleNamespace(
        prepare=prepare, correlate=correlate, gather=gather, multiply=multiply, finish=finish
    )
