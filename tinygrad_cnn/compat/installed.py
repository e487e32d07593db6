"""Where torchvision is installed, its own files of networks: run as a user's file would be, with `torch` served.

What this package has at torchvision's path comes first; what it has not is looked for in the installed package, whose
files import `torch`, and so this package, in their turn. Nothing of it is changed, and its compiled part is not loaded.
"""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import importlib.util
import sys
from pathlib import Path

__all__ = ["TWIN", "installed_module", "installed_spec"]

_PATH = str(Path(__file__).parent / "path")

#: The parts of the installed package that are looked into: networks, and what their files import.
_PARTS = ("models", "ops", "_utils", "transforms._presets")
#: Needs symbolic tracing, which is not here; who asks for it guards the import.
_NOT_HERE = "models.feature_extraction"
#: A file of the installed package whose place is taken by one of ours goes by its name with this before it.
TWIN = "_installed_"


def installed_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """How to load the module `name` (dotted, below torchvision) from the installed package, if it is there."""
    inside = name.removeprefix("torchvision.").replace(TWIN, "")
    folder = _folder() if name.startswith("torchvision.") else None
    if (
        folder is None
        or inside == _NOT_HERE
        or not any(inside == part or inside.startswith(f"{part}.") for part in _PARTS)
    ):
        return None
    path = folder.joinpath(*inside.split("."))
    if (path / "__init__.py").is_file():
        return importlib.util.spec_from_file_location(
            name, path / "__init__.py", submodule_search_locations=[str(path)]
        )
    file = path.with_suffix(".py")
    return importlib.util.spec_from_file_location(name, file) if file.is_file() else None


def installed_module(served: str, name: str) -> str | None:
    """The dotted module of the installed torchvision that has `name`, which our `served` (a file or a folder) lacks."""
    folder = _folder() if served.startswith("torchvision.") else None
    if folder is None or not any(served.startswith(f"torchvision.{part}") for part in _PARTS):
        return None
    path = folder.joinpath(*served.split(".")[1:])
    file = path.with_suffix(".py") if path.with_suffix(".py").is_file() else _public(path).get(name)
    if file is None or name not in _defined(file):
        return None
    return ".".join(["torchvision", *file.relative_to(folder).with_suffix("").parts])


@functools.cache
def _public(folder: Path) -> dict[str, Path]:
    """The file of the folder whose `__all__` lists a name, for all names."""
    found: dict[str, Path] = {}
    for file in sorted(folder.glob("[a-z]*.py")):
        for node in _body(file):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                for name in ast.walk(node.value):
                    if isinstance(name, ast.Constant):
                        found.setdefault(str(name.value), file)
    return found


@functools.cache
def _defined(file: Path) -> frozenset[str]:
    """The classes, functions and variables of a file."""
    named = [node.name for node in _body(file) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    named += [getattr(node.targets[0], "id", "") for node in _body(file) if isinstance(node, ast.Assign)]
    return frozenset(named)


def _body(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_bytes()).body


def _folder() -> Path | None:
    """The folder of the installed torchvision."""
    where = [entry for entry in sys.path if entry != _PATH]
    spec = importlib.machinery.PathFinder.find_spec("torchvision", where)
    return Path(spec.origin).parent if spec is not None and spec.origin else None
