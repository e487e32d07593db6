"""Which names of `torch` and `torchvision` a script uses, and which of them are missing, without running it.

The script's text is read, and that of the modules beside it that it imports. Names are followed through imports and
attributes (``import torch.nn as nn``, then ``nn.Conv2d``); methods of tensors and modules, whose type only running
would tell, are not looked at.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tinygrad_cnn.compat.finder import serving
from tinygrad_cnn.compat.instead import advice
from tinygrad_cnn.compat.missing import Missing, guarded_lines
from tinygrad_cnn.compat.served import ROOTS
from tinygrad_cnn.support.errors import UsageError

__all__ = ["Use", "check", "report"]


class Use(NamedTuple):
    """A line of a file that uses a dotted name."""

    file: Path
    line: int
    name: str
    guarded: bool  # inside ``try: … except ImportError`` or the like: the script goes on without it


def check(script: str) -> tuple[list[Use], list[Use]]:
    """The uses of names in `script` and in the modules beside it, and those of them that are missing.

    Raises UsageError for a file that cannot be read or is no Python.
    """
    used: list[Use] = []
    waiting, seen = [Path(script)], {Path(script).resolve()}
    while waiting:
        path = waiting.pop(0)
        tree = _parsed(path)
        used += _uses(path, tree)
        for beside in _beside(path, tree, Path(script).parent):
            if beside.resolve() not in seen:
                seen.add(beside.resolve())
                waiting.append(beside)
    with serving(announced=True):
        known = {name: is_there(name) for name in {use.name for use in used}}
    return used, [use for use in used if not known[use.name]]


def report(script: str) -> tuple[list[str], bool]:
    """The lines that ``run --check`` prints, and whether all that the script needs is there."""
    used, missing = check(script)
    names, gone = {use.name for use in used}, {use.name for use in missing}
    lines = [f"{script}: {len(names)} names of torch and torchvision, {len(gone)} missing"]
    for use in missing:
        what = "the script can do without it" if use.guarded else advice(use.name)
        lines.append(f"  {use.file.name}:{use.line}: {use.name}: {what}")
    return lines, all(use.guarded for use in missing)


def is_there(name: str) -> bool:
    """Whether a script finds the dotted `name`; only while `torch` is served (see `finder.serving`)."""
    parts = name.split(".")
    try:
        found: Any = importlib.import_module(parts[0])
    except ImportError:
        return False
    for part in parts[1:]:
        try:
            found = getattr(found, part)
        except AttributeError:
            return False
        if isinstance(found, Missing):
            return False
        if not isinstance(found, (ModuleType, type)):
            return True  # the attributes of a value are its own affair
    return True


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the script {path}: {error.strerror or error}") from None
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path} is not a Python script: {error}") from None


def _uses(path: Path, tree: ast.Module) -> list[Use]:
    aliases: dict[str, str] = {}
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in ROOTS:
                    aliases[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
                    found.append((node.lineno, alias.name))
        elif (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and (node.module or "").partition(".")[0] in ROOTS
        ):
            for alias in node.names:
                name = str(node.module) if alias.name == "*" else f"{node.module}.{alias.name}"
                if alias.name != "*":
                    aliases[alias.asname or alias.name] = name
                found.append((node.lineno, name))
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner and (chain := _chain(node)) is not None:
            head, *rest = chain
            if head in aliases:
                found.append((node.lineno, ".".join([aliases[head], *rest])))
    guarded = guarded_lines(str(path.resolve())) | _asked_lines(tree)
    return [Use(path, line, name, line in guarded) for line, name in sorted(set(found))]


def _chain(node: ast.expr) -> list[str] | None:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else None


def _asked_lines(tree: ast.Module) -> set[int]:
    """The lines of an ``if`` that asks by `hasattr` or for a CUDA device, with its first branch."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.IfExp)):
            asked = ast.dump(node.test)
            if "'hasattr'" in asked or "'is_available'" in asked or "'cuda'" in asked:
                body = node.body if isinstance(node.body, list) else [node.body]
                found.update(range(node.test.lineno, (body[-1].end_lineno or node.lineno) + 1))
    return found


def _beside(path: Path, tree: ast.Module, folder: Path) -> Iterator[Path]:
    """The files that an import of `path` means and that lie in the script's folder (or in the file's, if relative)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bases = [(folder, alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else folder
            module = node.module.split(".") if node.module else []
            bases = [(base, module), *((base, [*module, alias.name]) for alias in node.names)]
        else:
            continue
        for base, parts in bases:
            for file in (
                base.joinpath(*parts).with_suffix(".py") if parts else None,
                base.joinpath(*parts, "__init__.py"),
            ):
                if file is not None and file.is_file():
                    yield file
