"""Which engine computes a script: PyTorch itself, or this package."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

from tinygrad_cnn.compat import serving
from tinygrad_cnn.support.errors import UsageError

ENGINES = ("auto", "tinygrad_cnn", "torch")


@contextlib.contextmanager
def engine_for(wanted: str, script: Path | None) -> Iterator[str]:
    """Let a script run on the engine that `wanted` names: ``"torch"`` or ``"tinygrad_cnn"``, which this gives.

    With ``torch``, PyTorch is imported; with ``tinygrad_cnn``, imports of `torch` and `torchvision` inside the block
    are answered by this package. ``auto`` is PyTorch for a script that imports it (itself or through a file beside
    it), where PyTorch is installed. Raises UsageError for another word, or when PyTorch is wanted and not installed.
    """
    if wanted not in ENGINES:
        raise UsageError(f"expected the engine to be one of {', '.join(ENGINES)}, got {wanted!r}")
    installed = _installed()
    if wanted == "torch" and not installed:
        raise UsageError("the engine torch needs PyTorch, which is not installed here: pip install torch")
    asked_for = wanted == "auto" and script is not None and imports_torch(script)
    if wanted == "torch" or (asked_for and installed):
        importlib.import_module("torch")
        yield "torch"
    else:
        with serving():
            yield "tinygrad_cnn"


def _installed() -> bool:
    """Whether PyTorch is installed (a finder that serves its name does not count)."""
    try:
        importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def imports_torch(script: Path) -> bool:
    """Whether a script, or a file in its folder that it imports, imports PyTorch. Nothing is run."""
    waiting, seen = [script], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for name in _imported(tree):
            if name.partition(".")[0] == "torch":
                return True
            beside = script.parent.joinpath(*name.split("."))
            waiting += [p for p in (beside.with_suffix(".py"), beside / "__init__.py") if p.is_file()]
    return False


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
