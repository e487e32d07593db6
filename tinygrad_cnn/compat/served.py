"""The module objects that a script gets for `torch`, `torchvision` and what is below them.

A served module looks a name up in its sources, in order: the file of this room at PyTorch's path, if there is one,
and the package's own module. A module that it finds is served in its turn.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from tinygrad_cnn.compat.installed import TWIN, installed_module, installed_spec
from tinygrad_cnn.compat.missing import Missing, refuse

__all__ = ["ROOTS", "Served", "served_name"]

#: What a script imports: the packages in which its names are looked up.
ROOTS: dict[str, tuple[str, ...]] = {
    "torch": ("tinygrad_cnn.compat.torch", "tinygrad_cnn"),
    "torchvision": ("tinygrad_cnn.compat.torchvision",),
}


class Served(ModuleType):
    """The module `name` (``torch.nn.functional``) over its `sources`."""

    def __init__(self, name: str, sources: Sequence[ModuleType]) -> None:
        super().__init__(name, sources[0].__doc__)
        self.__dict__["_sources"] = tuple(sources)
        self.__dict__["__path__"] = []

    def __getattr__(self, name: str) -> Any:
        for source in self._sources:
            if name in source.__dict__ or _has(source, name):
                value = getattr(source, name)
                if isinstance(value, ModuleType):
                    if (path := served_name(value.__name__)) is None:
                        continue  # a module that the source itself uses
                    return importlib.import_module(path)
                if callable(value):  # constants and switches may change in their source
                    self.__dict__[name] = value
                return value
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        path = f"{self.__name__}.{name}"
        if not isinstance(sys.modules.get(path), Missing) and sources_of(path):
            return importlib.import_module(path)
        if installed_spec(path) is not None and not isinstance(sys.modules.get(path), Missing):
            return importlib.import_module(path)
        if (module := installed_module(self.__name__, name)) is not None:
            if sources_of(module):
                package, _, file = module.rpartition(".")
                module = f"{package}.{TWIN}{file}"
            return getattr(importlib.import_module(module), name)
        return refuse(path)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Missing):  # what the import system does with a submodule that it loaded
            return
        if isinstance(value, ModuleType) and any(callable(source.__dict__.get(name)) for source in self._sources):
            return  # a function has the name of the file it is in (torchvision.models.googlenet)
        switches = [
            source for source in self._sources if name in source.__dict__ and not name.startswith("__")
        ]
        if switches and not callable(value) and not isinstance(value, ModuleType):
            setattr(switches[0], name, value)
        else:  # a function that a script puts here is its own affair
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *(name for source in self._sources for name in dir(source))} - {"_sources"})

    @property
    def __all__(self) -> list[str]:
        """What ``from torch.x import *`` brings."""
        named = [name for source in self._sources for name in getattr(source, "__all__", ())]
        return named or [name for name in dir(self) if not name.startswith("_")]


def served_name(own: str) -> str | None:
    """The name under which a script knows the package's module `own`, if it does."""
    for root, homes in ROOTS.items():
        for home in homes:
            inside = own[len(home) + 1 :]
            if own == home or own.startswith(f"{home}.") and not _is_ours_alone(home, inside):
                return f"{root}.{inside}" if inside else root
    return None


#: Paths of PyTorch whose names lie in another file here.
_ELSEWHERE = {
    "torch.nn.backends": "tinygrad_cnn.nn", "torch.optim.adadelta": "tinygrad_cnn.optim",
    "torch.optim.adagrad": "tinygrad_cnn.optim", "torch.optim.adamax": "tinygrad_cnn.optim",
    "torch.optim.adamw": "tinygrad_cnn.optim", "torch.optim.asgd": "tinygrad_cnn.optim",
    "torch.optim.nadam": "tinygrad_cnn.optim", "torch.optim.radam": "tinygrad_cnn.optim",
    "torch.optim.rmsprop": "tinygrad_cnn.optim", "torch.optim.rprop": "tinygrad_cnn.optim",
    "torch.utils.data._utils": "tinygrad_cnn.utils.data", "torch.utils.data._utils.collate": "tinygrad_cnn.utils.data",
    "torch.nn.parallel.data_parallel": "tinygrad_cnn.nn.parallel", "torch.autograd.variable": "tinygrad_cnn.autograd",
    **{
        f"torchvision.models.{name}": f"tinygrad_cnn.models.{name}"
        for name in ("alexnet", "densenet", "efficientnet", "googlenet", "mobilenetv2", "resnet", "segmentation",
                     "squeezenet", "vgg")
    },
    "torchvision.models.mobilenet": "tinygrad_cnn.models.mobilenetv2",
    "torchvision.models.segmentation.fcn": "tinygrad_cnn.models.segmentation",
}  # fmt: skip


#: PyTorch's files of layers.
_LAYERS = {
    "activation", "adaptive", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout", "flatten",
    "fold", "instancenorm", "lazy", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling",
    "rnn", "sparse", "transformer", "upsampling", "utils",
}  # fmt: skip


def sources_of(path: str) -> list[ModuleType]:
    """The modules behind the dotted `path` of a script; none when the package has nothing there."""
    root, _, rest = path.partition(".")
    found = []
    for home in ROOTS.get(root, ()):
        name = f"{home}.{rest}" if rest else home
        if not _is_ours_alone(home, rest) and (module := _import(name)) is not None:
            found.append(module)
    if path.startswith("torch.nn.modules.") and path.removeprefix("torch.nn.modules.") in _LAYERS:
        found.append(importlib.import_module("tinygrad_cnn.nn.modules"))  # some classes lie in another file here
    if path in _ELSEWHERE:
        found.append(importlib.import_module(_ELSEWHERE[path]))
        if root == "torchvision":  # where the names of published weights are
            found.append(importlib.import_module("tinygrad_cnn.compat.torchvision.models"))
    return found


def _is_ours_alone(home: str, inside: str) -> bool:
    return home == "tinygrad_cnn" and inside.partition(".")[0] in _OWN_ROOMS


#: Rooms of the package that are no part of PyTorch.
_OWN_ROOMS = {
    "analysis", "cli", "compat", "datasets", "debug", "errors", "extras", "io", "kernels", "models", "ops", "support",
    "tensors", "training", "viz", "__main__",
}  # fmt: skip


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise


def _has(source: ModuleType, name: str) -> bool:
    """Whether a module gives the name, of its own or by its `__getattr__`."""
    return not (name.startswith("__") and name.endswith("__")) and hasattr(source, name)
