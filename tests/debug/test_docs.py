"""The transcripts in the docs are real: the same commands on the same scripts show the same things."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.debug.conftest import PATIENCE, environment

README = Path(__file__).parents[2] / "README.md"
PAGE = README.parent / "docs" / "debugger.md"


def readme_script():
    readme = README.read_text(encoding="utf-8")
    return next(code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "nn.Conv2d" in code)


def page_script():
    return re.search(r"```python\n(import tinygrad_cnn.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[
        1
    ]


def debug(folder, script, options, commands):
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "debug", *options, script],
        input="\n".join(commands) + "\n", capture_output=True, text=True, encoding="utf-8", cwd=folder,
        timeout=PATIENCE, env=environment(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("page", "code"), [(PAGE, page_script), (README, readme_script)], ids=["docs", "readme"]
)
def test_the_transcript_is_what_the_debugger_says(page, code, tmp_path):
    found = re.search(
        r"```console\n\$ tinygrad-cnn debug (--break \S+) (\w+\.py)\n(.*?)```",
        page.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    (tmp_path / found[2]).write_text(code())
    commands = re.findall(r"^\(grad\) (.*)$", found[3], re.MULTILINE)
    assert len(commands) >= 5
    said = debug(tmp_path, found[2], found[1].split(), commands).stdout
    # Last digits and shades differ between machines; words, shapes and places do not.
    assert words(said) == words(found[3])


def words(text):
    """The lines without maps, table columns and floating-point numbers."""
    text = re.sub(r"-?\d+\.\d+(e[+-]\d+)?", "#", text)
    kept = [
        line
        for line in text.splitlines()
        if not re.search(r"[·░▒▓█]\s*[·░▒▓█]|  {3}|#", line) or "(grad)" in line
    ]
    return [" ".join(line.split()) for line in kept]


def test_the_readmes_training_script_is_debugged_unmodified(tmp_path):
    script = tmp_path / "cnn.py"
    script.write_text(readme_script())
    commands = ["p module", "explain", "n", "back", "p step > 0", "cl", "n 1000", "grad conv2.bias", "q"]
    out = debug(tmp_path, str(script), ["--break", "conv2"], commands)
    said = out.stdout
    assert out.returncode == 0, out.stderr
    assert "breakpoint 1: conv2" in said and "'conv2'" in said and "Σ" in said and "back at step" in said
    assert "every node is done" in said and "∂L/∂conv2.bias (32,)" in said and "***" not in said
