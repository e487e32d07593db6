"""Run the scripts under PyTorch and keep their printed lines, without the numbers: part of `make oracle`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
LINES = SCRIPTS / "lines.json"
#: Scripts whose lines are compared.
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


def without_numbers(text: str) -> list[str]:
    """The lines with every number as ``#``, however wide it is printed."""
    return [re.sub(r"\s*[-+]?(\d+(\.\d*)?(e[-+]?\d+)?|inf|nan)\b", " #", line) for line in text.splitlines()]


def main() -> None:
    found = {}
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, SCRIPTS / f"{name}.py"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        found[name] = without_numbers(done.stdout)
    LINES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
