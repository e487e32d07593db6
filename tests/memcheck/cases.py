"""Random calls of every kernel: shapes, memory layouts, dtypes, index arrays that point anywhere.

`case(number, seed)` draws one. A case is a name and a list of calls, each the name of a kernel with its arguments; the
runner makes them in both forms and compares. Arrays that a kernel changes (an optimiser's) are copied for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.kernels.geometry import correlate_shape, pool_shape

Array = np.ndarray[Any, Any]
LAYOUTS = ("rows", "channels last", "fortran", "every second", "second axis spaced", "backwards", "repeated", "inside")
FLOATS = ("f4", "f4", "f4", "f4", "f4", "f4", "f8", "f2", ">f4")


class Call(NamedTuple):
    kernel: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    changed: tuple[int, ...] = ()  # arguments (lists of arrays) that the kernel changes: they are its result
    terms: float = 1.0  # the size of what is added up: the error that is allowed is relative to it


class Case(NamedTuple):
    name: str
    calls: list[Call]


class Draw:
    """Random numbers, sizes and arrays of one case."""

    def __init__(self, seed: int, number: int) -> None:
        self.rng = np.random.default_rng([seed, number])

    def __call__(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return int(self.rng.integers(low, high + 1))

    def of(self, values: Any) -> Any:
        return values[self(0, len(values) - 1)]

    def often(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def ints(self, d: int, low: int, high: int) -> tuple[int, ...]:
        return tuple(self(low, high) for _ in range(d))

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.of(FLOATS))

    def array(self, shape: tuple[int, ...], dtype: Any = "f4", finite: bool = False) -> Array:
        """Normal numbers, now and then with infinities and nan."""
        x = np.asarray(self.rng.standard_normal(shape))
        if not finite and self.often(0.05) and x.size:
            x.reshape(-1)[self.rng.integers(0, x.size, 3)] = [np.inf, -np.inf, np.nan]
        return self.laid_out(x.astype(dtype))

    def laid_out(self, x: Array, layout: str | None = None) -> Array:
        """The same numbers at other strides, sometimes read-only. Each array has memory of its own."""
        layout = layout or self.of(LAYOUTS)
        if layout == "channels last" and x.ndim > 2:
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        elif layout == "fortran" and x.ndim:
            x = np.asfortranarray(x)
        elif layout == "every second" and x.ndim:
            x = np.repeat(x, 2, axis=-1)[..., ::2]
        elif layout == "second axis spaced" and x.ndim > 1:
            x = np.repeat(x, 3, axis=1)[:, 1::3]
        elif layout == "backwards" and x.ndim:
            axis = self(0, x.ndim - 1)
            x = np.flip(np.ascontiguousarray(np.flip(x, axis)), axis)
        elif layout == "repeated" and x.ndim and x.dtype.kind == "f":
            axis = self(0, x.ndim - 1)
            x = np.broadcast_to(x.take([0], axis).copy() if x.size else x, x.shape)
        elif layout == "inside" and x.ndim:
            wide = np.zeros([n + 2 for n in x.shape], x.dtype)
            inner = wide[tuple(slice(1, -1) for _ in x.shape)]
            inner[...] = x
            x = inner
        else:
            x = np.array(x, order="C")
        if self.often(0.3):
            x.flags.writeable = False
        return x

    def channels(self) -> int:
        return int(self.of((1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 48, 64)))

    def batch(self) -> int:
        return 0 if self.often(0.02) else self(1, 4)


def _correlations(draw: Draw, x: Any, w: Any, geo: dict[str, Any], dtype: Any) -> list[Call]:
    """The correlation and both of its transposes."""
    out = correlate_shape(x, w, **geo)
    # Finite: whether a padding of zeros times infinity is added up differs between the ways to compute it.
    a, b, g = (draw.array(shape, dtype, finite=True) for shape in (x, w, out))
    k, pixels = (float(np.sqrt(max(1, np.prod(n)))) for n in (w[1:], (out[0], *out[2:])))
    return [
        Call("correlate", (a, b), geo, terms=k),
        Call("correlate_input", (g, b), {"shape": x, **geo}, terms=k),
        Call("correlate_weight", (g, a), {"shape": w, **geo}, terms=pixels),
    ]  # fmt: skip


def convolution(draw: Draw) -> list[Call]:
    d = draw.of((1, 2, 2, 2, 2, 3))
    kernel, stride, dilation = draw.ints(d, 1, 5 if d < 3 else 3), draw.ints(d, 1, 3), draw.ints(d, 1, 3)
    padding = tuple(zip(draw.ints(d, 0, 4), draw.ints(d, 0, 4)))
    size = tuple(
        max(n, dil * (k - 1) + 1 - sum(p), 1)
        for n, k, dil, p in zip(draw.ints(d, 1, 12 if d < 3 else 5), kernel, dilation, padding)
    )
    groups = draw.of((1, 1, 1, 2, 3))
    c, o = draw.channels(), draw.channels()
    geo = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _correlations(draw, (draw.batch(), c * groups, *size), (o * groups, c, *kernel), geo, draw.dtype())


def deep_convolution(draw: Draw) -> list[Call]:
    """What Winograd's schemes take, and sizes just beside them."""
    k = draw.of((3, 3, 5))
    padding = tuple(zip(draw.ints(2, 0, k), draw.ints(2, 0, k)))
    size = draw.ints(2, max(k, 5), 19)
    c, o = draw.of((32, 48, 64, 80, 33)), draw.of((32, 48, 64, 96, 40))
    geo = dict(stride=(1, 1), padding=padding, dilation=(1, 1), groups=1)
    return _correlations(draw, (draw(1, 6), c, *size), (o, c, k, k), geo, "f4")


