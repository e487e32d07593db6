"""Plain states as text: what the terminal shows at a stop, 80 columns wide, with or without colours.

Reads only what `snapshot` writes, so a live session and a replay look the same. Gives rich renderables;
`to_text` turns them into plain text for pipes, editors' consoles and tests.
"""

from __future__ import annotations

import base64
import io
import linecache
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

#: Heat maps are at most so many characters wide and lines high.
MAP_WIDTH, MAP_LINES = 24, 5
#: Arrays of so few entries are written out instead.
FEW = 6
_SHADES = " ·░▒▓█"
_ASCII = " .:+*#"
#: Stands in a grid where nothing is drawn.
_GAP = -1.0


def paused(state: dict[str, Any], *, source: bool = True, maps: str = "colour") -> RenderableType:
    """A whole stop. `maps` is ``"colour"``, ``"shades"`` (Unicode without colours) or ``"ascii"``."""
    node = state["node"]
    parts: list[RenderableType] = [_head(state)]
    if node is None:
        parts.append(Text(_END[state["status"]]))
        parts += _watches(state)
        return Group(*parts)
    title = Text()
    title.append(node["label"], "bold cyan")
    title.append(f"   {_shape(node['shape'])} {node['dtype']}", "dim")
    if node["name"] and node["name"] not in node["label"]:
        title.append(f"   {node['name']}", "magenta")
    parts.append(title)
    if not node["leaf"]:
        parts += [Text("  " + line.strip(), "green") for line in node["formula"].split(";")]
    if state["error"]:
        parts.append(Text(state["error"], "bold red"))
    for edit in state["edits"]:
        parts.append(Text(f"  {edit}", "yellow"))
    if state["hooks"]:
        parts.append(Text("  hooks of yours run here, and may replace these gradients", "yellow"))
    parts.append(gradients(state, maps=maps))
    parts += _watches(state)
    if source and node["where"] is not None:
        parts.append(
            source_lines(node["where"]["file"], node["where"]["line"], context=1, text=node["where"]["text"])
        )
    return Group(*parts)


_END = {
    "end": "every node is done. `back` goes back, `grad NAME` shows a gradient, `c` goes on with the program",
    "closed": "this session is over",
    "paused": "",
}


def gradients(state: dict[str, Any], *, maps: str = "colour") -> RenderableType:
    """Upstream, local and downstream, side by side; one row per input."""
    table = Table.grid(padding=(0, 2), expand=False)
    for _ in range(3):
        table.add_column(width=MAP_WIDTH)
    first = _cell("upstream ∂L/∂y", state["upstream"], maps)
    live = [i for i in state["inputs"] if i["node"] is not None]
    if not live:
        what = "a leaf: this is added to its .grad" if not state["inputs"] else "no input wants a gradient"
        if state.get("held") is not None:
            what += f", which holds norm {_n(state['held'], 3)} of earlier passes"
        table.add_row(first, Text(what, "dim"), Text(""))
        return table
    for k, entry in enumerate(live[:4]):
        local = entry["local"]
        head = f"local ∂y/∂{entry['name']}"
        middle = (
            _cell(head, local["factor"], maps)
            if local.get("factor")
            else Group(Text(head, "bold"), Text(local["structure"], "dim"), Text(local["formula"], "green"))
        )
        last = _cell(f"downstream ∂L/∂{entry['name']}", entry["downstream"], maps, to=entry["label"])
        if entry["before"] is not None:
            after = entry["after"]["norm"] if entry["after"] else None
            last = Group(last, Text(f"norm {_n(entry['before'].get('norm'))} → {_n(after)}", "dim"))
        table.add_row(first if k == 0 else Text(""), middle, last)
    if len(live) > 4:
        table.add_row(Text(""), Text(f"and {len(live) - 4} more inputs", "dim"), Text(""))
    return table


