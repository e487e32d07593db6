"""The input gradient of a strided convolution of few channels (an image's three, say), several columns at a time.

At stride S every S-th column of the input gets its share through other columns of the kernel. One by one, each of these
S correlations would use only as many lanes of a vector as there are channels. Here S neighbouring columns of the result
are the lanes of one correlation, whose weights hold zeros where a column does not reach. In channels-last memory the
lanes lie side by side. Called by `conv`; one group, no dilation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry import Ints, Pairs
from ..layout import Array
from .plans import Phase, Sweep
from .vector import PANEL


def suits(x: Ints, w: Ints, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> bool:
    """Whether this way applies to an input of shape x, and pays: the lanes of S columns fit a panel."""
    if groups != 1 or any(d != 1 for d in dilation) or stride[1] == 1 or x[3] % stride[1]:
        return False
    reached = all(k >= s for k, s in zip(w[2:], stride, strict=True))
    return reached and x[1] * stride[1] <= PANEL and x[2] >= stride[0]


def correlate_input(
    x: Ints, g: tuple[Ints, Ints], w: Ints, *, stride: Ints, padding: Pairs
) -> Callable[[Array, Array, Array], None]:
    """A function of (g, w, dx) that writes the whole of channels-last dx; g has this shape and these strides."""
    (n, c, height, width), (s_h, s_w), (k_h, k_w) = x, stride, w[2:]
    # Column j*S + b of the input and column v of the kernel meet column j + t of the output.
    columns = [((v - padding[1][0]) % s_w, v) for v in range(k_w)]
    shifts = [(b + padding[1][0] - v) // s_w for b, v in columns]
    first, reach = min(shifts), max(shifts) - min(shifts) + 1
    shape = (s_w * c, w[0], k_h, reach)
    pixel = c * np.dtype(np.float32).itemsize
    phases = []
    for start in range(s_h):
        rows = sorted(
            ((start + padding[0][0] - u) // s_h, u) for u in range(k_h) if (start + padding[0][0] - u) % s_h == 0
        )
        low = rows[0][0]
        phases.append(
            Phase(
                [(row - low, t) for row, _ in rows for t in range(reach)],
                [(u, t) for _, u in rows for t in range(reach)],
                (-low, -first), (1, 1), (start, 0), (s_h, 1), (-(-(height - start) // s_h), width // s_w),
            )  # fmt: skip
        )
    lanes = (n, s_w * c, height, width // s_w)
    steps = (height * width * pixel, 4, width * pixel, s_w * pixel)
    plan = Sweep(g, (shape, np.empty(shape, np.float32).strides), (lanes, steps), phases, 1, False)

    def run(g: Array, w: Array, dx: Array) -> None:
        spread = np.zeros((s_w, c, *shape[1:]), np.float32)
        for (b, v), shift in zip(columns, shifts, strict=True):
            spread[b, :, :, :, shift - first] = w[:, :, :, v].transpose(1, 0, 2)
        plan.run(g, spread.reshape(shape), dx)

    return run


__all__ = ["correlate_input", "suits"]
