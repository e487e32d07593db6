"""Where boxes lie: the inside of each module laid out on its own, so that any module can open and close.

Graphviz decides, as for the other pictures. The page takes these as hints (which row, and which place in
it), works out exact coordinates itself, and does without where there are none.
"""

from __future__ import annotations

from tinygrad_cnn.support.errors import MissingExtraError, OutputError
from tinygrad_cnn.viz.description import Description
from tinygrad_cnn.viz.render import available, render

Positions = dict[str, dict[str, dict[str, float]]]

#: Larger insides, and more boxes in all, are left to the page: Graphviz would need too long.
LARGEST = 400
ALL = 3000


def layout(description: Description) -> Positions:
    """``{module path: {key: {"x": …, "y": …}}}``, in points, y downwards; "" is the outermost place.

    A key is a node's id, or ``module:`` and the path of a module directly inside. Modules without entry
    have no hints. Empty without Graphviz.
    """
    if available() is None:
        return {}
    parent = {m.path: m.parent for m in description.modules}
    above = {n.id: n.module for n in description.nodes}
    members: dict[str, list[str]] = {}
    for node in description.nodes:
        members.setdefault(node.module or "", []).append(node.id)
    for module in description.modules:
        if module.path:
            members.setdefault(module.parent or "", []).append(_key(module.path))
    pairs = _pairs(description, parent, above)
    positions: Positions = {}
    budget = ALL
    for place, keys in members.items():
        if not 1 < len(keys) <= LARGEST or len(keys) > budget:
            continue
        budget -= len(keys)
        found = _place(keys, pairs.get(place, set()), description.direction)
        if found:
            positions[place] = found
    return positions


def _key(path: str) -> str:
    return f"module:{path}"


def _pairs(
    description: Description, parent: dict[str, str | None], above: dict[str, str | None]
) -> dict[str, set[tuple[str, str]]]:
    """For each place, which of its members hand values to which: each edge counts where its two ends part."""
    chains: dict[str | None, list[str]] = {}

    def chain(path: str | None) -> list[str]:
        """The places around a node, outermost first; "" is around everything."""
        known = chains.get(path)
        if known is None:
            known = []
            step = path
            while step:
                known.append(step)
                step = parent.get(step)
            known = chains[path] = ["", *reversed(known)]
        return known

    pairs: dict[str, set[tuple[str, str]]] = {}
    for edge in description.edges:
        tail, head = chain(above[edge.from_]), chain(above[edge.to])
        k = 0
        while k < len(tail) and k < len(head) and tail[k] == head[k]:
            k += 1
        first = _key(tail[k]) if k < len(tail) else edge.from_
        second = _key(head[k]) if k < len(head) else edge.to
        pairs.setdefault(tail[k - 1], set()).add((first, second))
    return pairs


def _place(keys: list[str], pairs: set[tuple[str, str]], direction: str) -> dict[str, dict[str, float]]:
    number = {key: k for k, key in enumerate(keys)}
    rows = [
        # The page turns the others round itself.
        f"digraph {{ graph [rankdir={'LR' if direction == 'LR' else 'TB'} nodesep=0.3 ranksep=0.5];",
        'node [shape=box fixedsize=true width=2.3 height=0.8 label=""];',
        *(f"n{k};" for k in range(len(keys))),
        *(
            f"n{number[a]} -> n{number[b]};"
            for a, b in sorted(pairs, key=lambda p: (number[p[0]], number[p[1]]))
        ),
        "}",
    ]
    try:
        drawn = render("\n".join(rows), "plain").decode("utf-8")
    except (MissingExtraError, OutputError):
        return {}
    found = {}
    height = 0.0
    for line in drawn.splitlines():
        words = line.split()
        if words and words[0] == "graph":
            height = float(words[3])
        elif words and words[0] == "node":
            x, y = (
                float(words[2]) * 72,
                (height - float(words[3])) * 72,
            )  # Graphviz's y goes upwards, in inches
            found[keys[int(words[1][1:])]] = {"x": round(x, 1), "y": round(y, 1)}
    return found
