"""The page of conventions runs, and every link and name of the table for the lecture notes leads somewhere."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONVENTIONS = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
NOTES = (ROOT / "docs" / "notes.md").read_text(encoding="utf-8")


def test_every_line_of_code_about_conventions_holds():
    blocks = re.findall(r"```python\n(.*?)```", CONVENTIONS, re.S)
    headings = re.findall(r"^## ", CONVENTIONS, re.M)
    assert len(blocks) == len(headings) + 1
    names = {}
    for block in blocks:
        exec(compile(block, "docs/conventions.md", "exec"), names)


def anchors(text):
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", NOTES + CONVENTIONS))))
def test_every_link_leads_somewhere(link):
    file, _, anchor = link.partition("#")
    target = (ROOT / "docs" / file).resolve()
    assert target.is_file(), link
    assert not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


CODE = sorted(set(re.findall(r"`([^`]+)`", NOTES)))


@pytest.mark.parametrize("code", [c for c in CODE if re.match(r"[a-z]+\.\w", c)])
def test_every_name_exists(code):
    value = importlib.import_module("tinygrad_cnn")
    for part in re.match(r"[\w.]+", code)[0].split("."):
        value = getattr(value, part)


@pytest.mark.parametrize("code", [c for c in CODE if c.startswith("python -m ")])
def test_every_command_exists(code):
    assert importlib.util.find_spec(code.split()[2]) is not None
