"""Where every window of a convolution or a pooling lies: output sizes, and one value per spatial dimension.

Only integers and tuples come in and go out. `ops` and `nn` use this module for the shapes they announce, the
kernels for the shapes they compute: there is no second place that knows the formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def output_size(
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    dilation: int = 1,
    name: str = "window",
) -> int:
    """How many windows fit: floor((W - K + P_lo + P_hi) / S) + 1, with K the dilated kernel d(k - 1) + 1.

    Raises ValueError where no window fits (the notes' formula would give zero or less).
    """
    reach = dilation * (kernel - 1) + 1
    room = size + padding[0] + padding[1] - reach
    if room < 0:
        raise ValueError(
            f"{name} expected an input of at least {reach} with its padding, got {size} + {padding[0]} + {padding[1]}: "
            f"use a smaller kernel (now {kernel}, dilation {dilation}) or more padding"
        )
    return room // stride + 1


def correlate_shape(
    x: Sequence[int], w: Sequence[int], *, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Ints:
    """Shape (N, O, *out) of the cross-correlation of x (N, C, *spatial) with w (O, C/groups, *k)."""
    d = len(x) - 2
    if d < 1 or len(w) != len(x):
        raise ValueError(
            f"correlate expected x (N, C, *spatial) and w (O, C/groups, *kernel) with equally many dimensions, "
            f"got x {tuple(x)} and w {tuple(w)}"
        )
    if groups < 1 or x[1] != w[1] * groups or w[0] % groups:
        raise ValueError(
            f"correlate expected {w[1] * groups} input channels (weight {tuple(w)}, groups {groups}) "
            f"and output channels divisible by the groups, got input {tuple(x)}"
        )
    _need(d, stride=stride, padding=padding, dilation=dilation)
    out = (
        output_size(
            x[2 + i], w[2 + i], stride=stride[i], padding=padding[i], dilation=dilation[i], name="correlate"
        )
        for i in range(d)
    )
    return (x[0], w[0], *out)


def pool_size(
    size: int,
    kernel: int,
    *,
    stride: int,
    padding: tuple[int, int],
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Windows of a pooling. With `ceil_mode` a last, partial window counts if it starts inside the input or
    its left padding (PyTorch's rule)."""
    reach = dilation * (kernel - 1) + 1
    room = size + padding[0] + padding[1] - reach
    if not ceil_mode:
        return output_size(size, kernel, stride=stride, padding=padding, dilation=dilation, name="pooling")
    count = -(-room // stride) + 1
    if (count - 1) * stride >= size + padding[0]:
        count -= 1
    if count < 1:
        raise ValueError(
            f"pooling expected an input of at least 1 window, got size {size} with kernel {kernel}, stride {stride}, "
            f"padding {padding}: use a smaller kernel or more padding"
        )
    return count


def pool_shape(
    x: Sequence[int],
    kernel: Ints,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints | None = None,
    ceil_mode: bool = False,
) -> Ints:
    """Shape (N, C, *out) of a pooling of x (N, C, *spatial). Raises ValueError for padding above half the
    kernel."""
    d = len(x) - 2
    dilation = dilation or (1,) * d
    _need(d, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    for k, pads, dil in zip(kernel, padding, dilation, strict=True):
        if 2 * max(pads) > dil * (k - 1) + 1:
            raise ValueError(
                f"pooling expected padding of at most half the kernel, got padding {pads} with kernel {k}: "
                "a window would hold nothing but padding"
            )
    out = (
        pool_size(
            x[2 + i],
            kernel[i],
            stride=stride[i],
            padding=padding[i],
            dilation=dilation[i],
            ceil_mode=ceil_mode,
        )
        for i in range(d)
    )
    return (x[0], x[1], *out)


def transposed_padding(size: Ints, kernel: Ints, *, stride: Ints, padding: Pairs, dilation: Ints) -> Pairs:
    """Padding that turns the input gradient of a stride-1 correlation into a correlation with the mirrored
    kernel.

    A negative number means: cut away. `size` is the spatial size of x; the strides must be 1.
    """
    pads = []
    for i, n in enumerate(size):
        reach = dilation[i] * (kernel[i] - 1)
        out = n + padding[i][0] + padding[i][1] - reach
        lo = reach - padding[i][0]
        pads.append((lo, n + reach - out - lo))
    return tuple(pads)


def per_dimension(value: int | Iterable[int], d: int, name: str = "value") -> Ints:
    """`3` -> (3, 3), `(3, 5)` -> (3, 5) for d = 2. Raises ValueError for another length."""
    if isinstance(value, Iterable):
        values = tuple(int(v) for v in value)
        if len(values) == 1:
            return values * d
        if len(values) != d:
            raise ValueError(f"{name} expected one int or {d} of them, got {values}")
        return values
    return (int(value),) * d


def padding_pairs(value: int | Iterable[int | Iterable[int]], d: int, name: str = "padding") -> Pairs:
    """`1` -> ((1, 1), (1, 1)); `(1, 2)` -> ((1, 1), (2, 2)); pairs stay as they are. Raises ValueError
    otherwise."""
    if not isinstance(value, Iterable):
        return ((int(value), int(value)),) * d
    pairs = []
    for v in value:
        lo, hi = v if isinstance(v, Iterable) else (v, v)
        pairs.append((int(lo), int(hi)))
    if len(pairs) == 1:
        pairs = pairs * d
    if len(pairs) != d:
        raise ValueError(f"{name} expected one int, {d} ints or {d} (low, high) pairs, got {value!r}")
    return tuple(pairs)


def same_padding(kernel: Ints, dilation: Ints) -> Pairs:
    """Zeros that keep the size at stride 1 (`padding="same"`). An even kernel has one more zero at the high
    end."""
    reach = [dil * (k - 1) for k, dil in zip(kernel, dilation, strict=True)]
    return tuple((r // 2, r - r // 2) for r in reach)


def volume(sizes: Iterable[int]) -> int:
    """How many positions a window or plane has: the product of its sizes."""
    return prod(sizes)


def _need(d: int, **values: Sequence[object]) -> None:
    for name, value in values.items():
        if len(value) != d:
            raise ValueError(f"{name} expected {d} entries for {d} spatial dimensions, got {value!r}")
