"""The Makefile and .ci/run: what can be known without installing anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments, cwd=ROOT, **env):
    return subprocess.run(
        ["make", *arguments], cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}
    )


@pytest.fixture
def checkout(tmp_path):
    """The files that `make` itself reads, with nothing installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def stub_python(folder, version):
    """A 'python' that only knows its version, and fails the test of it when that is old."""
    path = folder / "oldpython"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "Python {version}"; exit 0; }}\nexit 1\n')
    path.chmod(0o755)
    return path


@needs_make
@pytest.mark.parametrize(
    "target",
    ["demo", "test", "lint", "types", "bench", "oracle", "compare", "conformance", "memcheck", "fuzz", "notebooks"],
)
def test_every_target_makes_its_environment_from_nothing(checkout, target):
    done = make("-n", target, cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert "-m venv .venv" in done.stdout and "-m pip install" in done.stdout


@needs_make
def test_a_second_make_installs_nothing_until_the_dependencies_change(checkout):
    (checkout / ".venv" / "bin").mkdir(parents=True)
    for name in ("bin/python", ".dev"):
        (checkout / ".venv" / name).touch()
    assert "pip install" not in make("-n", "test", cwd=checkout).stdout
    later = (checkout / ".venv" / ".dev").stat().st_mtime + 10
    os.utime(checkout / "pyproject.toml", (later, later))
    assert "pip install" in make("-n", "test", cwd=checkout).stdout


@needs_make
def test_an_old_python_is_refused_with_its_version_and_the_way_out(checkout):
    done = make("test", cwd=checkout, PYTHON=str(stub_python(checkout, "3.9.2")))
    assert done.returncode != 0 and not (checkout / ".venv").exists()
    assert "needs Python 3.11 or later, but" in done.stderr and "is Python 3.9.2" in done.stderr
    assert "make PYTHON=python3.12" in done.stderr


@needs_make
def test_a_missing_python_is_named(checkout):
    done = make("demo", cwd=checkout, PYTHON="python-of-nowhere")
    assert done.returncode != 0 and "'python-of-nowhere' was not found" in done.stderr


@needs_make
def test_help_lists_the_targets():
    done = make("help")
    assert {"demo", "test", "lint", "types", "bench"} <= {
        line.split()[1] for line in done.stdout.splitlines()
    }


def test_the_ci_script_is_valid_bash_and_executable():
    script = ROOT / ".ci" / "run"
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert os.access(script, os.X_OK)
