"""The transcript in docs/debugger.md is real: the same commands on the same script show the same things."""

import os
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
        env={**os.environ, "PYTHONPATH": str(PAGE.parents[1]), "PYTHONIOENCODING": "utf-8"},
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


def readme_script():
    readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    return next(code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "nn.Conv2d" in code)


def test_the_readmes_training_script_is_debugged_unmodified(tmp_path):
    script = tmp_path / "cnn.py"
    script.write_text(readme_script())
    commands = ["p module", "explain", "n", "back", "p step > 0", "cl", "n 1000", "grad conv2.bias", "q"]
    out = subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "debug", "--break", "conv2", str(script)],
        input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=90, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    said = out.stdout
    assert out.returncode == 0, out.stderr
    assert "breakpoint 1: conv2" in said and "'conv2'" in said and "Σ" in said and "back at step" in said
    assert "every node is done" in said and "∂L/∂conv2.bias (32,)" in said and "***" not in said
