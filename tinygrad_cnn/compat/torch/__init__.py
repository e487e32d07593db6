"""What `torch` has and `tinygrad_cnn` has not: thin shims, at PyTorch's paths. All other names are the package's."""

from tinygrad_cnn.compat.torch._utils import storage_types as _storage_types
from tinygrad_cnn.compat.torch.serialization import load, save

__all__ = ["load", "save"]

#: A version of PyTorch, since scripts compare it: the one whose names and answers the package is tested against.
__version__ = "2.13.0+tinygrad.cnn"

globals().update(_storage_types)
