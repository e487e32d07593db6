"""Names and source lines of nodes: where a node was made, which variable took its value, what it was made of.

``z = x * y`` tells that the product is z, ``x + 5`` that a 5 was added: pictures may say so. Reads the code
positions that nodes keep; each place is looked up once.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.inspect import Node, Site, leaf_names
from tinygrad_cnn.viz.caller_names import CallerNames, place_of
from tinygrad_cnn.viz.description import Source

#: Operators and the op that each of them is; what else an operator may call is not what the line says.
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.MatMult: "matmul", ast.Pow: "pow",
    ast.Mod: "remainder",
}  # fmt: skip
#: Longer operands are told of as "…": a picture is no listing.
LONGEST_OPERAND = 24


@dataclass(frozen=True)
class Operand:
    """What a source line says of one input of an op: its text, and the number where it is one."""

    text: str
    number: int | float | None = None


class Places:
    """Looks up source lines, each place once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Source, str | None, Site]] = {}
        self._operands: dict[tuple[int, int], tuple[str, tuple[Operand | None, ...]] | None] = {}

    def source(self, node: Node) -> Source | None:
        """The line that made the node; None when the engine itself made it."""
        where = node.where
        return self._look(where)[0] if where is not None else None

    def variable(self, node: Node) -> str | None:
        """The variable that the expression which made the node was assigned to, as far as the line shows."""
        where = node.where
        return self._look(where)[1] if where is not None else None

    def operand(self, node: Node, i: int) -> Operand | None:
        """What the line that made the node calls input `i`: ``x + 5`` tells of a 5. None where it does not tell.

        Only operators tell: which argument of a function becomes which input is the function's business.
        """
        where = node.where
        if where is None:
            return None
        place = (id(where.code), where.lasti)
        if place not in self._operands:
            self._look(where)
            line, first, last = where.position
            self._operands[place] = _operands(linecache.getline(where.filename, line), first, last)
        found = self._operands[place]
        if found is None or found[0] != node.op.name or i >= len(found[1]):
            return None
        return found[1][i]

    def _look(self, site: Site) -> tuple[Source, str | None]:
        # By identity: comparing code objects by value compares their whole bytecode.
        place = (id(site.code), site.lasti)
        known = self._known.get(place)
        if known is None:
            line, first, last = site.position
            raw = linecache.getline(site.filename, line)
            source = Source(_file(site.filename), line, raw.strip()[:400], site.function)
            known = self._known[place] = (source, _assigned(raw, first, last), site)
        return known[:2]


def _file(filename: str) -> str:
    """How a reader knows a file: its name, and a notebook's cell by its number."""
    interpreter = sys.modules.get("IPython")
    shell = interpreter.get_ipython() if interpreter is not None else None
    cell = getattr(getattr(shell, "compile", None), "_filename_map", {}).get(filename)
    if cell is not None:
        return f"In [{cell}]"
    return os.path.basename(filename)


def names_of(
    nodes: Sequence[Node], places: Places, wished: Mapping[str, Handle], around: CallerNames
) -> tuple[dict[int, str], dict[tuple[int, int], str], set[int]]:
    """Names of nodes by `seq`, names of arrays by place, and the `seq`s of parameters whose module is gone.

    What the user wished comes first, then a tensor's own name or its path in its module, then the variable it
    was assigned to where it was made, and last the variables that hold it now.
    """
    named = leaf_names(list(nodes))
    lost = _lost_parameters(nodes)
    named |= lost
    arrays = dict(around.arrays)
    for name, tensor in wished.items():
        if tensor.node is not None:
            named[tensor.node.seq] = name
        arrays[place_of(tensor.array)] = name
    for node in nodes:
        if node.name is not None:
            named.setdefault(node.seq, node.name)
    # A variable's name belongs to the last node that its expression made, and within modules it
    # would only repeat `x = …` on every line.
    made = {n.seq: None if (w := n.where) is None else (id(w.code), w.lasti) for n in nodes}
    inner = {p.seq for n in nodes for p in n.parents if p is not None and made[p.seq] == made[n.seq]}
    for node in nodes:
        if node.seq not in named and node.seq not in inner and (node.scope is None or not node.parents):
            variable = places.variable(node)
            if variable is not None:
                named[node.seq] = variable
    for node in nodes:
        if node.seq in around.nodes:
            named.setdefault(node.seq, around.nodes[node.seq])
    return named, arrays, set(lost)


