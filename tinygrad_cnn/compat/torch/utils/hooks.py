"""`torch.utils.hooks`: what registering a hook gives."""

from tinygrad_cnn.autograd.hooks import RemovableHandle

__all__ = ["RemovableHandle"]
