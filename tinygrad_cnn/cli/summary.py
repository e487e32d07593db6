"""`summary MODEL`: what each layer of a known network gives and costs."""

from __future__ import annotations

import argparse

from tinygrad_cnn import models
from tinygrad_cnn.analysis.cost import summary
from tinygrad_cnn.cli.arguments import positive_int
from tinygrad_cnn.cli.console import console, human, simple_table
from tinygrad_cnn.support.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=f"one of: {', '.join(models.names())}")
    parser.add_argument("--input", metavar="C,H,W", help="shape of one input, e.g. 3,64,64 (default: the model's own)")
    parser.add_argument("--batch-size", type=positive_int, default=1, metavar="N")


def run(args: argparse.Namespace) -> int:
    entry = models.entry(args.model)
    shape = entry.input_size if args.input is None else _shape(args.input)
    model = entry.build()
    try:
        found = summary(model, shape, batch_size=args.batch_size)
    except (ValueError, RuntimeError, TypeError, IndexError) as error:
        if args.input is None:
            raise
        raise UsageError(f"{args.model} cannot take inputs of shape {shape}: {error}") from error
    out = console()
    out.print(f"{args.model}: {entry.about}\ninput {_times(found.input_shape)}\n", soft_wrap=True)
    table = simple_table("layer", "kind", "output", "parameters", "multiply-adds", right=(3, 4))
    for layer in found.layers:
        table.add_row(
            layer.name, layer.kind, _times(layer.output),
            f"{layer.parameters:,}" if layer.parameters else "–",
            f"{layer.multiply_adds:,}" if layer.multiply_adds else "–",
        )  # fmt: skip
    table.add_section()
    table.add_row("total", "", "", f"{found.parameters:,}", f"{found.multiply_adds:,}", style="bold")
    out.print(table)
    p = found.parameter_bytes
    out.print(
        f"\nmemory: parameters {human(p, 'B')} (with gradients and Adam's moments {human(4 * p, 'B')}), "
        f"outputs {human(found.output_bytes, 'B')}, kept for the backward pass {human(found.saved_bytes, 'B')}",
        soft_wrap=True,
    )
    return 0


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").replace("×", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UsageError(f"--input expected whole numbers such as 3,64,64, got {text!r}")
    return shape


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
