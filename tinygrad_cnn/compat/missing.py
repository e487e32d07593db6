"""A name of PyTorch that is not here: importing it is allowed, using it raises one error that says what to do."""

from __future__ import annotations

import ast
import contextlib
import functools
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from tinygrad_cnn.compat.instead import advice
from tinygrad_cnn.support.errors import UserError

__all__ = ["Missing", "MissingNameError", "guarded_lines", "importing_frame", "is_guarded", "refuse"]

#: Files through which an import or an attribute passes before it reaches us: the line that users know is above them.
_OWN = (str(Path(__file__).parent), "<frozen importlib._bootstrap")


class MissingNameError(UserError, AttributeError):
    """A name of `torch` or `torchvision` that this package does not have was used."""


class Missing(ModuleType):
    """Stands for the missing `name` (dotted) where a script imported it; every use raises MissingNameError.

    It is a module, so that ``import torch.x`` and ``from torch.x import y`` find it in `sys.modules`. Nothing is an
    instance of it, and as a part of an annotation it is like `typing.Any`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # its submodules are looked for, and are missing as well
        self.__all__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if _is_importing():
            raise AttributeError(name)  # the import statement then finds it by its dotted name
        refuse(f"{self.__name__}.{name}")

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        refuse(self.__name__)

    def __mro_entries__(self, _bases: Any) -> Any:
        refuse(self.__name__)

    def __getitem__(self, _key: Any) -> Any:
        refuse(self.__name__)

    def __iter__(self) -> Any:
        refuse(self.__name__)

    def __instancecheck__(self, _instance: Any) -> bool:
        return False

    def __subclasscheck__(self, _subclass: Any) -> bool:
        return False

    def __or__(self, _other: Any) -> Any:
        return Any

    __ror__ = __or__


def refuse(name: str) -> NoReturn:
    """Raise MissingNameError for the dotted `name` with the line that uses it and what to write instead."""
    frame = importing_frame()
    where = "" if frame is None else f" ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
    raise MissingNameError(f"{name} is not in tinygrad_cnn{where}: {advice(name)}")


def importing_frame() -> FrameType | None:
    """The innermost frame outside of this room and of the import system."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return frame


def is_guarded(frame: FrameType | None) -> bool:
    """Whether the line of `frame` expects that its import may fail, and must be told at once.

    That is an import inside ``try: … except ImportError``, and one that is no statement of a file
    (`importlib.import_module`, `importlib.util.find_spec`).
    """
    if frame is None or frame.f_globals.get("__name__", "").partition(".")[0] == "importlib":
        return True
    return frame.f_lineno in guarded_lines(frame.f_code.co_filename)


@functools.lru_cache(maxsize=256)
def guarded_lines(file: str) -> frozenset[int]:
    """The lines of a file whose imports may fail: inside ``try`` with ``except ImportError``, or `suppress`."""
    tree = _tree(file)
    found: set[int] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if (
            isinstance(node, ast.Try)
            and any(_catches_imports(handler.type) for handler in node.handlers)
            or isinstance(node, ast.With)
            and any("suppress" in ast.dump(item.context_expr) for item in node.items)
        ):
            found.update(range(node.body[0].lineno, (node.body[-1].end_lineno or node.lineno) + 1))
    return frozenset(found)


def _is_importing() -> bool:
    frame: FrameType | None = sys._getframe(2)
    return frame is not None and (
        frame.f_code.co_filename.startswith("<frozen importlib")
        or frame.f_lineno in _import_lines(frame.f_code.co_filename)
    )


@functools.lru_cache(maxsize=256)
def _tree(file: str) -> ast.Module | None:
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        return ast.parse(Path(file).read_bytes())
    return None


@functools.lru_cache(maxsize=256)
def _import_lines(file: str) -> frozenset[int]:
    tree = _tree(file)
    nodes = ast.walk(tree) if tree is not None else ()
    return frozenset(
        line
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    )


def _catches_imports(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    names = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    return any(one is None or getattr(one, "id", getattr(one, "attr", None)) in names for one in kinds)
