"""The code that docs/tour.md shows, copied from the files: `python -m tests.house.tour` writes it anew."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "tour.md"
MARKED = re.compile(r"<!-- code: (\S+) (\S+) -->\n\n(?:```python\n.*?```\n\n)?", re.DOTALL)


def source(path: str, name: str) -> str:
    """The text of a function, method or assignment, by its dotted name."""
    text = (ROOT / path).read_text(encoding="utf-8")
    body: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for part in name.split("."):
        found = next(node for node in body if part in names(node))
        body = getattr(found, "body", [])
    assert found is not None and found.end_lineno is not None
    return textwrap.dedent("\n".join(text.splitlines()[found.lineno - 1 : found.end_lineno]))


def names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [getattr(node, "name", "")]


def written(text: str) -> str:
    """The page with the code of today under its markers."""
    return MARKED.sub(lambda m: f"<!-- code: {m[1]} {m[2]} -->\n\n```python\n{source(m[1], m[2])}\n```\n\n", text)


def examples(text: str) -> list[str]:
    """The code blocks that are no copies."""
    return re.findall(r"```python\n(.*?)```", MARKED.sub("", text), re.DOTALL)


if __name__ == "__main__":
    TOUR.write_text(written(TOUR.read_text(encoding="utf-8")), encoding="utf-8")
