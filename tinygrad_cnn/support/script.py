"""Somebody's script as Python itself would run it: its code, `__main__`, `sys.argv`, `sys.path` and exit status."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType

from tinygrad_cnn.support.errors import UsageError

__all__ = ["as_main", "exit_status", "find_module", "read_script"]


def read_script(script: str | os.PathLike[str]) -> tuple[Path, CodeType]:
    """The path and the code of a file. Raises UsageError for one that cannot be read or is no Python."""
    path = Path(script)
    try:
        return path, compile(path.read_bytes(), str(path.resolve()), "exec", dont_inherit=True)
    except OSError as error:
        raise UsageError(f"cannot read the script {script}: {error.strerror or error}") from None
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{script} is not a Python script: {error}") from None


def find_module(name: str) -> tuple[Path, CodeType, ModuleSpec]:
    """What ``python -m name`` runs: the module, or a package's ``__main__``. Raises UsageError."""
    sys.path.insert(0, os.getcwd())
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
        code = getattr(spec.loader, "get_code")(spec.name) if spec is not None else None  # noqa: B009 - of source loaders
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise UsageError(f"cannot run the module {name}: {error}") from None
    finally:
        del sys.path[0]
    if code is None or spec is None or spec.origin is None:
        raise UsageError(f"cannot run the module {name}: there is no Python code of that name")
    return Path(spec.origin), code, spec


@contextlib.contextmanager
def as_main(path: Path, args: Sequence[str], spec: ModuleSpec | None = None) -> Iterator[types.ModuleType]:
    """`__main__`, `sys.argv` and `sys.path` as the script (or module) expects them, then as they were."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=str(path), __builtins__=__builtins__, __spec__=spec, __cached__=None)
    if spec is not None:
        main.__dict__.update(__package__=spec.parent, __loader__=spec.loader)
    else:
        main.__dict__.update(__loader__=SourceFileLoader("__main__", str(path)))
    before = sys.modules["__main__"], sys.argv, list(sys.path)
    sys.modules["__main__"] = main
    sys.argv = [str(path), *args]
    sys.path.insert(0, str(path.resolve().parent) if spec is None else os.getcwd())
    try:
        yield main
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before


def exit_status(leaving: SystemExit) -> int:
    """The status that a `SystemExit` means; text goes to standard error, as Python does it."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code
    print(leaving.code, file=sys.stderr)
    return 1
