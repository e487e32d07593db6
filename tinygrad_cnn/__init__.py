"""tinygrad_cnn: automatic differentiation on NumPy under PyTorch's names, with every local gradient in sight.

    import tinygrad_cnn as tg

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x ** 2).sum().backward()
    x.grad            # tensor([2., 4.])

The functions on tensors are those that `ops` declares public. Heavy rooms (`nn`, `optim`, `viz`, `debug`, …) are
imported at their first use. `__init__.pyi`, which editors read, is written by `tools/make_stub.py`.
"""

import math as _math
from importlib import import_module as _import_module
from typing import Any as _Any

from tinygrad_cnn import autograd, cuda
from tinygrad_cnn.autograd.anomaly import register_detector as _register_detector
from tinygrad_cnn.autograd.fast.deferred import is_fusion_enabled, set_fusion
from tinygrad_cnn.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_default_dtype,
    set_grad_enabled,
)
from tinygrad_cnn.ops import layout as _layout
from tinygrad_cnn.ops.batched import vmap
from tinygrad_cnn.ops.declare import PUBLIC as _PUBLIC
from tinygrad_cnn.ops.device import (
    bfloat16,
    bool,
    can_cast,
    device,
    double,
    dtype,
    finfo,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    iinfo,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    result_type,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)
from tinygrad_cnn.ops.out import with_out as _with_out
from tinygrad_cnn.ops.random import Generator, default_generator, fork_rng
from tinygrad_cnn.support.drawing import register_curves as _register_curves
from tinygrad_cnn.support.size import Size
from tinygrad_cnn.support.switches import (
    are_deterministic_algorithms_enabled,
    compile,
    get_float32_matmul_precision,
    set_float32_matmul_precision,
    use_deterministic_algorithms,
)
from tinygrad_cnn.support.version import __version__
from tinygrad_cnn.tensors.printing import set_printoptions
from tinygrad_cnn.tensors.tensor import Tensor
from tinygrad_cnn.tensors.tensor import register_debugger as _register_debugger
from tinygrad_cnn.tensors.typed import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    set_default_tensor_type,
    typename,
)

inf, nan, pi, e = _math.inf, _math.nan, _math.pi, _math.e
newaxis = None
strided, contiguous_format, preserve_format = _layout.strided, _layout.contiguous_format, _layout.preserve_format
channels_last, channels_last_3d = _layout.channels_last, _layout.channels_last_3d

for _name, _entry in _PUBLIC.items():
    if _entry.top_level:
        globals()[_name] = _with_out(_entry.function) if _entry.out else _entry.function

# The debugger stands above the engine, drawing above training; here they meet. Each is imported when first asked for.
_register_debugger(lambda *args, **options: _import_module("tinygrad_cnn.debug").open_session(*args, **options))
_register_curves(lambda *args, **options: _import_module("tinygrad_cnn.viz").curves(*args, **options))
_register_detector(lambda **options: _import_module("tinygrad_cnn.debug").anomaly(**options))

#: Rooms that are imported when first asked for.
_ROOMS = {
    "amp", "analysis", "attacks", "backends", "datasets", "debug", "distributed", "distributions", "errors", "extras",
    "func", "hub", "io", "jit", "kernels", "linalg", "models", "nn", "optim", "random", "special", "training", "types",
    "utils", "viz",
}  # fmt: skip
#: Names that live in a room, which is imported with the first of them.
_IN_ROOMS = {
    "amp": "autocast GradScaler",
    "io": "load save",
    "kernels": "get_float32_conv_precision get_num_threads set_float32_conv_precision set_num_threads",
    "nn.functional.native": "batch_norm dropout embedding group_norm instance_norm layer_norm",
    "nn.functional": "adaptive_avg_pool1d alpha_dropout avg_pool1d bilinear "
    "binary_cross_entropy_with_logits celu_ channel_shuffle conv1d conv2d conv3d conv_transpose1d "
    "conv_transpose2d conv_transpose3d cosine_embedding_loss cosine_similarity "
    "feature_alpha_dropout feature_dropout hinge_embedding_loss kl_div "
    "margin_ranking_loss max_pool1d max_pool2d max_pool3d native_channel_shuffle pdist "
    "pairwise_distance pixel_shuffle pixel_unshuffle poisson_nll_loss rms_norm rrelu_ selu_ "
    "threshold_ triplet_margin_loss",
}
_ROOM_OF = {_name: _room for _room, _names in _IN_ROOMS.items() for _name in _names.split()}


def __getattr__(name: str) -> _Any:
    if name in _ROOMS:
        return _import_module(f"{__name__}.{name}")
    if name in _ROOM_OF:
        return getattr(_import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    if name.endswith("_") and not name.startswith("_") and hasattr(Tensor, name):
        return getattr(Tensor, name)  # tg.relu_(x) is x.relu_()
    raise AttributeError(f"tinygrad_cnn has no {name!r}; if PyTorch has it, it is not implemented here (yet)")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, *_ROOM_OF})


def is_floating_point(input: _Any) -> _Any:
    """Whether the tensor's dtype is a floating one."""
    return input.is_floating_point()


def numel(input: _Any) -> _Any:
    """The number of entries."""
    return input.numel()


def is_nonzero(input: _Any) -> _Any:
    """Whether a tensor of one entry is non-zero."""
    return input.item() != 0


def detach(input: _Any) -> _Any:
    """The same memory outside the graph."""
    return input.detach()
