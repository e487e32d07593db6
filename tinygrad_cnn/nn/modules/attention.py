"""Attention: every position looks at every other (Vaswani et al. 2017). Stacks of it are in `transformer`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.annotations import DType
from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.modules.linear import Linear
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.ops.shape import cat
from tinygrad_cnn.tensors.tensor import Tensor

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear`; PyTorch prints the attention's output layer under this name."""


class MultiheadAttention(Module):
    """softmax(Q·Kᵀ/√d)·V in `num_heads` heads of embed_dim/num_heads each, and one dense layer behind them.

    Inputs are (L, N, E), with `batch_first` (N, L, E), or (L, E) without a batch. Returns (output, weights), the
    weights averaged over heads; None with ``need_weights=False``. A boolean mask says what is *not* looked at,
    a float mask is added to the scores. Raises ValueError for sizes that do not fit.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Device | None = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise wrong_shape(
                "MultiheadAttention", f"embed_dim divisible by num_heads, got {embed_dim} and {num_heads}"
            )
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.head_dim, self.add_zero_attn = embed_dim // num_heads, add_zero_attn
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        separate = {"q": embed_dim, "k": self.kdim, "v": self.vdim}
        if self._qkv_same_embed_dim:
            self.in_proj_weight = Parameter(init.blank((3 * embed_dim, embed_dim), dtype, device))
            for name in separate:
                self.register_parameter(f"{name}_proj_weight", None)
        else:
            for name, size in separate.items():
                setattr(self, f"{name}_proj_weight", Parameter(init.blank((embed_dim, size), dtype, device)))
            self.register_parameter("in_proj_weight", None)
        self.register_parameter(
            "in_proj_bias", Parameter(init.blank((3 * embed_dim,), dtype, device)) if bias else None
        )
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(
                name, Parameter(init.blank((1, 1, embed_dim), dtype, device)) if add_bias_kv else None
            )
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        single = query.ndim == 2
        if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
            raise wrong_shape(
                "MultiheadAttention",
                f"query, key and value all 2-d or all 3-d, got {query.ndim}-d, {key.ndim}-d and {value.ndim}-d",
            )
        if is_causal and attn_mask is None:
            raise wrong_shape("MultiheadAttention", "an attn_mask with is_causal=True, as PyTorch does; got none")
        if single:
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        wanted = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}
        for (name, size), tensor in zip(wanted.items(), (query, key, value)):
            if tensor.shape[-1] != size:
                raise wrong_shape("MultiheadAttention", f"{name} with {size} features, got {tensor.shape[-1]}")
        output, weights = self._attend(query, key, value, key_padding_mask, attn_mask)
        if single:
            output, weights = output.squeeze(0), weights.squeeze(0)
        elif not self.batch_first:
            output = output.transpose(0, 1)
        if not need_weights:
            return output, None
        return output, weights.mean(-3) if average_attn_weights else weights

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Any]:
        e = self.embed_dim
        bias = self.in_proj_bias
        made = []
        for k, (name, x) in enumerate((("q", query), ("k", key), ("v", value))):
            part = slice(k * e, (k + 1) * e)
            weight = self.in_proj_weight[part] if self._qkv_same_embed_dim else getattr(self, f"{name}_proj_weight")
            made.append(F.linear(x, weight, None if bias is None else bias[part]))
        return made

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None
    ) -> tuple[Any, Any]:
        n, length = query.shape[:2]
        q, k, v = self._projected(query, key, value)
        added = 0
        if self.bias_k is not None:
            k = cat([k, self.bias_k.expand(n, 1, self.embed_dim)], 1)
            v = cat([v, self.bias_v.expand(n, 1, self.embed_dim)], 1)
            added += 1
        if self.add_zero_attn:
            nothing = wrap(np.zeros((n, 1, self.embed_dim), k.dtype))
            k, v = cat([k, nothing], 1), cat([v, nothing], 1)
            added += 1
        q, k, v = (x.reshape((n, x.shape[1], self.num_heads, self.head_dim)).transpose(1, 2) for x in (q, k, v))
        scores = (q / math.sqrt(self.head_dim)) @ k.transpose(-2, -1)
        if mask is not None:
            m = _additive(mask, added, scores.dtype)
            scores = scores + (m.reshape((n, self.num_heads, *m.shape[1:])) if m.ndim == 3 else m)
        if padding is not None:
            scores = scores + _additive(padding, added, scores.dtype)[:, None, None, :]
        weights = F.dropout(F.softmax(scores, -1), self.dropout, self.training)
        output = (weights @ v).transpose(1, 2).reshape((n, length, self.embed_dim))
        return self.out_proj(output), weights


def _additive(mask: Tensor, added: int, dtype: DType) -> Any:
    array = unwrap(mask)
    if array.dtype == bool:
        mask = wrap(np.where(array, -np.inf, 0.0).astype(dtype))
    return F.pad(mask, (0, added)) if added else mask
