"""Text from outside (names, source lines, notes) made fit for labels and terminals: cut, visible, escaped."""

from __future__ import annotations

import html

#: Names and labels are cut behind this many characters.
LONGEST = 48


def clean(text: str, longest: int = LONGEST) -> str:
    """Text from outside for an HTML-like label: cut, without control characters, escaped.

    The cut comes first, since a cut entity would break the label.
    """
    return html.escape(printable(text, longest), quote=True)


def printable(text: str, longest: int = LONGEST) -> str:
    """Cut to `longest` characters; control, direction-changing and broken characters become a visible dot."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join("·" if _hidden(c) else c for c in cut)


def _hidden(c: str) -> bool:
    code = ord(c)
    return (
        code < 32 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF)
        or 0x200B <= code <= 0x200F or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069 or code in (0x2028, 0x2029)
    )  # fmt: skip
