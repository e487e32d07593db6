"""`torch.nn.modules.linear`: PyTorch has one class there that lies with attention here."""

from tinygrad_cnn.nn.modules.attention import (
    NonDynamicallyQuantizableLinear as NonDynamicallyQuantizableLinear,
)
