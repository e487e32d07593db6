"""`predict RUN IMAGE…`: the three likeliest classes of each picture, with their probabilities."""

from __future__ import annotations

import argparse
import glob
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import datasets, models
from tinygrad_cnn.cli.console import console, simple_table
from tinygrad_cnn.cli.data import load_trained, network_input
from tinygrad_cnn.cli.runs import Config
from tinygrad_cnn.datasets.image_files import picture_files
from tinygrad_cnn.support.errors import DataError, UsageError
from tinygrad_cnn.training.evaluation import predict

_SHOWN = 3
_EPILOG = """\
IMAGE is a file, a folder (every picture in it and below), or a pattern such as 'scans/*.png'.
Pictures that cannot be read are reported on their own, and the others answered: exit code 1 then, 2 when none could be.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("run_folder", metavar="RUN", help="folder that `train` wrote")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="PNG or JPEG of any size, dark on bright or not")
    parser.add_argument("--json", action="store_true", help="print a list of JSON objects, one per picture")


def run(args: argparse.Namespace) -> int:
    model, config, _record = load_trained(args.run_folder)
    if config.task != "classify":
        raise UsageError(f"predict names classes, and the run in {args.run_folder} learned to {config.task}")
    if config.classes is None and models.entry(config.model).input_size != (1, 28, 28):
        raise UsageError(f"the run in {args.run_folder} learned {config.data}, which are no images")
    answers: list[dict[str, Any]] = []
    inputs = []
    for path in _files(args.images):
        try:
            inputs.append(network_input(config, path))
            answers.append({"image": path})
        except DataError as error:
            answers.append({"image": path, "error": " ".join(str(error).split())})
    read = [answer for answer in answers if "error" not in answer]
    if len(answers) == 1 and not read and not args.json:
        raise DataError(answers[0]["error"])
    if read:
        for answer, shares in zip(read, _probabilities(model, np.stack(inputs))):
            names = _classes(config)
            likely = np.argsort(-shares, kind="stable")[:_SHOWN]
            answer["classes"] = [{"class": names[k], "probability": round(float(shares[k]), 6)} for k in likely]
    if args.json:
        print(json.dumps(answers, indent=1, ensure_ascii=False))
    else:
        _print(read)
        for answer in answers:
            if "error" in answer:
                print(f"error: {answer['error']}", file=sys.stderr)
    return 0 if len(read) == len(answers) else 1 if read else 2


def _files(words: list[str]) -> list[str]:
    """The files that the words mean, in their order. UsageError for a folder without pictures and a pattern
    without files."""
    found: list[str] = []
    for word in words:
        if Path(word).is_dir():
            files = picture_files(word)
            if not files:
                raise UsageError(f"the folder {word} holds no picture")
            found += files
        elif glob.has_magic(word) and not Path(word).exists():
            files = sorted(path for path in glob.glob(word, recursive=True) if Path(path).is_file())
            if not files:
                raise UsageError(f"no file is called {word}")
            found += files
        else:
            found.append(word)
    return found


def _probabilities(model: Any, inputs: Any) -> Any:
    scores = predict(model, inputs).array.astype(np.float64)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def _classes(config: Config) -> tuple[str, ...]:
    if config.classes is not None:
        return tuple(config.classes)
    return datasets.FashionMNIST.classes if config.data == "fashion-mnist" else datasets.MNIST.classes


def _print(answers: list[dict[str, Any]]) -> None:
    if not answers:
        return
    table = simple_table("image", "1st", "", "2nd", "", "3rd", "", right=(2, 4, 6))
    for answer in answers:
        cells = [cell for one in answer["classes"] for cell in (one["class"], f"{one['probability']:.2%}")]
        table.add_row(answer["image"], *cells)
    console().print(table)
