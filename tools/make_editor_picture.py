"""Draws docs/pictures/editor.svg: a session of the debug adapter, laid out in panes as editors do.

Every word in the panes is an answer of the adapter to a request that this script makes; only the frames
around them are drawn here. Run it again when those answers change:  python tools/make_editor_picture.py
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tinygrad_cnn.debug.dap.protocol import read_message

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "debug" / "dap" / "programs" / "stripes.py"
PICTURE = ROOT / "docs" / "pictures" / "editor.svg"
COMMANDS = ["explain 0,0,0,0", "check"]
#: rich's own frame, without its web fonts: the picture asks nobody for anything.
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
<rect fill="#292929" width="100%" height="100%" rx="8"/>
<g transform="translate({terminal_x}, 8)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


class Client:
    """Just enough of one: asks, and waits for answers and events."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tinygrad_cnn", "dap"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self.numbers = count(1)
        self.events: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message = read_message(self.process.stdout)  # type: ignore[arg-type]
        assert message is not None, "the adapter ended"
        return message

    def ask(self, command: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        number = next(self.numbers)
        body = json.dumps(
            {"seq": number, "type": "request", "command": command, "arguments": arguments}
        ).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()
        while (message := self.read()).get("request_seq") != number:
            self.events.append(message)
        assert message["success"], message
        return message.get("body")

    def stopped(self) -> dict[str, Any]:
        while True:
            for message in self.events:
                if message.get("event") == "stopped":
                    self.events.clear()
                    return dict(message["body"])
            self.events.append(self.read())


def main() -> None:
    """Drive the adapter to the second convolution's backward and draw what it says there."""
    client = Client()
    client.ask("initialize", adapterID="picture")
    client.ask("launch", program=str(SCRIPT), breakOn=["op:correlate"])
    client.ask("configurationDone")
    client.stopped()
    thread = client.ask("threads")["threads"][0]["name"]
    frames = client.ask("stackTrace", threadId=1)["stackFrames"]
    variables = Table.grid(padding=(0, 1))
    for scope in client.ask("scopes", frameId=frames[0]["id"])["scopes"][:4]:
        variables.add_row(Text(f"▾ {scope['name']}", style="bold cyan"), "")
        for one in client.ask("variables", variablesReference=scope["variablesReference"])["variables"]:
            mark = "▸" if one["variablesReference"] else " "
            variables.add_row(
                Text(f"  {mark} {one['name']}", style="yellow"),
                Text(one["value"], overflow="ellipsis", no_wrap=True),
            )
    stack = Table.grid(padding=(0, 2))
    for k, frame in enumerate(frames):
        style = "bold green" if k == 0 else "dim" if frame.get("presentationHint") == "subtle" else ""
        stack.add_row(
            Text(frame["name"], style=style), Text(f"{frame['source']['name']}:{frame['line']}", style="dim")
        )
    line = frames[0]["line"]
    source = Syntax(
        SCRIPT.read_text(encoding="utf-8"), "python", line_numbers=True, highlight_lines={line},
        line_range=(line - 7, line + 3), theme="monokai",
    )  # fmt: skip
    talk = []
    for command in COMMANDS:
        answer = client.ask("evaluate", expression=command, context="repl")["result"]
        talk += [
            Text(f"> {command}", style="bold"),
            Text("\n".join(answer.splitlines()[:6]), overflow="ellipsis", no_wrap=True),
        ]
    client.ask("disconnect")
    client.process.wait()

    console = Console(record=True, width=152, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    side = Group(
        _pane(variables, "VARIABLES", 72, 19), _pane(stack, f"CALL STACK — {thread}", 72, 8)
    )  # fmt: skip
    middle = Group(_pane(source, SCRIPT.name, 78, 13), _pane(Group(*talk), "DEBUG CONSOLE", 78, 14))
    console.print(Columns([side, middle], padding=0))
    PICTURE.write_text(console.export_svg(title="", code_format=FORMAT, unique_id="editor"), encoding="utf-8")


def _pane(content: Any, title: str, width: int, height: int) -> Panel:
    return Panel(content, title=title, title_align="left", width=width, height=height)


if __name__ == "__main__":
    main()
