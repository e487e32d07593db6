"""Optimisers and learning-rate schedules, under PyTorch's names.

They read `.grad` and change parameters in place; the arithmetic of the common ones is in `kernels`, whose
NumPy form is the text to read.
"""

from importlib import import_module
from typing import Any

from tinygrad_cnn.optim import lr_scheduler
from tinygrad_cnn.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tinygrad_cnn.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinygrad_cnn.optim.lbfgs import LBFGS
from tinygrad_cnn.optim.optimizer import Optimizer
from tinygrad_cnn.optim.sgd import SGD
from tinygrad_cnn.optim.signed import ASGD, Rprop


def __getattr__(name: str) -> Any:
    if name == "swa_utils":  # made of modules, imported when first asked for
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"tinygrad_cnn.optim has no {name!r}; if PyTorch has it, it is not implemented here (yet)")


__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
]