def padded_batch(draw: Draw) -> list[Call]:
    """Many images and much padding: the tile goes over the images."""
    kernel = draw.ints(2, 2, 5)
    size = tuple(max(n, k) for n, k in zip(draw.ints(2, 1, 8), kernel))
    geo = dict(
        stride=(1, 1), padding=tuple((draw(0, k), draw(0, k)) for k in kernel), dilation=(1, 1), groups=1,
    )  # fmt: skip
    c, o = draw.of((4, 8, 9, 20)), draw.of((4, 5, 16, 40))
    return _correlations(draw, (draw(9, 29), c, *size), (o, c, *kernel), geo, "f4")


def depthwise(draw: Draw) -> list[Call]:
    k = (3, 3) if draw.often(0.5) else draw.ints(2, 1, 5)
    stride, dilation = ((1, 1), (1, 1)) if draw.often(0.5) else (draw.ints(2, 1, 3), draw.ints(2, 1, 2))
    padding = ((1, 1), (1, 1)) if draw.often(0.3) else tuple(zip(draw.ints(2, 0, 4), draw.ints(2, 0, 4)))
    size = tuple(
        max(n, dil * (u - 1) + 1 - sum(p), 1) for n, u, dil, p in zip(draw.ints(2, 1, 14), k, dilation, padding)
    )
    c = max(2, draw.channels())
    geo = dict(stride=stride, padding=padding, dilation=dilation, groups=c)
    return _correlations(draw, (draw.batch(), c, *size), (c, 1, *k), geo, "f4")


def strided(draw: Draw) -> list[Call]:
    """Few channels at a stride: the columns of a stride are lanes."""
    stride = draw.ints(2, 2, 4)
    kernel = tuple(draw(s, s + 3) for s in stride)
    size = tuple(draw(3, 6) * s for s in stride)
    padding = tuple((draw(0, k - 1), draw(0, k - 1)) for k in kernel)
    c = draw(1, 6)
    geo = dict(stride=stride, padding=padding, dilation=(1, 1), groups=1)
    return _correlations(draw, (draw(1, 5), c, *size), (draw.channels(), c, *kernel), geo, "f4")


def unfolding(draw: Draw) -> list[Call]:
    kernel, stride, dilation = draw.ints(2, 1, 3), draw.ints(2, 1, 3), draw.ints(2, 1, 2)
    padding = tuple((p, p) for p in draw.ints(2, 0, 2))
    size = tuple(max(n, dil * (k - 1) + 1) for n, k, dil in zip(draw.ints(2, 1, 9), kernel, dilation))
    shape = (draw.batch(), draw(1, 5), *size)
    geo = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    places = dict(stride=stride, padding=padding, dilation=dilation)
    windows = correlate_shape(shape, (1, shape[1], *kernel), **places, groups=1)
    columns = (shape[0], shape[1] * int(np.prod(kernel)), int(np.prod(windows[2:])))
    dtype = draw.dtype()
    return [
        Call("unfold", (draw.array(shape, dtype),), geo),
        Call("fold", (draw.array(columns, dtype, finite=True),), {"shape": shape, **geo}, terms=3.0),
    ]


