"""Stacks of attention: the layers they are made of, PyTorch's keys, masks, and both layouts."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn


def test_a_decoder_layer_is_its_parts_in_a_row() -> None:
    tg.manual_seed(0)
    layer, x, memory = nn.TransformerDecoderLayer(6, 2, 8, 0.0, batch_first=True), tg.randn(2, 3, 6), tg.randn(2, 4, 6)
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    y = layer.norm1(x + layer.self_attn(x, x, x, attn_mask=mask)[0])
    y = layer.norm2(y + layer.multihead_attn(y, memory, memory)[0])
    y = layer.norm3(y + layer.linear2(layer.linear1(y).relu()))
    np.testing.assert_allclose(layer(x, memory, tgt_mask=mask).detach().numpy(), y.detach().numpy(), atol=1e-6)
    layer.norm_first = True
    z = layer.norm1(x)
    y = x + layer.self_attn(z, z, z)[0]
    y = y + layer.multihead_attn(layer.norm2(y), memory, memory)[0]
    y = y + layer.linear2(layer.linear1(layer.norm3(y)).relu())
    np.testing.assert_allclose(layer(x, memory).detach().numpy(), y.detach().numpy(), atol=1e-6)


def test_a_transformer_has_pytorchs_keys() -> None:
    net = nn.Transformer(4, 2, 1, 1, 8)
    keys = list(net.state_dict())
    assert len(keys) == 34
    assert keys[0] == "encoder.layers.0.self_attn.in_proj_weight"
    assert "decoder.layers.0.multihead_attn.out_proj.bias" in keys
    assert keys[-2:] == ["decoder.norm.weight", "decoder.norm.bias"]
    assert sum(p.numel() for p in nn.Transformer(8, 2, 2, 2, 16).parameters()) == 3040


def test_later_positions_are_not_seen() -> None:
    net = nn.Transformer(4, 2, 1, 1, 8, dropout=0.0, batch_first=True)
    mask = net.generate_square_subsequent_mask(3)
    assert mask.tolist() == [[0, -np.inf, -np.inf], [0, 0, -np.inf], [0, 0, 0]]
    src, tgt = tg.randn(2, 5, 4), tg.randn(2, 3, 4)
    first = net(src, tgt, tgt_mask=mask).detach().numpy()
    tgt.array[:, 2] = 7
    np.testing.assert_allclose(net(src, tgt, tgt_mask=mask).detach().numpy()[:, :2], first[:, :2], atol=1e-6)


def test_both_layouts_agree() -> None:
    first = nn.Transformer(4, 2, 1, 1, 8, dropout=0.0, batch_first=True)
    later = nn.Transformer(4, 2, 1, 1, 8, dropout=0.0)
    later.load_state_dict(first.state_dict())
    src, tgt = tg.randn(2, 5, 4), tg.randn(2, 3, 4)
    other = later(src.transpose(0, 1), tgt.transpose(0, 1)).transpose(0, 1)
    np.testing.assert_allclose(other.detach().numpy(), first(src, tgt).detach().numpy(), atol=1e-6)


def test_what_does_not_fit_is_explained() -> None:
    net = nn.Transformer(4, 2, 1, 1, 8)
    with pytest.raises(ValueError, match=r"Transformer expected src and tgt of one batch size, got \(5, 2, 4\)"):
        net(tg.ones(5, 2, 4), tg.ones(3, 1, 4))
    with pytest.raises(ValueError, match=r"Transformer expected 4 features in src and tgt"):
        net(tg.ones(5, 2, 4), tg.ones(3, 2, 6))
    with pytest.raises(ValueError, match="TransformerDecoderLayer expected activation relu, gelu or a function"):
        nn.TransformerDecoderLayer(4, 2, activation="swish")
