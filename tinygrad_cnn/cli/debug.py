"""`tinygrad-cnn debug`: run a script and step its backward passes, or open a recorded one."""

from __future__ import annotations

import argparse

from tinygrad_cnn.bridge.engines import ENGINES
from tinygrad_cnn.cli.arguments import refuse
from tinygrad_cnn.support.errors import UsageError

_EPILOG = """\
selectors (--break, and `b` at the prompt):
  relu, conv2d            an op;     features.*   everything in a module;   param:fc.weight
  shape:(*,16,*,*)        a shape;   net.py:12    nodes made by that line
  nan, norm > 10, 'relu if dead_relu > 0.9'       any Python expression over the node
At the prompt, `help` lists the commands; they are pdb's, with a node for a line.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "-b", "--break", dest="breaks", action="append", default=[], metavar="SELECTOR",
        help="stop there, instead of at the first backward(); may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "-c", "--command", dest="commands", action="append", default=[], metavar="COMMAND",
        help="run a command at the first stop, before anything is read; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--forward", action="append", default=[], metavar="SELECTOR",
        help="open pdb in the script where a forward pass made such a node (relu, layer2.0, nan, 'norm > 1e4')",
    )  # fmt: skip
    parser.add_argument(
        "--anomaly", action="store_true", help="stop at the op that makes the first nan or infinity"
    )
    parser.add_argument(
        "--engine", choices=ENGINES, default="auto",
        help="whose backward passes: auto is PyTorch's own for a script that imports torch, where it is installed",
    )  # fmt: skip
    parser.add_argument("--replay", metavar="FILE", help="open a recorded pass instead of running a script")
    parser.add_argument("-m", "--module", action="store_true", help="SCRIPT is a module, as for `python -m`")
    parser.add_argument("script", nargs="?", help="the Python script to run")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")


def run(args: argparse.Namespace) -> int:
    if args.replay is not None:
        if args.script is not None:
            raise UsageError("give a script or --replay FILE, not both")
        refuse(
            {
                "--break": args.breaks, "--forward": args.forward, "--anomaly": args.anomaly, "--module": args.module,
            },
            "applies to a script that runs, not to --replay (a recorded pass takes breakpoints by -c 'b SELECTOR')",
        )  # fmt: skip
        from tinygrad_cnn.debug.terminal import open_replay

        return open_replay(args.replay, commands=args.commands)
    if args.script is None:
        raise UsageError("expected a script to run, e.g. tinygrad-cnn debug train.py, or --replay FILE")
    if args.anomaly and args.breaks:
        raise UsageError("--anomaly stops where the first nan or infinity is made; give it without --break")
    from tinygrad_cnn.debug.script import run_script

    return run_script(
        args.script, args.args, breaks=args.breaks, commands=args.commands, anomaly=args.anomaly,
        forward=args.forward, module=args.module, engine=args.engine,
    )
