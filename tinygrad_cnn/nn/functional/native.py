"""`tg.batch_norm` and others whose arguments stand in another order than in `nn.functional`, as PyTorch has it.

`torch.batch_norm` is what `torch.nn.functional.batch_norm` calls, and takes weight and bias first. Code that calls it
directly must not find its arguments exchanged without a word.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn import functional as F


def batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float,
    eps: float, cudnn_enabled: bool = False,
) -> Any:  # fmt: skip
    """`nn.functional.batch_norm`, weight and bias first; `cudnn_enabled` changes nothing."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool, momentum: float,
    eps: float, cudnn_enabled: bool = False,
) -> Any:  # fmt: skip
    """`nn.functional.instance_norm`, weight and bias first; `cudnn_enabled` changes nothing."""
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Any:
    """`nn.functional.group_norm`; `cudnn_enabled` changes nothing."""
    return F.group_norm(input, num_groups, weight, bias, eps)


def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.layer_norm`; `cudnn_enable` changes nothing."""
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """`nn.functional.embedding`, the weight first; `padding_idx` -1 means none."""
    return F.embedding(
        indices, weight, None if padding_idx == -1 else padding_idx, scale_grad_by_freq=scale_grad_by_freq
    )


def dropout(input: Any, p: float, train: bool) -> Any:
    """`nn.functional.dropout`, all arguments given."""
    return F.dropout(input, p, train)
