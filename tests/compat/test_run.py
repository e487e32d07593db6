"""`tinygrad-cnn run`: a script meets this package under the name `torch`, and Python everywhere else."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import tinygrad_cnn
from tests.compat.conftest import Run
from tinygrad_cnn.cli import main
from tinygrad_cnn.compat import serve
from tinygrad_cnn.errors import UsageError


def test_torch_and_its_submodules_are_this_package(run: Run) -> None:
    done = run("""
        import torch, torch.nn as nn, torch.nn.functional as F, tinygrad_cnn
        import torch.optim.lr_scheduler
        from torch.utils.data import DataLoader
        from torch.nn.modules.conv import Conv2d
        assert torch.Tensor is tinygrad_cnn.Tensor and nn.Conv2d is Conv2d is tinygrad_cnn.nn.Conv2d
        assert torch.nn is nn and torch.nn.functional is F and F.relu is tinygrad_cnn.nn.functional.relu
        print(torch.__name__, torch.optim.lr_scheduler.StepLR.__name__)
    """)
    assert (done.status, done.out) == (0, "torch StepLR\n"), done.err


def test_one_line_says_which_engine_computes(run: Run) -> None:
    line = "tinygrad-cnn: torch is served by tinygrad_cnn"
    assert run("import torch, torch.nn").err.count(line) == 1
    assert run("print(1)").err == ""
    ours = ("--engine", "tinygrad_cnn")  # whether PyTorch is installed here or not
    for command, options in (("debug", (*ours, "-c", "c")), ("graph", ours)):
        done = run(
            "import torch\nx = torch.ones(2, requires_grad=True)\n(x * x).sum().backward()", command=command,
            options=options,
        )  # fmt: skip
        assert done.status == 0 and done.err.count(line) == 1, done


def test_rooms_that_pytorch_has_not_are_not_in_torch(run: Run) -> None:
    assert (
        run("import torch; print(hasattr(torch, 'viz'), hasattr(torch, 'datasets'))").out == "False False\n"
    )


def test_the_script_sees_what_python_shows_it(run: Run) -> None:
    source = """
        import sys, __main__
        from pathlib import Path
        import beside
        assert __name__ == "__main__" and __main__.__dict__ is globals() and __spec__ is None
        assert Path(sys.path[0]) == Path.cwd()
        print(sys.argv, __file__, beside.value)
    """
    Path("beside.py").write_text("value = 7")
    done = run(source, "--lr", "0.1", "-x")
    assert (done.status, done.out) == (0, "['script.py', '--lr', '0.1', '-x'] script.py 7\n"), done.err


@pytest.mark.parametrize(
    ("source", "status", "err"),
    [
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('so it ends')", 1, "so it ends\n"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt\n"),
    ],
)
def test_the_exit_status_is_pythons(run: Run, source: str, status: int, err: str) -> None:
    done = run(source)
    assert done.status == status and done.err.endswith(err)


def test_a_traceback_is_pythons(run: Run) -> None:
    source = "def f():\n    return 1 / 0\nf()\n"
    ours = run(source).err
    theirs = subprocess.run(
        [sys.executable, Path("script.py").resolve()], capture_output=True, text=True
    ).stderr
    assert ours == theirs


def test_a_module_runs_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "somepackage").mkdir()
    (tmp_path / "somepackage" / "__init__.py").write_text("")
    (tmp_path / "somepackage" / "train.py").write_text(
        "import sys, torch\nfrom . import train as t\nprint(__package__, sys.argv[1:], torch.ones(2))"
    )
    monkeypatch.chdir(tmp_path)
    try:
        assert main(["run", "-m", "somepackage.train", "--fast"]) == 0
    finally:
        for name in [name for name in sys.modules if name.startswith("somepackage")]:
            del sys.modules[name]
    assert "somepackage ['--fast'] tensor([1., 1.])" in capsys.readouterr().out


def test_scripts_that_cannot_be_read_end_in_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("")
    for words in (["absent.py"], ["-m", "absent.module"]):
        assert main(["run", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert run("def").err.startswith("error: script.py is not a Python script")


USES = {
    "NoSuchLayer(3)": "torch.nn.NoSuchLayer",
    "one.anything": "torch.nosuch.one.anything",
    "deeper.function(1)": "torch.nosuch.deeper.function",
    "torch.nn.NoSuchLayer(1)": "torch.nn.NoSuchLayer",
    "torch.nosuch.one": "torch.nosuch",
    "Two[int]": "torch.nosuch.Two",
    "print(*one)": "torch.nosuch.one",
    "class Sub(Two): pass": "torch.nosuch.Two",
}


@pytest.mark.parametrize("use", USES)
def test_a_missing_name_may_be_imported_and_raises_where_it_is_used(run: Run, use: str) -> None:
    done = run(f"""
        import torch
        import torch.nosuch.deeper as deeper
        from torch.nosuch import one, Two
        from torch.nn import NoSuchLayer
        from torch.nosuch import *
        def annotated(x: "Two | None" = None, y: Two | None = None) -> one: ...
        assert not isinstance(1, Two)
        print("imported")
        {use}
    """)
    assert (done.status, done.out) == (1, "imported\n")
    last = done.err.splitlines()[-1]
    assert last.endswith(
        f"MissingNameError: {USES[use]} is not in tinygrad_cnn (script.py:10): leave it out, or write it with the "
        "operations of docs/pytorch_surface.md"
    )
    assert (
        f"line 10, in <module>\n    {use}" in done.err
        and str(Path(tinygrad_cnn.__file__).parent) not in done.err
    )


def test_a_script_that_asks_whether_a_name_is_there_is_told(run: Run) -> None:
    done = run("""
        import contextlib, importlib, importlib.util, torch
        assert not hasattr(torch, "nosuch") and getattr(torch.nn, "nosuch", None) is None
        try:
            from torch.nosuch import one
        except ImportError:
            one = None
        try:
            from torch.nn import NoSuchLayer
        except (AttributeError, ImportError):
            NoSuchLayer = None
        with contextlib.suppress(ImportError):
            import torch.nosuch
            raise SystemExit("no ImportError")
        assert one is NoSuchLayer is None
        assert importlib.util.find_spec("torch.nosuch") is None and importlib.util.find_spec("torch.nn") is not None
        try:
            importlib.import_module("torch.nosuch")
        except ImportError:
            print("told")
    """)
    assert (done.status, done.out) == (0, "told\n"), done.err


def test_switches_reach_the_package_and_functions_of_the_script_do_not(run: Run) -> None:
    from tinygrad_cnn.backends import cudnn
    from tinygrad_cnn.nn import functional

    before, relu = cudnn.benchmark, functional.relu
    try:
        done = run(f"""
            import torch
            torch.backends.cudnn.benchmark = {not before}
            torch.nn.functional.relu = len
            from torch.nn.functional import relu
            print(relu([1, 2, 3]), torch.backends.cudnn.benchmark)
        """)
        assert (done.out, cudnn.benchmark) == (f"3 {not before}\n", not before) and functional.relu is relu
    finally:
        cudnn.benchmark = before


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_multiprocessing_are_served_too(tmp_path: Path, method: str) -> None:
    (tmp_path / "pool.py").write_text(
        "import multiprocessing, torch\n"
        "def work(n):\n    return float(torch.ones(n).sum())\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context('{method}').Pool(1) as pool:\n"
        "        print(pool.map(work, [2, 3]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "run", "pool.py"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "[2.0, 3.0]\n", done.stderr
    assert done.stderr.count("served by") == 1


def test_an_installed_pytorch_that_is_imported_comes_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = types.ModuleType("torch")
    monkeypatch.setitem(sys.modules, "torch", theirs)
    assert run("import torch; print(torch.Tensor.__module__)").out.startswith("tinygrad_cnn")
    assert sys.modules["torch"] is theirs
    with pytest.raises(UsageError, match="imported already"):
        serve()
