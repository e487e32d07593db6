"""`tinygrad-cnn dap`: the debug adapter that editors talk to, and their parts."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from tinygrad_cnn.cli.arguments import refuse

_EPILOG = """\
Editors start it by themselves, without options: it speaks the Debug Adapter Protocol on its standard streams.
A running program is attached to where it calls tinygrad_cnn.debug.listen(5678); this command is not needed.
Who connects to a port can run code as you, so each port has a token: it is printed at the start, and written to a
file that only you can read, where the editors' parts (--install) look for it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--port", type=int, metavar="N",
        help="serve on 127.0.0.1:N until interrupted, each client by a process of its own; 0 takes a free port. "
        "Clients bring the token that is printed in launch (key \"token\")",
    )  # fmt: skip
    what.add_argument(
        "--install", metavar="EDITOR", help="put the part of an editor in its place: vscode, neovim or emacs"
    )
    parser.add_argument(
        "--to", metavar="DIR", help="with --install: the directory to write to, instead of the editor's"
    )


def run(args: argparse.Namespace) -> int:
    if args.install is not None:
        from tinygrad_cnn.debug.dap.install import install

        print("\n".join(install(args.install, args.to)))
        return 0
    refuse({"--to": args.to}, "names where --install EDITOR writes to")
    from tinygrad_cnn.debug.dap import serve

    if args.port is not None:
        return serve.serve_tcp(args.port, announce=partial(print, flush=True))
    if sys.stdin.isatty():
        print(
            "waiting for an editor on standard input (end it with Ctrl-D); see `tinygrad-cnn dap --help`",
            file=sys.stderr,
        )
    return serve.serve_stdio()
