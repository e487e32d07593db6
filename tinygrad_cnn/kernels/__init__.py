"""Hot loops on plain arrays: a table of the kernels, and the choice between their two forms.

`reference/` says in NumPy what each kernel computes and takes; `compiled/` does the same in Numba and is held
equal to it by tests. The choice is made once, at the first use of a kernel: compiled where Numba is installed,
unless the environment variable TINYGRAD_CNN_KERNELS says `reference` (or `compiled`, which raises ImportError
without Numba). `backend()` tells.

Shapes: x (N, C, *spatial) with 1 to 3 spatial dimensions, w (O, C/groups, *k). `stride`, `dilation` and
`kernel` are tuples of ints, `padding` a tuple of (low, high) pairs of zeros unless said otherwise. Any
strides and read-only arrays are welcome; float16 is accumulated in float32. Results may be channels-last in
memory. Nothing here knows a Tensor.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from . import geometry, memory
from .precision import get_float32_conv_precision, set_float32_conv_precision
from .reference import conv, elementwise, linalg, loss, normalise, optim, pool
from .threads import blas_info, get_num_threads, set_num_threads

F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "adagrad", "adam", "avg_pool", "avg_pool_input", "backend", "batch_norm", "batch_norm_backward",
    "batch_norm_forward", "batch_norm_relu", "batch_statistics", "bias_add", "bias_relu",
    "bias_relu_max_pool2x2", "blas_info", "channel_sums", "channels_last", "correlate", "correlate_input",
    "correlate_weight", "cross_entropy", "cross_entropy_input", "fold", "geometry",
    "get_float32_conv_precision", "get_num_threads", "log_softmax", "matmul", "max_pool", "on_compile",
    "relu", "relu_input", "rmsprop", "scatter_windows", "set_float32_conv_precision", "set_num_threads", "sgd",
    "softmax", "take_windows", "unfold",
]  # fmt: skip


def backend() -> tuple[str, str]:
    """(`"compiled"` or `"reference"`, why). Makes the choice if no kernel has run yet."""
    chosen = _chosen or _choose()
    return chosen.name, chosen.why


def on_compile(tell: Callable[[], Any]) -> AbstractContextManager[None]:
    """A context in which `tell()` is called once, if and when kernels are compiled."""
    if backend()[0] == "reference":
        return nullcontext()
    return cast(AbstractContextManager[None], import_module(".compiled.jit", __name__).on_compile(tell))


def _kernel(reference: F) -> F:
    """A kernel by the name, arguments and description of its reference, in the form that was chosen."""
    name = reference.__name__

    @functools.wraps(reference)
    def kernel(*args: Any, **options: Any) -> Any:
        return getattr(_chosen or _choose(), name)(*args, **options)

    return cast(F, kernel)

# Convolution
correlate = _kernel(conv.correlate)
correlate_input = _kernel(conv.correlate_input)
correlate_weight = _kernel(conv.correlate_weight)
unfold = _kernel(conv.unfold)
fold = _kernel(conv.fold)
matmul = _kernel(linalg.matmul)

# Pooling
max_pool = _kernel(pool.max_pool)
take_windows = _kernel(pool.take_windows)
scatter_windows = _kernel(pool.scatter_windows)
avg_pool = _kernel(pool.avg_pool)
avg_pool_input = _kernel(pool.avg_pool_input)

# Normalisation and loss
batch_statistics = _kernel(normalise.batch_statistics)
batch_norm = _kernel(normalise.batch_norm)
batch_norm_forward = _kernel(normalise.batch_norm_forward)
batch_norm_relu = _kernel(normalise.batch_norm_relu)
batch_norm_backward = _kernel(normalise.batch_norm_backward)
log_softmax = _kernel(loss.log_softmax)
softmax = _kernel(loss.softmax)
cross_entropy = _kernel(loss.cross_entropy)
cross_entropy_input = _kernel(loss.cross_entropy_input)

# Passes over activations
bias_add = _kernel(elementwise.bias_add)
channel_sums = _kernel(elementwise.channel_sums)
channels_last = _kernel(elementwise.channels_last)
relu = _kernel(elementwise.relu)
relu_input = _kernel(elementwise.relu_input)
bias_relu = _kernel(elementwise.bias_relu)
bias_relu_max_pool2x2 = _kernel(elementwise.bias_relu_max_pool2x2)

# Optimisers
sgd = _kernel(optim.sgd)
adam = _kernel(optim.adam)
rmsprop = _kernel(optim.rmsprop)
adagrad = _kernel(optim.adagrad)

# The choice -------------------------------------------------------------------------------------------------

_ROOMS = ("conv", "elementwise", "linalg", "loss", "normalise", "optim", "pool")
_KERNELS = set(__all__) - {
    "backend", "blas_info", "geometry", "get_float32_conv_precision", "get_num_threads", "on_compile",
    "set_float32_conv_precision", "set_num_threads",
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
