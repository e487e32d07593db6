"""Helpers around parameters: clipping gradients, all parameters as one vector, weights computed from others."""

from importlib import import_module
from typing import Any

from tinygrad_cnn.nn.utils import rnn
from tinygrad_cnn.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)  # fmt: skip
from tinygrad_cnn.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from tinygrad_cnn.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights
from tinygrad_cnn.nn.utils.spectral_norm import remove_spectral_norm, spectral_norm
from tinygrad_cnn.nn.utils.weight_norm import remove_weight_norm, weight_norm

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "fuse_conv_bn_eval",
    "fuse_conv_bn_weights", "get_total_norm", "parameters_to_vector", "parametrizations", "parametrize",
    "remove_spectral_norm", "remove_weight_norm", "rnn", "spectral_norm", "vector_to_parameters", "weight_norm",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("parametrize", "parametrizations"):
        # They are made of modules, which need this package first.
        return import_module(f"{__name__}.{name}")
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(
        f"tinygrad_cnn.nn.utils has no {name!r}: tinygrad_cnn does not offer this part of torch.nn.utils"
    )
