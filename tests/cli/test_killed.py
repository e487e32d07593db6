"""Killed at any moment, `train --resume` ends where the uninterrupted run ends, bit for bit."""

import json
import signal
import subprocess
import sys
import time
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
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "tinygrad_cnn", *map(str, options(digits_folder, folder))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=KILLED.parents[2],
        env={**process_environment()},
    )  # fmt: skip
    while not (folder / "last.npz").exists() and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, out + err
    assert "stopping after this batch" in err and "Traceback" not in err
    assert f"tinygrad-cnn train --resume --out {folder}" in out
    process("-m", "tinygrad_cnn", "train", "--resume", "--out", folder, check=0)
    assert_same_end(folder, whole)


def process_environment():
    import os

    root = str(KILLED.parents[2])
    return {**os.environ, "PYTHONPATH": root, "TINYGRAD_CNN_KERNELS": "reference", "OPENBLAS_NUM_THREADS": "1"}


def test_a_finished_run_resumed_only_measures_again(whole, process):
    before = (whole / "last.npz").read_bytes()
    done = process("-m", "tinygrad_cnn", "train", "--resume", "--out", whole, check=0)
    assert "test accuracy" in done.stdout and (whole / "last.npz").read_bytes() == before
