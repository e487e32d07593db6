"""`torch.version`: a version of PyTorch, since scripts compare it, and no GPU."""

from tinygrad_cnn.compat.torch.about import VERSION

__version__ = VERSION
debug = False
cuda = hip = xpu = None
git_version = "tinygrad_cnn"
