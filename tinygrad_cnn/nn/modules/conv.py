"""Convolution layers in 1, 2 and 3 dimensions, their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_cnn.autograd.annotations import DType, Sizes
from tinygrad_cnn.kernels.geometry import same_padding
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.modules.lazy import LazyMixin
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter, UninitializedParameter
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.tensors.tensor import Tensor

_MODES = ("zeros", "reflect", "replicate", "circular")


def ntuple(value: Any, d: int) -> tuple[int, ...]:
    """`3` -> (3, 3) for d = 2; sequences as they are."""
    return tuple(int(v) for v in value) if isinstance(value, (tuple, list)) else (int(value),) * d


class _ConvNd(Module):
    dims: ClassVar[int]

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes, padding: Sizes | str,
        dilation: Sizes, transposed: bool, output_padding: Sizes, groups: int, bias: bool,
        padding_mode: str = "zeros", device: Device = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        # Classes of other people's own say by their kernel how many dimensions they have.
        name, d = type(self).__name__, getattr(self, "dims", None) or len(ntuple(kernel_size, 1))
        if groups <= 0:
            raise ValueError(f"{name} expected groups of at least 1, got {groups}")
        if in_channels % groups:
            raise ValueError(
                f"{name} expected in_channels divisible by groups, got in_channels={in_channels}, groups={groups}"
            )
        if out_channels % groups:
            raise ValueError(
                f"{name} expected out_channels divisible by groups, got out_channels={out_channels}, groups={groups}"
            )
        if padding_mode not in _MODES:
            raise ValueError(f"{name} expected padding_mode {', '.join(_MODES)}, got {padding_mode!r}")
        if transposed and padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {name}')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(kernel_size, d)
        self.stride = ntuple(stride, d)
        self.padding: Any = padding if isinstance(padding, str) else ntuple(padding, d)
        self.dilation = ntuple(dilation, d)
        for what in ("kernel_size", "stride", "padding", "dilation"):
            value = getattr(self, what)
            if not isinstance(value, str) and len(value) != d:
                raise ValueError(f"{name} expected {what} as one number or {d}, got {value}")
        if not isinstance(self.padding, str) and min(self.padding) < 0:
            raise ValueError(f"{name} expected padding of zero or more, got {self.padding}")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid", "full"):
                raise ValueError(
                    f"{name} expected padding as numbers or 'valid', 'same', 'full', got {padding!r}"
                )
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(
                    f"{name}: padding='same' is not supported for strided convolutions, got stride {self.stride}"
                )
        self.transposed = transposed
        self.output_padding = ntuple(output_padding, d)
        self.groups = groups
        self.padding_mode = padding_mode
        if not isinstance(self.padding, str):  # as F.pad takes it
            self._reversed_padding_repeated_twice = [n for n in reversed(self.padding) for _side in range(2)]
        shape = (in_channels, out_channels // groups) if transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(init.blank((*shape, *self.kernel_size), dtype, device))
        self.register_parameter("bias", Parameter(init.blank((out_channels,), dtype, device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """PyTorch's start: both uniform in ±1/√fan_in."""
        init.default_(self.weight, self.bias)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        if isinstance(self.padding, str) or any(self.padding):
            text += f", padding={self.padding}"
        if any(d != 1 for d in self.dilation):
            text += f", dilation={self.dilation}"
        if any(self.output_padding):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
        device: Device | None = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            False,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        conv = (F.conv1d, F.conv2d, F.conv3d)[self.dims - 1]
        if self.padding_mode == "zeros":
            return conv(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        padded = F.pad(input, self._border(), mode=self.padding_mode)
        return conv(padded, weight, bias, self.stride, 0, self.dilation, self.groups)

    def _border(self) -> list[int]:
        """The padding as `F.pad` wants it: (low, high) per dimension, the last dimension first."""
        if self.padding == "same":
            pairs = same_padding(self.kernel_size, self.dilation)
        elif self.padding == "full":
            pairs = tuple((d * (k - 1),) * 2 for d, k in zip(self.dilation, self.kernel_size))
        else:
            pairs = ((0, 0),) * self.dims if self.padding == "valid" else tuple((p, p) for p in self.padding)
        return [n for pair in reversed(pairs) for n in pair]


class Conv1d(_Conv):
    """Cross-correlation of x (N, C, L) with learned kernels; see `nn.functional.conv1d`."""

    dims = 1


class Conv2d(_Conv):
    """Cross-correlation of x (N, C, H, W) with learned kernels (O, C/groups, kh, kw); see `nn.functional.conv2d`.

    `padding` is a number, one per dimension, ``"same"``, ``"valid"`` or ``"full"``; `padding_mode` says what
    stands there: zeros, reflect, replicate or circular.
    """

    dims = 2


class Conv3d(_Conv):
    """Cross-correlation of x (N, C, D, H, W) with learned kernels; see `nn.functional.conv3d`."""

    dims = 3


class _ConvTranspose(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
        output_padding: Sizes = 0, groups: int = 1, bias: bool = True, dilation: Sizes = 1, padding_mode: str = "zeros",
        device: Device | None = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.dims - 1]
        more = self.output_padding if output_size is None else self._output_padding(input, output_size)
        return conv(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output padding that gives a wanted size."""
        d = self.dims
        wanted = tuple(int(n) for n in output_size)[-d:]
        least = tuple(
            (n - 1) * s - 2 * p + e * (k - 1) + 1
            for n, s, p, e, k in zip(
                input.shape[-d:], self.stride, self.padding, self.dilation, self.kernel_size
            )
        )
        more = tuple(w - m for w, m in zip(wanted, least))
        if len(wanted) != d or any(
            not 0 <= m < max(s, e) for m, s, e in zip(more, self.stride, self.dilation)
        ):
            largest = tuple(m + s - 1 for m, s in zip(least, self.stride))
            raise ValueError(
                f"{type(self).__name__} expected an output_size from {least} to {largest}, got {wanted}"
            )
        return more


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a convolution, x (N, C, L); see `nn.functional.conv_transpose1d`."""

    dims = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution, weight (C, O/groups, kh, kw); see `nn.functional.conv_transpose2d`."""

    dims = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of a convolution, x (N, C, D, H, W); see `nn.functional.conv_transpose3d`."""

    dims = 3


_ConvTransposeNd = _ConvTranspose  # PyTorch's name, for isinstance


class _LazyConv(LazyMixin):
    """Common to the lazy convolutions: `in_channels` comes from the first input."""

    def __init__(
        self, out_channels: int, kernel_size: Sizes, *args: Any, bias: bool = True,
        device: Device = None, dtype: DType = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        # Built without channels: they are put in once they are known.
        own: Any = self
        super().__init__(0, 0, kernel_size, *args, bias=False, device=device, dtype=dtype, **kwargs)  # type: ignore[call-arg]
        own.out_channels = out_channels
        own.weight = UninitializedParameter(True, device, dtype)
        if bias:
            own.bias = UninitializedParameter(True, device, dtype)

    def initialize_parameters(self, input: Tensor) -> None:
        """Take the number of channels from the first input."""
        own: Any = self
        own.in_channels = int(input.shape[-own.dims - 1])
        shape = (
            (own.in_channels, own.out_channels // own.groups) if own.transposed
            else (own.out_channels, own.in_channels // own.groups)
        )  # fmt: skip
        own.weight.materialize((*shape, *own.kernel_size))
        if own.bias is not None:
            own.bias.materialize((own.out_channels,))


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` that learns `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` that learns `in_channels` from its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` that learns `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    """A `ConvTranspose1d` that learns `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose3d(_LazyConv, ConvTranspose3d):
    """A `ConvTranspose3d` that learns `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    """A `ConvTranspose2d` that learns `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "LazyConv1d",
    "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
]  # fmt: skip
