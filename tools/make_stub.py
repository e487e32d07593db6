"""Write the stubs, signatures for editors and type checkers: of the package, and of a tensor's declared methods.

    python tools/make_stub.py           # write tinygrad_cnn/__init__.pyi and tinygrad_cnn/tensors/declared.pyi
    python tools/make_stub.py --check   # exit with 1 when a file is not what would be written

The functions on tensors come from the declarations beside the ops (`tinygrad_cnn.ops.declare`), the rest from the
imports of `tinygrad_cnn/__init__.py`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinygrad_cnn"
HEADER = '''"""Written by tools/make_stub.py from the declarations beside the ops; do not edit by hand."""

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
from numpy import ndarray
from tinygrad_cnn.autograd.annotations import *
from tinygrad_cnn.ops.device import Device
'''
#: The names in `annotations` that `*` brings must not hide the class itself.
TENSOR = "from tinygrad_cnn.tensors.tensor import Tensor as Tensor"
METHODS = '''
from typing import Self

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.ops.random import Generator
from tinygrad_cnn.support.size import Size

def attach() -> None: ...

class DeclaredMethods(Handle):'''
BUILTINS = ("bool", "float", "int", "complex", "str", "list", "dict", "tuple", "set", "slice", "type", "object")


def stubs() -> dict[Path, str]:
    """The texts of the stub files."""
    sys.path.insert(0, str(ROOT))
    return {PACKAGE / "__init__.pyi": _package(), PACKAGE / "tensors" / "declared.pyi": _methods()}


def _package() -> str:
    import tinygrad_cnn
    from tinygrad_cnn.ops.declare import PUBLIC

    source = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    shadowed = {name for name, entry in PUBLIC.items() if entry.top_level} | {"bool", "float", "int"}
    parts = [HEADER, *_imports(source), *_result_types(PUBLIC), *_constants(tinygrad_cnn)]
    for name, entry in PUBLIC.items():
        if entry.top_level:
            parts.append(_function(name, entry.function, shadowed, out=entry.out))
    for name, room in tinygrad_cnn._ROOM_OF.items():
        function = getattr(importlib.import_module(f"tinygrad_cnn.{room}"), name)
        if inspect.isfunction(function):
            parts.append(_function(name, function, shadowed))
        else:
            parts.append(f"{name}: Any")
    parts += [_function(f.name, getattr(tinygrad_cnn, f.name), shadowed) for f in source.body
              if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")]  # fmt: skip
    return "\n".join(parts) + "\n"


def _methods() -> str:
    from tinygrad_cnn.ops.declare import PUBLIC

    shadowed = {name for name, entry in PUBLIC.items() if entry.method} | {"bool", "float", "int"}
    parts = [HEADER, *_result_types(PUBLIC), METHODS]
    for name, entry in PUBLIC.items():
        if entry.method:
            parts.append("    " + _function(name, entry.function, shadowed, method=True))
        if entry.in_place:
            parts.append("    " + _function(f"{name}_", entry.function, shadowed, method=True))
    return "\n".join(parts) + "\n"


def _imports(source: ast.Module) -> list[str]:
    """The root's own imports, each name exported under itself; rooms as modules."""
    import tinygrad_cnn

    lines = []
    for node in source.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tinygrad_cnn"):
            for alias in node.names:
                if alias.name == "Tensor":
                    lines.append(TENSOR)
                elif not (alias.asname or "").startswith("_"):
                    lines.append(f"from {node.module} import {alias.name} as {alias.name}")
    lines += [f"from . import {room} as {room}" for room in sorted(tinygrad_cnn._ROOMS)]
    return lines


def _result_types(public: dict[str, Any]) -> list[str]:
    """Imports of the named tuples that functions return (``values_indices`` and its like)."""
    found = {}
    for entry in public.values():
        returned = getattr(entry.function, "__annotations__", {}).get("return")
        kind = getattr(entry.function, "__globals__", {}).get(returned) if isinstance(returned, str) else None
        if isinstance(kind, type) and issubclass(kind, tuple) and kind.__module__.startswith("tinygrad_cnn"):
            found[returned] = kind.__module__
    known = {"Size"}
    return [f"from {module} import {name} as {name}" for name, module in sorted(found.items()) if name not in known]


def _constants(package: object) -> list[str]:
    lines = []
    for name, value in vars(package).items():
        if not name.startswith("_") and isinstance(value, (float, str)) or name == "newaxis":
            lines.append(f"{name}: {'None' if value is None else f'builtins.{type(value).__name__}'}")
    return [*lines, ""]


def _function(name: str, function: object, shadowed: set[str], *, method: bool = False, out: bool = False) -> str:
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]
    except ValueError:
        return f"def {name}(*args: Any, **kwargs: Any) -> Any: ..."
    parameters = []
    kinds = [p.kind for p in signature.parameters.values()]
    for k, p in enumerate(signature.parameters.values()):
        if p.kind is p.KEYWORD_ONLY and p.VAR_POSITIONAL not in kinds and (k == 0 or kinds[k - 1] is not p.kind):
            parameters.append("*")
        if method and k == 0 and p.kind is not p.VAR_POSITIONAL:
            parameters.append("self")
            continue
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        text = f"{star}{p.name}: " + re.sub(r"\bArrayT\b", "Operand", _annotation(p.annotation, shadowed))
        parameters.append(text if p.default is p.empty else f"{text} = ...")
        if p.kind is p.POSITIONAL_ONLY and (k + 1 == len(kinds) or kinds[k + 1] is not p.kind):
            parameters.append("/")
    if out:
        rest = [parameters.pop()] if parameters and parameters[-1].startswith("**") else []
        if "*" not in parameters and not any(p.startswith("*") for p in parameters):
            parameters.append("*")
        parameters += ["out: Tensor | None = ...", *rest]
    returned = _annotation(signature.return_annotation, shadowed)
    # On arrays the functions give arrays back; the signatures state the case of tensors.
    returned = re.sub(r"\b(Array|ArrayT|Tensor)\b", "Self" if method else "Tensor", returned)
    return f"def {name}({', '.join(parameters)}) -> {returned}: ..."


def _annotation(annotation: object, shadowed: set[str]) -> str:
    if annotation is inspect.Parameter.empty:
        return "Any"
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    for name in BUILTINS:
        if name in shadowed or name == "type":
            text = re.sub(rf"(?<![\w.]){name}\b", f"builtins.{name}", text)
    return text


def main(arguments: list[str]) -> int:
    texts = stubs()
    if "--check" in arguments:
        current = [path.exists() and path.read_text(encoding="utf-8") == text for path, text in texts.items()]
        return 0 if all(current) else 1
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
