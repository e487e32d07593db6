"""Formulas with names and with numbers in them: ``y = a · b`` → ``z = x · y`` → ``6 = 2 · 3``.

Works on the texts that ops state about themselves; knows no op.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Letters, digits and underscores only: ² and ᵢ are word characters to Python, but exponents to a reader.
_TOKEN = re.compile(r"(?<![A-Za-z_.])(?<![A-Za-z_.]\d)(x\d+|[abcdxy])(?![A-Za-z0-9_(])")


def substitute(text: str, terms: Mapping[str, str]) -> str:
    """Replace the formula's letters, all at once, so that a replacement is never replaced again."""

    def swap(match: re.Match[str]) -> str:
        new = terms.get(match.group(1))
        if new is None:
            return match.group(1)
        rest = text[match.end() :].lstrip()
        alone = re.fullmatch(r"[\w.]+|-?∞|nan", new) is not None
        bare_exponent = rest.startswith(("**", "^", "²", "³", "ᵀ"))
        if text != match.group(1) and (not alone or bare_exponent and new[:1].isdigit()):
            new = f"({new})"
        # 2x → 2h, but 2 · 20 and 2 · hidden
        apart = text[match.start() - 1 : match.start()].isdigit() and not (len(new) == 1 and new.isalpha())
        return f" · {new}" if apart else new

    return _TOKEN.sub(swap, text)


def letters(text: str) -> set[str]:
    """The formula letters that occur in a text."""
    return set(_TOKEN.findall(text))


def number(value: float | None, digits: int = 4) -> str:
    """A number as people write it: ``3``, ``-0.0312``, ``1.2e-07``, ``∞``."""
    if value is None:
        return "?"
    if value != value:
        return "nan"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        mantissa, exponent = f"{value:.{max(digits - 2, 1)}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    if value == int(value):
        return str(int(value))
    text = f"{value:.{digits}g}"
    return f"{float(text):.10f}".rstrip("0").rstrip(".") if "e" in text else text


def mapping(local: str) -> str:
    """A local gradient as a map of the upstream gradient g where it is one: ``g ↦ g · w``; a factor as it is."""
    return f"g ↦ {local}" if is_mapping(local) else local


def is_mapping(local: str) -> bool:
    """Whether a local gradient's text says what becomes of g, rather than what g is multiplied with."""
    return _UPSTREAM.search(local) is not None


#: Sentences that ops say of their local gradients, as the formulas that a line of a picture has room for.
SHORT = {
    "g spread over the windows with w": "g ⋆ flip(w)",
    "g summed over the windows of x": "x ⋆ g",
    "1, summed over all positions of the channel": "Σ g over N, H, W",
    "1, summed over the repetitions": "Σ g over repetitions",
    "1 at the chosen positions, else 0": "× 1 at the maximum",
    "1 at the maximum, shared at ties": "× 1 at the maximum",
    "1 at the minimum, shared at ties": "× 1 at the minimum",
    "g / window size, spread over the window": "g / |window|",
    "weight / √(var + ε) · (g − mean(g) − x̂ · mean(g · x̂))": "γ/σ · (g − ḡ − x̂ · mean(g x̂))",
    "weight / √(running var + ε)": "× γ / σ",
    "(g − mean(g) − y · mean(g · y)) / √(var + ε)": "(g − ḡ − y · mean(g y)) / σ",
    "s + y (1 - s), s = sigmoid(x)": "× (s + y (1 − s))",
    "g at the target's column, else 0": "g at the target",
}


def short_local(text: str, longest: int = 28) -> str:
    """A local gradient for a line of a picture: a formula that fits there, cut at a clause where it must be."""
    if text in SHORT.values():
        return text
    said = text if is_mapping(text) else f"× {text}"
    if len(said) > longest:
        head = re.split(r"[,;(]", said)[0].rstrip()
        said = head if 1 < len(head) <= longest else said[: longest - 1].rstrip() + "…"
    return said


_UPSTREAM = re.compile(r"(?<![A-Za-z0-9_.])g(?![A-Za-z0-9_(])")


def inside(label: str, module: str | None) -> str:
    """A parameter's name as it is within its module: the frame around it says the rest."""
    parts = module.split(".") if module else []
    for k in range(len(parts)):
        prefix = ".".join(parts[k:]) + "."
        if label.startswith(prefix) and len(label) > len(prefix):
            return label[len(prefix) :]
    return label


def size_text(count: int) -> str:
    """A count of numbers: ``512``, ``51.3 K``, ``1.1 M``."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "K")):
        if count >= limit:
            return f"{count / (1e3 if letter == 'K' else limit):.3g} {letter}"
    return f"{count:,}"


def entries(data: list[Any] | None, shape: Sequence[int], digits: int = 3) -> list[str] | None:
    """A small array written out, one text a row: vectors up to 8 entries, matrices up to 5 × 5; None for others."""
    if data is None or len(shape) not in (1, 2) or 0 in shape:
        return None
    if len(shape) == 1:
        return [f"[{', '.join(number(v, digits) for v in data)}]"] if shape[0] <= 8 else None
    if max(shape) > 5:
        return None
    return [f"[{', '.join(number(v, digits) for v in row)}]" for row in data]


def shape_text(shape: list[int] | tuple[int, ...]) -> str:
    """``8 x 16 x 28 x 28``; ``scalar`` for no dimensions."""
    return " × ".join(str(n) for n in shape) if shape else "scalar"
