"""Attention layers: the function they are made of, masks, shapes, names; weights sum to 1."""

import numpy as np
import pytest

import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import nn


def test_heads_are_the_functions_attention_side_by_side() -> None:
    tg.manual_seed(0)
    layer, x = nn.MultiheadAttention(6, 2, batch_first=True), tg.randn(3, 4, 6)
    q, k, v = (F.linear(x, w, b) for w, b in zip(layer.in_proj_weight.split(6), layer.in_proj_bias.split(6)))
    heads = [F.scaled_dot_product_attention(q[..., c], k[..., c], v[..., c]) for c in (slice(0, 3), slice(3, 6))]
    wanted = layer.out_proj(tg.cat(heads, -1))
    output, weights = layer(x, x, x)
    np.testing.assert_allclose(output.detach().numpy(), wanted.detach().numpy(), atol=1e-5)
    assert weights.shape == (3, 4, 4)
    np.testing.assert_allclose(weights.sum(-1).detach().numpy(), 1, rtol=1e-5)
    assert layer(x, x, x, average_attn_weights=False)[1].shape == (3, 2, 4, 4)
    assert layer(x, x, x, need_weights=False)[1] is None


def test_batch_first_length_first_and_without_batch_agree() -> None:
    first, x = nn.MultiheadAttention(4, 2, batch_first=True), tg.randn(2, 5, 4)
    later = nn.MultiheadAttention(4, 2)
    later.load_state_dict(first.state_dict())
    wanted = first(x, x, x)[0].detach().numpy()
    y = x.transpose(0, 1)
    np.testing.assert_allclose(later(y, y, y)[0].transpose(0, 1).detach().numpy(), wanted, atol=1e-6)
    np.testing.assert_allclose(later(x[1], x[1], x[1])[0].detach().numpy(), wanted[1], atol=1e-6)


def test_what_is_masked_is_not_seen() -> None:
    layer, x = nn.MultiheadAttention(4, 1, batch_first=True), tg.randn(1, 3, 4)
    later = tg.triu(tg.ones(3, 3), 1).bool()
    weights = layer(x, x, x, attn_mask=later)[1][0]
    assert (weights.detach().numpy()[later.numpy()] == 0).all()
    padded = layer(x, x, x, key_padding_mask=tg.tensor([[False, False, True]]))[0]
    alone = layer(x, x[:, :2], x[:, :2])[0]
    np.testing.assert_allclose(padded.detach().numpy(), alone.detach().numpy(), atol=1e-6)


def test_state_dict_keys_are_pytorchs() -> None:
    assert list(nn.MultiheadAttention(4, 2).state_dict()) == [
        "in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias",
    ]  # fmt: skip
    assert list(nn.MultiheadAttention(4, 2, kdim=3, vdim=5, bias=False, add_bias_kv=True).state_dict()) == [
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "bias_k", "bias_v", "out_proj.weight",
    ]  # fmt: skip


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="embed_dim divisible by num_heads, got 5 and 2"):
        nn.MultiheadAttention(5, 2)
    x = tg.zeros(1, 2, 4)
    with pytest.raises(ValueError, match="key with 4 features, got 3"):
        nn.MultiheadAttention(4, 2)(x, x[..., :3], x)


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_is_its_layers_in_a_row(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, activation="gelu", norm_first=norm_first)
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4))
    assert len({id(p) for p in encoder.parameters()}) == 2 * len(list(layer.parameters())) + 2
    x = tg.randn(3, 2, 4)
    wanted = encoder.norm(encoder.layers[1](encoder.layers[0](x)))
    assert tg.equal(encoder(x), wanted)
    encoder(x).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    assert "(0-1): 2 x TransformerEncoderLayer(" in repr(encoder)
