"""One node's equations, for the description: with the user's names, and with the numbers in place.

``y = a · b``, ``∂y/∂a = b`` → ``z = x · y``, ``6 = 2 · 3``, ``∂L/∂x = 1 · 3 = 3``. Works on the texts that ops
state about themselves (`formula` replaces their letters) and on records already filled with numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.viz.description import Edge, Node
from tinygrad_cnn.viz.formula import SHORT, is_mapping, letters, mapping, number, short_local, substitute


def write_out(op: Any, record: Node, edges: Sequence[Edge | None], sources: Sequence[Node | None]) -> None:
    """Fill `formula`, `local_formula` and `numbers` of a node, and the texts of its edges.

    `edges` and `sources` have one entry per input, None where nothing is known of it.
    """
    arity = len(edges)
    inputs = [op.input_name(i, arity) for i in range(arity)]
    names, figures = _known(record, inputs, sources)
    used = letters(op.formula)
    if "y" not in names and "y" not in names.values():
        names["y"] = "y"
    # All letters or none: in a half-named `loss = tanh(x)` the x would be the formula's, and be taken for the user's.
    shown = names if (used | {"y"}) <= names.keys() else {}
    result = shown.get("y", "y")
    record.formula = f"{result} = {substitute(op.formula, shown)}"
    if used and used <= figures.keys() and "y" in figures:
        record.numbers = f"{figures['y']} = {substitute(op.formula, figures)}"
    told = []
    for i, (letter, edge) in enumerate(zip(inputs, edges, strict=True)):
        if edge is None or edge.local is None:
            continue
        local, text = edge.local, op.local_text(i)
        named = letters(text) <= shown.keys()
        local.text = substitute(text, shown) if named else text
        short = SHORT.get(text)
        local.short = short_local(local.text) if short is None else substitute(short, shown) if named else short
        # A linear map is no number: the text then says what it makes of the upstream gradient.
        equals = ":" if is_mapping(local.text) else " ="
        told.append(f"∂{result}/∂{shown.get(letter, letter)}{equals} {mapping(local.text)}")
        if local.number is not None:
            # A letter alone would only say "3 = 3".
            if letters(text) - {text} and letters(text) <= figures.keys():
                local.numbers = f"{substitute(text, figures)} = {number(local.number)}"
            edge.numbers = _product(shown.get(letter, letter), record, edge, local.number)
    record.local_formula = "; ".join(told)


def _known(
    record: Node, inputs: Sequence[str], sources: Sequence[Node | None]
) -> tuple[dict[str, str], dict[str, str]]:
    """What stands for each letter of the formula: names, and numbers."""
    names, figures = {}, {}
    if record.name is not None and record.name.isidentifier():
        names["y"] = record.name
    if record.value is not None and record.value.scalar is not None:
        figures["y"] = number(record.value.scalar)
    for letter, source in zip(inputs, sources, strict=True):
        if source is None:
            continue
        if source.name is not None and source.name.isidentifier() and len(source.name) <= 12:
            names[letter] = source.name
        if source.value is not None and source.value.scalar is not None:
            figures[letter] = number(source.value.scalar)
            if source.kind == "constant" and source.name is None:
                names[letter] = figures[letter]
    return names, figures


def _product(name: str, record: Node, edge: Edge, local: float) -> str | None:
    """upstream · local = downstream, for scalars."""
    up, down = record.gradient, edge.contribution
    if up is None or down is None or up.scalar is None or down.scalar is None:
        return None
    return f"∂L/∂{name} = {_factor(up.scalar)} · {_factor(local)} = {number(down.scalar)}"


def _factor(value: float) -> str:
    text = number(value)
    return f"({text})" if text.startswith("-") else text
