"""Killed at any moment, `train --resume` ends where the uninterrupted run ends, bit for bit."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg

KILLED = Path(__file__).with_name("killed.py")
EPOCHS = 3


def options(digits_folder, folder):
    return [
        "train", "--model", "lenet5", "--data", "mnist", "--data-dir", digits_folder, "--epochs", EPOCHS,
        "--batch-size", 20, "--checkpoint-every", 4, "--threads", 1, "--seed", 3, "--out", folder,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(digits_folder, tmp_path_factory, process):
    folder = tmp_path_factory.mktemp("whole") / "run"
    process("-m", "tinygrad_cnn", *options(digits_folder, folder), check=0)
    return folder


def assert_same_end(folder, whole):
    for name in ("last.npz", "best.npz"):
        found, expected = (tg.load(f / name)["model"] for f in (folder, whole))
        assert list(found) == list(expected)
        assert all(np.array_equal(found[k].numpy(), expected[k].numpy()) for k in expected), name
    keep = lambda r: {k: v for k, v in r.items() if k not in ("seconds", "samples_per_second")}
    records = [[keep(r) for r in json.loads((f / "history.json").read_text())] for f in (folder, whole)]
    assert records[0] == records[1] and len(records[0]) == EPOCHS
    assert json.loads((folder / "result.json").read_text()) == json.loads((whole / "result.json").read_text())
    assert not list(folder.glob("*.partial"))


# An epoch is 18 batches; files are written in this order: the configuration, last.npz after batches 4, 8, 12,
# 16, then best.npz, history.json and last.npz at the epoch's end.
@pytest.mark.parametrize(
    "kills",
    [
        # before the first checkpoint; within an epoch; in the first batches after a resume
        ["batch 3", "batch 11", "batch 1", "batch 30"],
        # while last.npz is written: half of it there; complete but not yet in place; just in place
        ["write 3", "sync 4", "rename 5", "write 2"],
        # at an epoch's end: in best.npz, after it, in history.json, after it
        ["write 6", "rename 2", "write 3", "rename 4"],
    ],
    ids=["in an epoch", "in a checkpoint", "at an epoch's end"],
)
def test_a_killed_run_is_continued_to_the_same_end(kills, whole, digits_folder, tmp_path, process):
    folder = tmp_path / "run"
    for n, kill in enumerate(kills):
        resume = ["--resume"] if n and (folder / "config.json").exists() else []
        done = process(KILLED, *kill.split(), "--", *options(digits_folder, folder), *resume)
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    process("-m", "tinygrad_cnn", "train", "--resume", "--out", folder, check=0)
    assert_same_end(folder, whole)


def test_an_interrupt_saves_says_how_to_go_on_and_that_works(whole, digits_folder, tmp_path, process):
    folder = tmp_path / "run"
    done = process(KILLED, "interrupt", 7, "--", *options(digits_folder, folder), check=130)
    assert "stopping after this batch" in done.stderr and "Traceback" not in done.stderr
    assert f"tinygrad-cnn train --resume --out {folder}" in done.stdout
    process("-m", "tinygrad_cnn", "train", "--resume", "--out", folder, check=0)
    assert_same_end(folder, whole)


def test_a_finished_run_resumed_only_measures_again(whole, process):
    before = (whole / "last.npz").read_bytes()
    done = process("-m", "tinygrad_cnn", "train", "--resume", "--out", whole, check=0)
    assert "test accuracy" in done.stdout and (whole / "last.npz").read_bytes() == before


@pytest.mark.parametrize("kill", ["batch 3", "write 3", "rename 5", "rename 11"])
def test_a_run_that_is_killed_while_it_overwrites_leaves_the_former_one(kill, whole, digits_folder, tmp_path, process):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    process(KILLED, *kill.split(), "--", *options(digits_folder, folder), "--overwrite")
    left = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    assert left == before
    # Continued, it takes the former run's place with the same numbers, since the settings are the same.
    beside = tmp_path / "run.new"
    process("-m", "tinygrad_cnn", *options(digits_folder, beside), "--resume", check=0)
    assert_same_end(folder, whole)
    assert not beside.exists()
