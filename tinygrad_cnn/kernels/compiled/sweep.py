"""Matrix products and correlations as sweeps of the register tile over raw memory.

A *panel* is PANEL output channels. Weights are packed once per call, panel by panel, so that the tile reads
them in one run: (panels, taps * channels, PANEL), zeros beyond the last channel. All addresses and steps are
in bytes. Called by `conv` and `winograd`, from shards.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import carray

from .jit import njit
from .native import Task
from .tiles import FLOAT, PANEL_BYTES, VECTOR_BYTES, lanes_tile, strip, wide_strip
from .vector import (
    LANES,
    PANEL,
    ROWS,
    integers,
    load,
    load_float,
    load_integer,
    splat,
    store,
    store_float,
    store_integer,
    transpose,
)

NARROW = 40 << 10  # bytes of weights that stay in the first-level cache
GROUP = 16  # channels of a weight packed at a time
PIECE = 192  # products of a short row at a time: 24 KB of weights
CHUNK = 96  # pixels of a weight gradient at a time

# Columns of the table `phases`: addresses and steps of one correlation.
PHASE = 14
(
    ORIGIN, ROW_COUNT, COLUMN_COUNT, SOURCE_ROW, SOURCE_PIXEL, OFFSETS, SEGMENTS, RUN, PACKED, PANEL_SIZE,
    TARGET, TARGET_ROW, TARGET_PIXEL, _,
) = range(PHASE)  # fmt: skip
# Entries of the table `block`: where x lies, and the shard's memory for padded images (0: x is read as it
# is).
BLOCK = 14
(
    BLOCK_IMAGES, BEGIN, X_IMAGE, X_ROW, X_PIXEL, X_CHANNEL, HEIGHT, WIDTH, CHANNELS, PADDED, INSIDE, IMAGE,
    ROW, PIXEL,
) = range(BLOCK)  # fmt: skip


@njit(nogil=True, cache=True)
def correlate_images(
    first, last, block, source, phases, groups, channels, outputs, target, target_image, scratch
):
    """Images [first, last) of a correlation, or of the residues of its transpose: one line of `phases`
    (columns as in `PHASE`) each. A block of images is padded, then each panel of weights goes over all of
    it."""
    panels = (outputs + PANEL - 1) // PANEL
    step = block[BLOCK_IMAGES]
    for start in range(first, last, step):
        images = min(step, last - start)
        base, image = fetch(block, source, start, images)
        for q in range(phases.shape[0]):
            f = phases[q]
            short = f[COLUMN_COUNT] < ROWS and f[ROW_COUNT] * images > 1 or f[SEGMENTS] * f[RUN] > 2 * PIECE
            narrow = panels > 1 and panels * f[PANEL_SIZE] <= NARROW and not short
            for group in range(groups):
                if narrow:
                    for n in range(images):
                        for i in range(f[ROW_COUNT]):
                            wide_strip(
                                f[COLUMN_COUNT],
                                base + f[ORIGIN] + group * channels * FLOAT + n * image + i * f[SOURCE_ROW],
                                f[SOURCE_PIXEL], FLOAT, f[OFFSETS], f[SEGMENTS], f[RUN],
                                f[PACKED] + group * panels * f[PANEL_SIZE], f[PANEL_SIZE],
                                target + (start + n) * target_image + f[TARGET] + group * outputs * FLOAT
                                + i * f[TARGET_ROW],
                                f[TARGET_PIXEL], outputs, scratch,
                            )  # fmt: skip
                    continue
                for panel in range(panels):
                    lanes = min(PANEL, outputs - panel * PANEL)
                    weights = f[PACKED] + (group * panels + panel) * f[PANEL_SIZE]
                    at = base + f[ORIGIN] + group * channels * FLOAT
                    to = target + start * target_image + f[TARGET]
                    to += group * outputs * FLOAT + panel * PANEL_BYTES
                    # A short row uses each weight only a few times: the weights then go through the first-level cache
                    # a piece at a time, and every row of every image goes over the piece. Long sums, too, are sums
                    # of pieces: rounding grows with the length of each.
                    pieces = (f[RUN] + PIECE - 1) // PIECE if short else 1
                    for piece in range(f[SEGMENTS] * pieces if short else 1):
                        segment = piece // pieces
                        low = piece % pieces * PIECE
                        segments = 1 if short else f[SEGMENTS]
                        run = min(PIECE, f[RUN] - low) if short else f[RUN]
                        for n in range(images):
                            for i in range(f[ROW_COUNT]):
                                strip(
                                    f[COLUMN_COUNT],
                                    at + n * image + i * f[SOURCE_ROW] + low * FLOAT,
                                    f[SOURCE_PIXEL],
                                    FLOAT,
                                    f[OFFSETS] + 8 * segment,
                                    segments,
                                    run,
                                    weights + (segment * f[RUN] + low) * PANEL_BYTES,
                                    to + n * target_image + i * f[TARGET_ROW],
                                    f[TARGET_PIXEL],
                                    lanes,
                                    piece > 0,
                                    scratch,
                                )


@njit(nogil=True, cache=True)
def correlate_weights(
    first, last, first_unit, last_unit, block, source, upstream, height, width, row, pixel, groups, channels,
    outputs, tap_offsets, taps, run, sums, packed, segments,
):  # fmt: skip
    """Adds images [first, last) to the weight gradients `sums` (units, taps, run, PANEL) of some units
    (group, panel).

    About CHUNK pixels at a time, so that both factors stay in the first-level cache while every tap and
    every tile of channels goes over them.
    """
    panels = (outputs + PANEL - 1) // PANEL
    step = block[BLOCK_IMAGES]
    size = taps * run * PANEL_BYTES
    pixels = height * width
    stride = groups * outputs * FLOAT
    for start in range(first, last, step):
        images = min(step, last - start)
        base, image = fetch(block, source, start, images)
        # Pixels without a gap between rows, or images, are one long segment.
        lines, length = height, width
        if row == width * pixel:
            lines, length = 1, pixels
            if image == pixels * pixel:
                length, images = pixels * images, 1
        total = lines * images
        for i in range(total):
            store_integer(segments + 8 * i, i // lines * image + i % lines * row)
        together = max(1, CHUNK // length)
        for unit in range(first_unit, last_unit):
            group, panel = unit // panels, unit % panels
            lanes = min(PANEL, outputs - panel * PANEL)
            column = (group * outputs + panel * PANEL) * FLOAT
            at = base + group * channels * FLOAT
            for segment in range(0, total, together):
                many = min(together, total - segment)
                for cut in range(0, length, CHUNK):
                    part = min(CHUNK, length - cut)
                    begin = (start * pixels + segment * length + cut) * stride + column
                    pack_pixels(upstream + begin, stride, part * many, lanes, packed)
                    fresh = start == first and segment == 0 and cut == 0
                    for t in range(taps):
                        tiles = (run + ROWS - 1) // ROWS
                        for r in range(tiles):
                            low, high = run * r // tiles, run * (r + 1) // tiles
                            lanes_tile(
                                high - low,
                                lanes,
                                at + load_integer(tap_offsets + 8 * t) + low * FLOAT + cut * pixel,
                                FLOAT,
                                pixel,
                                segments + 8 * segment,
                                many,
                                part,
                                packed,
                                sums + unit * size + (t * run + low) * PANEL_BYTES,
                                PANEL_BYTES,
                                not fresh,
                            )


@njit(nogil=True, cache=True)
def fetch(block, source, start, images):
    """(address, step) of padded images: copied into the shard's own memory unless x may be read as it is."""
    at = source + block[BEGIN] + start * block[X_IMAGE]
    if block[PADDED] == 0:
        return at, block[X_IMAGE]
    place(
        at,
        block[X_IMAGE],
        block[X_ROW],
        block[X_PIXEL],
        block[X_CHANNEL],
        images,
        block[HEIGHT],
        block[WIDTH],
        block[CHANNELS],
        block[PADDED] + block[INSIDE],
        block[IMAGE],
        block[ROW],
        block[PIXEL],
    )
    return block[PADDED], block[IMAGE]