def product(draw: Draw) -> list[Call]:
    if draw.often(0.3):
        m, k, n = draw.ints(3, 0, 40)
    else:  # large enough for the kernel
        m, k, n = draw(4, 200), draw(1, 300), draw(4, 200)
        factor = max(1, -(-(1 << 18) // (m * k * n)))
        place = draw(0, 2)
        m, k, n = (v * factor if i == place and v * factor < 3000 else v for i, v in enumerate((m, k, n)))
    if draw.often(0.2):
        m, k, n = draw(4, 12), draw(128, 400), draw(128, 300)
    dtype = draw.of(("f4", "f4", "f4", "f8", ">f4"))
    factors = tuple(draw.array(shape, dtype, finite=True) for shape in ((m, k), (k, n)))
    return [Call("matmul", factors, {}, terms=float(np.sqrt(k + 1)))]


def _pooling(draw: Draw, dilated: bool) -> tuple[tuple[int, ...], dict[str, Any]]:
    d = draw.of((1, 2, 2, 2, 3))
    if d == 2 and draw.often(0.3):  # the windows that have a pass of their own
        geo = dict(kernel=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1), ceil_mode=draw.often(0.2))
        return (draw.batch(), draw.channels(), draw(2, 9), draw(2, 9)), geo
    kernel, stride, dilation = draw.ints(d, 1, 4), draw.ints(d, 1, 4), draw.ints(d, 1, 4) if dilated else (1,) * d
    reach = [dil * (k - 1) + 1 for k, dil in zip(kernel, dilation)]
    padding = tuple(draw(0, r // 2) for r in reach)
    size = tuple(max(n, r - 2 * p, 1) for n, r, p in zip(draw.ints(d, 1, 9 if d < 3 else 5), reach, padding))
    geo = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=draw.often(0.4))
    return (draw.batch(), draw.channels(), *size), geo


def maximum(draw: Draw) -> list[Call]:
    shape, geo = _pooling(draw, True)
    geo["padding"] = tuple((p, p) for p in geo["padding"])
    dtype = draw.of((*FLOATS, "i4", "i8"))
    x = draw.array(shape, "f4")
    x = draw.laid_out(np.nan_to_num(x * 3, posinf=9, neginf=-9).astype(dtype)) if dtype[0] == "i" else x.astype(dtype)
    if draw.often(0.5):
        x = draw.laid_out(x)
    return [Call("max_pool", (x,), geo)]


def positions(draw: Draw) -> list[Call]:
    """Take and scatter with indices of any value, type and layout."""
    spatial = draw.ints(draw.of((1, 2, 2, 2, 3)), 1, 9)
    shape = (draw.batch(), draw.channels(), *spatial)
    if len(spatial) == 2 and draw.often(0.5) and min(spatial) > 1:
        windows: tuple[int, ...] = tuple(n // 2 for n in spatial)
    else:
        windows = draw.ints(len(spatial), 0 if draw.often(0.05) else 1, 6)
    plane = int(np.prod(spatial))
    indices = draw.rng.integers(0, plane, (*shape[:2], *windows))
    if len(spatial) == 2 and windows == tuple(n // 2 for n in spatial) and draw.often(0.6):  # those of 2x2 windows
        corners = (2 * np.arange(windows[0]))[:, None] * spatial[1] + 2 * np.arange(windows[1])
        across, down = draw.rng.integers(0, 2, (2, *shape[:2], *windows))
        indices = corners + down * spatial[1] + across
    kind = draw.of(("i4", "i4", "i4", "i4", "i8", "i2", "u1", "u4", "u8", ">i4"))
    if draw.often(0.3) and indices.size:
        indices.reshape(-1)[draw.rng.integers(0, indices.size, 3)] = -1
    if draw.often(0.4) and indices.size:
        hostile = (-2, plane, plane + 1, 10**6, -(10**6), 2**31 - 1, -(2**31), 2**40, -(2**62), 2**16 + 1)
        indices.reshape(-1)[draw(0, indices.size - 1)] = draw.of(hostile)
    with np.errstate(over="ignore"):
        indices = draw.laid_out(indices.astype(kind))
    dtype = draw.dtype()
    x, g = draw.array(shape, dtype), draw.array(indices.shape, dtype)
    if draw.often(0.05):  # that do not fit
        indices = draw.laid_out(np.zeros((shape[0] + 1, *indices.shape[1:]), kind))
    return [
        Call("take_windows", (x, indices), {}),
        Call("scatter_windows", (g, indices), {"shape": shape}, terms=10.0),
    ]


def average(draw: Draw) -> list[Call]:
    shape, geo = _pooling(draw, False)
    dilation = geo.pop("dilation")
    pairs = tuple((p, p) for p in geo["padding"])
    options = dict(geo, count_include_pad=draw.often(0.5), divisor_override=draw.of((None, None, None, 3, -2, 0)))
    out = pool_shape(
        shape, geo["kernel"], stride=geo["stride"], padding=pairs, dilation=dilation, ceil_mode=geo["ceil_mode"]
    )
    if draw.often(0.05):
        out = (*out[:-1], out[-1] + 1)
    dtype = draw.dtype()
    return [
        Call("avg_pool", (draw.array(shape, dtype),), options),
        Call("avg_pool_input", (draw.array(out, dtype),), {"shape": shape, **options}, terms=10.0),
    ]


def _activation(draw: Draw) -> tuple[int, ...]:
    """(N, C, ...), large enough for the compiled passes in most cases."""
    shape = [draw(1, 9), draw.channels(), *draw.ints(draw(0, 3), 1, 9)]
    if draw.often(0.6):
        while np.prod(shape) < 4000:
            shape[draw.of([i for i in range(len(shape)) if i != 1])] *= 2
    if draw.often(0.02):
        shape[draw.of([i for i in range(len(shape)) if i != 1])] = 0
    return tuple(shape)


def normalisation(draw: Draw) -> list[Call]:
    shape, dtype = _activation(draw), draw.of(("f4", "f4", "f4", "f4", "f8", "f2"))
    single = "f4" if dtype == "f2" else dtype
    if 0 in shape:
        shape = tuple(max(1, n) for n in shape)
    x, g = (draw.laid_out(draw.rng.standard_normal(shape).astype(dtype)) for _ in range(2))
    w, b, mean = (draw.laid_out(draw.rng.standard_normal(shape[1]).astype(single)) for _ in range(3))
    if draw.often(0.05):  # that does not fit
        g = draw.laid_out(g[: draw(0, len(g))])
    invstd = draw.laid_out((1 + draw.rng.random(shape[1])).astype(single))
    w, b = (None if draw.often(0.2) else v for v in (w, b))
    terms = float(x.size // shape[1] + 1)
    return [
        Call("batch_statistics", (x,), {}),
        Call("batch_norm", (x, 1e-1), {}),
        Call("batch_norm_forward", (x, w, b, mean, invstd), {}, terms=10.0),
        Call("batch_norm_relu", (x, w, b, mean, invstd), {}, terms=10.0),
        Call("batch_norm_backward", (g, x, w, mean, invstd), {}, terms=terms),
    ]


def passes(draw: Draw) -> list[Call]:
    shape, dtype = _activation(draw), draw.dtype()
    x, y = draw.array(shape, dtype), draw.array(shape, dtype)
    if draw.often(0.05):  # that does not fit
        y = draw.laid_out(y[: draw(0, len(y))])
    bias = draw.array((shape[1] + (draw.of((-1, 1, 40)) if draw.often(0.05) else 0),), dtype)
    return [
        Call("relu", (x,), {}),
        Call("relu_input", (y, x), {}),
        Call("bias_add", (x, bias), {}),
        Call("bias_relu", (x, bias), {}),
        Call("channel_sums", (draw.laid_out(np.nan_to_num(x, posinf=1, neginf=1)),), {}, terms=float(x.size + 1)),
    ]


def fused_pooling(draw: Draw) -> list[Call]:
    shape = (draw.batch(), draw.channels(), draw(2, 12), draw(2, 12))
    x, bias = draw.array(shape, draw.dtype()), draw.array((shape[1] + draw.often(0.05),), "f4")
    return [Call("bias_relu_max_pool2x2", (x, bias.astype(x.dtype)), {}), Call("channels_last", (x,), {})]


def scores(draw: Draw) -> list[Call]:
    shape = draw.ints(draw(1, 4), 1, 9)
    if draw.often(0.5):
        shape = (draw(1, 300), draw.of((1, 2, 10, 33, 100)))
    x = draw.array(shape, draw.dtype())
    axis = draw(-len(shape), len(shape) - 1)
    return [Call("softmax", (x,), {"axis": axis}), Call("log_softmax", (x,), {"axis": axis}, terms=10.0)]


def classification(draw: Draw) -> list[Call]:
    n, classes = (0 if draw.often(0.02) else draw(1, 300)), draw.of((1, 2, 3, 10, 33, 1000))
    dtype = draw.dtype()
    x = draw.laid_out(draw.rng.standard_normal((n, classes)).astype(dtype))
    logp = draw.laid_out(np.log(draw.rng.random((n, classes)) + 0.1).astype(dtype))
    ignore = draw.of((-100, -1, 0, classes - 1, classes, 255))
    target = draw.rng.integers(0, classes, n)
    if n and draw.often(0.4):
        target[draw(0, n - 1)] = ignore
    if n and draw.often(0.4):
        target[draw(0, n - 1)] = draw.of((-1, classes, -2, 10**12, -(2**63), 2**63 - 1, 2**31, 2**32 + 1))
    kind = draw.of(("i8", "i8", "i8", "i8", "i4", "u1", "u8", ">i8", "f4"))
    with np.errstate(all="ignore"):
        target = draw.laid_out(target.astype(kind))
    g = draw.array((n,), dtype, finite=True)
    if draw.often(0.05):
        target = draw.laid_out(np.zeros(n + 1, kind))
    if draw.often(0.05):
        g = draw.array((n + 1,), dtype, finite=True)
    options = dict(ignore_index=ignore)
    return [
        Call("cross_entropy", (x, target), options, terms=10.0),
        Call("cross_entropy_input", (g, logp, target), options, terms=10.0),
    ]


def optimiser(draw: Draw) -> list[Call]:
    shapes = [draw.ints(draw(0, 4), 0 if draw.often(0.1) else 1, 8) for _ in range(draw(0, 5))]
    if draw.often(0.3):
        shapes.append((draw(1, 200), draw(1, 400)))
    layouts = [draw.of(LAYOUTS[:3]) if draw.often(0.9) else draw.of(LAYOUTS) for _ in shapes]
    dtypes = [draw.of(("f4", "f4", "f4", "f4", "f4", "f8", "f2")) for _ in shapes]

    def arrays(positive: bool = False, same: bool = True) -> list[Array]:
        made = []
        for shape, layout, dtype in zip(shapes, layouts, dtypes):
            x = np.asarray(draw.rng.standard_normal(shape))
            x = (np.abs(x) + 0.1 if positive else x).astype(dtype)
            x = draw.laid_out(x, layout if same and draw.often(0.9) else None)
            if same and not x.flags.writeable:
                x = x.copy("K")
            made.append(x)
        return made

    p, g = arrays(), arrays(same=False)
    decay, maximize = draw.of((0.0, 0.01)), draw.often(0.2)
    common = dict(lr=0.1, weight_decay=decay, maximize=maximize)
    kind = draw(0, 3)
    if kind == 0:
        momentum = draw.of((0.0, 0.9))
        nesterov = bool(momentum) and draw.often(0.5)
        options = dict(common, momentum=momentum, nesterov=nesterov, dampening=0.0 if nesterov else draw.of((0.0, 0.1)))
        return [Call("sgd", (p, g, arrays() if momentum else []), {**options, "first": draw.often(0.3)}, (0, 2))]
    if kind == 1:
        options = dict(common, step=draw(1, 100), decoupled=draw.often(0.5), beta1=0.9, beta2=0.99, eps=1e-2)
        if draw.often(0.3):
            options["amsgrad_state"] = arrays(True)
        return [Call("adam", (p, g, arrays(), arrays(True)), options, (0, 2, 3))]
    if kind == 2:
        options = dict(common, momentum=draw.of((0.0, 0.9)), alpha=0.9, eps=1e-2)
        if options["momentum"]:
            options["buffers"] = arrays()
        # Centred: the variance must not be negative.
        if draw.often(0.3):
            options["grad_avg"] = [np.zeros_like(a) for a in p]
        return [Call("rmsprop", (p, g, arrays(True)), options, (0, 2))]
    options = dict(common, step=draw(1, 100), lr_decay=0.01, eps=1e-2)
    return [Call("adagrad", (p, g, arrays(True)), options, (0, 2))]


KINDS: tuple[tuple[Callable[[Draw], list[Call]], int], ...] = (
    (convolution, 18), (deep_convolution, 5), (padded_batch, 5), (depthwise, 7), (strided, 5), (unfolding, 3),
    (product, 6), (maximum, 10), (positions, 13), (average, 6), (normalisation, 5), (passes, 5), (fused_pooling, 5),
    (scores, 4), (classification, 7), (optimiser, 6),
)  # fmt: skip
_TURNS = [kind for kind, share in KINDS for _ in range(share)]


def case(number: int, seed: int) -> Case:
    draw = Draw(seed, number)
    # A turn of its own for each kind, so that a hundred cases hold them all.
    kind = _TURNS[number * 37 % len(_TURNS)]
    calls = kind(draw)
    return Case(kind.__name__, calls)