def _lost_parameters(nodes: Sequence[Node]) -> dict[int, str]:
    """A parameter whose module is gone (a function gave the loss alone) is known by its name, which modules
    give, and by its first use, which was inside one."""
    lost: dict[int, str] = {}
    seen: set[int] = set()
    for node in nodes:
        for parent in node.parents:
            if parent is None or parent.parents or parent.seq in seen:
                continue
            seen.add(parent.seq)
            if parent.tensor is None and parent.name is not None and node.scope is not None:
                lost[parent.seq] = f"{node.module}.{parent.name}" if node.module else parent.name
    return lost


def _assigned(raw: str, first: int, last: int) -> str | None:
    """The name that the expression in columns first…last of a source line is assigned to."""
    if "=" not in raw or first < 0:
        return None
    for statement, shift in _statements(raw):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: ast.expr = statement.targets[0]
            value: ast.expr | None = statement.value
        elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(statement, ast.AugAssign):
            # The instruction of ``y += 1`` covers the whole statement.
            if isinstance(target, ast.Name) and _span(statement, shift) == (first, last):
                return target.id
            continue
        pairs = [(target, value)]
        if (
            isinstance(target, ast.Tuple)
            and isinstance(value, ast.Tuple)
            and len(target.elts) == len(value.elts)
        ):
            pairs = list(zip(target.elts, value.elts, strict=True))
        for name, expression in pairs:
            # A method call's instruction covers the whole expression, so equality is the right test.
            if (
                isinstance(name, ast.Name)
                and expression is not None
                and _span(expression, shift) == (first, last)
            ):
                return name.id
    return None


def _operands(raw: str, first: int, last: int) -> tuple[str, tuple[Operand | None, ...]] | None:
    """The op of the expression in columns first…last of a source line, and what its inputs are there."""
    if first < 0:
        return None
    for statement, shift in _statements(raw):
        for part in ast.walk(statement):
            if isinstance(part, (ast.BinOp, ast.AugAssign)) and _span(part, shift) == (first, last):
                left, right = (
                    (part.left, part.right) if isinstance(part, ast.BinOp) else (part.target, part.value)
                )
                name = _OPERATORS.get(type(part.op))
                return None if name is None else (name, (_operand(left), _operand(right)))
            # ``y[0] = 7`` is the op setitem, and its instruction covers the target alone.
            if (
                isinstance(part, ast.Assign)
                and len(part.targets) == 1
                and isinstance(part.targets[0], ast.Subscript)
                and _span(part.targets[0], shift) == (first, last)
            ):
                return "setitem", (_operand(part.targets[0].value), _operand(part.value))
    return None


def _operand(expression: ast.expr) -> Operand | None:
    text = ast.unparse(expression)
    try:
        value = ast.literal_eval(expression)
    except (ValueError, TypeError, MemoryError, RecursionError):
        value = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Operand(text, value)
    return Operand(text) if len(text) <= LONGEST_OPERAND else None


def _statements(raw: str) -> list[tuple[ast.stmt, int]]:
    """The statements on a source line with the columns by which they are shifted; none of a part of a longer one."""
    text = raw.strip()
    # Columns count UTF-8 bytes, in the line and in the tree alike.
    shift = len(raw.encode()) - len(raw.lstrip().encode())
    if text.endswith(":"):  # the head of a block: `for …:`, `with …:`
        text += " pass"
    try:
        return [(statement, shift) for statement in ast.parse(text).body]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _span(part: ast.expr | ast.stmt, shift: int) -> tuple[int, int]:
    return part.col_offset + shift, (part.end_col_offset or 0) + shift
