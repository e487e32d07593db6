"""Colours and line widths of graph pictures, light and dark: one table for DOT, and for whoever draws boxes.

A node's colour says what kind of thing it is; a line's width and colour say how large the gradient on it
is. The hues stay apart for colour-blind readers, and every text has a contrast of at least 4.5 : 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """The colours of one theme, as ``#rrggbb``."""

    page: str
    ink: str
    quiet: str
    line: str
    box: str
    #: kind -> (fill, border)
    kinds: dict[str, tuple[str, str]]
    module: tuple[str, ...]  # fills of nested modules, by depth
    module_line: str
    alarm: str
    accent: str
    #: small to large gradients
    ramp: tuple[str, ...]
    #: what became of a node in a comparison -> (mark, colour)
    changes: dict[str, tuple[str, str]]


LIGHT = Theme(
    page="#ffffff", ink="#18211f", quiet="#55605c", line="#939c98", box="#ffffff",
    kinds={
        "elementwise": ("#f5f0fd", "#6334b4"),
        "multilinear": ("#faf7fe", "#8f6bd0"),
        "general": ("#efeaf8", "#4c2f8c"),
        "failed": ("#fdeaea", "#b3121d"),
        "leaf": ("#fffffe", "#0b6169"),
        "parameter": ("#e2f0f0", "#0b616a"),
        "constant": ("#f4f5f2", "#818a85"),
        "loss": ("#fdebdf", "#a83a08"),
        "module": ("#fdfefd", "#818a86"),
    },
    module=("#f8f9f7", "#f1f3ef", "#e9ece6"), module_line="#bcc4bf", alarm="#b3121e", accent="#1660d8",
    ramp=("#cdbfae", "#d6ab84", "#e0975a", "#d2743a", "#c4511a", "#a03810", "#7d1f06"),
    changes={"added": ("+", "#216b34"), "removed": ("–", "#b3121f"), "changed": ("~", "#6334b5")},
)  # fmt: skip

DARK = Theme(
    page="#0f1513", ink="#e8eeeb", quiet="#a5b2ad", line="#66736e", box="#1e2725",
    kinds={
        "elementwise": ("#262138", "#c4a8ff"),
        "multilinear": ("#221f30", "#8f6bd0"),
        "general": ("#2b2344", "#9573dd"),
        "failed": ("#3a1c1e", "#ff8b8b"),
        "leaf": ("#1e2725", "#74d0d3"),
        "parameter": ("#15343a", "#74d0d3"),
        "constant": ("#1a2120", "#77847f"),
        "loss": ("#43281a", "#ffab78"),
        "module": ("#171e1c", "#77847f"),
    },
    module=("#151c1a", "#1a2220", "#202a27"), module_line="#3d4a46", alarm="#ff8b8b", accent="#7fb2ff",
    ramp=("#5a5049", "#7b5d47", "#9c6a45", "#be7a48", "#e08a4a", "#f0ad76", "#ffd0a3"),
    changes={"added": ("+", "#7fd394"), "removed": ("–", "#ff8b8b"), "changed": ("~", "#c4a8ff")},
)  # fmt: skip


def theme(name: str) -> Theme:
    """The theme of this name; ``auto`` is light wherever a picture cannot follow its reader's setting."""
    return DARK if name == "dark" else LIGHT


class Scale:
    """Gradient size → line width and colour, on a logarithmic scale between the graph's own extremes.

    The page has the same scale (`js/colours.js`), so that both draw a gradient alike.
    """

    def __init__(self, norms: list[float]) -> None:
        sizes = [v for v in norms if v > 0 and math.isfinite(v)]
        self.smallest, self.largest = min(sizes, default=None), max(sizes, default=0.0)
        self.high = math.log10(self.largest) if sizes else 0.0
        # At most eight decades, at least two: otherwise noise looks like a difference, or nothing does.
        low = math.log10(self.smallest) if self.smallest is not None else 0.0
        self.low = min(max(low, self.high - 8), self.high - 2)

    def share(self, norm: float | None) -> float | None:
        """From 0 (smallest) to 1 (largest); None when there is no gradient or it is exactly zero."""
        if norm is None or norm <= 0 or not math.isfinite(norm):
            return None
        return min(max((math.log10(norm) - self.low) / (self.high - self.low), 0.0), 1.0)

    def width(self, norm: float | None) -> float:
        share = self.share(norm)
        return 1.0 if share is None else 1.5 + 5 * share

    def colour(self, norm: float | None, look: Theme) -> str:
        share = self.share(norm)
        return look.line if share is None else look.ramp[round(share * (len(look.ramp) - 1))]
