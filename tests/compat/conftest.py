"""Scripts run as users run them: `tinygrad-cnn run`, in this process."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tinygrad_cnn.cli import main


class Done(NamedTuple):
    """How a run ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run(source, *args, command="run", options=())``: `source` as `script.py` in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(source: str, *args: str, command: str = "run", options: tuple[str, ...] = ()) -> Done:
        Path("script.py").write_text(textwrap.dedent(source), encoding="utf-8")
        capsys.readouterr()
        status = main([command, *options, "script.py", *args])
        return Done(status, *capsys.readouterr())

    return run
