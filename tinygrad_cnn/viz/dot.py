"""The description as Graphviz's DOT: boxes, a cluster per open module, lines as wide as the gradient is large.

Names come from outside: they appear in labels only, escaped and cut, never as identifiers.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from typing import TYPE_CHECKING

from tinygrad_cnn.viz.description import Description, Edge, Local, Module, Node, Summary
from tinygrad_cnn.viz.escape import clean, printable
from tinygrad_cnn.viz.formula import entries, inside, mapping, number, shape_text, short_local, size_text
from tinygrad_cnn.viz.legend import BACK, kind_of, legend
from tinygrad_cnn.viz.style import Scale, Theme, theme
from tinygrad_cnn.viz.view import Box, Line, View, view

if TYPE_CHECKING:
    import graphviz

#: Above this many boxes the lines carry no text: nobody could read it.
LABELLED = 60
#: Above this many boxes good placement gives way to an end in sight.
CROWD = 1500
FONT = "Helvetica,Arial,sans-serif"


def dot(
    description: Description, *, opened: Collection[str] | None = None, look: str | None = None
) -> graphviz.Digraph:
    """A `graphviz.Digraph`. `opened` are the paths of modules to show open, `look` is light or dark."""
    import graphviz

    shown = view(description, opened)
    colours = theme(look or description.theme)
    out = graphviz.Digraph("graph")
    out.attr(
        "graph", rankdir=description.direction, bgcolor=colours.page,
        fontname=FONT, fontcolor=colours.ink, fontsize="14",
        nodesep="0.3", ranksep="0.45", pad="0.3", compound="true", charset="UTF-8",
    )  # fmt: skip
    if len(shown.boxes) > CROWD:
        out.attr("graph", nslimit="2", mclimit="0.5", splines="line")
    scale = Scale([line.norm for line in shown.lines if line.norm is not None])
    title = f"<B>{clean(description.title, 120)}</B>" if description.title else ""
    told = (
        legend(description, shown, scale, colours, LABELLED)
        if description.options.get("legend", True)
        else ""
    )
    if told:
        out.attr("graph", label=f"<{told}>", labelloc="b", labeljust="l")
    elif title:
        out.attr("graph", label=f"<{title}>", labelloc="t", labeljust="l")
    out.attr("node", shape="box", style="rounded,filled", fontname=FONT, fontsize="11", margin="0.11,0.06",
             fontcolor=colours.ink, penwidth="1.1")  # fmt: skip
    out.attr(
        "edge", fontname=FONT, fontsize="9", arrowsize="0.6", fontcolor=colours.quiet, color=colours.line
    )
    names = {m.path: f"cluster_{k}" for k, m in enumerate(description.modules)}
    keys = {key: f"b{k}" for k, key in enumerate(shown.boxes)}
    if (
        title and told
    ):  # a graph has one label: the legend is the whole's, the title that of a frame around it
        out.body.append(
            f"\tsubgraph cluster_title {{\n\t\tgraph [label=<{title}> labeljust=l labelloc=t "
            'color="transparent" margin=0]\n'
        )
    _clusters(out, description, shown, colours, names, keys)
    if title and told:
        out.body.append("\t}\n")
    labelled = len(shown.boxes) <= LABELLED
    quiet = {node.id for node in description.nodes if node.kind == "constant" or not node.recorded}
    for line in shown.lines:
        attributes = _line(line, scale, colours, labelled, description)
        if all(edge.from_ in quiet or edge.to in quiet for edge in line.edges) and "style" not in attributes:
            attributes |= {"style": "dashed", "penwidth": "0.8"}  # nothing flows back
        out.edge(keys[line.tail], keys[line.head], **attributes)
    return out


# --- boxes ----------------------------------------------------------------------------------------


def _clusters(
    out: graphviz.Digraph,
    description: Description,
    shown: View,
    colours: Theme,
    names: dict[str, str],
    keys: dict[str, str],
) -> None:
    """Write the boxes inside their clusters, with an explicit stack: modules may be nested deeply."""
    members: dict[str | None, list[Box]] = {}
    for box in shown.boxes.values():
        members.setdefault(box.inside, []).append(box)
    inner: dict[str | None, list[Module]] = {}
    for opened in shown.open:
        inner.setdefault(opened.parent, []).append(opened)
    alone = {
        path for path in map(_path, shown.open)
        if path not in inner and len(members.get(path, ())) == 1 and members[path][0].node is not None
    }  # fmt: skip
    before = description.sides[0] if description.sides else "before"
    stack: list[tuple[str, str | None, Module | None, int]] = [("enter", None, None, 0)]
    lines = out.body
    while stack:
        action, path, module, depth = stack.pop()
        if action == "leave":
            lines.append("\t}\n")
            continue
        if module is not None:
            if module.path in alone:
                box = members[module.path][0]
                out.node(keys[box.key], **_box(box, colours, before, around=module))
                continue
            fill = colours.module[min(depth - 1, len(colours.module) - 1)]
            title = _named(module, colours)
            # As much room again: a line to the middle of a narrow module then passes beside its name.
            title += "&#160;" * min(2 * _letters(module), 40)
            lines.append(
                f"\tsubgraph {names[module.path]} {{\n\t\tgraph [label=<{title}> labeljust=l labelloc=t fontsize=12 "
                f'style="rounded,filled" fillcolor="{fill}" color="{colours.module_line}" penwidth=1 margin=12]\n'
            )
            stack.append(("leave", None, None, 0))
        for box in members.get(path, ()):
            out.node(keys[box.key], **_box(box, colours, before))
        stack.extend(("enter", m.path, m, depth + 1) for m in reversed(inner.get(path, ())))


def _path(module: Module) -> str:
    return module.path


def _named(module: Module, colours: Theme) -> str:
    """A module's name and, behind it, what it is."""
    if not module.name or module.name == module.cls or module.cls == "group":
        return f"<B>{clean(module.name or module.cls)}</B>"
    return f'<B>{clean(module.name)}</B>&#160;&#160;<FONT COLOR="{colours.quiet}">{clean(module.cls)}</FONT>'


