"""`tinygrad-cnn run --check`: what a script would miss, read from its text."""

from __future__ import annotations

from pathlib import Path

from tests.compat.conftest import Run

CHECK = ("--check",)


def test_missing_names_are_listed_with_their_line_and_the_script_is_not_run(run: Run) -> None:
    done = run(
        """
        import torch, torch.nn as nn
        from torch.nn import functional as F, NoSuchLayer
        import torch.nosuch.deeper as d
        raise SystemExit("it ran")
        def f(x):
            return F.relu(x) + torch.fft.fft(x) + nn.Conv2d(1, 2, 3)(x) + d.g(x) + torch.Tensor.nosuch(x)
        """,
        options=CHECK,
    )
    assert done.status == 1
    head, *lines = done.out.splitlines()
    assert head == "script.py: 10 names of torch and torchvision, 5 missing"
    assert [line.split()[:2] for line in lines] == [
        ["script.py:3:", "torch.nn.NoSuchLayer:"], ["script.py:4:", "torch.nosuch.deeper:"],
        ["script.py:7:", "torch.Tensor.nosuch:"], ["script.py:7:", "torch.fft.fft:"],
        ["script.py:7:", "torch.nosuch.deeper.g:"],
    ]  # fmt: skip
    assert "torch.fft.fft: use numpy.fft outside of the graph" in lines[3]


def test_modules_beside_the_script_are_followed(run: Run) -> None:
    Path("nets").mkdir()
    Path("nets/__init__.py").write_text("from .conv import Net\n")
    Path("nets/conv.py").write_text("from torch.nn import Conv2d, NoSuchLayer\n")
    Path("helpers.py").write_text("import torch\nimport script\nx = torch.nosuch\n")
    done = run("import helpers, json\nfrom nets import Net\n", options=CHECK)
    assert done.status == 1 and "helpers.py:3: torch.nosuch" in done.out
    assert "conv.py:1: torch.nn.NoSuchLayer" in done.out


def test_what_a_script_asks_for_first_it_can_do_without(run: Run) -> None:
    done = run(
        """
        import torch
        try:
            from torch.nosuch import fast
        except ImportError:
            fast = None
        if hasattr(torch, "nosuch"):
            torch.nosuch()
        if torch.cuda.is_available():
            torch.cuda.nosuch()
        """,
        options=CHECK,
    )
    assert done.status == 0
    assert done.out.count("the script can do without it") == 3


def test_a_script_that_misses_nothing_says_so(run: Run) -> None:
    done = run("import torch\ntorch.ones(2)\n", options=CHECK)
    assert (done.status, done.out) == (0, "script.py: 2 names of torch and torchvision, 0 missing\n")


def test_wrong_input_ends_in_one_line(run: Run) -> None:
    assert (
        run("def", options=CHECK).err
        == "error: script.py is not a Python script: invalid syntax (<unknown>, line 1)\n"
    )
    assert run("1", "--lr", options=CHECK).err.startswith("error: ARGS has no use with --check")