@njit(nogil=True, cache=True)
def pack_weights(
    source,
    lane_step,
    channel_step,
    tap_offsets,
    taps,
    channels,
    lanes_in_all,
    first_panel,
    last_panel,
    packed,
):
    """Weights at any strides as (panels, taps, channels, PANEL). GROUP channels of one output at a time: reading all
    outputs of one channel would walk memory in steps that share a few cache sets."""
    direction = tap_direction(tap_offsets, taps)
    scratch = np.empty(LANES * LANES, np.float32)
    for panel in range(first_panel, last_panel):
        lanes = min(PANEL, lanes_in_all - panel * PANEL)
        at = packed + panel * taps * channels * PANEL_BYTES
        base = source + panel * PANEL * lane_step
        turned = 0
        if direction and (taps >= LANES or channel_step == taps * FLOAT and taps * channels >= LANES):
            turned = lanes // LANES * LANES
            lowest = load_integer(tap_offsets + (0 if direction > 0 else 8 * (taps - 1)))
            for j in range(0, turned, LANES):
                pack_lanes(
                    base + lowest + j * lane_step, lane_step, channel_step, taps, channels, direction, at + j * FLOAT,
                    scratch.ctypes.data,
                )  # fmt: skip
        for low in range(0, channels, GROUP):
            high = min(low + GROUP, channels)
            for j in range(turned, PANEL):
                for c in range(low, high):
                    start = base + j * lane_step + c * channel_step
                    for t in range(taps):
                        value = np.float32(0)
                        if j < lanes:
                            value = load_float(start + load_integer(tap_offsets + 8 * t))
                        store_float(at + (t * channels + c) * PANEL_BYTES + j * FLOAT, value)
    scratch[0] = 0  # alive to here: the loops know it by address only


