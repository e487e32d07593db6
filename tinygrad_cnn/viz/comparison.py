"""Two graphs side by side: what was added, removed or changed, and both graphs' gradients.

Nodes are matched by name (parameters and named tensors), else by module, op and order. Works on the two
descriptions; the result is a description too, so every renderer shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from difflib import SequenceMatcher
from typing import Any

from tinygrad_cnn.viz.description import Description, Edge, Node, Other, Summary
from tinygrad_cnn.viz.escape import printable
from tinygrad_cnn.viz.files import write_text
from tinygrad_cnn.viz.formula import number, shape_text
from tinygrad_cnn.viz.graphs import FileName, Graph, graph
from tinygrad_cnn.viz.text import align

#: Modules with more nodes than this are matched by order alone: aligning costs the square of the length.
ALIGNED = 2000


def compare(
    a: Any, b: Any, *, labels: tuple[str, str] = ("before", "after"), title: str | None = None, **options: Any
) -> Comparison:
    """Compare two graphs: before and after a training step, float32 and float64, two initialisations.

    `a` and `b` are losses or `Graph`s; `options` are those of `viz.graph`, used for losses. A graph of a
    loss keeps no tensor, so ``a = viz.graph(loss)`` before a step and ``b = viz.graph(loss)`` behind it is
    the way to compare over time. `labels` name the two.
    """
    first = a if isinstance(a, Graph) else graph(a, **options)
    second = b if isinstance(b, Graph) else graph(b, **options)
    return Comparison(merged(first.description, second.description, labels, title))


class Comparison(Graph):
    """A compared pair: shows as a `Graph` does, its text as a table of gradients."""

    def text(self, path: FileName | None = None, *, max_nodes: int | None = None) -> str:
        """A table: what became of each node, and its gradient in both graphs. Newest first."""
        drawn = _table(self.description, max_nodes)
        if path is not None:
            write_text(path, drawn + "\n")
        return drawn

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes are the same, changed, added, removed."""
        found = dict.fromkeys(("same", "changed", "added", "removed"), 0)
        for node in self.description.nodes:
            found[node.change] += 1
        return found

    def __repr__(self) -> str:
        a, b = self.description.sides
        return (
            f"<Comparison of {a} and {b}: "
            + ", ".join(f"{n} {what}" for what, n in self.counts.items())
            + ">"
        )


def merged(a: Description, b: Description, labels: tuple[str, str], title: str | None = None) -> Description:
    """`b` with what is only in `a` added to it, and each node's numbers in `a` beside its own."""
    pairs = _matched(a, b)  # id in a -> id in b
    back = {new: old for old, new in pairs.items()}
    old_nodes = {n.id: n for n in a.nodes}
    out = copy(b)
    out.kind, out.sides = "compare", list(labels)
    out.title = title if title is not None else f"{labels[0]} → {labels[1]}"
    out.notes = [*dict.fromkeys([*a.notes, *b.notes])]

    new_ids = {old: pairs.get(old, f"a{old}") for old in old_nodes}
    old_inputs = _inputs(a, new_ids)
    new_inputs = _inputs(b, {n.id: n.id for n in b.nodes})
    # Another kind of module in the old one's place is not its home.
    old_kinds = {m.path: m.cls for m in a.modules}
    paths = {m.path for m in b.modules if old_kinds.get(m.path) == m.cls}
    nodes = []
    for record in b.nodes:
        node = copy(record)
        old = back.get(node.id)
        if old is None:
            node.change = "added"
        else:
            before = old_nodes[old]
            node.other = Other(old, before.value, before.gradient)
            node.changes = _differences(before, node)
            if old_inputs.get(node.id) != new_inputs.get(node.id):
                node.changes.append("other inputs")
            node.change = "changed" if node.changes else "same"
        nodes.append(node)
    gone = []
    for record in a.nodes:
        if record.id not in pairs:
            node = copy(record)
            node.id, node.change, node.loss = new_ids[record.id], "removed", False
            node.other, node.value, node.gradient = (
                Other(record.id, record.value, record.gradient),
                None,
                None,
            )
            if node.module not in paths:
                node.module = None
            gone.append(node)
    out.nodes = _interleaved(nodes, gone, a, back)
    old_edges = {(new_ids[e.from_], new_ids[e.to], e.index) for e in a.edges}
    out.edges = []
    for edge in b.edges:
        edge = copy(edge)
        edge.change = "same" if (edge.from_, edge.to, edge.index) in old_edges else "added"
        out.edges.append(edge)
    present = {(e.from_, e.to, e.index) for e in b.edges}
    for edge in a.edges:
        ends = (new_ids[edge.from_], new_ids[edge.to], edge.index)
        if ends not in present:
            out.edges.append(Edge(f"a{edge.id}", *ends, local=edge.local, change="removed"))
    members: dict[str, list[str]] = {}
    for node in gone:
        if node.module is not None:
            members.setdefault(node.module, []).append(node.id)
    out.modules = []
    for record_module in b.modules:
        module = copy(record_module)
        more = members.get(module.path, [])
        module.nodes = [*module.nodes, *more]
        out.modules.append(module)
    return out


