"""`train --task segment` and `detect`: what the run folder holds, and what evaluate says of it."""

import json

import pytest

from tinygrad_cnn import datasets

pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")


@pytest.fixture(autouse=True)
def few_canvases(monkeypatch):
    whole = datasets.ScatteredDigits
    monkeypatch.setattr(
        datasets, "ScatteredDigits", lambda task, train=True: whole(task, train, 24 if train else 10, size=32, most=2)
    )


@pytest.mark.parametrize(
    ("task", "model", "measure"),
    [("segment", "fcn", "mean_iou"), ("segment", "unet", "mean_iou"), ("detect", "center-net", "ap50")],
)
def test_a_run_has_its_measures_and_pictures_and_evaluate_gives_the_same(task, model, measure, tmp_path, cli):
    run = tmp_path / "run"
    code, out, err = cli("train", "--task", task, "--model", model, "--epochs", 1, "--out", run)
    assert code == 0, err
    result = json.loads((run / "result.json").read_text())
    assert result["task"] == task and 0 <= result[measure] <= 1 and result["test_samples"] == 10
    assert {"curves.png", "results.png", "graph.svg", "best.npz"} <= {path.name for path in run.iterdir()}
    last = next(line for line in out.splitlines() if line.startswith("test "))
    code, out, _ = cli("evaluate", run)
    assert code == 0 and last in out
    if task == "segment":
        assert "pixel accuracy" in out and "background" in out
    assert cli("graph", run)[0] == 0
    code, _, err = cli("predict", run, "x.png")
    assert code == 2 and f"learned to {task}" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "segment", "--model", "mlp"], "the model 'mlp' does not segment; known for it: fcn, unet"),
        (["--task", "detect", "--data", "digits"], "learns from the data set 'scattered-digits', not from 'digits'"),
        (["--task", "detect", "--flip"], "--flip moves images, and not what --task detect should answer"),
        (["--model", "unet"], "the model 'unet' does not classify: train it with --task segment"),
        (["--data", "scattered-digits"], "the data set 'scattered-digits' is for --task segment and detect"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(words, message, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = cli("train", *words)
    assert code == 2 and message in err and err.count("\n") == 1
