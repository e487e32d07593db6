"""tinygrad_cnn: automatic differentiation on NumPy under PyTorch's names, with every local gradient in sight.

    import tinygrad_cnn as tg

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x ** 2).sum().backward()
    x.grad            # tensor([2., 4.])

This is the curated list of public names. Heavy rooms (`nn`, `optim`, `viz`, `debug`, …) are imported at
their first use.
"""

import math as _math
from importlib import import_module as _import_module
from typing import Any as _Any

from tinygrad_cnn import autograd, cuda
from tinygrad_cnn.tensors import tensor as _tensor_module
from tinygrad_cnn.autograd.batched import vmap
from tinygrad_cnn.autograd.deferred import is_fusion_enabled, set_fusion
from tinygrad_cnn.autograd.modes import (
    enable_grad,
    get_default_dtype,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_default_dtype,
    set_grad_enabled,
)
from tinygrad_cnn.ops.creation import (
    arange,
    as_tensor,
    asarray,
    cartesian_prod,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    frombuffer,
    full,
    full_like,
    is_tensor,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from tinygrad_cnn.ops.device import (
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
)
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
from tinygrad_cnn.ops.activation import (
    celu,
    hardshrink,
    log_softmax,
    prelu,
    relu,
    rrelu,
    selu,
    sigmoid,
    softmax,
    threshold,
)
from tinygrad_cnn.ops.arithmetic import (
    add,
    addcdiv,
    addcmul,
    arctan2,
    atan2,
    div,
    divide,
    floor_divide,
    fmax,
    fmin,
    fmod,
    hypot,
    lerp,
    logaddexp,
    maximum,
    minimum,
    mul,
    multiply,
    neg,
    negative,
    positive,
    pow,
    remainder,
    rsub,
    square,
    sub,
    subtract,
    true_divide,
)
from tinygrad_cnn.ops.compare import (
    allclose,
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    eq,
    equal,
    ge,
    greater,
    greater_equal,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    le,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
    not_equal,
    signbit,
)
from tinygrad_cnn.ops.distance import cdist, dist
from tinygrad_cnn.ops.elementwise import (
    abs,
    absolute,
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    asin,
    asinh,
    atan,
    atanh,
    cbrt,
    ceil,
    clamp,
    clamp_max,
    clamp_min,
    clip,
    copysign,
    cos,
    cosh,
    deg2rad,
    exp,
    exp2,
    expm1,
    fix,
    floor,
    frac,
    log,
    log1p,
    log2,
    log10,
    nan_to_num,
    rad2deg,
    reciprocal,
    round,
    rsqrt,
    sgn,
    sign,
    sin,
    sinc,
    sinh,
    sqrt,
    tan,
    tanh,
    trunc,
    where,
)
from tinygrad_cnn.ops.extreme import (
    all,
    amax,
    amin,
    aminmax,
    any,
    argmax,
    argmin,
    count_nonzero,
    max,
    min,
)
from tinygrad_cnn.ops.index import (
    argwhere,
    chunk,
    diag,
    diag_embed,
    diagonal,
    gather,
    index_select,
    masked_select,
    narrow,
    nonzero,
    select,
    split,
    split_with_sizes,
    take,
    take_along_dim,
    tensor_split,
    trace,
    unbind,
    unravel_index,
)
from tinygrad_cnn.ops.linalg import (
    addmm,
    addmv,
    addr,
    baddbmm,
    block_diag,
    bmm,
    chain_matmul,
    cross,
    dot,
    einsum,
    ger,
    inner,
    kron,
    matmul,
    mm,
    mv,
    outer,
    tensordot,
)
from tinygrad_cnn.ops.matrix import det, inverse, logdet, matrix_power, slogdet
from tinygrad_cnn.ops.order import (
    argsort,
    bincount,
    bucketize,
    cummax,
    cummin,
    cumprod,
    cumsum,
    diff,
    histc,
    isin,
    kthvalue,
    median,
    msort,
    quantile,
    searchsorted,
    sort,
    topk,
    unique,
    unique_consecutive,
)
from tinygrad_cnn.ops.out import with_out as _with_out
from tinygrad_cnn.ops.reduce import (
    logsumexp,
    mean,
    nanmean,
    nansum,
    norm,
    prod,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)
from tinygrad_cnn.ops.scatter import (
    index_add,
    index_copy,
    index_fill,
    index_put,
    masked_fill,
    masked_scatter,
    scatter,
    scatter_add,
    scatter_reduce,
    select_scatter,
    slice_scatter,
)
from tinygrad_cnn.ops.shape import (
    adjoint,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    cat,
    clone,
    column_stack,
    concat,
    concatenate,
    dstack,
    flatten,
    flip,
    fliplr,
    flipud,
    hstack,
    meshgrid,
    moveaxis,
    movedim,
    permute,
    ravel,
    repeat_interleave,
    reshape,
    roll,
    rot90,
    row_stack,
    squeeze,
    stack,
    swapaxes,
    swapdims,
    t,
    tile,
    transpose,
    tril,
    triu,
    unflatten,
    unsqueeze,
    vstack,
)
from tinygrad_cnn.ops.special import (
    digamma,
    erf,
    erfc,
    erfinv,
    lgamma,
    logit,
    polygamma,
    xlogy,
)
from tinygrad_cnn.ops.statistics import (
    blackman_window,
    combinations,
    corrcoef,
    cov,
    diagflat,
    float_power,
    gcd,
    hamming_window,
    hann_window,
    heaviside,
    lcm,
    logaddexp2,
    logcumsumexp,
    mode,
    nanmedian,
    renorm,
    trapezoid,
    trapz,
)
from tinygrad_cnn.tensors.printing import set_printoptions
from tinygrad_cnn.ops.random import (
    Generator,
    bernoulli,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from tinygrad_cnn.support.switches import (
    are_deterministic_algorithms_enabled,
    compile,
    get_float32_matmul_precision,
    set_float32_matmul_precision,
    use_deterministic_algorithms,
)
from tinygrad_cnn.support.size import Size as _Size

__version__ = "0.1.0"

Tensor, Size = _tensor_module.Tensor, _Size
inf, nan, pi, e = _math.inf, _math.nan, _math.pi, _math.e
newaxis = None
strided = "strided"
contiguous_format, preserve_format, channels_last = "contiguous_format", "preserve_format", "channels_last"

#: Functions that write into a given tensor when asked to.
_INTO = (
    "abs add baddbmm addmm bmm cat ceil clamp concat cos cumsum div exp floor log log_softmax logsumexp "
    "lt gt eq ge le ne matmul maximum mean minimum mm mul mv neg pow prod reciprocal round rsqrt "
    "sigmoid sign sin softmax sqrt stack std sub sum tanh tril triu true_divide var where"
)
for _name in _INTO.split():
    globals()[_name] = _with_out(globals()[_name])

#: Rooms that are imported when first asked for.
_ROOMS = {
    "amp", "analysis", "backends", "datasets", "debug", "distributed", "distributions", "extras", "func", "hub", "io",
    "jit", "kernels", "linalg", "models", "nn", "optim", "random", "special", "training", "utils", "viz",
}  # fmt: skip
#: Names that live in a room, which is imported with the first of them.
_IN_ROOMS = {
    "amp": "autocast GradScaler",
    "io": "load save",
    "kernels": "get_float32_conv_precision get_num_threads set_float32_conv_precision set_num_threads",
    "native": "batch_norm dropout embedding group_norm instance_norm layer_norm",
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