def _matched(a: Description, b: Description) -> dict[str, str]:
    groups_of = _real_module(a), _real_module(b)
    # Two networks may both have a "weight": the module belongs to the name.
    named = [
        {
            (place.get(n.module or "") if n.parameter else None, n.name): n.id
            for n in side.nodes if n.leaf and n.name is not None
        }
        for side, place in zip((a, b), groups_of, strict=True)
    ]  # fmt: skip
    pairs = {old: named[1][key] for key, old in named[0].items() if key in named[1]}
    taken = set(pairs.values())
    groups: dict[str, tuple[list[Node], list[Node]]] = {}
    for side, (description, skip) in enumerate(((a, pairs), (b, taken))):
        for node in description.nodes:
            if node.id not in skip:
                place = groups_of[side].get(node.module or "", node.module or "")
                groups.setdefault(f"{node.module is not None} {place}", ([], []))[side].append(node)
    for old, new in groups.values():
        tokens = [n.op for n in old], [n.op for n in new]
        if tokens[0] == tokens[1] or max(len(old), len(new)) > ALIGNED:
            pairs |= {x.id: y.id for x, y in zip(old, new, strict=False) if x.op == y.op}
            continue
        for start_a, start_b, size in SequenceMatcher(None, *tokens, autojunk=False).get_matching_blocks():
            pairs |= {old[start_a + k].id: new[start_b + k].id for k in range(size)}
    return pairs


def _real_module(description: Description) -> dict[str, str]:
    """Groups were made up by each graph for itself: their nodes belong to the module around them. Several
    networks have the names of variables, which may differ between the graphs: they count by their order."""
    modules = {m.path: m for m in description.modules}
    found = {}
    tops = [m.path for m in description.modules if m.parent is None]
    for module in description.modules:
        step: str | None = module.path
        while step is not None and modules[step].cls == "group":
            step = modules[step].parent
        name = step or ""
        for k, top in enumerate(tops if len(tops) > 1 else ()):
            if name == top or name.startswith(f"{top}."):
                name = f"{k}{name[len(top) :]}"
                break
        found[module.path] = name
    return found


def _inputs(description: Description, ids: Mapping[str, str]) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for edge in description.edges:
        found.setdefault(ids[edge.to], []).append((edge.index, ids[edge.from_]))
    return found


def _differences(old: Node, new: Node) -> list[str]:
    found = []
    if old.op != new.op:
        found.append(f"op {old.op} → {new.op}")
    if old.shape != new.shape:
        found.append(f"shape {shape_text(old.shape)} → {shape_text(new.shape)}")
    if old.dtype != new.dtype:
        found.append(f"dtype {old.dtype} → {new.dtype}")
    for key in sorted(old.params.keys() | new.params.keys()):
        before, after = old.params.get(key, "–"), new.params.get(key, "–")
        if before != after and not before.startswith("array"):
            found.append(f"{key} {before} → {after}")
    return found


def _interleaved(nodes: list[Node], gone: list[Node], a: Description, back: Mapping[str, str]) -> list[Node]:
    """`nodes` with the removed ones where they stood: behind the same neighbours as in the old graph."""
    place = {n.id: k for k, n in enumerate(a.nodes)}
    out, waiting = [], list(reversed(gone))
    for node in nodes:
        old = back.get(node.id)
        if old is not None:
            while waiting and waiting[-1].other is not None and place[waiting[-1].other.id] < place[old]:
                out.append(waiting.pop())
        out.append(node)
    return [*out, *reversed(waiting)]


# --- text -------------------------------------------------------------------------------------------

_MARKS = {"same": " ", "changed": "~", "added": "+", "removed": "-"}


def _table(description: Description, limit: int | None) -> str:
    a, b = description.sides
    shown = description.nodes[::-1]
    rows = [("", "", f"grad {a}", f"grad {b}", "ratio", "")]
    for node in shown[:limit]:
        if node.kind == "constant" and node.change == "same":
            continue
        old = node.other.gradient if node.other else None
        new = node.gradient
        title = printable(node.label, 40)
        if not node.leaf and node.kind != "constant":
            title += f" ({node.op})" if node.name and node.name != node.op else ""
            title += f"  [{printable(node.module, 30)}]" if node.module else ""
        rows.append(
            (_MARKS[node.change], title, _size(old), _size(new), _ratio(old, new), "; ".join(node.changes))
        )
    lines = [printable(description.title, 120), *align(rows)]
    if limit is not None and len(shown) > limit:
        lines.append(f"… {len(shown) - limit:,} more nodes (max_nodes={limit})")
    counts = {what: sum(n.change == what for n in description.nodes) for what in _MARKS}
    lines += ["", ", ".join(f"{count:,} {what}" for what, count in counts.items())]
    return "\n".join(lines)


def _size(g: Summary | None) -> str:
    if g is None:
        return "–"
    if g.scalar is not None:
        return number(g.scalar)
    if g.nan or g.inf or g.norm is None:
        return "nan" if g.nan else "∞" if g.inf else "empty"
    return f"‖{number(g.norm, 4)}‖"


def _ratio(old: Summary | None, new: Summary | None) -> str:
    if old is None or new is None or not old.norm or new.norm is None:
        return ""
    ratio = new.norm / old.norm
    return "=" if ratio == 1 and old.scalar == new.scalar else f"{ratio:.4g}"
