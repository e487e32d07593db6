"""What pyproject.toml, constraints.txt and the package promise each other."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tinygrad_cnn import extras

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
]


def name_of(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")


def test_every_extra_that_doctor_shows_installs_what_it_says():
    for extra in extras.EXTRAS:
        declared = {name_of(requirement) for requirement in PROJECT["optional-dependencies"][extra.name]}
        assert declared == set(extra.modules.values()), extra.name


def test_all_means_every_extra_a_user_can_want():
    names = ",".join(extra.name for extra in extras.EXTRAS)
    assert PROJECT["optional-dependencies"]["all"] == [f"tinygrad-cnn[{names}]"]


def test_the_core_depends_on_three_packages():
    assert {name_of(requirement) for requirement in PROJECT["dependencies"]} == {"numpy", "graphviz", "rich"}


def test_every_pin_is_one_exact_version_without_an_address():
    assert PINS
    for line in PINS:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line


def test_everything_the_project_asks_for_is_pinned():
    asked = [
        *PROJECT["dependencies"],
        *(r for group in PROJECT["optional-dependencies"].values() for r in group),
    ]
    pinned = {name_of(line) for line in PINS}
    assert {name_of(requirement) for requirement in asked} - {"tinygrad-cnn"} <= pinned


def test_the_package_says_that_it_is_typed_and_whose_the_digits_are():
    assert (ROOT / "tinygrad_cnn" / "py.typed").is_file()
    for licence in PROJECT["license-files"]:
        assert (ROOT / licence).is_file(), licence


OPTIONAL = sorted({module for extra in extras.EXTRAS for module in extra.modules} | {"torch", "jax", "scipy"})


@pytest.mark.parametrize("path", sorted((ROOT / "tinygrad_cnn").rglob("*.py")), ids=lambda p: p.name)
def test_no_oracle_is_imported_by_the_package(path):
    """But for the bridge to PyTorch, whose files of that name are imported only in a program that imports it too."""
    forbidden = {"torch", "jax", "scipy", "autograd"}
    if path.parent.name == "bridge" and path.name.startswith("torch_") and path.name != "torch_ops.py":
        forbidden.remove("torch")
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        assert not {name.partition(".")[0] for name in names} & forbidden, path


def test_importing_the_package_and_its_data_sets_imports_no_extra():
    code = (
        "import sys, tinygrad_cnn, tinygrad_cnn.datasets, tinygrad_cnn.extras as e; e.available();"
        f"print([m for m in {OPTIONAL} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
