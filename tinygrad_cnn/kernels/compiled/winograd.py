"""Winograd's minimal filtering on 6x6 tiles (Lavin & Gray 2016): 3x3 kernels give 4x4 outputs, 5x5 kernels
2x2.

    Y = A^T [ (G w G^T) * (B^T d B) ] A      with the points 0, 1, -1, 2, -2, infinity

The product * is over 36 positions, each a matrix product over channels: 4 (3x3) or 2.8 (5x5) times fewer
multiplications than the direct sum. Float32 loses about two digits more than it (relative error about 1e-5).
The weight gradient is the same scheme with the roles changed: upstream tiles act as the kernel.
Called by `conv`; stride and dilation are 1, one group, float32.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import njit

from ..geometry import Ints, Pairs
from ..layout import Array
from .native import Task, address
from .sweep import FLOAT, GROUP, PANEL, PANEL_BYTES, VECTOR_BYTES, rows_tile, strip
from .vector import LANES, ROWS, integers, load, load_float, splat, store, store_float

TILE = 6
POSITIONS = TILE * TILE
# Rows left free between positions: at distances that are powers of two all 36 would share a few cache sets.
SPACE = 1
# Transformed tiles of one shard's block, inputs and products together: about a second-level cache.
BLOCK_BYTES = 3 << 18
# Transformed input that the shards of a weight gradient share.
SHARED_BYTES = 8 << 20


def suits(x: Ints, w: Ints, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> bool:
    """Whether this scheme applies and pays: enough channels, and enough tiles to pay for transforming the
    weights."""
    k = w[2:]
    if k not in ((3, 3), (5, 5)) or groups != 1 or any(s != 1 for s in (*stride, *dilation)):
        return False
    if w[1] % LANES or w[0] % LANES or min(w[0], w[1]) < 2 * LANES:
        return False
    m = TILE + 1 - k[0]
    tiles = x[0]
    waste = 1.0
    for i in (0, 1):
        out = x[2 + i] + sum(padding[i]) - k[i] + 1
        tiles *= -(-out // m)
        waste *= -(-out // m) * m / out
    return tiles >= 32 and waste <= 2


def suits_weight(x: Ints, w: Ints, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> bool:
    """As `suits`, for `correlate_weight`: the tiles of 5x5 kernels are small, and only many channels pay for them."""
    fits = suits(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return fits and w[0] % PANEL == 0 and (w[2] == 3 or w[1] >= 64)


def correlate(x: Array, w: Array, y: Array, padding: Pairs) -> None:
    """Writes the correlation of x with w (any strides) into channels-last y; padding may be negative
    (cuts)."""
    n, c = x.shape[:2]
    o, r = w.shape[0], w.shape[2]
    m = TILE + 1 - r
    high, wide = -(-y.shape[2] // m), -(-y.shape[3] // m)
    panels = -(-o // PANEL)
    rows = _rows(x)
    weights = np.empty((POSITIONS, panels * c + SPACE, PANEL), np.float32)

    entries = (address(w), *w.strides, r, c, o, address(weights), weights[0].nbytes)
    prepare.run(entries, c, max(1, 4096 // o))
    step = max(1, BLOCK_BYTES // (POSITIONS * FLOAT * (c + panels * PANEL)) // ROWS) * ROWS
    tiles = n * high * wide
    entries = (
        step, high, wide, m, x.shape[2], x.shape[3], padding[0][0], padding[1][0], c, panels, o,
        address(rows), *rows.strides[:3], address(weights), address(y), y.shape[2], y.shape[3], y.strides[0],
        y.strides[2], y.strides[3],
    )  # fmt: skip
    run_tiles.run(entries, tiles, ROWS)


def correlate_weight(g: Array, x: Array, dw: Array, padding: Pairs) -> None:
    """Writes the gradient of the weights (O, C, r, r), contiguous, from upstream g and input x.

    The threads first transform the input tiles of a block together, then each takes some panels of the
    output.
    """
    n, c = x.shape[:2]
    o, r = dw.shape[0], dw.shape[2]
    m = TILE + 1 - r
    high, wide = -(-g.shape[2] // m), -(-g.shape[3] // m)
    tiles = n * high * wide
    panels = o // PANEL
    rows, upstream = _rows(x), _rows(g)
    step = min(tiles, max(64, SHARED_BYTES // (POSITIONS * FLOAT * c)))
    inputs = np.empty((POSITIONS, step, c + LANES), np.float32)
    sums = np.empty((panels, POSITIONS, c + SPACE, PANEL), np.float32)
    position, row = inputs[0].nbytes, inputs.strides[1]
    for start in range(0, tiles, step):
        stop = min(tiles, start + step)
        entries = (
            start, high, wide, m, x.shape[2], x.shape[3], padding[0][0], padding[1][0], c, address(rows),
            *rows.strides[:3], address(inputs), position, row,
        )  # fmt: skip
        transform.run(entries, stop - start, ROWS)
        entries = (
            start, stop, high, wide, m, g.shape[2], g.shape[3], c, address(upstream), *upstream.strides[:3],
            address(inputs), position, row, address(sums), sums[0].nbytes, stop == tiles, r, address(dw),
            *dw.strides,
        )  # fmt: skip
        multiply.run(entries, panels)


def _rows(x: Array) -> Array:
    rows = np.moveaxis(x, 1, -1)
    if rows.strides[-1] == FLOAT:
        return rows
    return np.ascontiguousarray(rows)


# Transforms of six vectors ----------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def data_transform(d0, d1, d2, d3, d4, d5):
    """B^T d."""
    even, odd = d4 - d2 * 4.0, d3 - d1 * 4.0
    far, near = d4 - d2, (d3 - d1) * 2.0
    return d0 * 4.0 - d2 * 5.0 + d4, even + odd, even - odd, far + near, far - near, d1 * 4.0 - d3 * 5.0 + d5


@njit(nogil=True, cache=True)
def kernel_transform(g0, g1, g2, g3, g4, last):
    """G g: the polynomial with coefficients g at the points, scaled; `last` is its leading coefficient."""
    even, odd = g0 + g2 + g4, g1 + g3
    far, near = g0 + g2 * 4.0 + g4 * 16.0, g1 * 2.0 + g3 * 8.0
    return (
        g0 * 0.25, (even + odd) * (-1 / 6), (even - odd) * (-1 / 6), (far + near) * (1 / 24), (far - near) *
        (1 / 24), last,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def result_transform(count, m0, m1, m2, m3, m4, m5):
    """A^T m: `count` (2 to 5) results; those beyond are not to be used."""
    s1, d1, s2, d2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    y0, y1, y2 = m0 + s1 + s2, d1 + d2 * 2.0, s1 + s2 * 4.0
    y3, y4 = d1 + d2 * 8.0, s1 + s2 * 16.0
    if count == 2:
        y1 = y1 + m5
    elif count == 3:
        y2 = y2 + m5
    elif count == 4:
        y3 = y3 + m5
    else:
        y4 = y4 + m5
    return y0, y1, y2, y3, y4


# Tiles ------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def transform_tiles(
    first, last, high, wide, m, height, width, low_h, low_w, channels, source, image, row, pixel, out,
    position, out_row, scratch,
):  # fmt: skip
    """B^T d B of tiles [first, last), zeros outside the image: out (POSITIONS, tiles, channels)."""
    zero = splat(np.float32(0))
    for t in range(first, last):
        n, rest = t // (high * wide), t % (high * wide)
        top, left = rest // wide * m - low_h, rest % wide * m - low_w
        whole = left >= 0 and left + TILE <= width
        at = out + (t - first) * out_row
        for c in range(0, channels * FLOAT, VECTOR_BYTES):
            for u in range(TILE):
                line = scratch + u * TILE * VECTOR_BYTES
                h = top + u
                base = source + n * image + h * row + left * pixel + c
                if h < 0 or h >= height:
                    d0 = d1 = d2 = d3 = d4 = d5 = zero
                elif whole:
                    d0, d1, d2 = load(base), load(base + pixel), load(base + 2 * pixel)
                    d3, d4, d5 = load(base + 3 * pixel), load(base + 4 * pixel), load(base + 5 * pixel)
                else:
                    d0 = load(base) if 0 <= left < width else zero
                    d1 = load(base + pixel) if 0 <= left + 1 < width else zero
                    d2 = load(base + 2 * pixel) if 0 <= left + 2 < width else zero
                    d3 = load(base + 3 * pixel) if 0 <= left + 3 < width else zero
                    d4 = load(base + 4 * pixel) if 0 <= left + 4 < width else zero
                    d5 = load(base + 5 * pixel) if 0 <= left + 5 < width else zero
                d0, d1, d2, d3, d4, d5 = data_transform(d0, d1, d2, d3, d4, d5)
                store_six(line, VECTOR_BYTES, d0, d1, d2, d3, d4, d5)
            for v in range(TILE):
                d0, d1, d2, d3, d4, d5 = load_six(scratch + v * VECTOR_BYTES, TILE * VECTOR_BYTES)
                d0, d1, d2, d3, d4, d5 = data_transform(d0, d1, d2, d3, d4, d5)
                store_six(at + v * position + c, TILE * position, d0, d1, d2, d3, d4, d5)


@njit(nogil=True, cache=True)
def transform_upstream(
    first, last, high, wide, m, height, width, source, image, row, pixel, out, position, out_row, scratch
):
    """G g G^T of the m x m tiles of one panel of the upstream gradient: out (POSITIONS, tiles, PANEL)."""
    zero = splat(np.float32(0))
    for t in range(first, last):
        n, rest = t // (high * wide), t % (high * wide)
        top, left = rest // wide * m, rest % wide * m
        at = out + (t - first) * out_row
        for c in range(0, PANEL_BYTES, VECTOR_BYTES):
            for u in range(m):
                base = source + n * image + (top + u) * row + left * pixel + c
                here = top + u < height
                d0 = load(base) if here else zero
                d1 = load(base + pixel) if here and left + 1 < width else zero
                d2 = load(base + 2 * pixel) if here and m > 2 and left + 2 < width else zero
                d3 = load(base + 3 * pixel) if here and m > 3 and left + 3 < width else zero
                d0, d1, d2, d3, d4, d5 = kernel_transform(d0, d1, d2, d3, zero, d3 if m == 4 else d1)
                store_six(scratch + u * TILE * VECTOR_BYTES, VECTOR_BYTES, d0, d1, d2, d3, d4, d5)
            for v in range(TILE):
                line = scratch + v * VECTOR_BYTES
                d0, d1 = load(line), load(line + TILE * VECTOR_BYTES)
                d2 = load(line + 2 * TILE * VECTOR_BYTES) if m > 2 else zero
                d3 = load(line + 3 * TILE * VECTOR_BYTES) if m > 3 else zero
                d0, d1, d2, d3, d4, d5 = kernel_transform(d0, d1, d2, d3, zero, d3 if m == 4 else d1)
                store_six(at + v * position + c, TILE * position, d0, d1, d2, d3, d4, d5)


@njit(nogil=True, cache=True)
def transform_weights(source, s_o, s_c, s_h, s_w, r, channels, outputs, first, last, out, position, scratch):
    """G w G^T for input channels [first, last): out (POSITIONS, panels, channels, PANEL)."""
    zero = splat(np.float32(0))
    taps = scratch + POSITIONS * PANEL_BYTES
    panels = (outputs + PANEL - 1) // PANEL
    size = r * r * PANEL_BYTES
    for panel in range(panels):
        lanes = min(PANEL, outputs - panel * PANEL)
        for low in range(first, last, GROUP):
            high = min(low + GROUP, last)
            # GROUP channels of one output at a time: see `sweep.pack_weights`.
            for j in range(PANEL):
                base = source + (panel * PANEL + j) * s_o
                for c in range(low, high):
                    for u in range(r):
                        for v in range(r):
                            value = np.float32(0)
                            if j < lanes:
                                value = load_float(base + c * s_c + u * s_h + v * s_w)
                            store_float(
                                taps + (c - low) * size + (u * r + v) * PANEL_BYTES + j * FLOAT, value
                            )
            for c in range(low, high):
                at = out + (panel * channels + c) * PANEL_BYTES
                for j in range(0, PANEL_BYTES, VECTOR_BYTES):
                    for u in range(r):
                        line = taps + (c - low) * size + u * r * PANEL_BYTES + j
                        g0, g1, g2 = load(line), load(line + PANEL_BYTES), load(line + 2 * PANEL_BYTES)
                        g3 = load(line + 3 * PANEL_BYTES) if r > 3 else zero
                        g4 = load(line + 4 * PANEL_BYTES) if r > 3 else zero
                        g0, g1, g2, g3, g4, g5 = kernel_transform(g0, g1, g2, g3, g4, g4 if r > 3 else g2)
                        store_six(scratch + u * TILE * PANEL_BYTES, PANEL_BYTES, g0, g1, g2, g3, g4, g5)
                    for v in range(TILE):
                        line = scratch + v * PANEL_BYTES
                        step = TILE * PANEL_BYTES
                        g0, g1, g2 = load(line), load(line + step), load(line + 2 * step)
                        g3 = load(line + 3 * step) if r > 3 else zero
                        g4 = load(line + 4 * step) if r > 3 else zero
                        g0, g1, g2, g3, g4, g5 = kernel_transform(g0, g1, g2, g3, g4, g4 if r > 3 else g2)
                        store_six(at + v * position + j, TILE * position, g0, g1, g2, g3, g4, g5)


@njit(nogil=True, cache=True)
def correlate_tiles(
    first, last, step, high, wide, m, height, width, low_h, low_w, channels, panels, outputs,
    source, image, row, pixel, weights, target, out_height, out_width, target_image, target_row, target_pixel,
    inputs, input_position, input_row, products, product_position, product_row, table, scratch,
):  # fmt: skip
    """Tiles [first, last) from input to output, `step` at a time."""
    panel_bytes = channels * PANEL_BYTES
    weight_position = (panels * channels + SPACE) * PANEL_BYTES
    for start in range(first, last, step):
        many = min(step, last - start)
        transform_tiles(
            start, start + many, high, wide, m, height, width, low_h, low_w, channels, source, image, row,
            pixel, inputs, input_position, input_row, scratch,
        )  # fmt: skip
        for p in range(POSITIONS):
            for panel in range(panels):
                strip(
                    many, inputs + p * input_position, input_row, FLOAT, table, 1, channels,
                    weights + p * weight_position + panel * panel_bytes,
                    products + p * product_position + panel * PANEL_BYTES, product_row, PANEL, False, scratch,
                )  # fmt: skip
        for t in range(many):
            n, rest = (start + t) // (high * wide), (start + t) % (high * wide)
            top, left = rest // wide * m, rest % wide * m
            for c in range(0, outputs * FLOAT, VECTOR_BYTES):
                at = products + t * product_row + c
                for v in range(TILE):
                    d0, d1, d2, d3, d4, d5 = load_six(at + v * product_position, TILE * product_position)
                    y0, y1, y2, y3, _ = result_transform(m, d0, d1, d2, d3, d4, d5)
                    line = scratch + v * VECTOR_BYTES
                    store(line, y0)
                    store(line + TILE * VECTOR_BYTES, y1)
                    store(line + 2 * TILE * VECTOR_BYTES, y2)
                    store(line + 3 * TILE * VECTOR_BYTES, y3)
                base = target + n * target_image + top * target_row + left * target_pixel + c
                for u in range(min(m, out_height - top)):
                    d0, d1, d2, d3, d4, d5 = load_six(scratch + u * TILE * VECTOR_BYTES, VECTOR_BYTES)
                    y0, y1, y2, y3, _ = result_transform(m, d0, d1, d2, d3, d4, d5)
                    line = base + u * target_row
                    store(line, y0)
                    if left + 1 < out_width:
                        store(line + target_pixel, y1)
                    if m > 2 and left + 2 < out_width:
                        store(line + 2 * target_pixel, y2)
                    if m > 3 and left + 3 < out_width:
                        store(line + 3 * target_pixel, y3)


@njit(nogil=True, cache=True)
def weight_products(
    inputs, input_position, input_row, upstream, upstream_position, tiles, channels, sums, table, add
):
    """Per position (channels, tiles) times (tiles, PANEL), into sums (POSITIONS, channels, PANEL)."""
    for p in range(POSITIONS):
        parts = (channels + ROWS - 1) // ROWS
        for i in range(parts):
            first, last = channels * i // parts, channels * (i + 1) // parts
            rows_tile(
                last - first, inputs + p * input_position + first * FLOAT, FLOAT, input_row, table, 1, tiles,
                upstream + p * upstream_position, sums + (p * (channels + SPACE) + first) * PANEL_BYTES, PANEL_BYTES,
                add,
            )  # fmt: skip


@njit(nogil=True, cache=True)
def weight_results(sums, channels, r, target, s_o, s_c, s_h, s_w, scratch):
    """A^T sums A for one panel, written to dw (O, C, r, r) GROUP channels of one output at a time."""
    position = (channels + SPACE) * PANEL_BYTES
    results = scratch + POSITIONS * VECTOR_BYTES
    size = r * r * PANEL_BYTES
    for low in range(0, channels, GROUP):
        high = min(low + GROUP, channels)
        for c in range(low, high):
            for j in range(0, PANEL_BYTES, VECTOR_BYTES):
                at = sums + c * PANEL_BYTES + j
                for v in range(TILE):
                    d0, d1, d2, d3, d4, d5 = load_six(at + v * position, TILE * position)
                    y0, y1, y2, y3, y4 = result_transform(r, d0, d1, d2, d3, d4, d5)
                    line = scratch + v * VECTOR_BYTES
                    store(line, y0)
                    store(line + TILE * VECTOR_BYTES, y1)
                    store(line + 2 * TILE * VECTOR_BYTES, y2)
                    if r > 3:
                        store(line + 3 * TILE * VECTOR_BYTES, y3)
                        store(line + 4 * TILE * VECTOR_BYTES, y4)
                for u in range(r):
                    d0, d1, d2, d3, d4, d5 = load_six(scratch + u * TILE * VECTOR_BYTES, VECTOR_BYTES)
                    y0, y1, y2, y3, y4 = result_transform(r, d0, d1, d2, d3, d4, d5)
                    line = results + (c - low) * size + u * r * PANEL_BYTES + j
                    store(line, y0)
                    store(line + PANEL_BYTES, y1)
                    store(line + 2 * PANEL_BYTES, y2)
                    if r > 3:
                        store(line + 3 * PANEL_BYTES, y3)
                        store(line + 4 * PANEL_BYTES, y4)
        for j in range(PANEL):
            for c in range(low, high):
                for u in range(r):
                    for v in range(r):
                        value = load_float(results + (c - low) * size + (u * r + v) * PANEL_BYTES + j * FLOAT)
                        store_float(target + j * s_o + c * s_c + u * s_h + v * s_w, value)


@njit(nogil=True, cache=True)
def load_six(at, step):
    """Six vectors `step` bytes apart."""
    return (
        load(at),
        load(at + step),
        load(at + 2 * step),
        load(at + 3 * step),
        load(at + 4 * step),
        load(at + 5 * step),
    )


@njit(nogil=True, cache=True)
def store_six(at, step, d0, d1, d2, d3, d4, d5):
    """Writes six vectors `step` bytes apart."""
    store(at, d0)
    store(at + step, d1)
    store(at + 2 * step, d2)
    store(at + 3 * step, d3)
    store(at + 4 * step, d4)
    store(at + 5 * step, d5)


# Tasks ------------------------------------------------------------------------------------------------------


@Task
def prepare(table, first, last):
    """Input channels of `transform_weights`: (source, its four steps, r, channels, outputs, out,
    position)."""
    t = integers(table)
    scratch = np.empty((POSITIONS + GROUP * t[5] * t[5]) * PANEL, np.float32)
    transform_weights(
        t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], first, last, t[8], t[9], scratch.ctypes.data
    )  # fmt: skip
    scratch[0] = 0  # alive to here: the transform knows it by address only


@Task
def run_tiles(table, first, last):
    """Tiles of `correlate_tiles`: (step, high, wide, m, H, W, low padding, channels, panels, outputs, source
    and its image, row and pixel steps, weights, target, out H, out W, and the target's image, row and pixel
    steps)."""
    t = integers(table)
    many = min(t[0], last - first)
    channels, panels = t[8], t[9]
    inputs = np.empty(POSITIONS * many * (channels + LANES), np.float32)
    products = np.empty(POSITIONS * many * (panels * PANEL + LANES), np.float32)
    scratch = np.empty(POSITIONS * LANES, np.float32)
    start = np.zeros(1, np.int64)
    input_row, product_row = (channels + LANES) * FLOAT, panels * PANEL_BYTES + VECTOR_BYTES
    correlate_tiles(
        first, last, many, t[1], t[2], t[3], t[4], t[5], t[6], t[7], channels, panels, t[10], t[11], t[12],
        t[13], t[14], t[15], t[16], t[17], t[18], t[19], t[20], t[21], inputs.ctypes.data, many * input_row,
        input_row, products.ctypes.data, many * product_row, product_row, start.ctypes.data,
        scratch.ctypes.data,
    )  # fmt: skip
    inputs[0] = products[0] = scratch[0] = 0  # alive to here: the loops know them by address only
    start[0] = 0


@Task
def transform(table, first, last):
    """Tiles of `transform_tiles`, counted from a start: (start, high, wide, m, H, W, low padding, channels,
    source and its steps, out, position, row)."""
    t = integers(table)
    scratch = np.empty(POSITIONS * LANES, np.float32)
    transform_tiles(
        t[0] + first, t[0] + last, t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12],
        t[13] + first * t[15], t[14], t[15], scratch.ctypes.data,
    )  # fmt: skip
    scratch[0] = 0


@Task
def multiply(table, first, last):
    """Panels of a weight gradient: (start, stop, high, wide, m, H, W, channels, upstream and its steps,
    inputs, position, row, sums, bytes per panel, last block?, r, dw and its four steps)."""
    t = integers(table)
    tiles, channels = t[1] - t[0], t[7]
    scratch = np.empty(POSITIONS * LANES + GROUP * t[18] * t[18] * PANEL, np.float32)
    packed = np.empty(POSITIONS * tiles * PANEL, np.float32)
    start = np.zeros(1, np.int64)
    for panel in range(first, last):
        sums = t[15] + panel * t[16]
        transform_upstream(
            t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[8] + panel * PANEL_BYTES, t[9], t[10], t[11],
            packed.ctypes.data, tiles * PANEL_BYTES, PANEL_BYTES, scratch.ctypes.data,
        )  # fmt: skip
        weight_products(
            t[12], t[13], t[14], packed.ctypes.data, tiles * PANEL_BYTES, tiles, channels, sums,
            start.ctypes.data, t[0] > 0,
        )  # fmt: skip
        if t[17]:
            weight_results(
                sums,
                channels,
                t[18],
                t[19] + panel * PANEL * t[20],
                t[20],
                t[21],
                t[22],
                t[23],
                scratch.ctypes.data,
            )
    packed[0] = scratch[0] = 0  # alive to here: the loops know them by address only
    start[0] = 0