def numbers(s: dict[str, Any]) -> Text:
    """The figures of a summary on one or two lines."""
    out = Text()
    if s.get("scalar") is not None:
        return Text(_n(s["scalar"]), "bold")
    if s.get("n", 0) == 0:
        return Text("empty", "dim")
    if s.get("nan"):
        out.append(f"{s['nan']} nan ", "bold red")
    if s.get("inf"):
        out.append(f"{s['inf']} inf ", "bold red")
    if s.get("min") is not None:
        out.append(f"norm {_n(s.get('norm'), 3)} mean {_n(s.get('mean'), 2)}\n")
        out.append(f"{_n(s['min'], 3)} … {_n(s['max'], 3)}")
        zeros = s.get("zeros", 0.0)
        if zeros:
            share = f"{100 * zeros:.3g} %" if zeros < 0.995 or zeros == 1 else "over 99 %"
            out.append(f"\n{share} zeros", "bold yellow" if zeros > 0.9 else "dim")
    return out


def heat_map(
    image: dict[str, Any], *, maps: str = "colour", width: int = MAP_WIDTH, lines: int = MAP_LINES
) -> Text:
    """A summary's picture in block characters: its first slices, side by side."""
    codes = np.frombuffer(base64.b64decode(image["data"]), np.uint8)
    rows, cols = image["rows"], image["cols"]
    slices = codes.reshape(image["tiles"], rows, cols).astype(float)
    diverging = bool(image.get("diverging"))
    height = lines * 2 if maps == "colour" else lines
    if rows == 1:  # a vector reads better as a bar of its own
        height = min(height, 2 if maps == "colour" else 1)
    count = max(1, min(len(slices), (width + 1) // (min(cols, 7) + 1)))
    wide = (width - count + 1) // count
    shown = []
    for grid in slices[:count]:
        level = np.where(grid > 0, (grid - 1) / 254, np.nan)  # 0 … 1 between lo and hi
        if image["lo"] == image["hi"] == 0:
            level = level * 0 + (0.5 if diverging else 0.0)
        level = np.repeat(level, height, axis=0) if rows == 1 else level
        shown += [_shrunk(_shrunk(level, height, 0), wide, 1)]
        shown += [np.full((len(shown[-1]), 1), _GAP)]
    level = np.hstack(shown[:-1])
    out = Text()
    if maps == "colour":
        if level.shape[0] % 2:
            level = np.vstack([level, np.full((1, level.shape[1]), _GAP)])
        for upper, lower in zip(level[::2], level[1::2], strict=True):
            for a, b in zip(upper, lower, strict=True):
                if a == _GAP:
                    out.append(" ")
                else:
                    below = "" if b == _GAP else f" on {_colour(b, diverging)}"
                    out.append("▀", f"{_colour(a, diverging)}{below}")
            out.append("\n")
    else:
        ramp = _SHADES if maps == "shades" else _ASCII
        for row in level:
            for v in row:
                if v == _GAP:
                    out.append(" ")
                    continue
                size = abs(2 * v - 1) if diverging else v
                out.append("!" if v != v else ramp[round(float(size) * (len(ramp) - 1))])
            out.append("\n")
    out.rstrip()
    return out


def source_lines(file: str, line: int, *, context: int = 5, text: str = "") -> RenderableType:
    """Some lines around one, with an arrow at it; only `text` when the file cannot be read."""
    out = Text()
    name = file.rsplit("/", 1)[-1]
    out.append(f"{name}:{line}\n", "dim")
    lines = linecache.getlines(file)
    if not lines:
        out.append(f"-> {text}" if text else "   (source not available)", "white")
        return out
    for k in range(max(1, line - context), min(len(lines), line + context) + 1):
        code = lines[k - 1].rstrip()[:70]
        if k == line:
            out.append(f"{k:>5} -> {code}\n", "bold")
        else:
            out.append(f"{k:>5}    {code}\n", "dim")
    out.rstrip()
    return out


def table(
    rows: Sequence[tuple[str, ...]], headers: tuple[str, ...], *, widths: Sequence[int | None] | None = None
) -> Table:
    """A plain table without borders; `widths` in characters, None for what is left."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for k, header in enumerate(headers):
        made.add_column(header, overflow="fold", width=None if widths is None else widths[k])
    for row in rows:
        made.add_row(*[escape(cell) for cell in row])
    return made


def shortly(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, (tuple, list)):
        return ", ".join(map(shortly, value))
    return f"array {value.shape}" if isinstance(value, np.ndarray) and value.ndim else str(value)[:200]


def to_text(renderables: list[Any], *, width: int = 80) -> str:
    """Plain text, without colours or control codes."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        no_color=True,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        highlight=False,
    )
    for part in renderables:
        console.print(Text(part) if isinstance(part, str) else part)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _head(state: dict[str, Any]) -> RenderableType:
    title = "backward" if state.get("pass", 1) == 1 else f"backward {state['pass']}"
    if state["status"] != "closed":
        done = f"done, {state['total']} of {state['total']}"
        title += " · " + (done if state["node"] is None else f"step {state['step']} of {state['total']}")
    text = state["stop"]["text"]
    if not text.startswith("step "):
        title += f" · {text}"
    return Rule(Text(title, "bold"), align="left", style="blue")


def _watches(state: dict[str, Any]) -> list[RenderableType]:
    out: list[RenderableType] = []
    for watch in state["watches"]:
        line = Text("  ")
        line.append(f"{watch['id']}: {watch['expression']} = ", "dim")
        line.append(watch.get("value") or watch.get("error", ""), "bold" if "value" in watch else "red")
        out.append(line)
    return out


def _cell(title: str, s: dict[str, Any] | None, maps: str, *, to: str = "") -> RenderableType:
    head = Text(title, "bold", overflow="ellipsis", no_wrap=True)
    if to:
        # Of a long path, the end tells what it is.
        shown = to if len(to) <= MAP_WIDTH - 3 else f"…{to[-(MAP_WIDTH - 4) :]}"
        head.append(f"\nto {shown}", "not bold cyan")
    if s is None:
        return Group(head, Text("none", "dim"))
    parts: list[RenderableType] = [head]
    if s.get("data") is not None and 1 < s.get("n", 0) <= FEW:
        # so few that the numbers themselves say more than a picture
        return Group(*parts, Text(_written_out(s["data"]), "bold"))
    if s.get("image"):
        parts.append(heat_map(s["image"], maps=maps))
    parts.append(numbers(s))
    return Group(*parts)


def _written_out(data: Any) -> str:
    if not isinstance(data, list):
        return _n(data, 4)
    return "[" + ", ".join(_written_out(d) for d in data) + "]"


def _shrunk(a: np.ndarray, size: int, axis: int) -> np.ndarray:
    """At most `size` entries along an axis: means of blocks; a block with a nan is nan."""
    n = a.shape[axis]
    if n <= size:
        return a
    edges = np.arange(size + 1) * n // size
    blocks = [
        np.take(a, range(lo, hi), axis=axis).mean(axis=axis)
        for lo, hi in zip(edges[:-1], edges[1:], strict=True)
    ]
    return np.stack(blocks, axis=axis)


def _colour(v: float, diverging: bool) -> str:
    """Blue through grey to red around zero; dark to bright otherwise; magenta for what is not finite."""
    if v != v:
        return "rgb(255,0,255)"
    if diverging:
        t = 2 * v - 1
        strong, weak = 60 + int(195 * abs(t)), 60 + int(20 * abs(t))
        return f"rgb({strong},{weak},{weak})" if t > 0 else f"rgb({weak},{60 + int(90 * -t)},{strong})"
    shade = 40 + int(215 * v)
    return f"rgb({shade},{shade},{40 + int(120 * v)})"


def _shape(shape: list[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _n(x: Any, digits: int = 4) -> str:
    return "–" if x is None else x if isinstance(x, str) else f"{x:.{digits}g}"
