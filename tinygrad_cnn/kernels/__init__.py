"""Hot loops on plain arrays: the one door to the kernels, and the choice between their two forms.

`reference/` says in NumPy what each kernel computes; `compiled/` does the same in Numba and is held equal to
it by tests. The choice is made once, at the first use of a kernel: compiled where Numba is installed, unless
the environment variable TINYGRAD_CNN_KERNELS says `reference` (or `compiled`, which raises ImportError
without Numba). `backend()` tells.

Shapes: x (N, C, *spatial) with 1 to 3 spatial dimensions, w (O, C/groups, *k). `stride`, `dilation` and
`kernel` are tuples of ints, `padding` a tuple of (low, high) pairs of zeros unless said otherwise. Any
strides and read-only arrays are welcome; float16 is accumulated in float32. Results may be channels-last in
memory. Nothing here knows a Tensor.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import geometry, memory
from .geometry import Ints, Pairs
from .precision import get_float32_conv_precision, set_float32_conv_precision
from .threads import blas_info, get_num_threads, set_num_threads

Array = np.ndarray[Any, Any]
Arrays = Sequence[Array]

__all__ = [
    "adagrad",
    "adam",
    "avg_pool",
    "avg_pool_input",
    "backend",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_norm_relu",
    "batch_statistics",
    "bias_add",
    "bias_relu",
    "bias_relu_max_pool2x2",
    "blas_info",
    "channel_sums",
    "channels_last",
    "correlate",
    "correlate_input",
    "correlate_weight",
    "cross_entropy",
    "cross_entropy_input",
    "fold",
    "geometry",
    "get_float32_conv_precision",
    "get_num_threads",
    "log_softmax",
    "matmul",
    "max_pool",
    "relu",
    "relu_input",
    "rmsprop",
    "scatter_windows",
    "set_float32_conv_precision",
    "set_num_threads",
    "sgd",
    "softmax",
    "take_windows",
    "unfold",
]


def backend() -> tuple[str, str]:
    """(`"compiled"` or `"reference"`, why). Makes the choice if no kernel has run yet."""
    chosen = _chosen or _choose()
    return chosen.name, chosen.why


# Convolution ------------------------------------------------------------------------------------------------


def correlate(x: Array, w: Array, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """Cross-correlation y (N, O, *out), the deep-learning "convolution":
    y[n,o,i,j] = sum over c,u,v of x[n, c, i*S + u*D - P, j*S + v*D - P] * w[o,c,u,v]. Raises ValueError for
    shapes that do not fit together."""
    return (_chosen or _choose()).correlate(
        x, w, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def correlate_input(
    g: Array, w: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """The transpose of `correlate` with respect to x: g (N, O, *out) -> dx of `shape`. Also transposed
    convolution."""
    return (_chosen or _choose()).correlate_input(
        g, w, shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def correlate_weight(
    g: Array, x: Array, *, shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """The transpose of `correlate` with respect to w: g (N, O, *out) -> dw of `shape`."""
    return (_chosen or _choose()).correlate_weight(
        g, x, shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def unfold(x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Array:
    """All windows of x as columns (N, C*prod(kernel), windows), as `torch.nn.functional.unfold`."""
    return (_chosen or _choose()).unfold(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def fold(cols: Array, *, shape: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Array:
    """The transpose of `unfold`: columns are added up where they came from. Returns `shape` (N, C,
    *spatial)."""
    return (_chosen or _choose()).fold(
        cols, shape=shape, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )


def matmul(a: Array, b: Array) -> Array:
    """a @ b; two float32 matrices (m, k) and (k, n) of any strides run in the kernels' own threads."""
    return (_chosen or _choose()).matmul(a, b)


# Pooling ----------------------------------------------------------------------------------------------------


def max_pool(
    x: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, ceil_mode: bool
) -> tuple[Array, Array]:
    """(y, indices), both (N, C, *out); indices (int32) are flat positions in the input's spatial plane.

    As in PyTorch the first maximum wins, NaN beats everything, padding is never chosen.
    """
    return (_chosen or _choose()).max_pool(
        x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )


def take_windows(x: Array, indices: Array) -> Array:
    """Gathers x[n, c].ravel()[indices[n, c]]: max-pooling once its choice is recorded."""
    return (_chosen or _choose()).take_windows(x, indices)