@njit(nogil=True, cache=True)
def tap_direction(tap_offsets, taps):
    """1 or -1 where the taps follow each other in memory, forwards or backwards; 0 where they do not."""
    step = FLOAT if taps == 1 else load_integer(tap_offsets + 8) - load_integer(tap_offsets)
    for t in range(2, taps):
        if load_integer(tap_offsets + 8 * t) - load_integer(tap_offsets + 8 * (t - 1)) != step:
            return 0
    return step // FLOAT if step == FLOAT or step == -FLOAT else 0


@njit(nogil=True, cache=True)
def pack_lanes(source, lane_step, channel_step, taps, channels, direction, target, scratch):
    """LANES lanes of one panel, where the taps of a channel follow each other in memory: squares of numbers are
    transposed in registers. Where the channels follow each other too, they are one run."""
    together = channels if channel_step == taps * FLOAT else 1
    length = together * taps
    for first in range(0, channels, together):
        run = source + first * channel_step
        for low in range(0, length, LANES):
            low = min(low, length - LANES)  # the last square overlaps the one before
            transpose(run + low * FLOAT, lane_step, scratch, VECTOR_BYTES)
            for i in range(LANES):
                c, t = first + (low + i) // taps, (low + i) % taps
                if direction < 0:
                    t = taps - 1 - t
                store(target + (t * channels + c) * PANEL_BYTES, load(scratch + i * VECTOR_BYTES))


@njit(nogil=True, cache=True)
def pack_pixels(source, pixel_step, pixels, lanes, packed):
    """`lanes` channels of each pixel (channels-last) as (pixels, PANEL), zeros beyond."""
    zero = splat(0.0)
    for p in range(pixels):
        start, at = source + p * pixel_step, packed + p * PANEL_BYTES
        if lanes == PANEL:
            for j in range(0, PANEL_BYTES, VECTOR_BYTES):
                store(at + j, load(start + j))
        else:
            for j in range(0, PANEL_BYTES, VECTOR_BYTES):
                store(at + j, zero)
            for j in range(lanes):
                store_float(at + j * FLOAT, load_float(start + j * FLOAT))


@njit(nogil=True, cache=True)
def unpack_weights(
    packed,
    parts,
    part_bytes,
    target,
    lane_step,
    channel_step,
    tap_offsets,
    taps,
    channels,
    lanes_in_all,
    first,
    last,
):
    """The inverse of `pack_weights`, summed over `parts` partial results, for panels [first, last)."""
    for panel in range(first, last):
        lanes = min(PANEL, lanes_in_all - panel * PANEL)
        base = target + panel * PANEL * lane_step
        at = packed + panel * taps * channels * PANEL_BYTES
        for low in range(0, channels, GROUP):
            high = min(low + GROUP, channels)
            for j in range(lanes):
                for c in range(low, high):
                    start = base + j * lane_step + c * channel_step
                    for t in range(taps):
                        here = at + (t * channels + c) * PANEL_BYTES + j * FLOAT
                        value = load_float(here)
                        for part in range(1, parts):
                            value += load_float(here + part * part_bytes)
                        store_float(start + load_integer(tap_offsets + 8 * t), value)


