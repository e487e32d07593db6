"""What is on show: a description with some modules open and the others as single boxes.

DOT, text and the layout all read this, so they agree on what a closed module hides and on what its edges
add up to.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from tinygrad_cnn.viz.description import Description, Edge, Module, Node


@dataclass
class Box:
    """One box: a node, or a closed module with all that is in it."""

    key: str
    node: Node | None = None
    module: Module | None = None
    #: path of the open module it lies in; None outside
    inside: str | None = None
    #: of a closed module: shape of what it computes last
    shape: list[int] | None = None


@dataclass
class Line:
    """One line between two boxes, standing for one edge or for several."""

    tail: str
    head: str
    edges: list[Edge] = field(default_factory=list)
    #: whether both ends are nodes: then the local gradient of the edge is the line's
    direct: bool = False

    @property
    def norm(self) -> float | None:
        """Norm of the gradient that goes back along the line; None when unknown."""
        squares = [
            e.contribution.norm**2 for e in self.edges if e.contribution and e.contribution.norm is not None
        ]
        return math.sqrt(sum(squares)) if squares else None

    @property
    def alarm(self) -> bool:
        return any(
            e.contribution is not None and (e.contribution.nan or e.contribution.inf) for e in self.edges
        )

    @property
    def highlighted(self) -> bool:
        return any(e.highlighted for e in self.edges)


@dataclass
class View:
    """Boxes in the order of computation, the lines between them, and the open modules, parents first."""

    boxes: dict[str, Box]
    lines: list[Line]
    open: list[Module]
    #: box key of each node by id
    home: dict[str, str]

    def members(self, path: str | None) -> list[Box]:
        """The boxes directly in an open module (or outside all)."""
        return [box for box in self.boxes.values() if box.inside == path]


def view(description: Description, opened: Collection[str] | None = None) -> View:
    """The boxes to show. `opened` are the paths of open modules; by default as the description says.

    A module in a closed one is closed, whatever `opened` says.
    """
    modules = {m.path: m for m in description.modules}
    shown: dict[str, bool] = {}  # path -> open, and so are all modules around it
    cover: dict[str, str] = {}  # path -> the outermost closed module around it (or itself)
    for module in description.modules:
        around = module.parent
        if around is not None and not shown[around]:
            shown[module.path] = False
            cover[module.path] = cover[around]
        else:
            shown[module.path] = module.open if opened is None else module.path in opened
            cover[module.path] = module.path
    boxes: dict[str, Box] = {}
    home: dict[str, str] = {}
    for node in description.nodes:
        path = node.module
        if path is None or path not in modules or shown[path]:
            key = f"n{node.id}"
            boxes[key] = Box(key, node=node, inside=path if path in modules else None)
        else:
            closed = cover[path]
            key = f"m{closed}"
            if key not in boxes:
                boxes[key] = Box(key, module=modules[closed], inside=modules[closed].parent)
            if not node.leaf and node.kind != "constant":
                boxes[key].shape = node.shape
        home[node.id] = key
    lines: dict[tuple[str, str], Line] = {}
    separate: list[Line] = []
    for edge in description.edges:
        tail, head = home.get(edge.from_), home.get(edge.to)
        if tail is None or head is None or tail == head:
            continue
        if boxes[tail].node is not None and boxes[head].node is not None:
            separate.append(Line(tail, head, [edge], direct=True))  # x * x is two lines
        else:
            lines.setdefault((tail, head), Line(tail, head)).edges.append(edge)
    opened_modules = [m for m in description.modules if shown[m.path]]
    return View(boxes, [*separate, *lines.values()], opened_modules, home)
