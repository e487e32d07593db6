"""Attention of queries to keys, as one function."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.nn.functional.dense import dropout
from tinygrad_cnn.ops.activation import softmax
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.tensors.tensor import Tensor


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(q·kᵀ·scale + mask)·v for q (…, L, E), k (…, S, E), v (…, S, V) (Vaswani et al. 2017).

    `scale` defaults to 1/√E. A boolean mask says what may be attended to; `is_causal` allows no later key.
    """
    if enable_gqa:
        raise NotImplementedError(
            "scaled_dot_product_attention(enable_gqa=True) is not there: repeat the key heads"
        )
    scores = matmul(query, key.transpose(-2, -1)) * (
        1 / math.sqrt(query.shape[-1]) if scale is None else scale
    )
    if is_causal:
        if attn_mask is not None:
            raise ValueError("scaled_dot_product_attention expected attn_mask or is_causal, got both")
        attn_mask = wrap(np.tri(scores.shape[-2], scores.shape[-1], dtype=bool))
    if attn_mask is not None:
        mask = unwrap(attn_mask)
        scores = scores + (
            np.where(mask, 0, -np.inf).astype(scores.dtype) if mask.dtype == bool else attn_mask
        )
    return matmul(dropout(softmax(scores, -1), dropout_p), value)
