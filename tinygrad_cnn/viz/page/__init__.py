"""The graph as one HTML file that opens from disk with the network off.

`render` puts the template, the style sheets and our own scripts (readable files beside this one; no library, no
build step) and the description into a single page. The page reads nothing else: its content security policy
allows exactly the scripts and styles written here, by their hashes, and no connection at all.

Knows the description only as plain data. Its text goes to whoever saves or shows it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from functools import cache
from importlib import resources
from typing import Any

#: In the order in which they are read; each defines one name that the later ones use.
SCRIPTS = (
    "format", "dom", "theme", "colours", "model", "layout", "scene", "player", "pictures", "boxes", "far", "minimap",
    "pointer", "view", "product", "sums", "controls", "compare", "panel", "search", "table", "keyboard", "main",
)  # fmt: skip
STYLES = ("tokens.css", "page.css", "graph.css", "panel.css")


def render(description: dict[str, Any], positions: dict[str, Any] | None = None) -> str:
    """The page as one self-contained HTML file. Nothing of the description is trusted: it is embedded as data, and
    only ever set as text.

    Args:
        description: `Description.to_dict()`; see `viz.description` for its fields
        positions: places of the boxes inside each module, as `viz.layout.layout` gives them:
            ``{module path: {node id or "module:" + path: {"x": …, "y": …}}}``, y down. Without any (None, or a
            module that is missing) the page lays the boxes out itself

    Returns:
        The text of the file.
    """
    styles, scripts = _assets()
    policy = "; ".join([
        "default-src 'none'",
        "script-src " + " ".join(_hash(text) for text in scripts),
        "style-src " + " ".join(_hash(text) for text in styles),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ])  # fmt: skip
    title = str(description.get("title") or "Graph")
    parts = {
        "policy": html.escape(policy, quote=True),
        "title": html.escape(title[:80]),
        "styles": "\n".join(f"<style>{text}</style>" for text in styles),
        "scripts": "\n".join(f"<script>{text}</script>" for text in scripts),
        "data": embed({"description": description, "positions": positions}),
    }
    # Cut at the marks once: text that is put in is never searched for marks again.
    pieces = _read("page.html").split("{{")
    page = [pieces[0]]
    for piece in pieces[1:]:
        mark, _, rest = piece.partition("}}")
        page += [parts[mark], rest]
    return "".join(page).encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be written


def embed(data: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or open a comment.

    Numbers that JSON lacks become the strings ``"nan"``, ``"inf"`` and ``"-inf"``.
    """
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


@cache
def _assets() -> tuple[tuple[str, ...], tuple[str, ...]]:
    styles = tuple(f"\n{_read(name)}" for name in STYLES)
    scripts = tuple(f"\n{_read(f'js/{name}.js')}" for name in SCRIPTS)
    return styles, scripts


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A content security policy's source expression for exactly this script or style."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
