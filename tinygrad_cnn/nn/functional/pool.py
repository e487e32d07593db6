"""Pooling in 1, 2 and 3 dimensions: maximum, average, power mean, adaptive, and back again by `max_unpool`.

PyTorch's arguments, checked, become the params of the primitives in `ops.pool`. Inputs may come without N.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Sizes
from tinygrad_cnn.autograd.fast import deferred
from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.kernels import geometry
from tinygrad_cnn.nn.functional.conv import batched, hashable, positive
from tinygrad_cnn.ops import pool as ops
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.tensors.tensor import Tensor

F = TypeVar("F", bound=AnyFunction)


def _max_pool(name: str, d: int) -> AnyFunction:
    def function(
        input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
        x = _checked(name, d, input)
        params = _pool_params(
            name, tuple(x.shape), hashable(kernel_size), hashable(stride), hashable(padding), hashable(dilation),
            bool(ceil_mode),
        )  # fmt: skip
        y, chosen = deferred.apply(ops.max_pool, x, (), params)
        if not return_indices:
            return _unbatched(y, input)
        # A window that sees only padding has no position; 0 is one that max_unpool accepts.
        indices = np.maximum(chosen["indices"], 0).astype(np.int64)
        return _unbatched(y, input), _unbatched(wrap(indices), input)

    return _named(function, name, f"""Maximum of each window of input {_SHAPES[d]}.

    `stride` defaults to the kernel size, padding is minus infinity, `ceil_mode` keeps a last partial window. A window
    that sees only padding gives minus infinity (and index 0), and hands on no gradient.
    With `return_indices` also gives the flat positions of the maxima in the plane, for `max_unpool{d}d`.
    """)  # fmt: skip


def _avg_pool(name: str, d: int) -> AnyFunction:
    def function(
        input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> Tensor:  # fmt: skip
        x = _floating(name, _checked(name, d, input))
        params = dict(_pool_params(
            name, tuple(x.shape), hashable(kernel_size), hashable(stride), hashable(padding), 1, bool(ceil_mode)
        ))  # fmt: skip
        del params["dilation"]
        params["padding"] = tuple(lo for lo, _ in params["padding"])
        if divisor_override is not None and divisor_override == 0:
            raise wrong_shape(name, "a divisor_override other than 0")
        return _unbatched(
            ops.avg_pool(
                x, **params, count_include_pad=bool(count_include_pad), divisor_override=divisor_override
            ),
            input,
        )

    return _named(function, name, f"""Average of each window of input {_SHAPES[d]}.

    `stride` defaults to the kernel size. Padding counts as zeros in the average, unless `count_include_pad` is
    False; `divisor_override` divides by another number.
    """)  # fmt: skip


def _lp_pool(name: str, d: int) -> AnyFunction:
    def function(
        input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
    ) -> Tensor:
        volume = geometry.volume(positive(name, "kernel_size", kernel_size, d))
        p = float(norm_type)
        powers = input * input if p == 2 else input**p
        mean = (avg_pool1d, avg_pool2d, avg_pool3d)[d - 1](powers, kernel_size, stride, 0, ceil_mode)
        # As in PyTorch: the sign of the sum is kept, so that odd powers of negative sums have a root.
        total = np.sign(unwrap(mean)) * np.maximum(np.abs(mean), 0) * volume
        return total ** (1.0 / p)

    return _named(
        function,
        name,
        f"""Power mean without the mean: (Σ x^p)^(1/p) of each window of input {_SHAPES[d]}.""",
    )


def _adaptive_avg_pool(name: str, d: int) -> AnyFunction:
    def function(input: Tensor, output_size: Sizes) -> Tensor:
        x = _floating(name, _checked(name, d, input))
        spatial = tuple(x.shape[2:])
        size = _target_size(name, spatial, output_size)
        if size == (1,) * d:
            y = x.mean(axis=tuple(range(2, d + 2)), keepdims=True)
        elif all(n % m == 0 for n, m in zip(spatial, size)):
            kernel = tuple(n // m for n, m in zip(spatial, size))
            y = ops.avg_pool(
                x, kernel=kernel, stride=kernel, padding=(0,) * d, ceil_mode=False, count_include_pad=True,
                divisor_override=None,
            )  # fmt: skip
        else:
            y = ops.resample(x, matrices=tuple(
                None if n == m else ops.adaptive_average_matrix(n, m) for n, m in zip(spatial, size)
            ))  # fmt: skip
        return _unbatched(y, input)

    return _named(function, name, f"""Average over each cell of input {_SHAPES[d]} divided into `output_size` cells.

    A number, or one per dimension; None keeps a dimension's size. `{name}(x, 1)` is global average pooling.
    """)  # fmt: skip


def _adaptive_max_pool(name: str, d: int) -> AnyFunction:
    def function(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        x = _checked(name, d, input)
        size = _target_size(name, tuple(x.shape[2:]), output_size)
        y, chosen = ops.adaptive_max_pool.apply((x,), {"size": size})
        if not return_indices:
            return _unbatched(y, input)
        return _unbatched(y, input), _unbatched(wrap(chosen["indices"].astype(np.int64)), input)

    return _named(
        function,
        name,
        f"""Maximum over each cell when input {_SHAPES[d]} is divided into `output_size` cells.""",
    )


def _max_unpool(name: str, d: int) -> AnyFunction:
    def function(
        input: Tensor,
        indices: Tensor,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        output_size: Sequence[int] | None = None,
    ) -> Tensor:
        x = _checked(name, d, input)
        at = np.asarray(unwrap(indices))
        at = at[None] if at.ndim == d + 1 else at
        if at.shape != tuple(x.shape):
            raise wrong_shape(name, f"indices of the input's shape {tuple(x.shape)}, got {at.shape}")
        kernel = positive(name, "kernel_size", kernel_size, d)
        strides = kernel if stride is None else positive(name, "stride", stride, d)
        pads = geometry.per_dimension(padding, d, "padding")
        size = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[2:], strides, pads, kernel))
        if output_size is not None:
            wanted = tuple(int(n) for n in output_size)[-d:]
            if any(not n - s < m < n + s for n, m, s in zip(size, wanted, strides)):
                raise wrong_shape(name, f"an output_size within one stride of {size}, got {wanted}")
            size = wanted
        if at.size and (at.min() < 0 or at.max() >= geometry.volume(size)):
            wrong = int(at.min() if at.min() < 0 else at.max())
            raise wrong_shape(name, f"indices below {geometry.volume(size)} (output {size}) from 0 on, got {wrong}")
        return _unbatched(ops.max_unpool(x, indices=at, shape=(*x.shape[:2], *size)), input)

    return _named(
        function,
        name,
        """The partial inverse of max pooling: each value goes to where its maximum was, zeros elsewhere.""",
    )


_SHAPES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def _named(function: F, name: str, doc: str) -> F:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _floating(name: str, x: Tensor) -> Tensor:
    if x.dtype.kind != "f":
        raise TypeError(f"{name} expected floating-point input, got {x.dtype}: convert it with .float()")
    return x


def _checked(name: str, d: int, input: Tensor) -> Tensor:
    if input.ndim not in (d + 1, d + 2):
        raise wrong_shape(name, f"an input {_SHAPES[d]} or without N, got {tuple(input.shape)}")
    return batched(input, d)


def _unbatched(y: Tensor, input: Tensor) -> Tensor:
    return y if y.ndim == input.ndim else y.squeeze(0)


@lru_cache(4096)
def _pool_params(
    name: str, x: tuple[int, ...], kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> dict[str, Any]:
    """The primitive's params for this shape and these settings, checked."""
    d = len(x) - 2
    kernel = positive(name, "kernel_size", kernel_size, d)
    # An empty stride is PyTorch's other way to say "as the kernel".
    strides = kernel if stride is None or stride == () else positive(name, "stride", stride, d)
    dilations = positive(name, "dilation", dilation, d)
    pads = geometry.per_dimension(padding, d, "padding")
    if any(p < 0 for p in pads):
        raise wrong_shape(name, f"padding of zero or more, got {padding}")
    if any(2 * p > k for p, k in zip(pads, kernel)):
        raise wrong_shape(name, f"padding of at most half the kernel, got padding {pads}, kernel {kernel}")
    pairs = tuple((p, p) for p in pads)
    for n, k, s, p, e in zip(x[2:], kernel, strides, pads, dilations):
        if (n + 2 * p - e * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1 < 1:
            raise wrong_shape(
                name, f"an input no smaller than the window, got input {x} with kernel {kernel}, padding {pads}, "
                f"dilation {dilations}: the output would be empty. Use a smaller kernel or fewer pooling layers",
            )  # fmt: skip
    return {
        "kernel": kernel,
        "stride": strides,
        "padding": pairs,
        "dilation": dilations,
        "ceil_mode": ceil_mode,
    }


def _target_size(name: str, spatial: tuple[int, ...], output_size: int | Sequence[int | None]) -> tuple[int, ...]:
    d = len(spatial)
    sizes = (output_size,) * d if isinstance(output_size, int) else tuple(output_size)
    if len(sizes) == 1:
        sizes = sizes * d
    if len(sizes) != d:
        raise wrong_shape(name, f"output_size as one number or {d}, got {output_size}")
    size = tuple(n if m is None else int(m) for n, m in zip(spatial, sizes))
    if any(m < 1 for m in size) or any(n < 1 for n in spatial):
        raise wrong_shape(name, f"sizes of at least 1, got input {spatial} and output_size {output_size}")
    return size


max_pool1d = _max_pool("max_pool1d", 1)
max_pool2d = _max_pool("max_pool2d", 2)
max_pool3d = _max_pool("max_pool3d", 3)
avg_pool1d = _avg_pool("avg_pool1d", 1)
avg_pool2d = _avg_pool("avg_pool2d", 2)
avg_pool3d = _avg_pool("avg_pool3d", 3)
lp_pool1d = _lp_pool("lp_pool1d", 1)
lp_pool2d = _lp_pool("lp_pool2d", 2)
lp_pool3d = _lp_pool("lp_pool3d", 3)
adaptive_avg_pool1d = _adaptive_avg_pool("adaptive_avg_pool1d", 1)
adaptive_avg_pool2d = _adaptive_avg_pool("adaptive_avg_pool2d", 2)
adaptive_avg_pool3d = _adaptive_avg_pool("adaptive_avg_pool3d", 3)
adaptive_max_pool1d = _adaptive_max_pool("adaptive_max_pool1d", 1)
adaptive_max_pool2d = _adaptive_max_pool("adaptive_max_pool2d", 2)
adaptive_max_pool3d = _adaptive_max_pool("adaptive_max_pool3d", 3)
max_unpool1d = _max_unpool("max_unpool1d", 1)
max_unpool2d = _max_unpool("max_unpool2d", 2)
max_unpool3d = _max_unpool("max_unpool3d", 3)


def max_pool1d_with_indices(*args: Any, **kwargs: Any) -> Tensor:
    """`max_pool1d` with ``return_indices=True``."""
    return max_pool1d(*args, **{**kwargs, "return_indices": True})


def max_pool2d_with_indices(*args: Any, **kwargs: Any) -> Tensor:
    """`max_pool2d` with ``return_indices=True``."""
    return max_pool2d(*args, **{**kwargs, "return_indices": True})


def max_pool3d_with_indices(*args: Any, **kwargs: Any) -> Tensor:
    """`max_pool3d` with ``return_indices=True``."""
    return max_pool3d(*args, **{**kwargs, "return_indices": True})
