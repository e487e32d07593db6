"""Scripts written for PyTorch, unchanged: in a process that asks for it, `torch` and `torchvision` are this package.

`finder` answers ``import torch…``, `served` holds the module objects that it gives, `missing` what stands for a
name that is not here until it is used. `torch` holds what PyTorch has and the rest of the package has not, under
PyTorch's paths; everything else is an alias. Nothing of an installed PyTorch is changed or read.
"""

from tinygrad_cnn.compat.finder import serve, serving
from tinygrad_cnn.compat.missing import MissingNameError

__all__ = ["MissingNameError", "serve", "serving"]
