"""Scripts of the usual public form run as they are: what they print is what they print under PyTorch, but for numbers.

`make oracle` asks PyTorch for the lines. On one of the scripts the debugger, the drawing and an editor are tried.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.freeze import LINES, NAMES, SCRIPTS, without_numbers
from tests.debug.dap.conftest import Client
from tinygrad_cnn.cli import main

WITH_CONVOLUTIONS = str(SCRIPTS / "super_resolution.py")


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
def test_a_script_prints_what_it_prints_under_pytorch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(SCRIPTS / f"{name}.py")]) == 0
    assert without_numbers(capsys.readouterr().out) == json.loads(LINES.read_text(encoding="utf-8"))[name]


@pytest.mark.parametrize("name", NAMES)
def test_its_check_finds_nothing_missing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--check", str(SCRIPTS / f"{name}.py")]) == 0
    assert capsys.readouterr().out.endswith(" 0 missing\n")


def test_the_debugger_breaks_in_its_second_convolution_explains_steps_back_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = ["n", "n", "explain 0,0,1,1 of w", "back", "clear", "c"]
    ours = ["debug", "--engine", "tinygrad_cnn"]  # whether PyTorch is installed here or not
    assert main([*ours, "--break", "conv2", *(f"--command={one}" for one in commands), WITH_CONVOLUTIONS]) == 0
    shown = capsys.readouterr().out
    stops = [line for line in shown.splitlines() if line.startswith("backward · step")]
    assert [" ".join(line.split()[3:6]) for line in stops] == ["12 of 20", "13 of 20", "14 of 20", "13 of 20"]
    assert "breakpoint 1: conv2" in stops[0] and "back at step" in stops[3]
    assert "correlate conv2" in shown and "∂L/∂w[0, 0, 1, 1] = Σ ∂L/∂y · ∂y/∂w[0, 0, 1, 1]" in shown
    assert "super_resolution.py:24" in shown and "x = self.relu(self.conv2(x))" in shown
    assert "True torch.Size([24, 1, 16, 16])" in shown  # it went on to its end


def test_its_graph_is_drawn_with_its_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["graph", WITH_CONVOLUTIONS, "-o", "net.dot"]) == 0
    drawn = Path("net.dot").read_text(encoding="utf-8")
    assert all(layer in drawn for layer in ("conv1", "conv2", "conv4", "pixel_shuffle"))


def test_an_editor_steps_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinygrad_cnn", "dap"]
    pipe = subprocess.PIPE
    adapter = subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    try:
        assert adapter.stdin is not None and adapter.stdout is not None
        client = Client(adapter.stdout, adapter.stdin, adapter.stdin.close)
        client.launch(WITH_CONVOLUTIONS, breakOn=["conv2"], cwd=str(tmp_path), engine="tinygrad_cnn")
        _, first = client.stopped()
        assert "bias_add" in first["name"] and first["line"] == 24
        _, leaf = client.go("next")
        _, convolution = client.go("next")
        assert "conv2.bias" in leaf["name"] and "correlate" in convolution["name"]
        _, back = client.go("stepBack")
        assert back["name"] == leaf["name"]
    finally:
        adapter.kill()
        adapter.wait()
