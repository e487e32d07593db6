"""A small folder of real digits in IDX files, and ways to run the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn import datasets
from tinygrad_cnn.cli import main
from tinygrad_cnn.datasets.idx import write_idx

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory):
    """MNIST in small: 400 training and 100 test digits, as the four IDX files."""
    folder = tmp_path_factory.mktemp("idx")
    for part, count in (("train", 400), ("t10k", 100)):
        data = datasets.Digits(train=part == "train")
        pick = np.random.default_rng(0).permutation(len(data))[:count]
        write_idx(folder / f"{part}-images-idx3-ubyte", data.data[pick])
        write_idx(folder / f"{part}-labels-idx1-ubyte", data.targets[pick].astype(np.uint8))
    return folder


@pytest.fixture
def cli(capsys, monkeypatch):
    """Runs the command in this process: (exit code, output, errors)."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="session")
def process():
    """Runs a Python script or module in a process of its own."""

    def run(*words, check=None, **kwargs):
        # The readable kernels: no compilation, so a process costs a second and not ten.
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "TINYGRAD_CNN_KERNELS": "reference", "OPENBLAS_NUM_THREADS": "1",
            "COLUMNS": "120",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, *map(str, words)], capture_output=True, text=True, env=environment, cwd=ROOT, **kwargs
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def trained(digits_folder, tmp_path_factory, process):
    """A finished run of the small perceptron."""
    folder = tmp_path_factory.mktemp("run") / "mlp"
    process(
        "-m", "tinygrad_cnn", "train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder,
        "--epochs", 15, "--out", folder, "--threads", 1, check=0,
    )  # fmt: skip
    return folder
