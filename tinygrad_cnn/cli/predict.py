"""`predict RUN IMAGE…`: the three likeliest classes of each picture, with their probabilities."""

from __future__ import annotations

import argparse

import numpy as np

from tinygrad_cnn import datasets, models
from tinygrad_cnn.cli.console import console, simple_table
from tinygrad_cnn.cli.runs import load_trained
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.training.evaluation import predict

_CLASSES = {"fashion-mnist": datasets.FashionMNIST.classes}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="folder that `train` wrote")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="PNG or JPEG of any size, dark on bright or not")


def run(args: argparse.Namespace) -> int:
    model, config, _record = load_trained(args.run_folder)
    if models.entry(config.model).input_size != (1, 28, 28):
        raise UsageError(f"the run in {args.run_folder} learned {config.data}, which are no images")
    classes = _CLASSES.get(config.data, datasets.MNIST.classes)
    pixels = np.stack([datasets.read_handwriting(path, config.data) for path in args.images])
    scores = predict(model, pixels).array.astype(np.float64)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    table = simple_table("image", "1st", "", "2nd", "", "3rd", "", right=(2, 4, 6))
    for path, share in zip(args.images, shares):
        cells = []
        for k in np.argsort(-share, kind="stable")[:3]:
            cells += [classes[k], f"{share[k]:.2%}"]
        table.add_row(path, *cells)
    console().print(table)
    return 0
