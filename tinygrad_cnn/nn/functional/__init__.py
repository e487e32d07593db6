"""Layers as functions, under PyTorch's names and with its argument order.

Activations come from `ops.activation`; everything else from the rooms beside this file. A name that PyTorch
has and this package has not raises AttributeError that says so.
"""

from typing import Any

from tinygrad_cnn.nn.functional.attention import scaled_dot_product_attention
from tinygrad_cnn.nn.functional.classification import (
    cross_entropy,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    pairwise_loss,
)
from tinygrad_cnn.nn.functional.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    convolve1d,
    convolve2d,
    convolve3d,
    fold,
    unfold,
)  # fmt: skip
from tinygrad_cnn.nn.functional.dense import (
    alpha_dropout,
    bilinear,
    cosine_similarity,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    embedding,
    embedding_bag,
    feature_alpha_dropout,
    feature_dropout,
    linear,
    pdist,
)  # fmt: skip
from tinygrad_cnn.nn.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    margin_ranking_loss,
    mse_loss,
    pairwise_distance,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)  # fmt: skip
from tinygrad_cnn.nn.functional.norm import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    normalize,
    rms_norm,
)  # fmt: skip
from tinygrad_cnn.nn.functional.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)  # fmt: skip
from tinygrad_cnn.nn.functional.sampling import affine_grid, grid_sample, gumbel_softmax
from tinygrad_cnn.nn.functional.sequence import ctc_loss
from tinygrad_cnn.nn.functional.vision import (
    channel_shuffle,
    interpolate,
    native_channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)  # fmt: skip
from tinygrad_cnn.ops.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    rrelu,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)  # fmt: skip
from tinygrad_cnn.ops.elementwise import tanh
from tinygrad_cnn.ops.index import one_hot
from tinygrad_cnn.ops.padding import pad
from tinygrad_cnn.tensors.tensor import Tensor

nll_loss2d = nll_loss
swish = silu


def _in_place(name: str, function: Any) -> Any:
    def changed(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, **kwargs, inplace=True)

    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = f"`{function.__name__}` in place."
    return changed


relu_ = _in_place("relu_", relu)
elu_ = _in_place("elu_", elu)
selu_ = _in_place("selu_", selu)
celu_ = _in_place("celu_", celu)
leaky_relu_ = _in_place("leaky_relu_", leaky_relu)
rrelu_ = _in_place("rrelu_", rrelu)
hardtanh_ = _in_place("hardtanh_", hardtanh)
threshold_ = _in_place("threshold_", threshold)

__all__ = [name for name in dir() if not name.startswith("_") and name not in ("Any",)]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(
        f"tinygrad_cnn.nn.functional has no {name!r}: tinygrad_cnn does not offer this function of torch.nn.functional "
        "(or the name is misspelt)"
    )
