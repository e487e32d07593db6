"""One grammar for "which node": what breakpoints, `goto`, `--break` and editors' function breakpoints read.

    relu  conv2d      op, node name, parameter, module or module's class of that name; * and ? are wildcards
    op:conv2d  name:h1  module:features.*  param:fc.weight  shape:(*,16,*,*)
    net.py:12  line:net.py:12  :12      nodes made by that source line
    step:17  seq:203                    one node, by its place in the pass or its number
    nan  inf  norm > 10  dead_relu > 0.9  any Python expression (see `conditions`)
    SELECTOR if EXPRESSION              both

`parse` turns text into a `Query`; a `Query` is asked about nodes by the session. Knows nothing of sessions.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.support.errors import UsageError

if TYPE_CHECKING:
    from tinygrad_cnn.autograd.graph import Node

#: Words that are conditions by themselves (names in the condition's namespace that may be true).
CONDITION_WORDS = ("nan", "inf", "nonfinite", "all_zero")
KINDS = ("op", "name", "module", "param", "shape", "line", "step", "seq", "leaf")

_PREFIX = re.compile(r"^(op|name|module|param|shape|line|step|seq):\s*(.*)$")
_LINE = re.compile(r"^(.*?):?(\d+)$")
# `0.weight` is a parameter of a Sequential; `0.5` is a number.
_WORD = re.compile(r"^[A-Za-z_*?][\w.*?\[\]-]*$|^\d+(\.[\w*?]+)*\.[A-Za-z_*?][\w*?]*$")
_SHAPE = re.compile(r"^\(\s*[\d*?]+\s*(,\s*[\d*?]+\s*)*,?\s*\)$|^\(\s*\)$")


@dataclass(frozen=True)
class Selector:
    """Nodes by one property. `kind` is one of `KINDS` or ``"word"`` (op, name, parameter or module)."""

    kind: str
    pattern: str

    def matches(self, node: Node, *, name: str | None = None, step: int | None = None) -> bool:
        """Whether it chooses `node`; `name` is the node's full name (``features.0.weight``), `step` its place."""
        kind, pattern = self.kind, self.pattern
        if kind == "word":
            return _is_op(node, pattern) or self._named(node, name) or _in_module(node, pattern)
        if kind == "op":
            return _is_op(node, pattern)
        if kind == "name":
            return self._named(node, name)
        if kind == "module":
            return _in_module(node, pattern)
        if kind == "param":
            return node.is_leaf and self._named(node, name)
        if kind == "leaf":
            return node.is_leaf
        if kind == "shape":
            return _shape_like(node.shape, pattern)
        if kind == "line":
            return _made_at(node, pattern)
        if kind == "step":
            return step == int(pattern)
        return node.seq == int(pattern)

    def _named(self, node: Node, name: str | None) -> bool:
        return (name is not None and _like(name, self.pattern)) or (
            node.name is not None and _like(node.name, self.pattern)
        )

    @property
    def text(self) -> str:
        if self.kind in ("word", "leaf"):
            return self.pattern
        return f"{self.kind}:{self.pattern}"


@dataclass(frozen=True)
class Query:
    """What the grammar's text says: a selector, a condition, or both; neither means every node."""

    selector: Selector | None = None
    condition: str | None = None

    @property
    def text(self) -> str:
        if self.selector is None:
            return self.condition or "*"
        return self.selector.text + (f" if {self.condition}" if self.condition else "")

    def __str__(self) -> str:
        return self.text


def parse(text: str, *, file: str | None = None) -> Query:
    """Read a selector, a condition, or ``SELECTOR if EXPRESSION`` (pdb's ``SELECTOR, EXPRESSION`` too).

    `file` is the file a bare line number belongs to. Raises UsageError that says what was expected.
    """
    text = text.strip()
    if not text:
        raise UsageError(
            "expected a selector or a condition, got nothing; examples: relu  features.*  net.py:12  norm > 10"
        )
    head, condition = _split_condition(text)
    if condition is not None:
        check_expression(condition)
        if not head:
            return Query(None, condition)
    selector = _selector(head, file)
    if selector is not None:
        return Query(selector, condition)
    expression = head if condition is None else f"({head}) and ({condition})"
    check_expression(expression, what=text)
    return Query(None, expression)


def check_expression(expression: str, what: str | None = None) -> None:
    """Raises UsageError unless `expression` is a Python expression."""
    try:
        ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(
            f"cannot read {what or expression!r} as a selector or a Python expression ({reason}); "
            "examples: relu  op:conv2d  module:features.*  param:fc.weight  shape:(*,16,*,*)  net.py:12  norm > 10"
        ) from None