def _letters(module: Module) -> int:
    return len(module.name) + (len(module.cls) + 2 if module.name != module.cls else 0)


def _box(box: Box, colours: Theme, before: str, around: Module | None = None) -> dict[str, str]:
    """Attributes of a box; `around` is the module that has nothing but this node, and no frame of its own."""
    if box.module is not None:
        return _module_box(box.module, box.shape, colours)
    assert box.node is not None
    node = box.node
    fill, border = colours.kinds.get(kind_of(node), colours.kinds["leaf"])
    attributes = {"fillcolor": fill, "color": border, "tooltip": _quoted(tooltip(node))}
    if node.kind == "constant" and (
        not node.kept or node.name is None and node.value is not None and node.value.scalar is not None
    ):
        attributes |= {
            "label": f"<{clean(node.label)}>",
            "shape": "plaintext",
            "style": "",
            "fontcolor": colours.quiet,
        }
        attributes |= {"margin": "0.03", "height": "0.2", "width": "0.2"}
        return attributes
    rows = [_title(node, colours)]
    if around is not None:
        rows[0] += f'&#160;&#160;<FONT COLOR="{colours.quiet}">{clean(f"{around.name} {around.cls}")}</FONT>'
    facts = [shape_text(node.shape)] if node.shape else []
    facts += [node.dtype] if node.dtype not in ("float32", "int64", "bool", "int", "float") else []
    if facts:
        rows.append(f'<FONT COLOR="{colours.quiet}">{clean("  ".join(facts))}</FONT>')
    if node.value is not None:
        rows += _written("value", node.value)
    if node.gradient is not None:
        rows += [f'<FONT COLOR="{colours.ramp[-1]}">{row}</FONT>' for row in _written("grad", node.gradient)]
    if node.kind == "failed":
        rows += [f'<FONT COLOR="{colours.alarm}">{clean(part, 76)}</FONT>' for part in textwrap.wrap(node.formula, 60)]
    if node.alarm:
        rows.append(f'<FONT COLOR="{colours.alarm}"><B>{clean(node.alarm)}</B></FONT>')
        attributes |= {"color": colours.alarm, "penwidth": "2.2"}
    if node.change:
        if node.other is not None and node.other.gradient is not None and node.change != "removed":
            rows.append(
                f'<FONT COLOR="{colours.quiet}">{_told(f"grad {clean(before, 16)}", node.other.gradient)}</FONT>'
            )
        rows += [clean(change) for change in node.changes[:4]]
        if node.change in colours.changes:
            mark, colour = colours.changes[node.change]
            rows[0] = f'<FONT COLOR="{colour}"><B>{mark}</B></FONT> {rows[0]}'
            attributes |= {"color": colour, "penwidth": "2.2"}
    if node.highlighted:
        attributes |= {"color": colours.accent, "penwidth": "2.4"}
    if node.leaf:
        attributes["style"] = "filled"
    if node.change == "removed":
        attributes["style"] = "filled,dashed"
    attributes["label"] = _table(rows)
    return attributes


