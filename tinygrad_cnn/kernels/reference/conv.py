"""Cross-correlation and its two transposes, by lowering (im2col) in blocks that fit the cache.

    y[n, o, i, j] = sum over c, u, v of  x[n, c, i*S + u*D - P, j*S + v*D - P] * w[o, c, u, v]

A block of a few images is lowered to a matrix with one row per window and one matrix product does the sum.
Results are channels-last in memory (see `layout`). Threads take shards of the batch (see `shards`). Arrays go
back to `ops.conv` through `kernels`.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Ints, Pairs, correlate_shape, transposed_padding, volume
from ..layout import Array, accumulator, channels_to_last, empty_channels_last, rows, zeros_channels_last
from . import depthwise
from .lowering import ALL, at, lower, offsets, overlap, pad, split, windows
from .shards import in_shards


def correlate(x: Array, w: Array, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """Cross-correlation y (N, O, *out), the deep-learning "convolution":
    y[n,o,i,j] = sum over c,u,v of x[n, c, i*S + u*D - P, j*S + v*D - P] * w[o,c,u,v]. Raises ValueError for
    shapes that do not fit together."""
    shape = correlate_shape(
        x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    dtype = np.result_type(x, w)
    acc = accumulator(dtype)
    x, w = x.astype(acc, copy=False), w.astype(acc, copy=False)
    y = empty_channels_last(shape, acc)
    k, out = w.shape[2:], shape[2:]
    y_rows = channels_to_last(y)
    c, o = w.shape[1], w.shape[0] // groups
    if c == 1 and groups > 1:
        depthwise.correlate(x, w, y_rows, stride=stride, padding=padding, dilation=dilation)
        return y.astype(dtype, copy=False)
    kernel = _kernel_matrix(w)

    def shard(start: int, stop: int) -> None:
        for s, g, matrix in lower(x[start:stop], k, out, stride, padding, dilation, groups):
            target = y_rows[start:stop][s].reshape(len(matrix), -1)[:, g * o : (g + 1) * o]
            np.matmul(matrix, kernel[:, g * o : (g + 1) * o], out=target)

    in_shards(shard, shape[0], _work(shape, w.shape, groups))
    return y.astype(dtype, copy=False)


def correlate_input(
    g: Array, w: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """The transpose of `correlate` with respect to x: g (N, O, *out) -> dx of `shape`. Also transposed
    convolution.

    Two ways. At stride 1 it is a correlation of the padded g with the mirrored kernel, whose sums run over every
    pixel of x. Or each window's gradient for each kernel offset is a product g·w, added where the window read: sums
    over the pixels of g only, which are fewer where nothing is padded, but one addition for each of them.
    """
    check_upstream("correlate_input", g.shape, shape, w.shape, stride, padding, dilation, groups)
    k, out, c, o = w.shape[2:], g.shape[2:], w.shape[1], w.shape[0] // groups
    # Measured: adding one number costs as much as a sum over 32 products, and a product with few columns, as the
    # mirrored kernel of few channels is, keeps BLAS waiting for memory.
    mirrored = c >= 16 and volume(shape[2:]) * o <= volume(out) * (o + 32) or c == 1 and groups > 1
    if mirrored and volume(shape) and all(s == 1 for s in stride):
        pads = transposed_padding(shape[2:], k, stride=stride, padding=padding, dilation=dilation)
        return correlate(g, mirror(w, groups), stride=stride, padding=pads, dilation=dilation, groups=groups)
    dtype = np.result_type(g, w)
    acc = accumulator(dtype)
    g, w = g.astype(acc, copy=False), w.astype(acc, copy=False)
    taps = np.ascontiguousarray(
        np.moveaxis(w.reshape(groups, o, c, volume(k)), -1, 1)
    )  # (groups, prod(k), o, c)
    touched = [overlap(offset, shape[2:], out, stride, padding, dilation) for offset in offsets(k)]
    # Additions run along the channels; where these are very few, along the last axis of planes.
    planes = c < 5
    dx = np.zeros(shape, acc) if planes else zeros_channels_last(shape, acc)

    def shard(start: int, stop: int) -> None:
        for s in split(stop - start, volume(out) * volume(k) * c * acc.itemsize):
            upstream = rows(g[start:stop][s]).reshape(-1, groups, o)
            target = dx[start:stop][s]
            for i in range(groups):
                into = target[:, i * c : (i + 1) * c]
                parts = _parts(upstream[:, i], taps[i], (len(target), *out), planes)
                for part, (here, there) in zip(parts, touched, strict=True):
                    into[at(ALL, ALL, *here)] += part[at(ALL, ALL, *there)]

    in_shards(shard, shape[0], _work(g.shape, w.shape, groups))
    return dx.astype(dtype, copy=False)


def correlate_weight(
    g: Array, x: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """The transpose of `correlate` with respect to w: g (N, O, *out) -> dw of `shape`."""
    check_upstream("correlate_weight", g.shape, x.shape, shape, stride, padding, dilation, groups)
    dtype = np.result_type(g, x)
    acc = accumulator(dtype)
    g, x = g.astype(acc, copy=False), x.astype(acc, copy=False)
    out, k = g.shape[2:], shape[2:]
    c, o = shape[1], shape[0] // groups
    sums: dict[int, Array] = {}

    def shard(start: int, stop: int) -> None:
        dw = sums[start] = np.zeros((shape[0], volume(k) * c), acc)
        if c == 1 and groups > 1:
            depthwise.correlate_weight(g[start:stop], x[start:stop], dw, k, stride, padding, dilation)
            return
        for s, i, matrix in lower(x[start:stop], k, out, stride, padding, dilation, groups):
            upstream = rows(g[start:stop][s]).reshape(len(matrix), -1)[:, i * o : (i + 1) * o]
            dw[i * o : (i + 1) * o] += upstream.T @ matrix

    in_shards(shard, x.shape[0], _work(g.shape, shape, groups))
    # Added in the order of the images, whichever thread was first: the same bits each time.
    total = sum((sums[start] for start in sorted(sums)), np.zeros((), acc))
    return np.ascontiguousarray(np.moveaxis(total.reshape(shape[0], *k, c), -1, 1), dtype)


def unfold(x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Array:
    """All windows of x as columns (N, C*prod(kernel), windows), as `torch.nn.functional.unfold`."""
    out = correlate_shape(
        x.shape, (1, x.shape[1], *kernel), stride=stride, padding=padding, dilation=dilation, groups=1
    )[2:]
    d = len(kernel)
    seen = windows(pad(x, padding), kernel, out, stride, dilation)  # (N, *out, *k, C)
    order = (0, 1 + 2 * d, *range(1 + d, 1 + 2 * d), *range(1, 1 + d))
    return np.ascontiguousarray(seen.transpose(order)).reshape(
        x.shape[0], x.shape[1] * volume(kernel), volume(out)
    )


def fold(cols: Array, *, shape: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Array:
    """The transpose of `unfold`: columns are added up where they came from. Returns `shape` (N, C,
    *spatial)."""
    out = correlate_shape(
        shape, (1, shape[1], *kernel), stride=stride, padding=padding, dilation=dilation, groups=1
    )[2:]
    expected = (shape[0], shape[1] * volume(kernel), volume(out))
    if cols.shape != expected:
        raise ValueError(
            f"fold expected columns {expected} (N, C*prod(kernel), windows) for {shape}, got {cols.shape}"
        )
    cols = cols.reshape(*shape[:2], *kernel, *out)
    x = np.zeros(shape, accumulator(cols.dtype))
    for offset in offsets(kernel):
        here, there = overlap(offset, shape[2:], out, stride, padding, dilation)
        x[at(ALL, ALL, *here)] += cols[at(ALL, ALL, *offset, *there)]
    return x.astype(cols.dtype, copy=False)


def mirror(w: Array, groups: int) -> Array:
    """w (O, C/groups, *k) as the weight (C, O/groups, *k) of the transposed correlation: turned around, in
    and out swapped inside each group."""
    o, c, *k = w.shape
    flipped = w[at(ALL, ALL, *(slice(None, None, -1),) * len(k))]
    return flipped.reshape(groups, o // groups, c, *k).swapaxes(1, 2).reshape(groups * c, o // groups, *k)


def check_upstream(
    name: str, g: Ints, x: Ints, w: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> None:
    """Raises ValueError where g is not the shape of the output."""
    expected = correlate_shape(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)
    if g != expected:
        raise ValueError(
            f"{name} expected an upstream gradient of shape {expected} "
            f"(input {tuple(x)}, weight {tuple(w)}), got {g}"
        )


def _kernel_matrix(w: Array) -> Array:
    """w (O, c, *k) as (prod(k) * c, O): a lowered row times a column is one output.

    Of its two orders in memory BLAS takes either; copied is the one that has w's neighbours closer together, which
    is another one where w is a mirrored kernel.
    """
    if w.strides[0] < w.strides[1]:
        return np.ascontiguousarray(np.moveaxis(w, (0, 1), (-1, -2))).reshape(-1, w.shape[0])
    return np.ascontiguousarray(channels_to_last(w)).reshape(w.shape[0], -1).T


def _parts(upstream: Array, taps: Array, windows: Ints, planes: bool) -> Array:
    """What each kernel offset adds to the input gradient, (prod(k), n, c, *out): upstream (pixels, o) times each of
    taps (prod(k), o, c), in memory plane by plane or channels-last. `windows` is (n, *out)."""
    count, o, c = taps.shape
    if planes:
        parts = (taps.swapaxes(1, 2).reshape(-1, o) @ upstream.T).reshape(count, c, *windows)
        return parts.swapaxes(1, 2)
    return np.moveaxis((upstream @ taps).reshape(count, *windows, c), -1, 2)


def _work(y: Ints, w: Ints, groups: int) -> int:
    """What a correlation costs, in numbers touched (see `shards`): lowering reads and writes each, and sixteen
    products take as long as one of these."""
    return y[0] * volume(y[2:]) * volume(w[1:]) * (2 * groups + y[1] // 16)
