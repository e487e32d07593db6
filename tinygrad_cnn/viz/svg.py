"""SVG from Graphviz, made fit for pages: it scales, names itself, and follows the reader's light or dark setting."""

from __future__ import annotations

import html

from tinygrad_cnn.viz.description import Description
from tinygrad_cnn.viz.dot import dot
from tinygrad_cnn.viz.escape import printable
from tinygrad_cnn.viz.render import render
from tinygrad_cnn.viz.style import DARK, LIGHT, Theme


def svg(description: Description) -> str:
    """The picture as one `<svg>` element, without the XML preamble (it can be put into a page as it is)."""
    look = "dark" if description.theme == "dark" else "light"
    text = render(dot(description, look=look).source, "svg").decode("utf-8")
    text = text[text.index("<svg") :]
    name = html.escape(printable(description.title, 120) or "computation graph")
    count = f"{len(description.nodes)} values, {len(description.edges)} edges"
    head, rest = text.split(">", 1)
    style = _follow(rest) if description.theme == "auto" else ""
    return f'{head} role="img" aria-label="{name}: {count}">{style}{rest}'


def _follow(drawing: str) -> str:
    """A style sheet that swaps each light colour of the drawing for its dark partner where the reader asks for dark."""
    rules = [
        f'[{what}="{light}"]{{{what}:{dark}}}'
        for light, dark in sorted(_partners(LIGHT, DARK).items())
        for what in ("fill", "stroke")
        if f'{what}="{light}"' in drawing
    ]
    return f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"


def _partners(light: Theme, dark: Theme) -> dict[str, str]:
    pairs = {
        light.ink: dark.ink, light.quiet: dark.quiet, light.line: dark.line, light.module_line: dark.module_line,
        light.alarm: dark.alarm, light.accent: dark.accent, light.page: dark.page,
    }  # fmt: skip
    for kind, (fill, border) in light.kinds.items():
        pairs.setdefault(fill, dark.kinds[kind][0])
        pairs.setdefault(border, dark.kinds[kind][1])
    pairs |= dict(zip(light.module, dark.module, strict=True))
    pairs |= dict(zip(light.ramp, dark.ramp, strict=True))
    pairs |= {colour: dark.changes[what][1] for what, (_mark, colour) in light.changes.items()}
    return pairs
