"""`evaluate RUN`: accuracy, per-class report and confusion matrix of a trained network on its test set."""

from __future__ import annotations

import argparse

from tinygrad_cnn.cli import tasks
from tinygrad_cnn.cli.artifacts import tell
from tinygrad_cnn.cli.console import console, simple_table
from tinygrad_cnn.cli.data import load_parts, load_trained
from tinygrad_cnn.cli.runs import fingerprint
from tinygrad_cnn.training.evaluation import evaluate
from tinygrad_cnn.training.loading import as_dataset
from tinygrad_cnn.training.metrics import class_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="folder that `train` wrote")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data are, if they have moved since")


def run(args: argparse.Namespace) -> int:
    model, config, record = load_trained(args.run_folder)
    parts = load_parts(config, args.data_dir)
    test = parts.test
    if config.task != "classify":
        console().print(f"{config.model} on the test part of {config.data}")
        tasks.tell(tasks.measure(config.task, model, test), console())
        return 0
    found = evaluate(model, as_dataset(test))
    out = console()
    epoch = f", weights of epoch {record['epoch']}" if "epoch" in record else ""
    out.print(f"{config.model} on the test part of {config.data}{epoch}")
    if config.classes is not None and fingerprint(parts.train, test)[1] != config.data_hash:
        out.print("the pictures have changed since the training: some of the test part may have been trained on")
    table = simple_table("class", "precision", "recall", "f1", "samples", right=(1, 2, 3, 4))
    for name, row in zip(test.classes, class_report(found.confusion)):
        table.add_row(
            name, f"{row['precision']:.1%}", f"{row['recall']:.1%}", f"{row['f1']:.3f}", f"{row['support']:,}"
        )
    out.print()
    out.print(table)
    tell(found, test.classes, out)
    return 0
