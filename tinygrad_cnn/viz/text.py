"""The graph as a tree of text for a terminal: from the loss to the inputs, in the order of the backward pass.

A node stands under the oldest of its users, so it comes behind everything that hands it a gradient; its
other users refer to it. The largest branch goes on in its parent's column and only the smaller ones are
indented: a chain of 100,000 nodes stays a straight list, and no tree is ever indented by more than log₂ n.
Highlighted nodes bear a star.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tinygrad_cnn.viz.description import Description, Edge, Node, Summary
from tinygrad_cnn.viz.dot import size
from tinygrad_cnn.viz.escape import printable
from tinygrad_cnn.viz.formula import mapping, number, size_text

#: Columns of names never grow beyond this.
WIDEST = 56


def text(description: Description, *, max_nodes: int | None = None) -> str:
    """The tree; behind `max_nodes` nodes it ends with a line that says how many are left out."""
    rows = _rows(description, max_nodes)
    left_out = len(description.nodes) - sum(1 for row in rows if row[0])
    lines = align([row[1:] for row in rows])
    head = [printable(description.title, 120)] if description.title else []
    if left_out > 0:
        lines.append(f"… {left_out:,} more nodes (max_nodes={max_nodes})")
    parameters = sum(m.parameters for m in description.modules if m.parent is None)
    facts = [f"{len(description.nodes):,} values", f"{len(description.edges):,} edges"]
    facts += [f"{size_text(parameters)} parameters"] if parameters else []
    tail = ["", ", ".join(facts), *(f"note: {printable(note, 300)}" for note in description.notes)]
    return "\n".join([*head, *lines, *tail])


def _rows(description: Description, limit: int | None) -> list[tuple[str, ...]]:
    """(node id or "" for a reference, tree and title, shape, value, gradient, how the gradient came)."""
    nodes = {n.id: n for n in description.nodes}
    place = {n.id: k for k, n in enumerate(description.nodes)}
    inputs: dict[str, list[Edge]] = {}
    oldest: dict[str, Edge] = {}
    for edge in description.edges:
        inputs.setdefault(edge.to, []).append(edge)
        known = oldest.get(edge.from_)
        if known is None or place[edge.to] < place[known.to]:
            oldest[edge.from_] = edge
    size = {n.id: 1 for n in description.nodes}
    for node in description.nodes:  # each behind its inputs
        if node.id in oldest:
            size[oldest[node.id].to] += size[node.id]
    roots = [n.id for n in reversed(description.nodes) if n.id not in oldest]

    rows: list[tuple[str, ...]] = []
    # (node, edge it came along, prefix of its line, prefix of what is under it, refers only)
    stack: list[tuple[str, Edge | None, str, str, bool]] = [
        (root, None, "", "", False) for root in reversed(roots)
    ]
    shown = 0
    while stack:
        key, along, first, under, refers = stack.pop()
        node = nodes[key]
        if refers:
            rows.append(("", f"{first}{_title(node, short=True)} (below)", "", "", "", _how(along)))
            continue
        if limit is not None and shown >= limit:
            break
        shown += 1
        rows.append((key, first + _title(node), _shape(node), _value(node), _gradient(node), _how(along)))
        children = [(e, oldest[e.from_] is not e) for e in inputs.get(key, ())]
        if not children:
            continue
        own = [e for e, elsewhere in children if not elsewhere]
        # Leaves alone are leaves of the tree; the largest other branch runs on in this column.
        runs_on = max(own, key=lambda e: size[e.from_]) if own else None
        if runs_on is not None and not inputs.get(runs_on.from_):
            runs_on = None
        branches = [(e, elsewhere) for e, elsewhere in children if e is not runs_on]
        branches.sort(key=lambda b: (0 if b[1] else size[b[0].from_], b[0].index))
        pending: list[tuple[str, Edge | None, str, str, bool]] = []
        for k, (e, elsewhere) in enumerate(branches):
            last = k == len(branches) - 1 and runs_on is None
            pending.append(
                (
                    e.from_,
                    e,
                    under + ("└─ " if last else "├─ "),
                    under + ("   " if last else "│  "),
                    elsewhere,
                )
            )
        if runs_on is not None:
            pending.append((runs_on.from_, runs_on, under, under, False))
        stack.extend(reversed(pending))
    return rows


def _title(node: Node, short: bool = False) -> str:
    name = printable(node.label, 40)
    if node.kind == "constant":
        number_alone = not node.name and node.value is not None and node.value.scalar is not None
        title = f"constant {name}" if number_alone else name
    elif node.leaf:
        title = name if node.name else f"{name} #{node.id}"
    elif short:
        title = f"{name} #{node.id}"
    elif (
        node.numbers
        and not node.shape
        and len(node.formula) <= 44
        and node.formula.startswith(f"{node.name} = ")
    ):
        title = printable(node.formula, 44)
    else:
        title = f"{name} ({node.op})" if node.name and node.op != node.name else f"{name} #{node.id}"
    if node.module and not node.leaf and not short:
        module = printable(node.module, 30)
        title += f"  {module}" if module.startswith("[") else f"  [{module}]"
    return title + (f"  {printable(node.alarm.upper())}!" if node.alarm else "") + ("  *" if node.highlighted else "")


def _shape(node: Node) -> str:
    return "×".join(map(str, node.shape)) if node.shape else ""


def _value(node: Node) -> str:
    if (
        node.kind == "constant"
        and node.name is None
        and node.value is not None
        and node.value.scalar is not None
    ):
        return ""  # its name is its number
    return _told(node.value) if node.kept else "not kept"


def _told(summary: Summary | None) -> str:
    if summary is None:
        return ""
    if summary.scalar is not None:
        return number(summary.scalar)
    if summary.norm is None:
        return "not finite" if summary.n else "empty"
    odd = [f", {count:,} {what}" for count, what in ((summary.nan, "nan"), (summary.inf, "∞")) if count]
    zeros = f", {summary.zeros:.0%} zero" if summary.zeros >= 0.005 else ""
    low, high = number(summary.min, 3), number(summary.max, 3)
    if summary.min == summary.max and not odd:
        return f"all {low}"
    return f"{low} … {high}{zeros}{''.join(odd)}"


def _gradient(node: Node) -> str:
    return f"grad {size(node.gradient)}" if node.gradient is not None else ""


def _how(edge: Edge | None) -> str:
    if edge is None or edge.local is None:
        return ""
    if edge.numbers:
        return edge.numbers.split(" = ", 1)[1].rsplit(" = ", 1)[0] if " · " in edge.numbers else ""
    text = mapping(edge.local.text)
    local = printable(text if text != edge.local.text else f"× {text}", 32)
    down = edge.contribution
    arrived = f"↑ {size(down)}  " if down is not None and down.scalar is None else ""
    return f"{arrived}{local}" + (f" ({printable(edge.local.structure)})" if edge.local.structure != "identity" else "")


# --- columns ----------------------------------------------------------------------------------------


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell; empty columns take no room."""
    if not rows:
        return []
    columns = len(rows[0])
    widths = [min(max(_width(row[c]) for row in rows), WIDEST) for c in range(columns)]
    lines = []
    for row in rows:
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(c for c, w in zip(cells, widths, strict=True) if w).rstrip())
    return lines


def _width(text: str) -> int:
    """Columns that a text takes in a terminal: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
