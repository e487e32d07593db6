"""Layers, losses and initialisation under PyTorch's names: ``import tinygrad_cnn.nn as nn``.

`nn.functional` holds the same things as functions, `nn.init` how weights start, `nn.utils` gradient clipping
and the like. A name that PyTorch has and this package has not raises AttributeError that says so.
"""

from typing import TYPE_CHECKING, Any

from tinygrad_cnn.nn import functional, grad, init, modules, parallel, parameter, utils
from tinygrad_cnn.nn.modules import *  # noqa: F403
from tinygrad_cnn.nn.parallel import DataParallel
from tinygrad_cnn.nn.parameter import Buffer, Parameter, UninitializedParameter

__all__ = ["Buffer", "DataParallel", "Parameter", "UninitializedParameter"]
__all__ += ["functional", "grad", "init", "modules", "parallel", "parameter", "utils"]
__all__ += modules.__all__

if not TYPE_CHECKING:  # a type checker would take every unknown name for one of this function's

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        raise AttributeError(
            f"tinygrad_cnn.nn has no {name!r}: tinygrad_cnn does not offer this part of torch.nn "
            "(or the name is misspelt)"
        )
