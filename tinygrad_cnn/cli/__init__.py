"""The command `tinygrad-cnn`: finds the subcommand, runs it, and turns errors of users into one line.

Each subcommand is a module of its own here with `add_arguments(parser)` and `run(args) -> exit code`; only the
one that was asked for is imported, so `--help` is quick. Exit codes: 0 done, 2 something the user can mend,
130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from tinygrad_cnn.support.errors import UserError

__all__ = ["COMMANDS", "main"]

#: Each subcommand's module in this package, and what it does.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("train", "train a network, with checkpoints, curves and a confusion matrix"),
    "evaluate": ("evaluate", "measure a trained network on its test set"),
    "predict": ("predict", "say what is on an image"),
    "summary": ("summary", "layers, shapes, parameters, multiply-adds and memory of a network"),
    "graph": ("graph", "draw the graph of a network, a script or a run, with its gradients"),
    "run": ("run", "run a PyTorch script on this engine, unchanged; --check says what it would miss"),
    "debug": ("debug", "run a script and step its backward passes, or replay a recorded one"),
    "dap": ("dap", "let an editor step the backward pass (Debug Adapter Protocol); --install EDITOR"),
    "doctor": ("doctor", "versions, BLAS and its kernels, threads, optional extras"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (that of the process unless given); returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(words).parse_args(words)
        return int(args.run(args))
    except UserError as error:
        _complain(error)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`). Python would complain once more at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


class Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def _parser(words: list[str]) -> Parser:
    from tinygrad_cnn.support.version import __version__

    parser = Parser(
        prog="tinygrad-cnn",
        description="A NumPy autograd engine with PyTorch's names: train, look at and debug small networks.",
    )
    parser.add_argument("--version", action="version", version=f"tinygrad-cnn {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, (module, about) in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if name == wanted:
            room: Any = importlib.import_module(f"{__name__}.{module}")
            room.add_arguments(command)
            command.set_defaults(run=room.run)
    return parser


def _complain(error: UserError) -> None:
    # One line, whatever the message was made of.
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
