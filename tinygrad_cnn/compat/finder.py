"""The import finder: while it is in `sys.meta_path`, ``import torch`` and ``import torchvision`` are answered by us."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_cnn.compat.installed import installed_spec
from tinygrad_cnn.compat.missing import Missing, importing_frame, is_guarded
from tinygrad_cnn.compat.served import ROOTS, Served, sources_of
from tinygrad_cnn.support import imported_as
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.support.version import __version__

__all__ = ["serve", "serving"]

#: Holds packages `torch` and `torchvision` that call `serve`. It stands in `sys.path` while scripts are served, which
#: processes that `multiprocessing` starts anew inherit, where a finder is not inherited.
_PATH = str(Path(__file__).parent / "path")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `torch`, `torchvision` and what is below them."""

    def __init__(self, announced: bool = False) -> None:
        self.announced = announced

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in ROOTS:
            return None
        sources = sources_of(name)
        if not sources and (found := installed_spec(name)) is not None:
            return found
        if not sources and is_guarded(importing_frame()):
            if name in ROOTS:  # other finders would find what stands in `_PATH`
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return None
        if not self.announced:
            self.announced = True
            print(
                f"tinygrad-cnn: torch is served by tinygrad_cnn {__version__} (NumPy, CPU)", file=sys.stderr
            )
        return importlib.machinery.ModuleSpec(
            name, self, is_package=True, loader_state=sources, origin=_origin(sources)
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Served(spec.name, spec.loader_state) if spec.loader_state else Missing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do: the sources are imported already."""


def serve(*, announced: bool = False) -> None:
    """From now on `torch` and `torchvision` are this package, in this process and in those that it starts.

    `announced`: the line that says so, at the first import, was written before. Raises UsageError when an installed
    PyTorch is already imported here.
    """
    if _is_served():
        return
    for root in ROOTS:
        loaded = sys.modules.get(root)
        if loaded is not None and not str(getattr(loaded, "__file__", "")).startswith(_PATH):
            raise UsageError(
                f"{root} is imported already in this process, so it cannot be served by tinygrad_cnn"
            )
    sys.meta_path.insert(0, _Finder(announced))
    imported_as.name = "torch"
    if _PATH not in sys.path:
        sys.path.insert(1, _PATH)


@contextlib.contextmanager
def serving(*, announced: bool = False) -> Iterator[None]:
    """`serve` for the body of a ``with``; afterwards `sys.modules` is as before (a PyTorch that was in it included)."""
    if _is_served():
        yield
        return
    before = _take_out()
    serve(announced=announced)
    try:
        yield
    finally:
        imported_as.name = "tinygrad_cnn"
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        sys.path[:] = [entry for entry in sys.path if entry != _PATH]
        _take_out()
        sys.modules.update(before)


def _is_served() -> bool:
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def _take_out() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in ROOTS}


def _origin(sources: list[ModuleType]) -> str | None:
    return getattr(sources[-1], "__file__", None) if sources else None
