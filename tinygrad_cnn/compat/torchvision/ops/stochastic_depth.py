"""`torchvision.ops.stochastic_depth`, which is that of `tinygrad_cnn.models.blocks`."""

from tinygrad_cnn.models.blocks import StochasticDepth, stochastic_depth

__all__ = ["StochasticDepth", "stochastic_depth"]
