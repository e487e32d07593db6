"""`Any` stands in the package's signatures only where nothing better is true."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "tinygrad_cnn"
#: How often the name may occur outside imports. Lower it with every change that needs fewer; never raise it.
LIMIT = 2672


def uses_of_any():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name) and node.id == "Any":
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_the_number_of_anys_only_falls():
    found = [*uses_of_any()]
    assert len(found) <= LIMIT, f"{len(found)} uses of Any, at most {LIMIT}: name the type, or use autograd.annotations"
