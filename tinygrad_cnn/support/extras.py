"""Optional packages: which exist, what each gives, and one clear error when one is missing.

Nothing optional is imported at start-up. Code that needs such a package calls `require` where it uses it;
`doctor` prints `available()`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from types import ModuleType

from tinygrad_cnn.support.errors import MissingExtraError

__all__ = ["EXTRAS", "Extra", "ExtraStatus", "available", "require"]


@dataclass(frozen=True)
class Extra:
    """One `tinygrad-cnn[name]`: the packages it installs, and what they give."""

    name: str
    modules: dict[str, str]  # import name -> name on the package index
    gives: str


EXTRAS: tuple[Extra, ...] = (
    Extra("fast", {"numba": "numba", "threadpoolctl": "threadpoolctl"}, "compiled kernels on all cores"),
    Extra("plots", {"matplotlib": "matplotlib"}, "curves, confusion matrices, filters, feature maps"),
    Extra("images", {"PIL": "pillow"}, "reading PNG and JPEG images"),
    Extra("viz", {"pygraphviz": "pygraphviz"}, "graphs as SVG, PNG and PDF without a system Graphviz"),
    Extra("bfloat16", {"ml_dtypes": "ml-dtypes"}, "tensors of bfloat16"),
    Extra("tensorboard", {"tensorboardX": "tensorboardx"}, "event files that TensorBoard shows"),
    Extra("notebooks", {"ipykernel": "ipykernel", "matplotlib": "matplotlib"}, "running the notebooks"),
)


@dataclass(frozen=True)
class ExtraStatus:
    """What `doctor` tells about an extra: its present packages with versions, and the absent ones."""

    name: str
    gives: str
    versions: dict[str, str]
    missing: tuple[str, ...]

    @property
    def present(self) -> bool:
        return not self.missing

    @property
    def install(self) -> str:
        """The command that brings this extra."""
        return _install_command(self.name)


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional `module`, or say how to get it.

        plt = require("matplotlib.pyplot", extra="plots", purpose="drawing curves")

    `extra` names the extra that installs it, `purpose` finishes the sentence "... needs it".
    Raises MissingExtraError (an ImportError) when it is not installed or its import fails.
    """
    if extra not in {known.name for known in EXTRAS}:
        raise ValueError(f"require() got the extra {extra!r}; known: {', '.join(e.name for e in EXTRAS)}")
    top = module.partition(".")[0]
    if not _installed(top):
        raise MissingExtraError(
            f"{purpose} needs {top}, which is not installed: {_install_command(extra)}", name=module
        )
    try:
        return importlib.import_module(module)
    except ImportError as error:
        # Installed but unusable (a missing system library, two versions that do not fit) is another fault
        # than absent, and installing the extra again would not mend it.
        raise MissingExtraError(
            f"{purpose} needs {module}, which is installed but does not import ({error}): reinstall it, "
            f"or check with `python -c 'import {module}'`",
            name=module,
        ) from error


def available() -> list[ExtraStatus]:
    """Every extra, present or missing, without importing any of them."""
    return [_status(extra) for extra in EXTRAS]


def _status(extra: Extra) -> ExtraStatus:
    versions, missing = {}, []
    for module, distribution in extra.modules.items():
        if _installed(module):
            versions[distribution] = _version(distribution)
        else:
            missing.append(distribution)
    return ExtraStatus(extra.name, extra.gives, versions, tuple(missing))


def _installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except ValueError:  # a module put into sys.modules by hand, without a spec
        return True


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown version"


def _install_command(extra: str) -> str:
    return f"pip install 'tinygrad-cnn[{extra}]'"