def scatter_windows(g: Array, indices: Array, *, shape: Ints) -> Array:
    """The transpose of `take_windows`: g is added to a zero array of `shape` at `indices`; overlaps add
    up."""
    return (_chosen or _choose()).scatter_windows(g, indices, shape=shape)


def avg_pool(
    x: Array,
    *,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """Average of each window. `padding` here is one int per dimension, on both sides, as in PyTorch."""
    return (_chosen or _choose()).avg_pool(
        x,
        kernel=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


def avg_pool_input(
    g: Array,
    *,
    shape: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """The transpose of `avg_pool`: g (N, C, *out) -> dx of `shape`."""
    return (_chosen or _choose()).avg_pool_input(
        g,
        shape=shape,
        kernel=kernel,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


# Normalisation and loss -------------------------------------------------------------------------------------


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """(mean, var), each (C,), over all axes but 1; the variance is the biased one (divided by the count)."""
    return (_chosen or _choose()).batch_statistics(x)


def batch_norm(x: Array, eps: float) -> tuple[Array, Array, Array]:
    """(xhat like x, mean (C,), invstd (C,)) with invstd = 1 / sqrt(biased variance + eps)."""
    return (_chosen or _choose()).batch_norm(x, eps)


def batch_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array
) -> Array:
    """weight * (x - mean) * invstd + bias per channel, in one pass."""
    return (_chosen or _choose()).batch_norm_forward(x, weight, bias, mean, invstd)


def batch_norm_relu(x: Array, weight: Array | None, bias: Array | None, mean: Array, invstd: Array) -> Array:
    """relu(batch_norm_forward(...)) in one pass."""
    return (_chosen or _choose()).batch_norm_relu(x, weight, bias, mean, invstd)


def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, invstd: Array
) -> tuple[Array, Array, Array]:
    """(dx, dweight, dbias) of a batch normalisation whose mean and invstd were x's own."""
    return (_chosen or _choose()).batch_norm_backward(g, x, weight, mean, invstd)


def log_softmax(x: Array, axis: int) -> Array:
    """log(softmax(x)) along `axis`, without overflow."""
    return (_chosen or _choose()).log_softmax(x, axis)


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along `axis`, without overflow."""
    return (_chosen or _choose()).softmax(x, axis)


def cross_entropy(logits: Array, target: Array, *, ignore_index: int = -100) -> tuple[Array, Array]:
    """(loss per row (N,), log_softmax (N, classes)) of logits (N, classes) and integer targets (N,).

    A row whose target is `ignore_index` has loss 0. Raises IndexError for a class that does not exist.
    """
    return (_chosen or _choose()).cross_entropy(logits, target, ignore_index=ignore_index)


def cross_entropy_input(g: Array, logp: Array, target: Array, *, ignore_index: int = -100) -> Array:
    """g_i * (softmax_i - onehot(target_i)): the gradient of the logits from g (N,) and the forward's
    log_softmax."""
    return (_chosen or _choose()).cross_entropy_input(g, logp, target, ignore_index=ignore_index)


# Passes over activations ------------------------------------------------------------------------------------


def bias_add(x: Array, bias: Array) -> Array:
    """x (N, C, ...) + bias (C,) along axis 1."""
    return (_chosen or _choose()).bias_add(x, bias)


def channel_sums(g: Array) -> Array:
    """The sum (C,) of g (N, C, ...) over all axes but 1: the gradient of `bias_add`'s bias."""
    return (_chosen or _choose()).channel_sums(g)


def channels_last(x: Array) -> Array:
    """x (N, C, H, W), in the memory order that the convolutions want: a copy where that saves them making their own."""
    return (_chosen or _choose()).channels_last(x)


def relu(x: Array) -> Array:
    """max(x, 0); NaN stays NaN."""
    return (_chosen or _choose()).relu(x)


def relu_input(g: Array, y: Array) -> Array:
    """0 where y <= 0, else g (at nan, too, as in PyTorch); y may be ReLU's input or its output."""
    return (_chosen or _choose()).relu_input(g, y)


def bias_relu(x: Array, bias: Array) -> Array:
    """relu(bias_add(x, bias)) in one pass."""
    return (_chosen or _choose()).bias_relu(x, bias)


def bias_relu_max_pool2x2(x: Array, bias: Array) -> tuple[Array, Array]:
    """(y, indices) of max_pool(relu(x + bias)) with 2x2 windows at stride 2, in one pass over x (N, C, H, W).

    y and indices are all that the backward pass of pooling and ReLU needs: at the chosen positions ReLU gave y.
    """
    return (_chosen or _choose()).bias_relu_max_pool2x2(x, bias)


# Optimisers -------------------------------------------------------------------------------------------------


def sgd(
    params: Arrays,
    grads: Arrays,
    buffers: Arrays,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """torch.optim.SGD's step on parallel lists, in place. `buffers` may be empty without momentum; `first`
    starts them."""
    (_chosen or _choose()).sgd(
        params,
        grads,
        buffers,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
        maximize=maximize,
        first=first,
    )


def adam(
    params: Arrays,
    grads: Arrays,
    m: Arrays,
    v: Arrays,
    *,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    amsgrad_state: Arrays | None = None,
    maximize: bool = False,
) -> None:
    """torch.optim.Adam's step (AdamW's where `decoupled`), in place; `step` counts from 1."""
    (_chosen or _choose()).adam(
        params,
        grads,
        m,
        v,
        step=step,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        weight_decay=weight_decay,
        decoupled=decoupled,
        amsgrad_state=amsgrad_state,
        maximize=maximize,
    )


def rmsprop(
    params: Arrays,
    grads: Arrays,
    square_avg: Arrays,
    *,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    buffers: Arrays | None = None,
    grad_avg: Arrays | None = None,
    maximize: bool = False,
) -> None:
    """torch.optim.RMSprop's step, in place; centred where `grad_avg` is given, `buffers` only with
    momentum."""
    (_chosen or _choose()).rmsprop(
        params,
        grads,
        square_avg,
        lr=lr,
        alpha=alpha,
        eps=eps,
        weight_decay=weight_decay,
        momentum=momentum,
        buffers=buffers,
        grad_avg=grad_avg,
        maximize=maximize,
    )


def adagrad(
    params: Arrays,
    grads: Arrays,
    sums: Arrays,
    *,
    step: int,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """torch.optim.Adagrad's step, in place; `step` counts from 1."""
    (_chosen or _choose()).adagrad(
        params,
        grads,
        sums,
        step=step,
        lr=lr,
        lr_decay=lr_decay,
        eps=eps,
        weight_decay=weight_decay,
        maximize=maximize,
    )


# The choice -------------------------------------------------------------------------------------------------

_ROOMS = ("conv", "elementwise", "linalg", "loss", "normalise", "optim", "pool")
_KERNELS = set(__all__) - {
    "backend", "blas_info", "geometry", "get_float32_conv_precision", "get_num_threads", "set_float32_conv_precision",
    "set_num_threads",
}  # fmt: skip
_chosen: SimpleNamespace | None = None
_choosing = threading.Lock()


def _choose() -> SimpleNamespace:
    global _chosen
    with _choosing:
        if _chosen is None:
            memory.keep_pages()
            _chosen = _load(
                *_decide(os.environ.get("TINYGRAD_CNN_KERNELS", "auto").strip().lower() or "auto")
            )
        return _chosen


def _decide(wish: str) -> tuple[str, str]:
    if wish not in ("auto", "reference", "compiled"):
        raise ValueError(f"TINYGRAD_CNN_KERNELS expected auto, reference or compiled, got {wish!r}")
    if wish == "reference":
        return "reference", "TINYGRAD_CNN_KERNELS=reference"
    installed = find_spec("numba") is not None
    if wish == "compiled":
        if not installed:
            raise ImportError('TINYGRAD_CNN_KERNELS=compiled needs Numba: pip install "tinygrad-cnn[fast]"')
        return "compiled", "TINYGRAD_CNN_KERNELS=compiled"
    if installed:
        return "compiled", "Numba is installed"
    return "reference", 'Numba is not installed (pip install "tinygrad-cnn[fast]" for the compiled kernels)'


def _load(name: str, why: str) -> SimpleNamespace:
    """All kernels of one form; a kernel that has no compiled form keeps its reference."""
    chosen = SimpleNamespace(name=name, why=why)
    for form in ("reference", "compiled")[: 1 + (name == "compiled")]:
        for room in _ROOMS:
            module = import_module(f".{form}.{room}", __name__)
            for kernel in _KERNELS & set(vars(module)):
                setattr(chosen, kernel, getattr(module, kernel))
    return chosen
