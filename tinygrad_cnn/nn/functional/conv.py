"""Convolution in 1, 2 and 3 dimensions, transposed convolution, unfold and fold: PyTorch's arguments, checked.

The arguments become the params of the primitives in `ops.conv`. Deep learning's "convolution" does not flip
the kernel; `convolve1d/2d/3d` do, for whoever wants mathematics' convolution.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import Sizes
from tinygrad_cnn.kernels import geometry
from tinygrad_cnn.ops import conv as ops
from tinygrad_cnn.ops import fused
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.ops.shape import flip
from tinygrad_cnn.tensors.tensor import Tensor

_NAMES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input (N, C, L) or (C, L) with weight (O, C/groups, k); see `conv2d`."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input (N, C, H, W) or (C, H, W) with weight (O, C/groups, kh, kw), plus bias (O,).

    Gives (N, O, H', W') with H' = ⌊(H + 2·padding − dilation·(kh − 1) − 1) / stride⌋ + 1. `padding` is a
    number, one per dimension, or ``"valid"`` (none), ``"same"`` (the input's size; stride 1 only), ``"full"``
    (every position where kernel and input touch).

    Raises ValueError (a RuntimeError too) for wrong dimensions or channel counts, a kernel larger than the
    padded input, and settings that make no sense; TypeError for integer input.
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input (N, C, D, H, W) with weight (O, C/groups, kd, kh, kw); see `conv2d`."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def convolve1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, **settings: Any) -> Tensor:
    """Mathematics' convolution: `conv1d` with the kernel flipped."""
    return conv1d(input, flip(weight, 2), bias, **settings)


def convolve2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, **settings: Any) -> Tensor:
    """Mathematics' convolution, Σ x[i − u, j − v] · w[u, v]: `conv2d` with the kernel flipped in both dimensions."""
    return conv2d(input, flip(weight, 2, 3), bias, **settings)