@njit(nogil=True, cache=True)
def place(
    source, source_image, source_row, source_pixel, source_channel, images, height, width, channels,
    target, target_image, target_row, target_pixel,
):  # fmt: skip
    """Copies images at any strides into channels-last memory: the inside of a padded block."""
    runs = channels // LANES * LANES if source_channel == FLOAT else 0
    for n in range(images):
        for i in range(height):
            row, at_row = (
                source + n * source_image + i * source_row,
                target + n * target_image + i * target_row,
            )
            if source_channel == FLOAT:
                for j in range(width):
                    start, at = row + j * source_pixel, at_row + j * target_pixel
                    for c in range(0, runs * FLOAT, VECTOR_BYTES):
                        store(at + c, load(start + c))
                    for c in range(runs, channels):
                        store_float(at + c * FLOAT, load_float(start + c * FLOAT))
            elif channels == 1 and source_pixel == FLOAT and target_pixel == FLOAT:
                whole = width // LANES * LANES
                for j in range(0, whole * FLOAT, VECTOR_BYTES):
                    store(at_row + j, load(row + j))
                for j in range(whole, width):
                    store_float(at_row + j * FLOAT, load_float(row + j * FLOAT))
            else:
                for c in range(channels):
                    start, at = row + c * source_channel, at_row + c * FLOAT
                    for j in range(width):
                        store_float(at + j * target_pixel, load_float(start + j * source_pixel))


# Tasks ------------------------------------------------------------------------------------------------------


@Task
def pack(table, first, last):
    """Panels of `pack_weights`: (source, lane step, channel step, tap offsets, taps, channels, lanes in all,
    packed)."""
    t = integers(table)
    pack_weights(t[0], t[1], t[2], t[3], t[4], t[5], t[6], first, last, t[7])


@Task
def unpack(table, first, last):
    """Panels of `unpack_weights`: (packed, parts, bytes per part, target, lane step, channel step, tap
    offsets, taps, channels, lanes in all)."""
    t = integers(table)
    unpack_weights(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], first, last)


@Task
def correlate(table, first, last):
    """Images of `correlate_images`: (the table `block`, source, phases, how many, groups, channels, outputs,
    target, bytes per target image)."""
    t = integers(table)
    block, memory = own_block(table, last - first)
    t = integers(table + 8 * BLOCK)
    scratch = np.empty(ROWS * PANEL, np.float32)
    phases = carray(integers(t[1]), (t[2], PHASE))
    correlate_images(first, last, block, t[0], phases, t[3], t[4], t[5], t[6], t[7], scratch.ctypes.data)
    memory[0] = 0  # both are alive to here: the sweeps know them by address only
    scratch[0] = 0


@Task
def correlate_weight(table, first, last):
    """Units of `correlate_weights`, or with `parts` above 0 parts of the batch: (the table `block`, source,
    upstream, height, width, row, pixel, groups, channels, outputs, tap offsets, taps, run, sums, images,
    units, parts, bytes per part)."""
    t = integers(table + 8 * BLOCK)
    images, units, parts = t[13], t[14], t[15]
    packed = np.empty((CHUNK + t[3]) * PANEL, np.float32)
    for part in range(first, last if parts else first + 1):
        low, high = 0, images
        from_unit, to_unit = first, last
        sums = t[12]
        if parts:
            low, high = images * part // parts, images * (part + 1) // parts
            from_unit, to_unit = 0, units
            sums += part * t[16]
        block, memory = own_block(table, high - low)
        segments = np.empty(block[BLOCK_IMAGES] * t[2], np.int64)
        correlate_weights(
            low, high, from_unit, to_unit, block, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9],
            t[10], t[11], sums, packed.ctypes.data, segments.ctypes.data,
        )  # fmt: skip
        memory[0] = 0  # alive to here, like the next two: the sweeps know them by address only
        segments[0] = 0
    packed[0] = 0


@njit(nogil=True, cache=True)
def own_block(table, most):
    """A shard's own copy of the table `block`, and its memory for padded images."""
    block = carray(integers(table), BLOCK).copy()
    block[BLOCK_IMAGES] = min(block[BLOCK_IMAGES], max(1, most))
    memory = np.zeros(max(1, block[PADDED] * block[BLOCK_IMAGES] * block[IMAGE] // FLOAT), np.float32)
    if block[PADDED]:
        block[PADDED] = memory.ctypes.data
    return block, memory
