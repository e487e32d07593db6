"""Every layer that owns parameters reads `device` and `dtype`: another device than the CPU is an error."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.optim import swa_utils

LAYERS: dict[str, tuple[Any, ...]] = {
    "BatchNorm1d": (3,), "BatchNorm2d": (3,), "BatchNorm3d": (3,), "SyncBatchNorm": (3,), "Bilinear": (2, 3, 4),
    "Conv1d": (2, 3, 1), "Conv2d": (2, 3, 1), "Conv3d": (2, 3, 1), "ConvTranspose1d": (2, 3, 1),
    "ConvTranspose2d": (2, 3, 1), "ConvTranspose3d": (2, 3, 1), "Embedding": (3, 2), "EmbeddingBag": (3, 2),
    "GRU": (2, 3), "GRUCell": (2, 3), "GroupNorm": (1, 2), "LSTM": (2, 3), "LSTMCell": (2, 3), "LayerNorm": (2,),
    "Linear": (2, 3), "MultiheadAttention": (4, 2), "PReLU": (1,), "RMSNorm": (2,), "RNN": (2, 3), "RNNCell": (2, 3),
    "Transformer": (4, 2, 1, 1, 4), "TransformerDecoderLayer": (4, 2, 4), "TransformerEncoderLayer": (4, 2, 4),
}  # fmt: skip
WITH_AFFINE = {"InstanceNorm1d": (3,), "InstanceNorm2d": (3,), "InstanceNorm3d": (3,)}
LAZY: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]] = {
    "LazyBatchNorm1d": ((), (2, 3)), "LazyBatchNorm2d": ((), (2, 3, 1, 1)), "LazyBatchNorm3d": ((), (2, 3, 1, 1, 1)),
    "LazyConv1d": ((3, 1), (2, 3, 1)), "LazyConv2d": ((3, 1), (2, 3, 1, 1)), "LazyConv3d": ((3, 1), (2, 3, 1, 1, 1)),
    "LazyConvTranspose1d": ((3, 1), (2, 3, 1)), "LazyConvTranspose2d": ((3, 1), (2, 3, 1, 1)),
    "LazyConvTranspose3d": ((3, 1), (2, 3, 1, 1, 1)), "LazyLinear": ((3,), (2, 3)),
}  # fmt: skip


def made(name: str, **options: Any) -> Any:
    if name in WITH_AFFINE:
        return getattr(nn, name)(*WITH_AFFINE[name], affine=True, **options)
    return getattr(nn, name)(*(LAZY[name][0] if name in LAZY else LAYERS[name]), **options)


def test_every_layer_that_takes_a_device_is_here() -> None:
    classes = {name: kind for name, kind in vars(nn).items() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    taking = {name for name, kind in classes.items() if "device" in inspect.signature(kind).parameters}
    assert taking - {"RNNBase", "RNNCellBase"} <= {*LAYERS, *WITH_AFFINE, *LAZY}


@pytest.mark.parametrize("name", [*LAYERS, *WITH_AFFINE, *LAZY])
def test_a_layer_on_another_device_is_an_error(name: str) -> None:
    with pytest.raises(RuntimeError, match="computes on the CPU only, got device 'cuda'"):
        made(name, device="cuda")
    made(name, device="cpu")


@pytest.mark.parametrize("name", [*LAYERS, *WITH_AFFINE])
def test_all_parameters_have_the_dtype_asked_for(name: str) -> None:
    layer = made(name, dtype=tg.float64)
    assert {p.dtype for p in layer.parameters()} == {tg.float64}
    assert {b.dtype for b in layer.buffers()} <= {tg.float64, tg.int64}


@pytest.mark.parametrize("name", LAZY)
def test_a_lazy_layer_keeps_its_dtype_until_it_has_a_shape(name: str) -> None:
    shape = LAZY[name][1]
    for layer in (made(name, dtype=tg.float64), made(name).double()):
        layer(tg.ones(*shape, dtype=tg.float64))
        assert {p.dtype for p in layer.parameters()} == {tg.float64}
        assert {b.dtype for b in layer.buffers()} <= {tg.float64, tg.int64}


ELSEWHERE: dict[str, Callable[[], object]] = {
    "AveragedModel": lambda: swa_utils.AveragedModel(nn.Linear(1, 1), device="cuda"),
    "update_bn": lambda: swa_utils.update_bn([], nn.Linear(1, 1), device="cuda"),
    "generate_square_subsequent_mask": lambda: nn.Transformer.generate_square_subsequent_mask(2, device="cuda"),
    "UninitializedParameter": lambda: nn.UninitializedParameter(device="cuda"),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_another_device_is_an_error_elsewhere_too(name: str) -> None:
    with pytest.raises(RuntimeError, match="computes on the CPU only, got device 'cuda'"):
        ELSEWHERE[name]()


CAUSAL: dict[str, Callable[[Any], object]] = {
    "encoder layer": lambda x: nn.TransformerEncoderLayer(4, 2, 4)(x, is_causal=True),
    "encoder": lambda x: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 4), 1)(x, is_causal=True),
    "decoder layer": lambda x: nn.TransformerDecoderLayer(4, 2, 4)(x, x, tgt_is_causal=True),
    "decoder layer's memory": lambda x: nn.TransformerDecoderLayer(4, 2, 4)(x, x, memory_is_causal=True),
    "decoder": lambda x: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 4), 1)(x, x, tgt_is_causal=True),
    "transformer": lambda x: nn.Transformer(4, 2, 1, 1, 4)(x, x, src_is_causal=True),
    "transformer's target": lambda x: nn.Transformer(4, 2, 1, 1, 4)(x, x, tgt_is_causal=True),
    "transformer's memory": lambda x: nn.Transformer(4, 2, 1, 1, 4)(x, x, memory_is_causal=True),
}


@pytest.mark.parametrize("name", CAUSAL)
def test_is_causal_without_a_mask_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="an attn_mask with is_causal=True"):
        CAUSAL[name](tg.ones(3, 2, 4))
