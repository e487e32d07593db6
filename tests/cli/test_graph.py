"""`tinygrad-cnn graph`: known networks, scripts and saved graphs, in the form that the ending names."""

import pytest

from tinygrad_cnn.cli import main

SCRIPT = """\
import sys
import tinygrad_cnn as tg

x = tg.tensor(2.0, requires_grad=True)
for k in range(3):
    loss = x * (k + 1.0)
    loss.backward()
print("the end", sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_a_known_network_as_text(capsys):
    assert main(["graph", "mlp"]) == 0
    out = capsys.readouterr().out
    assert "1.weight" in out and "cross_entropy" in out and "102 K parameters" in out


@pytest.mark.parametrize("ending", ["dot", "json", "txt", "html"])
def test_the_ending_chooses_the_form(tmp_path, capsys, ending):
    path = tmp_path / f"g.{ending}"
    assert main(["graph", "mnist1d-logistic", "-o", str(path)]) == 0
    starts = {"dot": "digraph", "json": "{", "txt": "mnist1d-logistic", "html": "<!doctype html"}
    assert path.read_text().lower().startswith(starts[ending])
    assert "nodes" in capsys.readouterr().out


def test_a_script_is_stopped_at_its_backward_pass(script, capsys):
    assert main(["graph", str(script)]) == 0
    out = capsys.readouterr().out
    assert "loss = x · 1" in out and "the end" not in out


def test_a_later_pass_and_the_scripts_own_arguments(script, capsys):
    assert main(["graph", str(script), "--pass", "3", "--args", "--epochs", "2"]) == 0
    assert "loss = x · 3" in capsys.readouterr().out
    assert main(["graph", str(script), "--pass", "9", "--args", "--epochs", "2"]) == 2
    said = capsys.readouterr()
    assert "the end ['--epochs', '2']" in said.out and "without number 9" in said.err


def test_a_script_without_backward_shows_what_it_computed(tmp_path, capsys):
    path = tmp_path / "only_forward.py"
    path.write_text("import tinygrad_cnn as tg\nx = tg.tensor(2.0, requires_grad=True)\nz = x * x\n")
    assert main(["graph", str(path)]) == 0
    assert "z = x · x" in capsys.readouterr().out


def test_a_saved_graph_is_drawn_again(script, tmp_path, capsys):
    saved = tmp_path / "g.json"
    main(["graph", str(script), "-o", str(saved)])
    assert main(["graph", str(saved), "-o", str(tmp_path / "g.dot")]) == 0
    assert "loss" in (tmp_path / "g.dot").read_text()
    assert main(["graph", str(saved), "--direction", "LR", "--title", "Anew", "-o", str(tmp_path / "g.dot")]) == 0
    drawn = (tmp_path / "g.dot").read_text()
    assert "Anew" in drawn and "rankdir=LR" in drawn


def test_highlighted_nodes_bear_a_star_in_the_tree_of_text(tmp_path, capsys):
    saved = tmp_path / "g.json"
    main(["graph", "mlp", "-o", str(saved)])
    for what in ("mlp", str(saved)):
        capsys.readouterr()
        assert main(["graph", what, "--highlight", "relu"]) == 0
        out = capsys.readouterr().out
        marked = [line.split()[0] for line in out.splitlines() if "  *" in line]
        assert marked == ["mean", "cross_entropy", "bias_add", "linear", "relu"]
        assert any(line.startswith("linear") and "*" not in line for line in out.splitlines())


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["mlp", "--pass", "3"], "--pass applies to a script (a file *.py), and mlp is none: leave it out"),
        (["mlp", "--args", "a"], "--args applies to a script"),
        (["mlp", "--direction", "LR"], "--direction changes a picture, and a tree of text has no use for it"),
        (["mlp", "--theme", "dark", "-o", "g.txt"], "--theme changes a picture"),
        (["mlp", "--depth", "0"], "--depth changes a picture"),
        (["g.json", "--pass", "2"], "g.json is none"),
        (["g.json", "--depth", "0", "-o", "g.dot"], "--depth decides what a graph holds, and g.json was saved before"),
        (["g.json", "--forward-only"], "--forward-only decides what a graph holds"),
        (["only_forward.py", "--pass", "2"], "--pass chooses a backward pass, and only_forward.py has none"),
    ],
)
def test_an_option_that_does_not_apply_is_refused(argv, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "only_forward.py").write_text("import tinygrad_cnn as tg\nz = tg.ones(2, requires_grad=True) * 2\n")
    main(["graph", "mlp", "-o", "g.json"])
    capsys.readouterr()
    assert main(["graph", *argv]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.json", "only_forward.py"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["graph", "no-such-net"], "unknown model"),
        (["graph", "missing.py"], "no script missing.py"),
        (["graph", "missing.json"], "no file missing.json"),
        (["graph", "mlp", "-o", "g.gif"], ".svg"),
        (["graph", "mlp", "--highlight", "nothing*"], "matches no node"),
    ],
)
def test_mistakes_get_one_line(argv, says, capsys):
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_script_that_fails_is_told_in_one_line(tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text("1 / 0\n")
    assert main(["graph", str(path)]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err