def _title(node: Node, colours: Theme) -> str:
    label = inside(node.label, node.module) if node.parameter else node.label
    text = f"<B>{clean(label)}</B>"
    if node.name is not None and not node.leaf and node.op != node.name and node.kind != "constant":
        text += f'  <FONT COLOR="{colours.quiet}">{clean(node.op)}</FONT>'
    return text


def _module_box(module: Module, shape: list[int] | None, colours: Theme) -> dict[str, str]:
    fill, border = colours.kinds["module"]
    rows = [f"<B>{clean(module.name or module.cls)}</B>"]
    if module.cls != "group" and module.name != module.cls:
        rows[0] += f'  <FONT COLOR="{colours.quiet}">{clean(module.cls)}</FONT>'
    if shape:
        rows.append(f'<FONT COLOR="{colours.quiet}">{shape_text(shape)}</FONT>')
    facts = [f"{module.size:,} node{'s' if module.size != 1 else ''}"]
    if module.parameters:
        facts.append(f"{size_text(module.parameters)} parameters")
    rows.append(f'<FONT COLOR="{colours.quiet}">{", ".join(facts)}</FONT>')
    if module.gradient_norm is not None:
        rows.append(
            f'<FONT COLOR="{colours.ramp[-1]}">‖∂L/∂parameters‖ {number(module.gradient_norm, 3)}</FONT>'
        )
    return {
        "label": _table(rows), "fillcolor": fill, "color": border, "peripheries": "2",
        "tooltip": _quoted(module.path or module.cls),
    }  # fmt: skip


def _written(what: str, summary: Summary) -> list[str]:
    """A small array written out, one line a row; of a larger one its norm and share of zeros."""
    rows = entries(summary.data, summary.shape)
    if rows is None:
        return [_told(what, summary)]
    return [f"{what} {rows[0]}", *(f"&#160;{'&#160;' * len(what)}{row}" for row in rows[1:])]


def _told(what: str, summary: Summary) -> str:
    """The number itself, or norm and share of zeros."""
    if summary.scalar is not None:
        return f"{what} <B>{number(summary.scalar)}</B>"
    if summary.norm is None:
        return f"{what} empty" if not summary.n else f"{what} not finite"
    if summary.nan or summary.inf:
        return f"{what}: {_not_finite(summary)}"
    text = f"‖{what}‖ {number(summary.norm, 3)}"
    if summary.zeros >= 0.005:
        text += f", {summary.zeros:.0%} zero" if summary.zeros < 1 else ", all zero"
    return text


def _not_finite(summary: Summary) -> str:
    found = [f"{count:,} {what}" for count, what in ((summary.nan, "nan"), (summary.inf, "∞")) if count]
    return f"{' and '.join(found)} of {summary.n:,}"


def size(summary: Summary) -> str:
    """How large a gradient is: the number itself, else its norm. A norm over a nan is nan, as in NumPy."""
    if summary.scalar is not None:
        return number(summary.scalar)
    if not summary.n:
        return "empty"
    if summary.nan or summary.inf:
        return "nan" if summary.nan else "∞"
    return f"‖{number(summary.norm, 3)}‖"


