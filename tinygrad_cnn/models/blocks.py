"""Parts that many networks are built of, with torchvision's names and keys (there, `torchvision.ops.misc`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.nn import functional as F

__all__ = [
    "MLP", "Conv2dNormActivation", "Conv3dNormActivation", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth", "divisible", "stochastic_depth",
]  # fmt: skip

#: What makes a layer: a class, or one with some arguments bound.
Layer = Callable[..., nn.Module]
_Sizes = int | Sequence[int]


class _ConvNormActivation(nn.Sequential):
    """Convolution, normalisation, activation, each of the latter two left out for None.

    `padding` keeps the size (at stride 1) unless given; the convolution has a bias where nothing normalises.
    """

    _convolution: Layer
    _dimensions: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: _Sizes = 3, stride: _Sizes = 1,
        padding: _Sizes | str | None = None, groups: int = 1, norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU, dilation: _Sizes = 1, inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:  # fmt: skip
        if padding is None:
            sizes, spread = (self._each(value) for value in (kernel_size, dilation))
            padding = tuple((size - 1) // 2 * step for size, step in zip(sizes, spread))
            if isinstance(kernel_size, int) and isinstance(dilation, int):
                padding = padding[0]
        convolution = type(self)._convolution(
            in_channels, out_channels, kernel_size, stride, padding, dilation=dilation, groups=groups,
            bias=norm_layer is None if bias is None else bias,
        )  # fmt: skip
        layers = [convolution]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer() if inplace is None else activation_layer(inplace=inplace))
        super().__init__(*layers)
        self.out_channels = out_channels

    def _each(self, value: _Sizes) -> tuple[int, ...]:
        return (value,) * self._dimensions if isinstance(value, int) else tuple(value)


class Conv2dNormActivation(_ConvNormActivation):
    """A 2-d convolution, a normalisation and an activation."""

    _convolution = nn.Conv2d
    _dimensions = 2


class Conv3dNormActivation(_ConvNormActivation):
    """A 3-d convolution, a normalisation (give norm_layer: BatchNorm3d unless given) and an activation."""

    _convolution = nn.Conv3d
    _dimensions = 3

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: _Sizes = 3, stride: _Sizes = 1,
        padding: _Sizes | str | None = None, groups: int = 1, norm_layer: Layer | None = nn.BatchNorm3d,
        activation_layer: Layer | None = nn.ReLU, dilation: _Sizes = 1, inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer, activation_layer, dilation,
            inplace, bias,
        )  # fmt: skip


class SqueezeExcitation(nn.Module):
    """x times a factor for each channel, which two 1×1 convolutions make of the channels' means (Hu et al. 2018)."""

    def __init__(
        self, input_channels: int, squeeze_channels: int, activation: Layer = nn.ReLU,
        scale_activation: Layer = nn.Sigmoid,
    ) -> None:  # fmt: skip
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        return self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input))))) * input


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """The input with probability 1 − p, scaled by 1 / (1 − p), else zeros (Huang et al. 2016).

    `mode` "batch" decides once, "row" for each sample. Raises ValueError for another mode and p outside 0 to 1.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"stochastic_depth expected a probability from 0 to 1, got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth expected mode 'batch' or 'row', got {mode!r}")
    if not training or p == 0.0:
        return input
    size = (input.shape[0] if mode == "row" else 1, *(1,) * (input.ndim - 1))
    return input * F.dropout(input.new_ones(size), p, training=True)


class StochasticDepth(nn.Module):
    """`stochastic_depth` in training, nothing in evaluation."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, input: Tensor) -> Tensor:
        """The input, or zeros, of the same shape."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        """The options."""
        return f"p={self.p}, mode={self.mode}"


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation by statistics and factors that are buffers: nothing of it is learned."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        start = nn.BatchNorm2d(num_features)  # ones and zeros
        self.eps = eps
        self.register_buffer("weight", start.weight.detach())
        self.register_buffer("bias", start.bias.detach())
        self.register_buffer("running_mean", start.running_mean)
        self.register_buffer("running_var", start.running_var)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


class MLP(nn.Sequential):
    """Dense layers of `hidden_channels`, with normalisation, activation and dropout between them."""

    def __init__(
        self, in_channels: int, hidden_channels: list[int], norm_layer: Layer | None = None,
        activation_layer: Layer = nn.ReLU, inplace: bool | None = None, bias: bool = True, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        options: dict[str, Any] = {} if inplace is None else {"inplace": inplace}
        layers: list[nn.Module] = []
        for width in hidden_channels[:-1]:
            layers.append(nn.Linear(in_channels, width, bias=bias))
            if norm_layer is not None:
                layers.append(norm_layer(width))
            layers += [activation_layer(**options), nn.Dropout(dropout, **options)]
            in_channels = width
        layers += [nn.Linear(in_channels, hidden_channels[-1], bias=bias), nn.Dropout(dropout, **options)]
        super().__init__(*layers)


class Permute(nn.Module):
    """The dimensions in another order."""

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """A view of x."""
        return x.permute(self.dims)


def divisible(channels: float, by: int) -> int:
    """The multiple of `by` that is nearest to `channels`, no smaller than `by` nor than nine tenths of them."""
    nearest = max(by, int(channels + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * channels else nearest
