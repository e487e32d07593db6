"""`tinygrad_cnn/__init__.pyi`, which editors and type checkers read, says what the package holds."""

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import tinygrad_cnn as tg
from tinygrad_cnn.ops.declare import PUBLIC

ROOT = Path(__file__).parents[2]
STUB = ast.parse((ROOT / "tinygrad_cnn" / "__init__.pyi").read_text(encoding="utf-8"))


def names(body):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_the_stub_is_what_the_tool_writes():
    done = subprocess.run([sys.executable, "tools/make_stub.py", "--check"], cwd=ROOT)
    assert done.returncode == 0, "the declarations changed: run python tools/make_stub.py"


def test_every_public_name_of_the_root_is_in_the_stub():
    public = {name for name in dir(tg) if not name.startswith("_") and not isinstance(getattr(tg, name), ModuleType)}
    assert public | tg._ROOMS <= {*names(STUB.body)}


def test_every_declared_method_is_in_the_stub_or_written_out():
    text = (ROOT / "tinygrad_cnn" / "tensors" / "declared.pyi").read_text(encoding="utf-8")
    (methods,) = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    declared = {name for name, entry in PUBLIC.items() if entry.method}
    assert declared <= {*names(methods.body)}
    assert declared <= set(dir(tg.Tensor))
