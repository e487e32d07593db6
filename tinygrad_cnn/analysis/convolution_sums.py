"""A convolution written out: each output entry as its sum, and its four gradients term by term, on small arrays.

Loops over positions, in plain NumPy, follow the formulas one by one; the engine's kernels are another way to the same
numbers, and tests hold the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.support.errors import UsageError

__all__ = ["Convolution", "Formulas", "convolution", "convolution_formulas"]

Array = npt.NDArray[Any]
Term = tuple[str, float, str, float]


class Convolution:
    """One convolution of one sample, for looking at; `convolution` makes it.

    Attributes
        x, w, bias: (C, *size), (O, C, *kernel), (O,), in float64; `w` is flipped where `flip` is
        padded: the input with its zeros
        output: (O, *out)
        uses: how many windows each entry of the input's *size is in
    """

    def __init__(
        self, x: Array, w: Array, bias: Array | None, stride: tuple[int, ...], padding: tuple[tuple[int, int], ...],
        dilation: tuple[int, ...], flip: bool, plain: bool,
    ) -> None:  # fmt: skip
        self.x, self.bias, self.flip = x, bias, flip
        self.w = w[(slice(None), slice(None), *[slice(None, None, -1)] * (w.ndim - 2))] if flip else w
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.padded = np.pad(x, ((0, 0), *padding))
        self._plain = plain  # without channels in what is printed
        kernel = w.shape[2:]
        self.positions = tuple(
            (n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(self.padded.shape[1:], kernel, stride, dilation, strict=True)
        )
        if min(self.positions) < 1:
            raise UsageError(
                f"convolution(): the kernel {kernel} is larger than the padded input {self.padded.shape[1:]}"
            )
        self.output = np.zeros((len(w), *self.positions))
        counts = np.zeros(self.padded.shape[1:], int)
        for p in np.ndindex(*self.positions):
            for k in np.ndindex(*kernel):
                at = self._at(p, k)
                counts[at] += 1
                self.output[_all(1, p)] += self.w[_all(2, k)] @ self.padded[_all(1, at)]
        if bias is not None:
            self.output += bias.reshape(-1, *[1] * len(self.positions))
        self.uses = self._without_padding(counts)

    def entry(self, *at: int) -> str:
        """One output entry as its sum: ``O[0, 0] = 1·1 + 2·2 + … = -13``.

        `at` is (row, column), or with a channel in front.
        """
        o, *p = self._index(at, self.output.shape, "output")
        terms: list[Term] = []
        for c in range(len(self.x)):
            for k in np.ndindex(*self.w.shape[2:]):
                value = float(self.padded[(c, *self._at(tuple(p), k))])
                terms.append(("X", value, "F", float(self.w[(o, c, *k)])))
        extra = [] if self.bias is None else [float(self.bias[o])]
        return _sum(f"O{self._name((o, *p))}", terms, float(self.output[(o, *p)]), extra)

    def gradients(self, upstream: Any) -> dict[str, Array]:
        """∂L/∂ of "bias", "filter", "padded" and "input", from the upstream gradient ∂L/∂O of the output's shape.

        The filter's is that of the kernel as it was given, so with `flip` it is flipped back.
        """
        g = self._upstream(upstream)
        of_w, of_padded = np.zeros(self.w.shape), np.zeros(self.padded.shape)
        for p in np.ndindex(*self.positions):
            for k in np.ndindex(*self.w.shape[2:]):
                at = _all(1, self._at(p, k))
                of_w[_all(2, k)] += np.outer(g[_all(1, p)], self.padded[at])
                of_padded[at] += g[_all(1, p)] @ self.w[_all(2, k)]
        turn = (slice(None), slice(None), *[slice(None, None, -1)] * len(self.positions))
        return {
            "bias": g.reshape(len(g), -1).sum(1),
            "filter": of_w[turn] if self.flip else of_w,
            "padded": of_padded,
            "input": self._without_padding(of_padded),
        }

    def gradient_entry(self, of: str, upstream: Any, *at: int) -> str:
        """One entry of a gradient as its sum: ``gradient_entry("filter", g, 0, 0)``; `of` is a name of `gradients`.

        Of the filter with `flip`, `at` counts in the flipped kernel, which is what multiplies.
        """
        g = self._upstream(upstream)
        shapes = {"bias": (len(g),), "filter": self.w.shape, "padded": self.padded.shape, "input": self.x.shape}
        if of not in shapes:
            raise UsageError(f"gradient_entry() expected one of {', '.join(shapes)}, got {of!r}")
        index = self._index(at, shapes[of], of)
        terms: list[Term] = []
        if of == "bias":
            values = [float(v) for v in g[index[0]].ravel()]
            return _sum(f"∂L/∂B[{index[0]}]", [], math.fsum(values), values)
        if of == "filter":
            o, c, *k = index
            for p in np.ndindex(*self.positions):
                value = float(self.padded[(c, *self._at(p, tuple(k)))])
                terms.append(("G", float(g[(o, *p)]), "X", value))
        else:
            c, *u = index
            if of == "input":
                u = [n + low for n, (low, _) in zip(u, self.padding)]
            for o in range(len(g)):
                for p in np.ndindex(*self.positions):
                    weights = [self.w[(o, c, *k)] for k in np.ndindex(*self.w.shape[2:]) if self._at(p, k) == tuple(u)]
                    terms += [("G", float(g[(o, *p)]), "F", float(weight)) for weight in weights]
        letter = {"filter": "F", "padded": "X_pad", "input": "X"}[of]
        return _sum(f"∂L/∂{letter}{self._name(index)}", terms, math.fsum(a * b for _, a, _, b in terms), [])

    def __str__(self) -> str:
        kind = "convolution (the kernel is flipped)" if self.flip else "cross-correlation (the kernel as it is)"
        first = (0,) * len(self.positions)
        return f"{kind}, output {' × '.join(map(str, self.output.shape))}\n{self.entry(0, *first)}"

    def _at(self, p: tuple[int, ...], k: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i * s + j * d for i, s, j, d in zip(p, self.stride, k, self.dilation, strict=True))

    def _without_padding(self, array: Array) -> Array:
        inner: Any = [slice(low, n - high) for (low, high), n in zip(self.padding, self.padded.shape[1:])]
        return array[(..., *inner)]

    def _upstream(self, upstream: Any) -> Array:
        g = np.asarray(unwrap(upstream), np.float64)
        if g.size != self.output.size:
            raise UsageError(f"the upstream gradient expected the output's shape {self.output.shape}, got {g.shape}")
        return g.reshape(self.output.shape)

    def _index(self, at: Sequence[int], shape: tuple[int, ...], what: str) -> tuple[int, ...]:
        full = (0,) * (len(shape) - len(at)) + tuple(at)
        if len(full) != len(shape) or not all(-n <= i < n for i, n in zip(full, shape)):
            raise UsageError(f"there is no entry {tuple(at)} of the {what}, whose shape is {shape}")
        return tuple(i % n for i, n in zip(full, shape))

    def _name(self, index: Sequence[int]) -> str:
        shown = index[-len(self.positions) :] if self._plain else index
        return f"[{', '.join(map(str, shown))}]"


def convolution(
    x: Any, w: Any, bias: Any = None, *, stride: Any = 1, padding: Any = "valid", dilation: Any = 1, flip: bool = False
) -> Convolution:
    """A convolution to look into: each output entry as its sum, use counts, gradients term by term.

        print(analysis.convolution(image, kernel).entry(0, 0))

    Args:
        x: (L,) or (H, W), or with channels (C, L) or (C, H, W)
        w: (K,) or (KH, KW), or with channels (O, C, K) or (O, C, KH, KW)
        bias: (O,)
        stride: step between windows
        padding: zeros on each side; or "valid" (none), "same" (the output is as large as the input, for stride 1; the
            odd zero of an even kernel is at the end) or "full" (so many that each input stands under each weight)
        dilation: distance between the kernel's entries
        flip: flip the kernel, as mathematics' convolution does; without, it is the cross-correlation of deep learning

    Returns:
        the convolution, computed

    Raises:
        UsageError: for shapes that do not fit
    """
    a, kernel = np.asarray(unwrap(x), np.float64), np.asarray(unwrap(w), np.float64)
    plain = kernel.ndim in (1, 2)
    if plain:
        kernel = kernel[None, None]
    n = kernel.ndim - 2
    if a.ndim == n:
        a = a[None]
    if n not in (1, 2) or a.ndim != n + 1 or len(a) != kernel.shape[1]:
        raise UsageError(
            f"convolution() expected an input (C, *size) for weights (O, C, *kernel), got {np.shape(x)} and "
            f"{np.shape(w)}; channels come first here"
        )
    steps, spread = _each(stride, n), _each(dilation, n)
    reach = [d * (k - 1) for d, k in zip(spread, kernel.shape[2:])]
    if padding == "same" and max(steps) > 1:
        raise UsageError("padding 'same' is for stride 1: a larger stride makes the output smaller in any case")
    if isinstance(padding, str):
        known = {"valid": [(0, 0)] * n, "same": [(r // 2, r - r // 2) for r in reach], "full": [(r, r) for r in reach]}
        if padding not in known:
            raise UsageError(f"padding expected a number, 'valid', 'same' or 'full', got {padding!r}")
        sides = known[padding]
    else:
        sides = [(p, p) for p in _each(padding, n)]
    offset = None if bias is None else np.asarray(unwrap(bias), np.float64).reshape(-1)
    return Convolution(a, kernel, offset, steps, tuple(sides), spread, flip, plain)


@dataclass(frozen=True)
class Formulas:
    """The sizes and costs of a convolutional layer; printed, the formulas with their numbers put in.

    Attributes
        output: side lengths of the output
        parameters: weights and biases
        multiply_adds: for one sample
        text: a line per formula
    """

    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    text: str

    def __str__(self) -> str:
        return self.text


def convolution_formulas(
    size: int | Sequence[int], kernel: int, in_channels: int = 1, out_channels: int = 1, *, stride: int = 1,
    padding: int = 0, dilation: int = 1, bias: bool = True,
) -> Formulas:  # fmt: skip
    """Output size ⌊(W + 2P − D(K − 1) − 1) / S⌋ + 1, parameters and multiply-adds of a convolutional layer.

    Args:
        size: side lengths of the input; an int is a square
        kernel: side length of the kernel
        in_channels: channels of the input
        out_channels: filters
        stride: step between windows
        padding: zeros on each side
        dilation: distance between the kernel's entries
        bias: whether each filter has one

    Returns:
        the numbers, and a text that shows how they come about

    Raises:
        UsageError: when the kernel does not fit into the padded input
    """
    sides = (size, size) if isinstance(size, int) else tuple(size)
    lines, output = [], []
    for side in dict.fromkeys(sides):
        free = side + 2 * padding - dilation * (kernel - 1) - 1
        if free < 0:
            raise UsageError(f"a kernel of {kernel} does not fit into {side} + 2·{padding} pixels")
        found = free // stride + 1
        lines.append(f"output      ⌊({side} + 2·{padding} − {dilation}·({kernel} − 1) − 1) / {stride}⌋ + 1 = {found}")
        if free % stride:
            lines.append(f"            {free % stride} of the padded pixels are not reached")
    output = [(side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for side in sides]
    window = " · ".join([str(kernel)] * len(sides))
    weights = out_channels * in_channels * kernel ** len(sides)
    count = weights + (out_channels if bias else 0)
    extra = f" + {out_channels}" if bias else ""
    lines.append(f"parameters  {window} · {in_channels} · {out_channels}{extra} = {count:,}")
    macs = weights * math.prod(output)
    places = " · ".join(map(str, output))
    lines.append(f"multiply-adds  {window} · {in_channels} · {out_channels} · {places} = {macs:,}")
    return Formulas(tuple(output), count, macs, "\n".join(lines))


def _all(channels: int, index: tuple[int, ...]) -> Any:
    """An index that takes everything along the first `channels` dimensions."""
    return (*[slice(None)] * channels, *index)


def _each(value: Any, n: int) -> tuple[int, ...]:
    return (int(value),) * n if isinstance(value, (int, np.integer)) else tuple(int(v) for v in value)


def _sum(name: str, terms: list[Term], total: float, extra: list[float]) -> str:
    written = [f"{a:g}·{_signed(b)}" for _, a, _, b in terms] + [_signed(v) for v in extra]
    return f"{name} = {' + '.join(written) or '0'} = {total:g}"


def _signed(value: float) -> str:
    return f"({value:g})" if value < 0 else f"{value:g}"
