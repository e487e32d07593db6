"""Helpers around parameters: clipping gradients, and all parameters as one vector."""

from typing import Any

from tinygrad_cnn.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)  # fmt: skip
from tinygrad_cnn.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from tinygrad_cnn.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "fuse_conv_bn_eval",
    "fuse_conv_bn_weights", "get_total_norm", "parameters_to_vector", "vector_to_parameters",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(
        f"tinygrad_cnn.nn.utils has no {name!r}: tinygrad_cnn does not offer this part of torch.nn.utils"
    )
