"""The promise of tests/conftest.py: with TINYGRAD_CNN_REQUIRE_ALL=1 a skip is a failure that says why."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


def run(tmp_path, tests, require):
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_it.py").write_text("import pytest\n" + tests)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "TINYGRAD"))}
    if require is not None:
        env["TINYGRAD_CNN_REQUIRE_ALL"] = require
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)


SKIPS = {
    "mark": "@pytest.mark.skipif(True, reason='no chromium')\ndef test_x(): pass\n",
    "call": "def test_x(): pytest.skip('no chromium')\n",
    "fixture": "@pytest.fixture\ndef f(): pytest.skip('no chromium')\ndef test_x(f): pass\n",
    "module": "pytest.skip('no chromium', allow_module_level=True)\n",
}


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_fails_with_its_reason_where_all_tools_are_promised(tmp_path, kind):
    done = run(tmp_path, SKIPS[kind], require="1")
    assert done.returncode != 0
    assert "nothing may skip, but this did: Skipped: no chromium" in done.stdout


@pytest.mark.parametrize("require", [None, "0", ""])
def test_elsewhere_a_skip_is_a_skip(tmp_path, require):
    done = run(tmp_path, SKIPS["call"], require)
    assert done.returncode == 0 and "1 skipped" in done.stdout


def test_an_expected_failure_is_no_skip(tmp_path):
    done = run(tmp_path, "@pytest.mark.xfail\ndef test_x(): assert False\n", require="1")
    assert done.returncode == 0 and "1 xfailed" in done.stdout


def own_nodes(function):
    """The syntax nodes of a function without those of functions inside it."""
    stack = list(function.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            stack += ast.iter_child_nodes(node)


def early_returns(path):
    """Tests that may return before anything is checked: such a case belongs out of `parametrize` instead."""
    for test in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            own = list(own_nodes(test))
            returns = [node.lineno for node in own if isinstance(node, ast.Return)]
            checks = [node.lineno for node in own if isinstance(node, ast.Assert)]
            # A test that ends in `raise AssertionError` passes by returning.
            passes_by_returning = isinstance(test.body[-1], ast.Raise)
            if returns and not passes_by_returning and min(returns) < min(checks, default=10**9):
                yield test.name


def test_no_test_returns_before_it_asserted_anything():
    tests = Path(__file__).parents[1]
    found = {path.name: [*early_returns(path)] for path in tests.rglob("test_*.py")}
    assert not {name: early for name, early in found.items() if early}
