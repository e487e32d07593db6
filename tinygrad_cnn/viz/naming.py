"""Names and source lines of nodes: where a node was made, and which variable took its value.

``z = x * y`` tells that the product is z: pictures may say so. Reads the code positions that nodes keep;
each place is looked up once.
"""

from __future__ import annotations

import ast
import linecache
import os

from tinygrad_cnn.autograd.graph import Node, Site
from tinygrad_cnn.viz.description import Source


class Places:
    """Looks up source lines, each place once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Source, str | None, Site]] = {}

    def source(self, node: Node) -> Source | None:
        """The line that made the node; None when the engine itself made it."""
        where = node.where
        return self._look(where)[0] if where is not None else None

    def variable(self, node: Node) -> str | None:
        """The variable that the expression which made the node was assigned to, as far as the line shows."""
        where = node.where
        return self._look(where)[1] if where is not None else None

    def _look(self, site: Site) -> tuple[Source, str | None]:
        # By identity: comparing code objects by value compares their whole bytecode.
        place = (id(site.code), site.lasti)
        known = self._known.get(place)
        if known is None:
            line, first, last = site.position
            raw = linecache.getline(site.filename, line)
            source = Source(os.path.basename(site.filename), line, raw.strip()[:400], site.function)
            known = self._known[place] = (source, _assigned(raw, first, last), site)
        return known[:2]


def _assigned(raw: str, first: int, last: int) -> str | None:
    """The name that the expression in columns first…last of a source line is assigned to."""
    text = raw.strip()
    if "=" not in text or first < 0:
        return None
    # Columns count UTF-8 bytes, in the line and in the tree alike.
    shift = len(raw.encode()) - len(raw.lstrip().encode())
    first, last = first - shift, last - shift
    try:
        statement = ast.parse(text).body[0]
    except (SyntaxError, ValueError, IndexError):
        return None  # one line of a longer statement
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
        value: ast.expr | None = statement.value
    elif isinstance(statement, ast.AnnAssign):
        target, value = statement.target, statement.value
    else:
        return None
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = list(zip(target.elts, value.elts, strict=True))
    for name, expression in pairs:
        # A method call's instruction covers the whole expression, so equality is the right test.
        if (
            isinstance(name, ast.Name)
            and expression is not None
            and (expression.col_offset, expression.end_col_offset) == (first, last)
        ):
            return name.id
    return None
