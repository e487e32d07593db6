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
    page="#ffffff", ink="#1d2a35", quiet="#5a6874", line="#a9b4be", box="#ffffff",
    kinds={
        "elementwise": ("#e9f1fb", "#6d9bd1"),
        "multilinear": ("#e8f5ee", "#5da57f"),
        "general": ("#f2edf9", "#9a80c4"),
        "leaf": ("#ffffff", "#8896a3"),
        "parameter": ("#fdf3e1", "#d4a245"),
        "constant": ("#f4f6f8", "#b9c3cc"),
        "loss": ("#fdeaea", "#cc6a66"),
        "module": ("#f6f8fa", "#8896a3"),
    },
    module=("#f7f9fb", "#eff3f7", "#e7edf3"), module_line="#c9d2da", alarm="#c1121f", accent="#0b66c3",
    ramp=("#a3aeb9", "#8fa3ba", "#6f97c8", "#4f7cc0", "#5a5fb8", "#7a3fa3", "#a1207f"),
    changes={"added": ("+", "#1a7f4b"), "removed": ("–", "#b3261e"), "changed": ("~", "#9a6700")},
)  # fmt: skip

DARK = Theme(
    page="#12181e", ink="#e8edf2", quiet="#a3afba", line="#5b6874", box="#1b232b",
    kinds={
        "elementwise": ("#1b2f47", "#5b8fce"),
        "multilinear": ("#17352a", "#51a37a"),
        "general": ("#2d2542", "#9a80d0"),
        "leaf": ("#1b232b", "#7b8894"),
        "parameter": ("#3a2f14", "#cf9f45"),
        "constant": ("#1a2026", "#56626d"),
        "loss": ("#421f20", "#d77672"),
        "module": ("#1b232b", "#7b8894"),
    },
    module=("#171e25", "#1c252d", "#222c36"), module_line="#35414c", alarm="#ff6b6b", accent="#6cb2ff",
    ramp=("#5d6974", "#5f7790", "#4f7fb0", "#5c93d6", "#8a8cf0", "#b884ee", "#ee82d2"),
    changes={"added": ("+", "#56d08f"), "removed": ("–", "#ff8a80"), "changed": ("~", "#e3b341")},
)  # fmt: skip


def theme(name: str) -> Theme:
    """The theme of this name; ``auto`` is light wherever a picture cannot follow its reader's setting."""
    return DARK if name == "dark" else LIGHT


class Scale:
    """Gradient size → line width and colour, on a logarithmic scale between the graph's own extremes."""

    def __init__(self, norms: list[float]) -> None:
        sizes = [v for v in norms if v > 0 and math.isfinite(v)]
        self.smallest, self.largest = min(sizes, default=None), max(sizes, default=0.0)
        logs = [math.log10(v) for v in sizes]
        high = max(logs, default=0.0)
        # Six decades are enough: what is smaller than a millionth of the largest is drawn as thin as can be.
        self.low = max(min(logs, default=0.0), high - 6)
        self.span = max(high - self.low, 1e-9)
        # A narrow range is no reason for extremes: three decades get the full width.
        self.stretch = min(1.0, 0.45 + self.span / 3)

    def share(self, norm: float | None) -> float | None:
        """From 0 (smallest) to 1 (largest); None when there is no gradient or it is exactly zero."""
        if norm is None or norm <= 0 or not math.isfinite(norm):
            return None
        along = (math.log10(norm) - self.low) / self.span
        return min(max(along, 0.0), 1.0) * self.stretch + (1 - self.stretch) / 2

    def width(self, norm: float | None) -> float:
        share = self.share(norm)
        return 0.7 if share is None else 0.9 + 3.6 * share

    def colour(self, norm: float | None, look: Theme) -> str:
        share = self.share(norm)
        return look.line if share is None else look.ramp[round(share * (len(look.ramp) - 1))]