def _table(rows: list[str]) -> str:
    cells = "".join(f'<TR><TD ALIGN="LEFT">{row}</TD></TR>' for row in rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>>'


# --- lines ----------------------------------------------------------------------------------------


def _line(
    line: Line, scale: Scale, colours: Theme, labelled: bool, description: Description
) -> dict[str, str]:
    norm = line.norm
    attributes = {
        "penwidth": f"{scale.width(norm):.2f}",
        "color": colours.alarm if line.alarm else scale.colour(norm, colours),
    }
    if line.highlighted:
        attributes |= {"color": colours.accent, "penwidth": f"{max(2.4, scale.width(norm)):.2f}"}
    edge = line.edges[0]
    if edge.change in colours.changes:
        attributes |= {
            "color": colours.changes[edge.change][1],
            "style": "dashed" if edge.change == "removed" else "solid",
        }
        return attributes
    if edge.local is None or all(e.local is None for e in line.edges):
        return attributes | {"penwidth": "1"}
    if len(line.edges) == 1 and line.direct:
        attributes["tooltip"] = attributes["labeltooltip"] = _quoted(edge_tooltip(edge))
        if labelled:
            attributes["label"] = _edge_label(edge, colours, BACK.get(description.direction, "↑"))
    elif labelled and norm is not None:
        back = BACK.get(description.direction, "↑")
        told = (
            size(edge.contribution) if len(line.edges) == 1 and edge.contribution else f"‖{number(norm, 3)}‖"
        )
        rows = [
            f'<FONT COLOR="{colours.alarm if line.alarm else colours.ramp[-1]}">&#160;{back} {told}</FONT>'
        ]
        # A label is put level with its line: across, an empty second row lifts the text above it.
        attributes["label"] = _table(rows + ["&#160;"] * (description.direction in ("LR", "RL")))
    return attributes


def _edge_label(edge: Edge, colours: Theme, back: str) -> str:
    assert edge.local is not None
    rows = [local_label(edge.local)]
    if edge.contribution is not None:
        down = edge.contribution
        colour = colours.alarm if down.nan or down.inf else colours.ramp[-1]
        rows.append(f'<FONT COLOR="{colour}">{back} {size(down)}</FONT>')
    # A hard space keeps the text off its line.
    return _table([f"&#160;{row}" for row in rows])


def local_label(local: Local) -> str:
    """The local gradient in few letters: the factor that g is multiplied with, or what becomes of g."""
    if local.number is not None:
        figure = number(local.number)
        # A formula's own letter tells nothing beside its number.
        plain = local.text in (figure, "a", "b", "c", "d")
        return f"× {figure}" if plain else f"× {clean(local.text, 24)} = {figure}"
    if local.structure == "identity":
        return "× 1"
    return clean(local.short or short_local(local.text), 40)


# --- tooltips ---------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    """For a quoted attribute, where a backslash would start an escape of Graphviz's own."""
    import graphviz

    lines = [printable(line, 200) for line in text.split("\n")]
    # Graphviz decodes entities in tooltips: "&lt;" typed by a user must arrive as typed.
    return "\\n".join(graphviz.escape(line.replace("&", "&amp;")) for line in lines)


def tooltip(node: Node) -> str:
    """Formula, numbers, line: what hovering tells in an SVG."""
    what = f"{node.dtype} {shape_text(node.shape)}" if node.kept else "not kept: no gradient needs its value"
    lines = [f"{node.label} · {node.op} · {what}"]
    lines += [node.formula] if node.formula else []
    lines += [node.numbers] if node.numbers else []
    lines += [node.local_formula] if node.local_formula else []
    lines += [", ".join(f"{k}={v}" for k, v in node.params.items())] if node.params else []
    lines += [f"{node.source.file}:{node.source.line}  {node.source.text}"] if node.source else []
    return "\n".join(lines)


def edge_tooltip(edge: Edge) -> str:
    """Local gradient and its product, as lines."""
    assert edge.local is not None
    local = edge.local
    lines = [f"local gradient: {mapping(local.text)} ({local.structure})"]
    lines += [local.numbers] if local.numbers else []
    if edge.numbers:
        lines.append(edge.numbers)
    elif edge.sample is not None:
        s = edge.sample
        where = ", ".join(map(str, s.index))
        lines.append(f"largest: [{where}]  {number(s.upstream)} · {number(s.local)} = {number(s.product)}")
    if edge.gain is not None and edge.contribution is not None and not edge.contribution.nan:
        lines.append(f"‖downstream‖ / ‖upstream‖ = {number(edge.gain, 3)}")
    return "\n".join(lines)
