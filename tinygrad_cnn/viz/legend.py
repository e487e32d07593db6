"""The legend under a picture: what its colours, lines and signs mean, as far as they occur in it."""

from __future__ import annotations

import html
import textwrap

from tinygrad_cnn.viz.description import Description, Node
from tinygrad_cnn.viz.escape import printable
from tinygrad_cnn.viz.formula import is_mapping, number
from tinygrad_cnn.viz.style import Scale, Theme
from tinygrad_cnn.viz.view import View

#: Which way gradients go, by the direction of the forward pass.
BACK = {"TB": "↑", "BT": "↓", "LR": "←", "RL": "→"}
#: What the colours of boxes mean, in the order of the legend.
KINDS = {
    "parameter": "parameter", "leaf": "input, wants a gradient", "constant": "input, wants none",
    "elementwise": "elementwise", "multilinear": "linear", "general": "other operation", "loss": "output",
}  # fmt: skip
#: Pictures with fewer boxes need no key to their colours: a legend would be larger than they are.
SMALL = 6


def legend(description: Description, shown: View, scale: Scale, colours: Theme, labelled: int) -> str:
    """What colours, lines and signs mean in this picture; empty when it has no lines to explain.

    An HTML-like label of Graphviz. Pictures of more than `labelled` boxes have no signs on their lines.
    """
    rows = []
    present = {kind_of(box.node) for box in shown.boxes.values() if box.node is not None}
    if len(shown.boxes) >= SMALL and description.kind != "compare":
        # Three to a line, so that the legend stays narrower than most pictures.
        swatches = [_swatch(text, colours.kinds[kind][1]) for kind, text in KINDS.items() if kind in present]
        rows += ["&#160; ".join(swatches[k : k + 3]) for k in range(0, len(swatches), 3)]
    if description.kind == "compare":
        marks = {mark: (what, colour) for what, (mark, colour) in colours.changes.items()}
        changes = [
            f'<FONT COLOR="{colour}"><B>{mark}</B></FONT> {what}' for mark, (what, colour) in marks.items()
        ]
        rows.append("&#160;&#160; ".join(changes))
    local = [e.local for line in shown.lines if line.direct for e in line.edges if e.local is not None]
    back = BACK.get(description.direction, "↑")
    if local and len(shown.boxes) <= labelled:
        arrow = f'<FONT COLOR="{colours.ramp[-1]}">{back}</FONT>'
        signs = "× local gradient"
        if any(is_mapping(part.text) for part in local):
            signs += " (or what becomes of the upstream gradient g)"
        rows.append(signs)
        if description.gradients in ("run", "given"):
            rows.append(f"{arrow} gradient handed back: upstream × local")
    if scale.smallest is not None and scale.smallest < scale.largest:
        low, high = number(scale.smallest, 2), number(scale.largest, 2)
        rows.append(f"line width and colour: gradient from {low} to {high}, logarithmic")
    for note in description.notes[:4]:
        rows += [html.escape(part) for part in textwrap.wrap(printable(note, 400), 76)]
    if not rows:
        return ""
    cells = '<TR><TD HEIGHT="8"></TD></TR>'
    cells += "".join(f'<TR><TD ALIGN="LEFT">{row}</TD></TR>' for row in rows)
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="0">{cells}</TABLE>'
    return f'<FONT POINT-SIZE="9" COLOR="{colours.quiet}">{table}</FONT>'


def _swatch(text: str, border: str) -> str:
    return f'<FONT COLOR="{border}">■</FONT> {text}'


def kind_of(node: Node) -> str:
    return "loss" if node.loss else "parameter" if node.parameter else node.kind
