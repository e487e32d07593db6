"""Where a node was made: the line outside the engine's own code, and the frames around it.

Which code is the engine's is not a list of folders: every file of this package is, except below a package whose
``__init__`` says ``__user_code__ = True`` (models and training loops are written as users write them, and their
lines are what a reader wants to see). The marker moves with the folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

_NAME = __name__.partition(".")[0]
#: The folder of the package.
PACKAGE = Path(str(sys.modules[_NAME].__file__)).resolve().parent
#: By filename: whether it is the engine's. Hot paths read it before they call `is_engine_file`.
KNOWN: dict[str, bool] = {"<__array_function__ internals>": True}


class Site(NamedTuple):
    """A place in source code. Lines are looked up only when somebody asks."""

    code: CodeType
    lasti: int

    @property
    def filename(self) -> str:
        return self.code.co_filename

    @property
    def function(self) -> str:
        return self.code.co_qualname

    @property
    def position(self) -> tuple[int, int, int]:
        """Line, first column and last column (columns count from 0; -1 when Python did not keep them)."""
        positions = list(self.code.co_positions())
        line, _end, first, last = positions[self.lasti // 2]
        return (
            line if line is not None else self.code.co_firstlineno,
            first if first is not None else -1,
            last if last is not None else -1,
        )

    @property
    def lineno(self) -> int:
        return self.position[0]

    @property
    def text(self) -> str:
        """The source line, stripped; empty when the source is gone."""
        import linecache

        return linecache.getline(self.filename, self.lineno).strip()

    def __str__(self) -> str:
        return f"{self.filename}:{self.lineno}"


def is_engine_file(filename: str) -> bool:
    """Whether a source file is the engine's own (as opposed to a user's code, a model, a training loop)."""
    known = KNOWN.get(filename)
    if known is None:
        known = KNOWN[filename] = in_package(filename) and not _marked(Path(filename).resolve())
    return known


def in_package(filename: str) -> bool:
    """Whether a source file belongs to this package at all."""
    return Path(filename).resolve().is_relative_to(PACKAGE)


def _marked(path: Path) -> bool:
    """Whether a folder around this file of the package is marked as user code."""
    name = _NAME
    for part in path.relative_to(PACKAGE).parts[:-1]:
        name = f"{name}.{part}"
        if getattr(sys.modules.get(name), "__user_code__", False):
            return True
    return False


def calling_site(depth: int = 2) -> tuple[CodeType, int] | None:
    """The nearest frame outside the engine, as (code, instruction offset); no line is computed here."""
    frame: Any = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        known = KNOWN.get(code.co_filename)
        if known is None:
            known = is_engine_file(code.co_filename)
        if not known:
            return (code, frame.f_lasti)
        frame = frame.f_back
    return None


def calling_stack(depth: int = 2) -> tuple[Site, ...]:
    """All frames outside the engine, innermost first."""
    frames = _outwards(sys._getframe(depth))
    return tuple(Site(f.f_code, f.f_lasti) for f in frames if not is_engine_file(f.f_code.co_filename))


def _outwards(frame: Any) -> Iterator[Any]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def defining_place(made: Any) -> tuple[str, int]:
    """The file and line at which `made`, whose `__init__` is running, is constructed; all cells of an interactive
    session are one place, since a cell is changed and run again."""
    frame: Any = sys._getframe(1)
    while frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is made:
        frame = frame.f_back
    if frame.f_globals.get("__name__") == "__main__" and "__file__" not in frame.f_globals:
        return "<interactive>", 0
    return frame.f_code.co_filename, frame.f_lineno