def _selector(text: str, file: str | None) -> Selector | None:
    """The selector that `text` is, or None when it can only be an expression."""
    prefixed = _PREFIX.match(text)
    if prefixed:
        kind, pattern = prefixed[1], prefixed[2].strip()
        if not pattern:
            raise UsageError(f"{kind}: expects something behind the colon, e.g. {_EXAMPLE[kind]}")
        if kind in ("step", "seq") and not pattern.isdigit():
            raise UsageError(f"{kind}: expects a number, got {pattern!r}; e.g. {_EXAMPLE[kind]}")
        if kind == "shape" and not _SHAPE.match(pattern):
            raise UsageError(
                f"shape: expects numbers and * in parentheses, got {pattern!r}; e.g. {_EXAMPLE[kind]}"
            )
        if kind == "line":
            return Selector("line", _line(pattern, file))
        return Selector(kind, pattern)
    if text == "leaf":
        return Selector("leaf", "leaf")
    if text in CONDITION_WORDS:
        return None
    if text.isdigit() or re.match(r"^:\d+$", text) or re.match(r"^[^\s<>=!(),'\"]+\.\w+:\d+$", text):
        return Selector("line", _line(text, file))
    if _SHAPE.match(text) and ("*" in text or "?" in text):
        return Selector("shape", text)
    if text == "*" or (_WORD.match(text) and not _is_literal(text)):
        return Selector("word", text)
    return None


_EXAMPLE = {
    "op": "op:conv2d", "name": "name:h1", "module": "module:features.*", "param": "param:fc.weight",
    "shape": "shape:(*,16,*,*)", "line": "line:net.py:12", "step": "step:17", "seq": "seq:203",
}  # fmt: skip


def _split_condition(text: str) -> tuple[str, str | None]:
    if text.startswith("if "):
        return "", text[3:].strip()
    # A conditional expression (a if b else c) is an expression, not a selector with a condition.
    found = re.match(r"^(.*?\S)\s+if\s+(.*)$", text)
    if found and " else " not in found[2]:
        return found[1], found[2].strip()
    comma = re.match(r"^([^,()]+|\w+:\([^)]*\)|\([^)]*\)),\s*(.+)$", text)
    if comma and not comma[2].endswith(")"):
        return comma[1].strip(), comma[2].strip()
    if comma and comma[2].count("(") == comma[2].count(")"):
        return comma[1].strip(), comma[2].strip()
    return text, None


def _line(text: str, file: str | None) -> str:
    found = _LINE.match(text)
    if found is None:
        raise UsageError(f"line: expects FILE:NUMBER, got {text!r}; e.g. line:net.py:12")
    name = found[1] or (file or "")
    if not name:
        raise UsageError(f"line {found[2]} of which file? Write FILE:{found[2]}, e.g. net.py:{found[2]}")
    return f"{name}:{found[2]}"


def _is_literal(text: str) -> bool:
    return text in ("True", "False", "None")


def _like(text: str, pattern: str) -> bool:
    return text == pattern or fnmatchcase(text, pattern)


#: What people call ops that the engine names after what they compute.
_USUAL = {
    "conv": "correlate", "conv1d": "correlate", "conv2d": "correlate", "conv3d": "correlate",
    "conv_transpose1d": "correlate_input", "conv_transpose2d": "correlate_input", "conv_transpose3d": "correlate_input",
    "max_pool1d": "max_pool", "max_pool2d": "max_pool", "max_pool3d": "max_pool",
    "avg_pool1d": "avg_pool", "avg_pool2d": "avg_pool", "avg_pool3d": "avg_pool",
    "batchnorm": "batch_norm", "linear": "matmul", "nll_loss": "pick",
}  # fmt: skip


def _is_op(node: Node, pattern: str) -> bool:
    """By the op's own name, the usual name of it, or the class of the module it is in (``Conv2d``)."""
    if _like(node.op.name, pattern) or node.op.name == _USUAL.get(pattern):
        return True
    return not node.is_leaf and node.scope is not None and _like(node.scope.kind, pattern)


def _in_module(node: Node, pattern: str) -> bool:
    """The module itself or any module around it matches: ``features`` chooses all of ``features.1.conv``."""
    path = node.module
    if not path:
        return False
    if _like(path, pattern):
        return True
    parts = path.split(".")
    return any(_like(".".join(parts[:k]), pattern) for k in range(1, len(parts)))


def _shape_like(shape: tuple[int, ...], pattern: str) -> bool:
    wanted = [p.strip() for p in pattern.strip("()").split(",") if p.strip()]
    return len(wanted) == len(shape) and all(
        p in ("*", "?") or fnmatchcase(str(n), p) for p, n in zip(wanted, shape, strict=True)
    )


def _made_at(node: Node, pattern: str) -> bool:
    where = node.where
    if where is None:
        return False
    name, _, number = pattern.rpartition(":")
    return where.lineno == int(number) and same_file(where.filename, name)


def same_file(path: str, name: str) -> bool:
    """Whether `name` (a base name, a path's tail, or a whole path) means `path`."""
    if path == name:
        return True
    have, want = PurePath(path).parts, PurePath(name).parts
    return bool(want) and have[-len(want) :] == want


def suggestions(nodes: Any, names: dict[int, str]) -> list[str]:
    """Words that would choose something here: ops, parameters, modules (for completion and error messages)."""
    found: dict[str, None] = {}
    for node in nodes:
        if not node.is_leaf:
            found[node.op.name] = None
        elif node.seq in names:
            found[f"param:{names[node.seq]}"] = None
        if node.module:
            found[node.module] = None
    return list(found)