def convolve3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, **settings: Any) -> Tensor:
    """Mathematics' convolution: `conv3d` with the kernel flipped in all three dimensions."""
    return conv3d(input, flip(weight, 2, 3, 4), bias, **settings)


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution of input (N, C, L) with weight (C, O/groups, k); see `conv_transpose2d`."""
    return _conv_transpose(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of a convolution: input (N, C, H, W), weight (C, O/groups, kh, kw) -> (N, O, H', W').

    H' = (H − 1)·stride − 2·padding + dilation·(kh − 1) + output_padding + 1.
    """
    return _conv_transpose(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution of input (N, C, D, H, W) with weight (C, O/groups, kd, kh, kw); see `conv_transpose2d`."""
    return _conv_transpose(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def unfold(
    input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes | str = 0, stride: Sizes = 1
) -> Tensor:
    """All windows of input (N, C, H, W) as columns (N, C·kh·kw, windows)."""
    if input.ndim not in (3, 4):
        raise wrong_shape("unfold", f"an input (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
    columns = ops.unfold(batched(input, 2), **_windows("unfold", kernel_size, dilation, padding, stride))
    return columns if input.ndim == 4 else columns.squeeze(0)


def fold(
    input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes | str = 0,
    stride: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `unfold`: columns (N, C·kh·kw, windows) added up in an image (N, C, *output_size)."""
    if input.ndim not in (2, 3):
        raise wrong_shape(
            "fold", f"an input (N, C·kh·kw, windows) or (C·kh·kw, windows), got {tuple(input.shape)}"
        )
    params = _windows("fold", kernel_size, dilation, padding, stride)
    columns = input if input.ndim == 3 else input.unsqueeze(0)
    size = geometry.per_dimension(output_size, 2, "output_size")
    volume = geometry.volume(params["kernel"])
    if columns.shape[1] % volume:
        raise wrong_shape(
            "fold", f"a multiple of {volume} rows (kernel {params['kernel']}), got {columns.shape[1]}"
        )
    counts = [
        geometry.output_size(n, k, stride=s, padding=p, dilation=d, name="fold")
        for n, k, s, p, d in zip(
            size, params["kernel"], params["stride"], params["padding"], params["dilation"]
        )
    ]
    if columns.shape[2] != counts[0] * counts[1]:
        raise wrong_shape(
            "fold",
            f"{counts[0]} x {counts[1]} = {counts[0] * counts[1]} windows for output_size {size}, "
            f"got {columns.shape[2]}",
        )
    image = ops.fold(columns, shape=(columns.shape[0], columns.shape[1] // volume, *size), **params)
    return image if input.ndim == 3 else image.squeeze(0)


# --- checking and calling ----------------------------------------------------------------------------


def _conv(
    name: str,
    d: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Tensor:
    if input.dtype.kind not in "fc":
        raise TypeError(f"{name} expected floating-point input, got {input.dtype}: convert it with .float()")
    x_shape = tuple(input.shape)
    params = _conv_params(
        name, d, x_shape, tuple(weight.shape), None if bias is None else tuple(bias.shape),
        hashable(stride), hashable(padding), hashable(dilation), groups,
    )  # fmt: skip
    if len(x_shape) == d + 1:
        y = ops.correlate(input.unsqueeze(0), weight, **params)
        return (y if bias is None else ops.bias_add(y, bias)).squeeze(0)
    return fused.correlate(input, weight, bias, params)


@lru_cache(4096)
def _conv_params(
    name: str, d: int, x: tuple[int, ...], w: tuple[int, ...], b: tuple[int, ...] | None, stride: Sizes,
    padding: Sizes | str, dilation: Sizes, groups: int,
) -> dict[str, Any]:  # fmt: skip
    """The primitive's params for these shapes and settings, checked. Cached: a network repeats its shapes."""
    if len(w) != d + 2:
        raise wrong_shape(name, f"a weight (O, C/groups, *kernel) of {d + 2} dimensions, got {w}")
    if len(x) not in (d + 1, d + 2):
        raise wrong_shape(name, f"an input {_NAMES[d]} or without N, got {x}, weight {w}")
    channels = x[-d - 1]
    strides = positive(name, "stride", stride, d)
    dilations = positive(name, "dilation", dilation, d)
    if groups < 1 or w[0] % groups:
        raise wrong_shape(name, f"groups that divide the {w[0]} output channels, got groups={groups}")
    if channels != w[1] * groups:
        raise wrong_shape(
            name, f"{w[1] * groups} input channels, got {channels}: input {x}, weight {w}"
            + (f", groups {groups}" if groups != 1 else "") + _if_channels_last(x, w[1] * groups, d),
        )  # fmt: skip
    if b is not None and b != (w[0],):
        raise wrong_shape(name, f"a bias of shape ({w[0]},), got {b}: weight {w}")
    kernel = w[2:]
    pairs = padding_of(name, padding, kernel, strides, dilations)
    for n, k, (lo, hi), dil in zip(x[-d:], kernel, pairs, dilations):
        if dil * (k - 1) + 1 > n + lo + hi:
            padded = tuple(m + p + q for m, (p, q) in zip(x[-d:], pairs))
            larger = tuple(e * (m - 1) + 1 for e, m in zip(dilations, kernel))
            raise wrong_shape(
                name, f"a kernel no larger than the padded input, got kernel {larger} on {padded}: input {x}, "
                f"weight {w}, padding {padding}. Use a smaller kernel or more padding",
            )  # fmt: skip
    return {"stride": strides, "padding": pairs, "dilation": dilations, "groups": int(groups)}


def padding_of(
    name: str, padding: Sizes | str, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> geometry.Pairs:
    """PyTorch's `padding` (a number, one per dimension, or a word) as (low, high) pairs."""
    d = len(kernel)
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * d
        if padding == "same":
            if any(s != 1 for s in stride):
                raise wrong_shape(
                    name, f"stride 1 with padding='same', got stride {stride}: give the padding in numbers"
                )
            return geometry.same_padding(kernel, dilation)
        if padding == "full":
            return tuple((e * (k - 1), e * (k - 1)) for k, e in zip(kernel, dilation))
        raise wrong_shape(name, f"padding as numbers or 'valid', 'same', 'full', got {padding!r}")
    try:
        pairs = geometry.padding_pairs(padding, d)
    except (TypeError, ValueError) as error:
        raise wrong_shape(name, f"padding as one number or {d}, got {padding!r}") from error
    if any(p < 0 for pair in pairs for p in pair):
        raise wrong_shape(
            name, f"padding of zero or more, got {padding} (crop the input by indexing instead)"
        )
    return pairs


def _conv_transpose(
    name: str, d: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Sizes | str,
    output_padding: Sizes, groups: int, dilation: Sizes,
) -> Tensor:  # fmt: skip
    if input.dtype.kind not in "fc":
        raise TypeError(f"{name} expected floating-point input, got {input.dtype}: convert it with .float()")
    x = batched(input, d)
    size, extra, params = _transpose_params(
        name, d, tuple(x.shape), tuple(weight.shape), None if bias is None else tuple(bias.shape),
        hashable(stride), hashable(padding), hashable(output_padding), groups, hashable(dilation),
    )  # fmt: skip
    y = ops.correlate_input(x, weight, shape=(x.shape[0], weight.shape[1] * groups, *size), **params)
    if extra:
        y = np.pad(y, ((0, 0), (0, 0), *((0, e) for e in extra)))
    if bias is not None:
        y = ops.bias_add(y, bias)
    return y if input.ndim == d + 2 else y.squeeze(0)


@lru_cache(1024)
def _transpose_params(
    name: str, d: int, x: tuple[int, ...], w: tuple[int, ...], b: tuple[int, ...] | None, stride: Sizes,
    padding: Sizes | str, output_padding: Sizes, groups: int, dilation: Sizes,
) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:  # fmt: skip
    if len(w) != d + 2 or len(x) != d + 2:
        raise wrong_shape(name, f"an input {_NAMES[d]} and a weight (C, O/groups, *kernel), got {x} and {w}")
    if groups < 1 or w[0] % groups or x[1] != w[0]:
        raise wrong_shape(
            name,
            f"{w[0]} input channels, divisible by the groups, got {x[1]}: input {x}, weight {w}, groups {groups}",
        )
    if b is not None and b != (w[1] * groups,):
        raise wrong_shape(name, f"a bias of shape ({w[1] * groups},), got {b}: weight {w}")
    strides = positive(name, "stride", stride, d)
    dilations = positive(name, "dilation", dilation, d)
    pairs = padding_of(name, padding, w[2:], strides, dilations)
    more = geometry.per_dimension(output_padding, d, "output_padding")
    if any(m < 0 or m >= max(s, e) for m, s, e in zip(more, strides, dilations)):
        raise wrong_shape(
            name,
            f"output_padding smaller than stride or dilation, got {more}, stride {strides}, dilation {dilations}",
        )
    axes = [
        _transposed_axis(n, k, s, pads, e, m)
        for n, k, s, pads, e, m in zip(x[2:], w[2:], strides, pairs, dilations, more)
    ]
    size, beyond, pairs = (tuple(values) for values in zip(*axes))
    if any(n + b < 1 for n, b in zip(size, beyond)):
        total = tuple(n + b for n, b in zip(size, beyond))
        raise wrong_shape(
            name, f"settings that leave an output, got size {total}: input {x}, weight {w}, padding {padding}"
        )
    params = {"stride": strides, "padding": pairs, "dilation": dilations, "groups": int(groups)}
    return size, beyond if any(beyond) else (), params


def _transposed_axis(
    n: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, more: int
) -> tuple[int, int, tuple[int, int]]:
    """(size, zeros behind it, padding) of one axis of a transposed convolution: the input size and the padding of
    the correlation with `n` windows whose transpose it is, and how many positions behind it no window reaches.

    An output padding below the stride changes no number of windows. A larger one first takes back what the padding
    cut off at the high end, where windows do reach; only what is left then are zeros.
    """
    low, high = padding
    back = min(high, more) if more >= stride else 0
    high, more = high - back, more - back
    beyond = more if more >= stride else 0
    size = (n - 1) * stride - low - high + dilation * (kernel - 1) + more - beyond + 1
    if size < 0 < beyond:  # the padding cuts off all that the windows reach, and zeros too
        return 0, size + beyond, (low + size, high)
    return size, beyond, (low, high)


def _windows(name: str, kernel_size: Sizes, dilation: Sizes, padding: Sizes | str, stride: Sizes) -> dict[str, Any]:
    kernel = positive(name, "kernel_size", kernel_size, 2)
    strides, dilations = positive(name, "stride", stride, 2), positive(name, "dilation", dilation, 2)
    pairs = padding_of(name, padding, kernel, strides, dilations)
    return {"kernel": kernel, "stride": strides, "padding": pairs, "dilation": dilations}


def positive(name: str, what: str, value: Any, d: int) -> tuple[int, ...]:
    """A number or one per dimension, all at least 1."""
    try:
        values = geometry.per_dimension(value, d, what)
    except (TypeError, ValueError) as error:
        raise wrong_shape(name, f"{what} as one number or {d}, got {value!r}") from error
    if any(v < 1 for v in values):
        raise wrong_shape(name, f"a {what} of at least 1, got {value}")
    return values


def hashable(value: Any) -> Any:
    """Lists as tuples, so that settings can be cache keys."""
    return tuple(value) if isinstance(value, list) else value


def batched(input: Tensor, d: int) -> Tensor:
    """The input with a batch dimension: (C, *spatial) becomes (1, C, *spatial)."""
    return input if input.ndim != d + 1 else input.unsqueeze(0)


def _if_channels_last(x: tuple[int, ...], channels: int, d: int) -> str:
    """What to do, where the last dimension of the input is what the channels should be."""
    if d < 1 or x[-1] != channels:
        return ""
    n = len(x)
    order = [*range(n - d - 1), n - 1, *range(n - d - 1, n - 1)]
    return f"; channels come first here, {_NAMES[d]}: x.permute({', '.join(map(str, order))})"
