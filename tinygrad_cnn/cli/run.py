"""`tinygrad-cnn run SCRIPT [ARGS…]`: a PyTorch script on this engine."""

from __future__ import annotations

import argparse

from tinygrad_cnn.cli.arguments import refuse

_EPILOG = """\
In this process alone, `torch`, `torchvision` and their submodules are this package: the script runs as it is, and an
installed PyTorch is neither used nor changed. A name that is missing raises an error where it is used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("-m", "--module", action="store_true", help="SCRIPT is a module, as for `python -m`")
    parser.add_argument(
        "--check", action="store_true",
        help="do not run it: say which names of torch and torchvision it uses that are missing, and what to do",
    )  # fmt: skip
    parser.add_argument("script", metavar="SCRIPT", help="the Python script to run")
    parser.add_argument("args", nargs=argparse.REMAINDER, metavar="ARGS", help="its arguments")


def run(args: argparse.Namespace) -> int:
    if args.check:
        from tinygrad_cnn.compat.check import report

        refuse({"-m": args.module, "ARGS": args.args}, "has no use with --check, which reads the text of a file")
        lines, complete = report(args.script)
        print("\n".join(lines))
        return 0 if complete else 1
    from tinygrad_cnn.compat.run import run_script

    return run_script(args.script, args.args, module=args.module)
