"""The README: its code runs and prints what it says, its commands and names exist."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from tinygrad_cnn import datasets, models
from tinygrad_cnn.cli import COMMANDS

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n(?:\nprints\n\n```text\n(.*?)```)?", README, re.DOTALL)


def printed(code):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    return out.getvalue()


def test_there_are_examples():
    assert len(EXAMPLES) == 4 and sum(bool(output) for _code, output in EXAMPLES) == 2


@pytest.mark.parametrize(("code", "output"), [pair for pair in EXAMPLES if pair[1]])
def test_an_example_prints_what_the_readme_says(code, output):
    assert printed(code) == output


def test_the_gradient_example_has_ten_lines_and_the_cnn_about_thirty():
    lengths = [sum(1 for line in code.splitlines() if line.strip()) for code, _ in EXAMPLES]
    assert lengths[0] <= 10 and lengths[2] <= 32


def test_the_cnn_learns_the_digits():
    (code,) = [code for code, _ in EXAMPLES if "class Net" in code]
    # One epoch instead of six keeps the test short; six reach what the README says.
    assert "for epoch in range(6):" in code
    found = printed(code.replace("range(6)", "range(1)"))
    assert float(found.split("%")[0]) > 85


def test_the_pictures_it_shows_and_the_pages_it_names_exist():
    root = Path(__file__).resolve().parents[2]
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (root / target).exists(), target


def test_the_page_is_one_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = [code for code, _ in EXAMPLES if "net.html" in code]
    printed(code)
    assert [path.name for path in tmp_path.iterdir()] == ["net.html"]


def test_every_command_data_set_and_network_is_listed_and_exists():
    listed = re.findall(r"^\| `(\w+)[^`]*` \|", README, re.MULTILINE)
    assert set(listed) - {"tinygrad"} == set(COMMANDS)
    assert all(f"`{name}`" in README for name in (*datasets.NAMES, *models.names()))
