"""`tg.batch_norm` and others whose arguments stand in another order than in `nn.functional`, as PyTorch has it.

`torch.batch_norm` is what `torch.nn.functional.batch_norm` calls, and takes weight and bias first. Code that calls it
directly must not find its arguments exchanged without a word.
"""

from __future__ import annotations

from tinygrad_cnn.autograd.annotations import Sizes
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.tensors.tensor import Tensor


def batch_norm(
    input: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, training: bool,
    momentum: float, eps: float, cudnn_enabled: bool = False,
) -> Tensor:  # fmt: skip
    """`nn.functional.batch_norm`, weight and bias first; `cudnn_enabled` changes nothing."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, use_input_stats: bool,
    momentum: float, eps: float, cudnn_enabled: bool = False,
) -> Tensor:  # fmt: skip
    """`nn.functional.instance_norm`, weight and bias first; `cudnn_enabled` changes nothing."""
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05,
    cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """`nn.functional.group_norm`; `cudnn_enabled` changes nothing."""
    return F.group_norm(input, num_groups, weight, bias, eps)


def layer_norm(
    input: Tensor, normalized_shape: Sizes, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """`nn.functional.layer_norm`; `cudnn_enable` changes nothing."""
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """`nn.functional.embedding`, the weight first; `padding_idx` -1 means none."""
    return F.embedding(
        indices, weight, None if padding_idx == -1 else padding_idx, scale_grad_by_freq=scale_grad_by_freq
    )


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.dropout`, all arguments given."""
    return F.dropout(input, p, train)
