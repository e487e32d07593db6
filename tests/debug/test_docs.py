"""The transcript in docs/debugger.md is real: the same commands on the same script show the same things."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "debugger.md"


def test_the_transcript_is_what_the_debugger_says(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    script = re.search(r"```python\n(import tinygrad_cnn.*?)```", page, re.DOTALL)[1]
    transcript = re.search(
        r"```console\n\$ tinygrad-cnn debug (--break conv2) train.py\n(.*?)```", page, re.DOTALL
    )
    (tmp_path / "train.py").write_text(script)
    commands = re.findall(r"^\(grad\) (.*)$", transcript[2], re.MULTILINE)
    assert len(commands) > 5
    said = subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "debug", *transcript[1].split(), "train.py"],
        input="\n".join(commands) + "\n", capture_output=True, text=True, cwd=tmp_path, timeout=90, encoding="utf-8",
        env={**__import__("os").environ, "PYTHONPATH": str(PAGE.parents[1]), "PYTHONIOENCODING": "utf-8"},
    ).stdout  # fmt: skip
    # Last digits and shades differ between machines; words, shapes and places do not.
    assert words(said) == words(transcript[2])


def words(text):
    """The lines without maps, table columns and floating-point numbers."""
    text = re.sub(r"-?\d+\.\d+(e[+-]\d+)?", "#", text)
    kept = [
        line
        for line in text.splitlines()
        if not re.search(r"[·░▒▓█]\s*[·░▒▓█]|  {3}|#", line) or "(grad)" in line
    ]
    return [" ".join(line.split()) for line in kept]
